//! The stream under a connection: watches the pace of the reader, and survives the connection so that it can linger.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::activity::Activity;
use super::pace::Pace;

/// Most bytes thrown away while lingering; a peer that sends more gets its reset.
const LINGER_MAX_BYTES: usize = 256 * 1024;

/// Where a [`WatchedStream`] leaves its socket when it is dropped.
pub(crate) type Leftover<S> = Arc<Mutex<Option<S>>>;

/// A stream whose writes fail once the peer reads too slowly, and whose reads are noted in the connection's
/// [`Activity`].
///
/// hyper closes the socket as soon as it is done. If bytes of the peer are unread then, the kernel sends a reset, which
/// may overtake the last answer. So this stream hands its socket over when it is dropped, and whoever drove the
/// connection calls [`linger`].
#[derive(Debug)]
pub(crate) struct WatchedStream<S> {
    socket: Option<S>,
    leftover: Leftover<S>,
    activity: Arc<Activity>,
    writing: Pace,
    written: Counter,
    /// The peer sent its end, or the stream failed: there is nothing to linger for.
    over: bool,
}

impl<S> WatchedStream<S> {
    pub(crate) fn new(socket: S, activity: Arc<Activity>, writing: Pace, written: Counter) -> (Self, Leftover<S>) {
        let leftover = Leftover::default();
        let stream = Self { socket: Some(socket), leftover: leftover.clone(), activity, writing, written, over: false };
        (stream, leftover)
    }
}

impl<S: Unpin> WatchedStream<S> {
    /// The socket, to look at.
    pub(crate) fn socket_ref(&self) -> io::Result<&S> {
        self.socket.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The socket is only absent while this value is being dropped.
    fn socket(&mut self) -> io::Result<Pin<&mut S>> {
        self.socket.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn failed(&mut self, error: &io::Error) {
        self.over = true;
        // The kernel's own limit (TCP_USER_TIMEOUT): the peer took nothing for a whole window.
        if error.kind() == io::ErrorKind::TimedOut {
            self.activity.note_slow_reader();
        }
    }

    fn watch_write(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Ok(bytes)) => {
                self.writing.moved(bytes);
                self.activity.wrote(bytes);
                self.written.inc_by(bytes as u64);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => {
                self.failed(&error);
                Poll::Ready(Err(error))
            }
            Poll::Pending if self.writing.poll_waiting(cx).is_ready() => {
                self.over = true;
                self.activity.note_slow_reader();
                let why = "the peer takes the answer more slowly than the minimum pace";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let room = buffer.remaining();
        let outcome = this.socket()?.poll_read(cx, buffer);
        match &outcome {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => this.activity.read(),
            Poll::Ready(Ok(())) => this.over |= room > 0,
            Poll::Ready(Err(error)) => this.failed(error),
            Poll::Pending => {}
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = self.socket()?.poll_write(cx, bytes);
        self.watch_write(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = self.socket()?.poll_write_vectored(cx, slices);
        self.watch_write(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_shutdown(cx)
    }
}

impl<S> Drop for WatchedStream<S> {
    fn drop(&mut self) {
        if !self.over {
            *self.leftover.lock().unwrap_or_else(PoisonError::into_inner) = self.socket.take();
        }
    }
}

/// Ends the sending half, then reads until the peer ends its half too, for at most `timeout` and 256 KiB.
pub(crate) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut socket: S, timeout: Duration) {
    let drained = async {
        if socket.shutdown().await.is_err() {
            return;
        }
        let mut buffer = [0; 2048];
        let mut left = LINGER_MAX_BYTES;
        while let Ok(count @ 1..) = socket.read(&mut buffer).await {
            left = left.saturating_sub(count);
            if left == 0 {
                return;
            }
        }
    };
    // Past the time the socket is simply closed.
    let _ = tokio::time::timeout(timeout, drained).await;
}
