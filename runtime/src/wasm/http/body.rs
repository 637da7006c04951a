//! Bodies that are counted on their way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};
use wasmtime_wasi_http::Error;

/// What the requests of one run have used up together.
#[derive(Debug, Default)]
pub(super) struct Used {
    pub(super) sent: AtomicUsize,
    pub(super) received: AtomicUsize,
    /// More was sent than a run may send: the run is to end.
    pub(super) exceeded: AtomicBool,
}

/// A request's body.
pub(super) struct Sent {
    pub(super) inner: UnsyncBoxBody<Bytes, Error>,
    pub(super) used: Arc<Used>,
    pub(super) most: usize,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let length = frame.data_ref().map_or(0, Bytes::len);
            if self.used.sent.fetch_add(length, Relaxed) + length > self.most {
                self.used.exceeded.store(true, Relaxed);
                return Poll::Ready(Some(Err(Error::HttpRequestBodySize(None))));
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response's body. It holds the request's place among those at a time.
pub(super) struct Received {
    pub(super) inner: Incoming,
    pub(super) used: Arc<Used>,
    pub(super) most: usize,
    pub(super) patience: Duration,
    pub(super) timer: Pin<Box<Sleep>>,
    pub(super) _place: OwnedSemaphorePermit,
}

impl Received {
    pub(super) fn timer(patience: Duration) -> Pin<Box<Sleep>> {
        Box::pin(sleep(patience))
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Pending => match self.timer.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(Error::ConnectionReadTimeout))),
                Poll::Pending => Poll::Pending,
            },
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                if self.used.received.fetch_add(length, Relaxed) + length > self.most {
                    return Poll::Ready(Some(Err(Error::HttpResponseBodySize(None))));
                }
                let patience = self.patience;
                self.timer.as_mut().reset(Instant::now() + patience);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(Error::Hyper(error)))),
            Poll::Ready(None) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
