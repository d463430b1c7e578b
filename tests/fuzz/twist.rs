//! What an origin might sign that is wrong, or lies: manifests that say something else than what was sent, and mostly fit
//! themselves, so that more than their text has to be looked at.

use jiff::SignedDuration;
use ringfence::bundle::{BundleManifest, Encoding, Held, Layout, Object, SIZE_MAX_BYTES, Totals, root_of};
use ringfence::model::{Blake3Digest, BundleBase, BundleId, ReceiptId, Sha256Digest};

use super::mutate::Random;

/// Changes one to three things, and mostly what follows from them.
pub(crate) fn twist(random: &mut Random, sent: &BundleManifest) -> BundleManifest {
    let mut manifest = sent.clone();
    for _ in 0..=random.below(3) {
        let kinds = if manifest.objects.is_empty() { 1 } else { 3 };
        match random.below(kinds) {
            0 => twist_head(random, &mut manifest),
            1 => twist_sets(random, &mut manifest),
            _ => twist_object(random, &mut manifest),
        }
    }
    if random.below(8) > 0 {
        settle(&mut manifest);
    }
    manifest
}

fn number(random: &mut Random) -> u64 {
    [0, 1, 2, 3, 41, 1 << 20, 1 << 40, u64::MAX][random.below(8)]
}

fn twist_head(random: &mut Random, manifest: &mut BundleManifest) {
    let hours = SignedDuration::from_hours([-2, 2, 24 * 31, -24 * 31][random.below(4)]);
    let root = manifest.root;
    let (bundle, receipt) = (BundleId(digest(random)), ReceiptId(digest(random)));
    match random.below(9) {
        0 => manifest.sequence = number(random),
        1 => manifest.created += hours,
        2 => manifest.expires += hours,
        3 => manifest.journal.sequence = number(random),
        4 => manifest.journal.head = digest(random),
        5 => manifest.groups.push(["canaries", "everyone"][random.below(2)].parse().unwrap()),
        6 => manifest.previous = Some(bundle),
        7 => manifest.base = BundleBase::Full,
        _ if random.below(2) == 0 => manifest.base = BundleBase::Assumed { bundle, root },
        _ => manifest.base = BundleBase::Proven { receipt, bundle, root },
    }
}

fn twist_sets(random: &mut Random, manifest: &mut BundleManifest) {
    let at = random.below(manifest.objects.len());
    match random.below(7) {
        0 => {
            manifest.objects.remove(at);
        }
        1 => manifest.state = manifest.objects[at].blake3,
        2 => manifest.root = Sha256Digest::of(&[random.next() as u8]),
        3 => manifest.held = Held { objects: number(random), bytes: number(random) },
        4 => {
            manifest.removals.insert(digest(random));
        }
        5 => {
            manifest.removals.clear();
        }
        _ => {
            let mut other = manifest.objects[at].clone();
            other.blake3 = digest(random);
            manifest.objects.push(other);
        }
    }
}

fn twist_object(random: &mut Random, manifest: &mut BundleManifest) {
    let (at, other) = (random.below(manifest.objects.len()), random.below(manifest.objects.len()));
    let other = manifest.objects[other].clone();
    let object = &mut manifest.objects[at];
    let part = random.below(object.parts.len());
    if object.parts.is_empty() {
        return;
    }
    match random.below(12) {
        0 => object.blake3 = digest(random),
        1 => object.sha256 = other.sha256,
        2 => {
            object.size =
                [object.size.saturating_add(1), object.size.saturating_sub(1), number(random)][random.below(3)]
        }
        3 => object.encoding = [Encoding::Raw, Encoding::Zstd, Encoding::Patch][random.below(3)],
        4 => object.packed.size = [object.packed.size.saturating_add(1), number(random)][random.below(2)],
        5 => object.packed.sha256 = other.packed.sha256,
        6 => object.parts[part].sha256 = Sha256Digest::of(&[random.next() as u8]),
        7 => object.parts = other.parts,
        8 => object.parts[part].size = number(random),
        9 => object.base = Some(other.body()),
        10 => twist_patch(random, object),
        _ => (object.encoding, object.packed, object.parts) = (other.encoding, other.packed, other.parts),
    }
}

fn twist_patch(random: &mut Random, object: &mut Object) {
    let Some(segment) = object.segments.first_mut() else { return };
    match random.below(5) {
        0 => segment.base_offset = segment.base_offset.saturating_add(1),
        1 => segment.base_size = number(random),
        2 => segment.packed_size = segment.packed_size.saturating_sub(1),
        3 => segment.size = segment.size.saturating_add(1),
        _ => {
            let again = *segment;
            object.segments.push(again);
        }
    }
}

/// Any digest, now and then one of nothing.
fn digest(random: &mut Random) -> Blake3Digest {
    Blake3Digest::of(&random.next().to_be_bytes()[..random.below(9)])
}

/// What follows from the rest is made to: order, sums, the places in the volumes, and for a full bundle its root.
fn settle(manifest: &mut BundleManifest) {
    manifest.objects.sort_by_key(|object| object.blake3);
    manifest.objects.dedup_by_key(|object| object.blake3);
    if manifest.objects.iter().flat_map(|object| &object.parts).any(|part| part.size > SIZE_MAX_BYTES) {
        // Refused before anybody lays it out.
        return;
    }
    let layout = Layout::of(manifest);
    let parts = layout.parts(manifest.objects.len());
    for (object, parts) in manifest.objects.iter_mut().zip(parts) {
        object.parts = parts;
    }
    manifest.volumes = layout.volumes();
    let sum = |of: fn(&Object) -> u64| manifest.objects.iter().map(of).fold(0, u64::saturating_add);
    manifest.totals = Totals {
        objects: manifest.objects.len() as u64,
        bytes: sum(|object| object.size),
        packed_bytes: sum(|object| object.packed.size),
        volume_bytes: manifest.volumes.iter().map(|volume| volume.size).fold(0, u64::saturating_add),
    };
    if manifest.base == BundleBase::Full {
        manifest.root = root_of(&manifest.objects.iter().map(|object| object.blake3).collect());
        manifest.held = Held { objects: manifest.totals.objects, bytes: manifest.totals.bytes };
    }
}
