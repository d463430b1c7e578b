//! Uploads: resuming, wrong offsets, cut bodies, bounds, owners.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::Full;
use tokio::sync::mpsc;

use super::testing::{Desk, LIMITS, release};
use super::{UploadError, UploadId, UploadLimits, UploadStatus};
use crate::catalog::testing::actor;

/// A body of these pieces, then an error.
struct Cut(VecDeque<&'static str>);

impl Body for Cut {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = self.0.pop_front().map(|piece| Frame::data(Bytes::from(piece)));
        Poll::Ready(Some(piece.ok_or("connection reset")))
    }
}

/// A body whose pieces come when the test sends them.
struct Slow(mpsc::Receiver<Bytes>);

impl Body for Slow {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn full(body: &'static str) -> Full<Bytes> {
    Full::new(Bytes::from(body))
}

fn status(offset: u64, length: u64) -> UploadStatus {
    UploadStatus { offset, length }
}

fn unknown<T: std::fmt::Debug>(result: Result<T, UploadError>) -> bool {
    matches!(result, Err(UploadError::Unknown(_)))
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_cut() {
    let desk = Desk::new().await;
    let (uploads, ada) = (desk.publisher.uploads(), actor("ada"));
    let id = uploads.create(&ada, 11).await.unwrap();
    assert_eq!(uploads.status(&ada, &id).await.unwrap(), status(0, 11));
    let error = uploads.append(&ada, &id, 0, Cut(["hel", "lo"].into())).await.unwrap_err();
    assert!(matches!(&error, UploadError::Interrupted { offset: 5, .. }), "{error}");
    assert_eq!(error.to_string(), "the upload was cut off after 5 bytes: connection reset");
    assert_eq!(uploads.status(&ada, &id).await.unwrap(), status(5, 11));
    assert_eq!(uploads.append(&ada, &id, 5, full(" wor")).await.unwrap(), status(9, 11));
    assert_eq!(uploads.append(&ada, &id, 9, full("ld")).await.unwrap(), status(11, 11));
    assert_eq!(uploads.append(&ada, &id, 11, full("")).await.unwrap(), status(11, 11), "nothing more changes nothing");
    let published = desk.publisher.publish(&ada, release("intel", "1", &[("f", &id)])).await.unwrap();
    let artifact = &published.release.manifest.artifacts[0];
    assert_eq!(artifact.blake3, crate::model::Blake3Digest::of(b"hello world"));
    assert_eq!(artifact.sha256, crate::model::Sha256Digest::of(b"hello world"));
    assert_eq!(desk.catalog.body(&artifact.blake3, artifact.size).unwrap().unwrap(), "hello world");
}

#[tokio::test]
async fn a_wrong_offset_takes_nothing() {
    let desk = Desk::new().await;
    let (uploads, ada) = (desk.publisher.uploads(), actor("ada"));
    let id = uploads.create(&ada, 4).await.unwrap();
    uploads.append(&ada, &id, 0, full("ab")).await.unwrap();
    for wrong in [0, 1, 3, 4, u64::MAX] {
        let error = uploads.append(&ada, &id, wrong, full("cd")).await.unwrap_err();
        assert!(matches!(error, UploadError::WrongOffset { offset, expected: 2 } if offset == wrong), "{error}");
    }
    assert_eq!(uploads.append(&ada, &id, 2, full("cd")).await.unwrap(), status(4, 4));
}

#[tokio::test]
async fn more_than_announced_drops_the_upload() {
    let desk = Desk::new().await;
    let (uploads, ada) = (desk.publisher.uploads(), actor("ada"));
    let id = uploads.create(&ada, 4).await.unwrap();
    let error = uploads.append(&ada, &id, 0, full("abcde")).await.unwrap_err();
    assert!(matches!(error, UploadError::TooLong { length: 4 }), "{error}");
    assert!(unknown(uploads.status(&ada, &id).await));
    // Behind the last byte, too.
    let id = desk.upload(&ada, "abcd").await;
    assert!(matches!(uploads.append(&ada, &id, 4, full("e")).await, Err(UploadError::TooLong { .. })));
    assert!(unknown(uploads.status(&ada, &id).await));
    assert_eq!(uploads.open_count(), 0);
}

#[tokio::test]
async fn an_upload_is_its_owners_alone() {
    let desk = Desk::new().await;
    let (uploads, ada, bob) = (desk.publisher.uploads(), actor("ada"), actor("bob"));
    let id = desk.upload(&ada, "body").await;
    assert!(unknown(uploads.status(&bob, &id).await));
    assert!(unknown(uploads.append(&bob, &id, 4, full("")).await));
    assert!(unknown(uploads.drop_upload(&bob, &id)));
    let stolen = desk.publisher.publish(&bob, release("intel", "1", &[("f", &id)])).await;
    assert!(matches!(stolen, Err(super::PublishError::Upload(UploadError::Unknown(_)))), "{stolen:?}");
    let never: UploadId = "0123456789abcdef0123456789abcdef".parse().unwrap();
    let (other, none) = (uploads.status(&bob, &id).await.unwrap_err(), uploads.status(&bob, &never).await.unwrap_err());
    assert_eq!(other.to_string().replace(&id.to_string(), ""), none.to_string().replace(&never.to_string(), ""));
    uploads.drop_upload(&ada, &id).unwrap();
    assert!(unknown(uploads.status(&ada, &id).await));
    assert!(unknown(uploads.drop_upload(&ada, &id)));
}

#[test]
fn an_upload_id_has_one_spelling() {
    let long = "0".repeat(33);
    for wrong in ["", "0123456789ABCDEF0123456789ABCDEF", "0123456789abcdef0123456789abcde", &long] {
        assert!(wrong.parse::<UploadId>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn uploads_are_bounded_in_size_and_number() {
    let desk = Desk::new().await;
    let (uploads, ada) = (desk.publisher.uploads(), actor("ada"));
    let error = uploads.create(&ada, LIMITS.max_bytes + 1).await.unwrap_err();
    assert!(matches!(error, UploadError::TooLarge { .. }), "{error}");
    let mut open = Vec::new();
    for _ in 0..LIMITS.open_max {
        open.push(uploads.create(&ada, LIMITS.max_bytes).await.unwrap());
    }
    let error = uploads.create(&ada, 1).await.unwrap_err();
    assert!(matches!(error, UploadError::TooMany { max } if max == LIMITS.open_max), "{error}");
    uploads.drop_upload(&ada, &open[0]).unwrap();
    uploads.create(&ada, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn uploads_opened_at_once_are_bounded_too() {
    let desk = std::sync::Arc::new(Desk::new().await);
    for _ in 0..10 {
        let tasks = (0..32).map(|_| {
            let desk = desk.clone();
            tokio::spawn(async move { desk.publisher.uploads().create(&actor("ada"), 0).await })
        });
        let mut opened = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            opened.extend(task.await.unwrap());
        }
        assert_eq!(opened.len(), LIMITS.open_max);
        assert_eq!(desk.publisher.uploads().open_count(), LIMITS.open_max);
        for id in opened {
            desk.publisher.uploads().drop_upload(&actor("ada"), &id).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_upload_expires_and_one_in_use_does_not() {
    let idle_timeout = Duration::from_millis(300);
    let desk = Desk::with_limits(UploadLimits { idle_timeout, ..LIMITS }).await;
    let (publisher, ada) = (desk.publisher.clone(), actor("ada"));
    let (idle, busy) =
        (publisher.uploads().create(&ada, 4).await.unwrap(), publisher.uploads().create(&ada, 4).await.unwrap());
    assert_eq!(publisher.uploads().drop_idle(), 0);
    let (sender, receiver) = mpsc::channel(1);
    let appending = tokio::spawn({
        let (publisher, ada, busy) = (publisher.clone(), ada.clone(), busy.clone());
        async move { publisher.uploads().append(&ada, &busy, 0, Slow(receiver)).await }
    });
    sender.send(Bytes::from("ab")).await.unwrap();
    tokio::time::sleep(idle_timeout * 2).await;
    assert_eq!(publisher.uploads().drop_idle(), 1);
    assert!(unknown(publisher.uploads().status(&ada, &idle).await));
    drop(sender);
    assert_eq!(appending.await.unwrap().unwrap(), status(2, 4));
    assert_eq!(publisher.uploads().drop_idle(), 0, "its time counts from its last use");
    assert_eq!(publisher.uploads().status(&ada, &busy).await.unwrap(), status(2, 4));
    tokio::time::sleep(idle_timeout * 2).await;
    assert_eq!(publisher.uploads().drop_idle(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_second_writer_waits_and_is_then_told() {
    let desk = Desk::new().await;
    let (publisher, ada) = (desk.publisher.clone(), actor("ada"));
    let id = publisher.uploads().create(&ada, 4).await.unwrap();
    let (sender, receiver) = mpsc::channel(1);
    let first = tokio::spawn({
        let (publisher, ada, id) = (publisher.clone(), ada.clone(), id.clone());
        async move { publisher.uploads().append(&ada, &id, 0, Slow(receiver)).await }
    });
    tokio::task::yield_now().await;
    let second = publisher.uploads().append(&ada, &id, 0, full("xx")).await;
    assert!(matches!(second, Err(UploadError::Busy)), "{second:?}");
    sender.send(Bytes::from("abcd")).await.unwrap();
    drop(sender);
    assert_eq!(first.await.unwrap().unwrap(), status(4, 4));
}
