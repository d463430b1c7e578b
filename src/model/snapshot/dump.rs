//! A whole snapshot as JSON, look-ups included, so that tests can say that two are the same.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ProductReleases, Snapshot, SnapshotParts};
use crate::model::{AppliedPolicy, Freeze, ProductName, Rollout, Share, SharePath, TargetName};

/// Everything that the snapshot would answer, through its public methods.
pub(crate) fn dump(snapshot: &Snapshot) -> Value {
    let policies: Vec<Value> = snapshot.policies().iter().map(policy).collect();
    let policy_changes = moments(|at| snapshot.next_policy_after(at));
    let devices: BTreeMap<_, _> = snapshot.devices().collect();
    let by_hash: Vec<_> = snapshot.tokens().map(|token| snapshot.token_by_hash(&token.hash)).collect();
    json!({
        "seq": snapshot.seq(),
        "head": snapshot.head(),
        "time": snapshot.time(),
        "products": snapshot.products().map(|releases| product(releases)).collect::<Vec<_>>(),
        "policies": policies,
        "policy_changes": policy_changes,
        "holds": snapshot.holds().map(|hold| (hold, snapshot.hold(hold.id))).collect::<Vec<_>>(),
        "pins": snapshot.pins().map(|pin| (pin, snapshot.pin(pin.id))).collect::<Vec<_>>(),
        "devices": devices,
        "shares": snapshot.shares().map(|share| (share, share.paths())).collect::<Vec<_>>(),
        "tokens": snapshot.tokens().map(|token| (token, snapshot.token(token.id))).collect::<Vec<_>>(),
        "tokens_by_hash": by_hash,
        "enrolments": enrolments(snapshot),
        "denials": snapshot.denials().map(|denial| (denial, snapshot.denial(&denial.device))).collect::<Vec<_>>(),
        "trusted_keys": snapshot.trusted_keys(),
        "origin_keys": snapshot.origin_keys(),
        "sites": snapshot.sites().map(|site| (site, snapshot.site(&site.name))).collect::<Vec<_>>(),
        "own_site": snapshot.own_site(),
    })
}

fn enrolments(snapshot: &Snapshot) -> Vec<Value> {
    let one = |enrolment: &std::sync::Arc<crate::model::Enrolment>| {
        json!([enrolment, snapshot.enrolment(enrolment.id), snapshot.enrolment_by_hash(&enrolment.hash)])
    };
    snapshot.enrolments().map(one).collect()
}

fn policy(policy: &AppliedPolicy) -> Value {
    json!({
        "seq": policy.seq,
        "applied": policy.applied,
        "digest": policy.digest,
        "text": &*policy.text,
        "sentences": policy.policy().map(|policy| policy.sentences()).map_err(ToString::to_string),
    })
}

fn product(releases: &ProductReleases) -> Value {
    let blobs = |release: &crate::model::Release| -> Vec<Value> {
        let artifacts = release.manifest.artifacts.iter();
        let one = |artifact: &crate::model::Artifact| {
            let sequences: Vec<u64> = releases.with_blob(&artifact.blake3).map(|release| release.sequence).collect();
            json!([sequences, releases.blob_with_sha256(&artifact.sha256)])
        };
        artifacts.map(one).collect()
    };
    let release = |release: &std::sync::Arc<crate::model::Release>| {
        json!({
            "release": release,
            "by_version": releases.by_version(release.version()).map(|found| found.sequence),
            "by_id": releases.by_id(&release.id).map(|found| found.sequence),
            "by_sequence": releases.by_sequence(release.sequence).map(|found| found.id),
            "blobs": blobs(release),
            "highest": releases.highest_version_up_to(release.sequence),
        })
    };
    json!({
        "product": releases.product(),
        "releases": releases.releases().iter().map(release).collect::<Vec<_>>(),
        "barriers": releases.barriers().map(|release| release.sequence).collect::<Vec<_>>(),
        "holds": releases.holds(),
        "pins": releases.pins(),
        "rollouts": releases.rollouts().iter().map(|rollout| {
            let of_release: Vec<_> = releases.rollouts_of(rollout.sequence).map(|known| known.id).collect();
            (rollout, releases.rollout(rollout.id).is_some(), of_release)
        }).collect::<Vec<_>>(),
        "rollbacks": releases.rollbacks().map(|rollout| rollout.id).collect::<Vec<_>>(),
        "freezes": releases.freezes(),
        "refusals": releases.refusals(),
        "absent": releases.absent(),
        "changes": moments(|at| releases.next_change_after(at)),
    })
}

/// Every moment that `next` names, one after the other.
fn moments(next: impl Fn(Timestamp) -> Option<Timestamp>) -> Vec<Timestamp> {
    std::iter::successors(next(Timestamp::MIN), |at| next(*at)).collect()
}

/// What an index would keep of the snapshot.
pub(crate) fn parts(snapshot: &Snapshot) -> SnapshotParts {
    let releases = |product: &ProductReleases| product.releases().iter().map(|release| (**release).clone()).collect();
    let policy = |policy: &AppliedPolicy| {
        AppliedPolicy::new(policy.seq, policy.applied.clone(), policy.digest, policy.text.clone())
    };
    SnapshotParts {
        seq: snapshot.seq(),
        head: (snapshot.seq() > 0).then(|| snapshot.head()),
        time: snapshot.time(),
        products: snapshot.products().map(|product| (product.product().clone(), releases(product))).collect(),
        policies: snapshot.policies().iter().map(policy).collect(),
        holds: snapshot.holds().map(|hold| (**hold).clone()).collect(),
        pins: snapshot.pins().map(|pin| (**pin).clone()).collect(),
        rollouts: rollouts(snapshot),
        freezes: snapshot.products().flat_map(|product| freezes(product)).collect(),
        devices: snapshot.devices().map(|(id, history)| (id.clone(), history.clone())).collect(),
        shares: snapshot.shares().map(|share| (Share::clone(share), paths(share))).collect(),
        tokens: snapshot.tokens().map(|token| (**token).clone()).collect(),
        enrolments: snapshot.enrolments().map(|enrolment| (**enrolment).clone()).collect(),
        denials: snapshot.denials().map(|denial| (**denial).clone()).collect(),
        refusals: snapshot
            .products()
            .map(|product| (product.product().name.clone(), product.refusals().to_vec()))
            .collect(),
        trusted_keys: snapshot.trusted_keys().to_vec(),
        origin_keys: snapshot.origin_keys().to_vec(),
        sites: snapshot.sites().map(|site| (**site).clone()).collect(),
        own_site: snapshot.own_site().map(|own| (**own).clone()),
        absent: snapshot.products().map(|product| (product.product().name.clone(), product.absent().clone())).collect(),
    }
}

/// All rollouts in order of id, as an index would give them.
fn rollouts(snapshot: &Snapshot) -> Vec<Rollout> {
    let all = snapshot.products().flat_map(|product| product.rollouts());
    let mut rollouts: Vec<Rollout> = all.map(|rollout| (**rollout).clone()).collect();
    rollouts.sort_by_key(|rollout| rollout.id);
    rollouts
}

fn freezes(product: &ProductReleases) -> impl Iterator<Item = (ProductName, Freeze)> {
    product.freezes().iter().map(|freeze| (product.product().name.clone(), (**freeze).clone()))
}

fn paths(share: &Share) -> Vec<(TargetName, SharePath)> {
    share.paths().iter().map(|(path, known)| (path.clone(), known.clone())).collect()
}
