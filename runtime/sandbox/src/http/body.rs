//! Bodies whose bytes are counted in transit.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime_wasi_http::{Error, WasiBody};

use reactor_core::world::{HttpBody, HttpError};

use super::error::error;

/// The total usage of one run's requests.
#[derive(Debug, Default)]
pub(super) struct Used {
    pub(super) sent: AtomicUsize,
    pub(super) received: AtomicUsize,
    /// More was sent than a run may send: the run has to end.
    pub(super) exceeded: AtomicBool,
}

/// A request's body.
pub(super) struct Sent {
    pub(super) inner: WasiBody,
    pub(super) used: Arc<Used>,
    pub(super) most: usize,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let length = frame.data_ref().map_or(0, Bytes::len);
            if self.used.sent.fetch_add(length, Relaxed) + length > self.most {
                self.used.exceeded.store(true, Relaxed);
                return Poll::Ready(Some(Err(HttpError::GivenUp)));
            }
        }
        polled.map_err(|_| HttpError::GivenUp)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response's body. It holds its request's permit among the concurrent ones.
pub(super) struct Received {
    pub(super) inner: HttpBody,
    pub(super) used: Arc<Used>,
    pub(super) most: usize,
    pub(super) _place: OwnedSemaphorePermit,
}

impl Body for Received {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let length = frame.data_ref().map_or(0, Bytes::len);
            if self.used.received.fetch_add(length, Relaxed) + length > self.most {
                return Poll::Ready(Some(Err(Error::HttpResponseBodySize(None))));
            }
        }
        polled.map_err(error)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
