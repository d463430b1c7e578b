//! Packing what is missing: how each object lies in the volumes, and where its packed bytes are meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::ExportError;
use super::base::Base;
use crate::bundle::encode::promises;
use crate::bundle::{BASES_MAX, EncodeOptions, Encoding, Object, Packed, encode};
use crate::model::{Artifact, BundleBase, ObjectRef, Platform, ProductName, SiteContent};
use crate::store::{BlobStore as _, FsBlobs, Protection};
use crate::sys::map::release_pages;
use crate::sys::unnamed::UnnamedFile;

/// Where the packed bytes of an object are until they are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// They are the body itself.
    Store(ObjectRef),
    /// They begin here in the spool.
    Spool(u64),
}

/// Packed bytes, one object's after the other's.
#[derive(Debug)]
pub(super) struct Spool {
    file: UnnamedFile,
    dir: PathBuf,
    len: u64,
}

impl Spool {
    fn create(dir: &Path) -> Result<Self, ExportError> {
        let file = UnnamedFile::create_in(dir).map_err(|cause| ExportError::Spool { path: dir.to_owned(), cause })?;
        Ok(Self { file, dir: dir.to_owned(), len: 0 })
    }

    fn push(&mut self, bytes: &Bytes) -> Result<u64, ExportError> {
        let start = self.len;
        for piece in bytes.chunks(1 << 20) {
            let written = self.file.file().write_all(piece);
            written.map_err(|cause| ExportError::Spool { path: self.dir.clone(), cause })?;
            release_pages(piece);
            self.len += piece.len() as u64;
        }
        Ok(start)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn read(&self, start: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.file.file().read_exact_at(&mut bytes, start)?;
        Ok(bytes)
    }
}

/// Every object that goes into the volumes.
#[derive(Debug)]
pub(super) struct PackedSet {
    /// In order of BLAKE3; where they lie is still to be told.
    pub(super) objects: Vec<Object>,
    pub(super) sources: Vec<Source>,
    pub(super) spool: Spool,
    /// Keeps those that are read from the store.
    pub(super) protections: Vec<Protection>,
}

/// Packs each of these objects. `named` says what needs them.
pub(super) fn pack(
    store: &FsBlobs,
    dir: &Path,
    missing: &BTreeSet<ObjectRef>,
    bases: &Bases,
    named: impl Fn(&ObjectRef) -> String,
) -> Result<PackedSet, ExportError> {
    let mut set = PackedSet {
        objects: Vec::with_capacity(missing.len()),
        sources: Vec::new(),
        spool: Spool::create(dir)?,
        protections: Vec::new(),
    };
    for object in missing {
        let protection = store.protect(object.blake3);
        let body = store.open(&object.blake3, object.size)?;
        let missing = || ExportError::Missing { blob: object.blake3, what: named(object) };
        let body = body.ok_or_else(missing)?.bytes;
        set.add(store, dir, object, &body, bases)?;
        if matches!(set.sources.last(), Some(Source::Store(_))) {
            set.protections.push(protection);
        }
        release_pages(&body);
    }
    Ok(set)
}

impl PackedSet {
    fn add(
        &mut self,
        store: &FsBlobs,
        dir: &Path,
        object: &ObjectRef,
        body: &Bytes,
        bases: &Bases,
    ) -> Result<(), ExportError> {
        let ObjectRef { blake3, sha256, size } = *object;
        let over = bases.of(object);
        let mut entry = Object {
            blake3,
            sha256,
            size,
            encoding: Encoding::Raw,
            base: None,
            segments: Vec::new(),
            packed: Packed { size, sha256 },
            parts: Vec::new(),
        };
        // What becomes no smaller is not read before it is sent: its digest is known.
        if over.is_empty() && !promises(body)? {
            self.objects.push(entry);
            self.sources.push(Source::Store(*object));
            return Ok(());
        }
        let mut opened = Vec::new();
        for base in over {
            // A base that is gone here only makes the bundle larger.
            if let Ok(Some(found)) = store.open(&base.blake3, base.size) {
                opened.push((base, found.bytes));
            }
        }
        let packed = encode(body, &opened, &EncodeOptions { spool: dir })?;
        for (_, bytes) in &opened {
            release_pages(bytes);
        }
        entry.encoding = packed.encoding;
        entry.base = packed.base;
        entry.segments = packed.segments;
        entry.packed = packed.packed;
        let source = match packed.encoding {
            Encoding::Raw => Source::Store(*object),
            Encoding::Zstd | Encoding::Patch => Source::Spool(self.spool.push(&packed.bytes)?),
        };
        if matches!(source, Source::Store(_)) {
            // As the release has it: should the blob be damaged, whoever writes the volume sees it.
            entry.packed = Packed { size, sha256 };
        }
        self.objects.push(entry);
        self.sources.push(source);
        Ok(())
    }
}

/// What each object may be a patch over: what the site has proven to hold of the same file in earlier releases.
pub(super) struct Bases {
    of: BTreeMap<ObjectRef, Vec<ObjectRef>>,
}

impl Bases {
    /// Over nothing that is not proven there are patches.
    pub(super) fn new(base: &Base, content: &SiteContent, state: &ObjectRef, missing: &BTreeSet<ObjectRef>) -> Self {
        let mut of = BTreeMap::new();
        let (BundleBase::Proven { .. }, Some(before)) = (base.base, &base.content) else { return Self { of } };
        of.insert(*state, base.state.into_iter().collect());
        let known = by_line(before);
        for (line, artifacts) in by_line(content) {
            let Some(earlier) = known.get(&line) else { continue };
            for (_, artifact) in artifacts {
                let object = object(artifact);
                if missing.contains(&object) && !of.contains_key(&object) {
                    of.insert(object, nearest(artifact, earlier));
                }
            }
        }
        of.values_mut().for_each(|bases: &mut Vec<ObjectRef>| bases.retain(|known| base.sure.contains(known)));
        Self { of }
    }

    fn of(&self, object: &ObjectRef) -> Vec<ObjectRef> {
        self.of.get(object).cloned().unwrap_or_default()
    }
}

type Line<'a> = (&'a ProductName, &'a Platform);

/// The artifacts that a content brings with their bytes, by product and platform, each with its release's sequence.
fn by_line(content: &SiteContent) -> BTreeMap<Line<'_>, Vec<(u64, &Artifact)>> {
    let mut lines: BTreeMap<Line<'_>, Vec<(u64, &Artifact)>> = BTreeMap::new();
    for product in &content.products {
        for release in product.releases.iter().filter(|release| !product.absent.contains(&release.id)) {
            for artifact in &release.manifest.artifacts {
                let line = lines.entry((&product.product.name, &artifact.platform)).or_default();
                line.push((release.sequence, artifact));
            }
        }
    }
    lines
}

/// Those that are most likely an earlier version of the artifact: of the same target, then of the same kind of file and
/// about as long, newest first.
fn nearest(artifact: &Artifact, earlier: &[(u64, &Artifact)]) -> Vec<ObjectRef> {
    let kind = |artifact: &Artifact| artifact.target.as_str().rsplit_once('.').map(|(_, kind)| kind.to_owned());
    let wanted = kind(artifact);
    let mut ranked: Vec<_> = earlier
        .iter()
        .map(|(sequence, known)| {
            let other_name = known.target != artifact.target;
            let distance = if other_name { known.size.abs_diff(artifact.size) } else { 0 };
            ((other_name, kind(known) != wanted, distance, u64::MAX - sequence), object(known))
        })
        .collect();
    ranked.sort_unstable_by_key(|(rank, _)| *rank);
    let mut bases: Vec<ObjectRef> = Vec::new();
    for (_, base) in ranked {
        if bases.len() < BASES_MAX && !bases.contains(&base) {
            bases.push(base);
        }
    }
    bases
}

fn object(artifact: &Artifact) -> ObjectRef {
    ObjectRef { blake3: artifact.blake3, sha256: artifact.sha256, size: artifact.size }
}
