//! A share of a server that is asked over its admin listener; bodies from the store's own files where they can be read.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use serde_json::json;

use crate::app::stager::{TreeSource, Unseen, blob_file};
use crate::cli::CliError;
use crate::cli::connect::Session;
use crate::client::{ClientError, Download};
use crate::model::ShareName;
use crate::share::TargetReport;
use crate::share::stage::{Bodies, Body, StageFile, StageTree};

/// What a stager asks of one share.
pub(super) struct HttpSource {
    session: Session,
    share: ShareName,
    etag: Option<String>,
    /// The data directory, where the configuration names one.
    data: Option<PathBuf>,
}

impl HttpSource {
    pub(super) fn new(session: Session, share: ShareName, data: Option<PathBuf>) -> Self {
        Self { session, share, etag: None, data }
    }

    /// The server's share, for its other answers.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// The tree, if it is another than the last time.
    ///
    /// # Errors
    /// As any call; nothing shown yet is a conflict.
    pub(super) fn tree(&mut self) -> Result<Option<StageTree>, CliError> {
        let path = format!("/v1/shares/{}/tree", self.share);
        let Some(answer) = self.session.get_if_changed(&path, self.etag.as_deref())? else { return Ok(None) };
        let tree = self.session.read_bytes(&answer.body)?;
        // Only a tree that was understood need not be asked for again.
        self.etag = answer.etag;
        Ok(Some(tree))
    }

    /// Tells the server of a target.
    ///
    /// # Errors
    /// As any call.
    pub(super) fn tell(&self, report: &TargetReport) -> Result<(), CliError> {
        self.session.put(&format!("/v1/shares/{}/targets", self.share), &json!(report)).map(drop)
    }
}

impl TreeSource for HttpSource {
    fn look(&mut self) -> Result<Option<Arc<StageTree>>, Unseen> {
        match self.tree() {
            Ok(tree) => Ok(tree.map(Arc::new)),
            // No such share, or nothing in it yet: the next switch changes that.
            Err(error) if matches!(error.exit_code(), 6 | 7) => Err(Unseen::Nothing(error.to_string())),
            Err(error) => Err(Unseen::Unanswered(error.to_string())),
        }
    }

    fn report(&mut self, report: TargetReport) -> Result<(), String> {
        self.tell(&report).map_err(|error| format!("the server could not be told of the target: {error}"))
    }
}

impl Bodies for HttpSource {
    fn open(&self, file: &StageFile) -> io::Result<Body> {
        let stored = self.data.as_deref().and_then(|data| blob_file(data, &file.blake3, file.size));
        if let Some(stored) = stored {
            return Ok(Body::File(stored));
        }
        let path = format!("/v1/shares/{}/blobs/{}", self.share, file.blake3);
        let download = self.session.download(&path).map_err(io::Error::other)?;
        let runtime = self.session.runtime();
        Ok(Body::Reader(Box::new(BodyReader { runtime, download, rest: Bytes::new() })))
    }
}

/// A body as it comes, for those who read and wait.
struct BodyReader {
    runtime: Arc<tokio::runtime::Runtime>,
    download: Download,
    rest: Bytes,
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            let next: Result<_, ClientError> = self.runtime.block_on(self.download.next());
            self.rest = next.map_err(io::Error::other)?.unwrap_or_default();
        }
        let length = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
