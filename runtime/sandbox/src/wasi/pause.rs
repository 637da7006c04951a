//! A time that a guest can wait for.

use futures_util::future::BoxFuture;
use wasmtime_wasi::p2::Pollable;

/// What the guest waits for.
pub(super) enum Pause {
    /// Nothing. A guest that polls in a loop yields the thread once per poll; otherwise nothing could ever happen.
    None { yielded: bool },
    /// The world's timer.
    Until(BoxFuture<'static, ()>),
    /// It is over.
    Over,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Pause {
    async fn ready(&mut self) {
        match self {
            Self::None { yielded: true } | Self::Over => {}
            Self::None { yielded } => {
                *yielded = true;
                tokio::task::yield_now().await;
            }
            Self::Until(over) => {
                over.await;
                *self = Self::Over;
            }
        }
    }
}
