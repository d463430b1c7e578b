//! The open uploads: bounded in number, size and time.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body::Body;
use tokio::sync::OwnedMutexGuard;

use super::upload::{Content, Upload};
use super::{UploadError, UploadId, UploadStatus};
use crate::model::Actor;
use crate::store::{BlobStore as _, FsBlobs};

/// Bounds on uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Bytes of one upload.
    pub max_bytes: u64,
    /// Uploads open at once.
    pub open_max: usize,
    /// How long an upload may lie unused before it is dropped.
    pub idle_timeout: Duration,
}

/// The uploads that are open. They live in memory and in unnamed files: a restart forgets them and frees their space.
pub struct Uploads {
    store: Arc<FsBlobs>,
    limits: UploadLimits,
    open: Mutex<HashMap<UploadId, Arc<Upload>>>,
}

impl Uploads {
    /// None open yet.
    pub fn new(store: Arc<FsBlobs>, limits: UploadLimits) -> Self {
        Self { store, limits, open: Mutex::default() }
    }

    /// Opens an upload of exactly `length` bytes for `owner`, and reserves its space.
    pub async fn create(&self, owner: &Actor, length: u64) -> Result<UploadId, UploadError> {
        let max_bytes = self.limits.max_bytes;
        if length > max_bytes {
            return Err(UploadError::TooLarge { length, max_bytes });
        }
        let max = self.limits.open_max;
        if self.open().len() >= max {
            return Err(UploadError::TooMany { max });
        }
        let staged = self.store.stage(Some(length))?;
        let id = UploadId::random()?;
        let upload = Arc::new(Upload::new(length, owner.clone(), staged));
        if length == 0 {
            finish(&mut *upload.content().await?).await?;
        }
        let mut open = self.open();
        // Others may have come in while the space was reserved.
        if open.len() >= max {
            return Err(UploadError::TooMany { max });
        }
        open.insert(id.clone(), upload);
        drop(open);
        Ok(id)
    }

    /// How far an upload is.
    pub async fn status(&self, owner: &Actor, id: &UploadId) -> Result<UploadStatus, UploadError> {
        let (upload, content) = self.hold(owner, id).await?;
        Ok(upload.status_of(&content))
    }

    /// Takes bytes from `offset` on until the body ends. Bytes that arrived before an interruption are kept.
    pub async fn append<B>(
        &self,
        owner: &Actor,
        id: &UploadId,
        offset: u64,
        body: B,
    ) -> Result<UploadStatus, UploadError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let (upload, mut content) = self.hold(owner, id).await?;
        let expected = upload.status_of(&content).offset;
        if offset != expected {
            return Err(UploadError::WrongOffset { offset, expected });
        }
        let mut received = receive(&mut content, upload.length, body).await;
        if let (Content::Arriving(staged), Ok(()) | Err(UploadError::Interrupted { .. })) = (&mut *content, &received)
            && let Err(error) = staged.settle().await
        {
            // Whoever sent this part learns of a full disk now, and what waits for the next part holds no memory.
            received = Err(error.into());
        }
        upload.touch();
        match received {
            Ok(()) => {}
            Err(error @ UploadError::Interrupted { .. }) => return Err(error),
            Err(error) => {
                *content = Content::Gone;
                self.open().remove(id);
                return Err(error);
            }
        }
        let status = upload.status_of(&content);
        if status.is_complete()
            && let Err(error) = finish(&mut content).await
        {
            self.open().remove(id);
            return Err(error);
        }
        Ok(upload.status_of(&content))
    }

    /// Drops an upload and frees its space.
    pub fn drop_upload(&self, owner: &Actor, id: &UploadId) -> Result<(), UploadError> {
        self.find(owner, id)?;
        self.open().remove(id);
        Ok(())
    }

    /// Drops what nobody has used for the idle timeout; returns how many.
    pub fn drop_idle(&self) -> usize {
        let mut open = self.open();
        let before = open.len();
        open.retain(|_, upload| upload.idle() < self.limits.idle_timeout);
        before - open.len()
    }

    /// How many are open.
    pub fn open_count(&self) -> usize {
        self.open().len()
    }

    /// An upload with its content, to this caller alone.
    pub(super) async fn hold(
        &self,
        owner: &Actor,
        id: &UploadId,
    ) -> Result<(Arc<Upload>, OwnedMutexGuard<Content>), UploadError> {
        let upload = self.find(owner, id)?;
        let content = upload.content().await?;
        // Whoever held it before may have used it up.
        if matches!(*content, Content::Gone) { Err(UploadError::Unknown(id.clone())) } else { Ok((upload, content)) }
    }

    fn find(&self, owner: &Actor, id: &UploadId) -> Result<Arc<Upload>, UploadError> {
        let upload = self.open().get(id).filter(|upload| upload.owner == *owner).cloned();
        upload.ok_or_else(|| UploadError::Unknown(id.clone()))
    }

    pub(super) fn forget(&self, id: &UploadId) {
        self.open().remove(id);
    }

    fn open(&self) -> MutexGuard<'_, HashMap<UploadId, Arc<Upload>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn receive<B>(content: &mut Content, length: u64, mut body: B) -> Result<(), UploadError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    loop {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let arrived = match content {
            Content::Arriving(staged) => staged.len(),
            Content::Arrived(done) => done.size(),
            Content::Gone => 0,
        };
        let data = match frame {
            None => return Ok(()),
            Some(Err(error)) => return Err(UploadError::Interrupted { offset: arrived, why: error.to_string() }),
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        if data.remaining() as u64 > length - arrived {
            return Err(UploadError::TooLong { length });
        }
        if let (Content::Arriving(staged), false) = (&mut *content, data.is_empty()) {
            staged.append(data).await?;
        }
    }
}

/// Ends the hashing of an upload whose last byte has arrived.
async fn finish(content: &mut Content) -> Result<(), UploadError> {
    match std::mem::replace(content, Content::Gone) {
        Content::Arriving(staged) => *content = Content::Arrived(staged.finish().await?),
        other => *content = other,
    }
    Ok(())
}
