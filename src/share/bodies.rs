//! From a planned tree to files whose bodies are in the store: what no artifact has is generated, once, and kept.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::runtime::Handle;

use super::derive::{DeriveError, Member, UnpackLimits, md5_hex, unpack};
use super::layout::{Body, FILES_MAX, Planned, check_paths};
use crate::catalog::Catalog;
use crate::gate::media_type_of;
use crate::model::{Artifact, Blake3Digest, ObjectRef, ProductName, Sha256Digest, ShareFile, TargetName};
use crate::store::{BlobStore as _, Protection, StoreError, TransferPlan};

/// The most artifacts whose derived bodies are remembered.
const REMEMBERED_MAX: usize = 1_024;
/// What is read from a member at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Why a planned tree cannot be given bodies, as one sentence.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("{path}: the bytes of {target} are missing from the store; run `ringfence store verify`")]
    Missing { path: TargetName, target: TargetName },
    #[error("{path}: {target} cannot be unpacked: {cause}")]
    Archive { path: TargetName, target: TargetName, cause: DeriveError },
    #[error("{path}: a file of {target} cannot stand there: {why}")]
    Name { path: TargetName, target: TargetName, why: String },
    #[error("{0}")]
    Paths(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A body that was made of an artifact's.
#[derive(Debug, Clone)]
struct Derived {
    /// Below the planned path; empty where it is the planned path itself.
    name: String,
    size: u64,
    blake3: Blake3Digest,
    sha256: Sha256Digest,
}

/// Makes bodies of an artifact's.
type Make<R> = fn(&mut R, &Planned<'_>, &Artifact, &Bytes) -> Result<Vec<Derived>, BodyError>;

/// Which body was made of which blob.
type Key = (u8, Blake3Digest);

/// The bodies that were made before, by what they were made of. They are only ever believed if the store has them.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<HashMap<Key, Vec<Derived>>>);

/// A tree whose bodies are all in the store, and stay there until this is dropped.
pub(super) struct Resolved {
    /// In order of path.
    pub(super) files: Vec<ShareFile>,
    _protections: Vec<Protection>,
}

/// Gives every planned file its body. Blocks on the disk; must run within a tokio runtime, on a thread that may block.
pub(super) fn resolve(
    catalog: &Catalog,
    remembered: &Remembered,
    planned: &[Planned<'_>],
) -> Result<Resolved, BodyError> {
    let mut resolver = Resolver { catalog, remembered, files: Vec::new(), protections: Vec::new() };
    for one in planned {
        resolver.resolve(one)?;
        if resolver.files.len() > FILES_MAX {
            break;
        }
    }
    let Resolver { mut files, protections, .. } = resolver;
    // The layout has checked what it planned; the members of archives are new.
    check_paths(files.iter().map(|file| &file.path)).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        BodyError::Paths(problems.join("; "))
    })?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Resolved { files, _protections: protections })
}

struct Resolver<'a> {
    catalog: &'a Catalog,
    remembered: &'a Remembered,
    files: Vec<ShareFile>,
    protections: Vec<Protection>,
}

impl Resolver<'_> {
    fn resolve(&mut self, planned: &Planned<'_>) -> Result<(), BodyError> {
        let of = |artifact: &Artifact| (artifact.size, artifact.blake3, artifact.sha256);
        match &planned.body {
            Body::Artifact(artifact) => {
                self.push(planned, planned.path.clone(), of(artifact), &artifact.media_type);
            }
            Body::Text(text) => {
                let Derived { size, blake3, sha256, .. } = self.keep(String::new(), text.clone().into())?;
                self.push(planned, planned.path.clone(), (size, blake3, sha256), &media_type_of(&planned.path));
            }
            Body::Md5Of(artifact) => {
                for derived in self.derived((0, artifact.blake3), planned, artifact, Self::md5)? {
                    let Derived { size, blake3, sha256, .. } = derived;
                    self.push(planned, planned.path.clone(), (size, blake3, sha256), "text/plain");
                }
            }
            Body::Unpacked(artifact) => {
                for derived in self.derived((1, artifact.blake3), planned, artifact, Self::members)? {
                    let Derived { name, size, blake3, sha256 } = derived;
                    let path: TargetName = format!("{}/{name}", planned.path).parse().map_err(|why| {
                        let (path, target) = (planned.path.clone(), artifact.target.clone());
                        BodyError::Name { path, target, why: format!("{why}") }
                    })?;
                    let media_type = media_type_of(&path);
                    self.push(planned, path, (size, blake3, sha256), &media_type);
                }
            }
        }
        Ok(())
    }

    fn push(
        &mut self,
        planned: &Planned<'_>,
        path: TargetName,
        (size, blake3, sha256): (u64, Blake3Digest, Sha256Digest),
        media_type: &str,
    ) {
        let product: ProductName = planned.product.clone();
        let (sequence, set, last) = (planned.sequence, planned.set.clone(), planned.last);
        let media_type = media_type.to_owned();
        self.files.push(ShareFile { path, size, blake3, sha256, media_type, product, sequence, set, last });
    }

    /// What was made of the artifact before or, where the store has lost some of it, is made now.
    fn derived(
        &mut self,
        key: Key,
        planned: &Planned<'_>,
        artifact: &Artifact,
        make: Make<Self>,
    ) -> Result<Vec<Derived>, BodyError> {
        let known = self.remembered.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known
            && self.has_all(&known)?
        {
            return Ok(known);
        }
        let body = self.catalog.body(&artifact.blake3, artifact.size)?;
        let (path, target) = (planned.path.clone(), artifact.target.clone());
        let body = body.ok_or(BodyError::Missing { path, target })?;
        let made = make(self, planned, artifact, &body)?;
        let mut remembered = self.remembered.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(key, made.clone());
        Ok(made)
    }

    /// Protects them all first, so that none can go after it was looked at.
    fn has_all(&mut self, known: &[Derived]) -> Result<bool, BodyError> {
        let store = self.catalog.store();
        let desired = known.iter().map(|Derived { size, blake3, sha256, .. }| {
            let (blake3, sha256, size) = (*blake3, *sha256, *size);
            ObjectRef { blake3, sha256, size }
        });
        let plan = TransferPlan::new(desired, |object| {
            self.protections.push(store.protect(object.blake3));
            Ok::<_, StoreError>(store.size(&object.blake3)? == Some(object.size))
        })?;
        Ok(plan.is_complete())
    }

    fn md5(&mut self, _: &Planned<'_>, _: &Artifact, body: &Bytes) -> Result<Vec<Derived>, BodyError> {
        Ok(vec![self.keep(String::new(), md5_hex(body).into())?])
    }

    fn members(&mut self, planned: &Planned<'_>, artifact: &Artifact, body: &Bytes) -> Result<Vec<Derived>, BodyError> {
        let mut made = Vec::new();
        let mut failed = None;
        let mut keep = |member: Member<'_>| {
            let name = member.name.to_string();
            match self.keep_member(name, member) {
                Ok(derived) => made.push(derived),
                Err(Kept::Archive(error)) => return Err(error),
                Err(Kept::Store(error)) if failed.is_none() => failed = Some(error),
                Err(Kept::Store(_)) => {}
            }
            Ok(())
        };
        let unpacked = unpack(body, &UnpackLimits::default(), &mut keep);
        if let Some(error) = failed {
            return Err(error.into());
        }
        unpacked.map_err(|cause| {
            let (path, target) = (planned.path.clone(), artifact.target.clone());
            BodyError::Archive { path, target, cause }
        })?;
        Ok(made)
    }

    /// Streams a member into the store.
    fn keep_member(&mut self, name: String, member: Member<'_>) -> Result<Derived, Kept> {
        let store = self.catalog.store();
        let mut staged = store.stage(Some(member.size))?;
        let runtime = Handle::current();
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let read = member.body.take(PIECE_BYTES as u64).read_to_end(&mut piece);
            read.map_err(|error| Kept::Archive(DeriveError::Damaged { why: error.to_string() }))?;
            if piece.is_empty() {
                break;
            }
            runtime.block_on(staged.append(piece.into()))?;
        }
        let done = runtime.block_on(staged.finish())?;
        let (size, blake3, sha256) = (done.size(), *done.blake3(), *done.sha256());
        self.protections.push(store.commit(done)?.protection);
        Ok(Derived { name, size, blake3, sha256 })
    }

    fn keep(&mut self, name: String, bytes: Bytes) -> Result<Derived, BodyError> {
        let (size, blake3, sha256) = (bytes.len() as u64, Blake3Digest::of(&bytes), Sha256Digest::of(&bytes));
        let derived = Derived { name, size, blake3, sha256 };
        if self.has_all(std::slice::from_ref(&derived))? {
            return Ok(derived);
        }
        let store = self.catalog.store();
        let mut staged = store.stage(Some(size))?;
        let runtime = Handle::current();
        let done = runtime.block_on(async {
            staged.append(bytes).await?;
            staged.finish().await
        })?;
        self.protections.push(store.commit(done)?.protection);
        Ok(derived)
    }
}

/// Why a member was not kept.
enum Kept {
    Archive(DeriveError),
    Store(StoreError),
}

impl From<StoreError> for Kept {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
