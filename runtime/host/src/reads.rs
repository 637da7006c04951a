//! Reads of the store may block, so they are made apart from the tasks that must not; see [`StoreOwner::apart`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use reactor_core::store::{StoreError, StoreOwner};

/// Makes reads, and counts those that are under way: a clock that a test drives must stand still meanwhile. Copies count
/// together.
#[derive(Clone, Debug, Default)]
pub struct Reads(Arc<AtomicUsize>);

/// A read counts until this is dropped.
pub(crate) struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Reads {
    /// How many are under way: they have been asked for, and their answers have not been sent yet.
    pub fn under_way(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Makes a read, and hands its answer on from where it was made.
    pub(crate) fn begin<T, A>(
        &self,
        store: &Arc<dyn StoreOwner>,
        read: impl FnOnce(&dyn StoreOwner) -> Result<T, StoreError> + Send + 'static,
        answer: impl FnOnce(Result<T, StoreError>) -> A + Send + 'static,
    ) -> BoxFuture<'static, Option<(A, UnderWay)>>
    where
        A: Send + 'static,
    {
        self.0.fetch_add(1, Ordering::SeqCst);
        let under_way = UnderWay(Arc::clone(&self.0));
        let (done, is_done) = oneshot::channel();
        let work = Arc::clone(store).apart(Box::new(move |store| {
            // Without an answer the host would wait for ever.
            let read = catch_unwind(AssertUnwindSafe(|| read(store)));
            let read = read.unwrap_or_else(|_| Err(StoreError::Other("a read panicked".into())));
            let _ = done.send((answer(read), under_way));
        }));
        Box::pin(async {
            work.await;
            is_done.await.ok()
        })
    }

    /// Makes a read and waits for its answer.
    pub(crate) async fn made<T: Send + 'static>(
        &self,
        store: &Arc<dyn StoreOwner>,
        read: impl FnOnce(&dyn StoreOwner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.begin(store, read, |answer| answer).await {
            Some((answer, _under_way)) => answer,
            None => Err(StoreError::Other("a read has ended without an answer".into())),
        }
    }
}
