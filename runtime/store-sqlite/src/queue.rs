//! The way to the writer thread and back.

use std::sync::mpsc;
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use reactor_core::store::{Result, StoreError};

use super::fault::Sql;
use super::group::Group;
use super::patience::Patience;
use super::writer::{Operation, Task, Terms};

/// The writer's queue. It is bounded by its callers, each of whom waits for an answer.
#[derive(Debug)]
pub(super) struct Queue {
    sender: Option<mpsc::Sender<Box<dyn Operation>>>,
    /// Wakes the owner's checkpointer, which ends when nobody can wake it any more.
    wake: Option<mpsc::SyncSender<()>>,
    threads: Vec<JoinHandle<()>>,
    patience: Patience,
}

fn gone() -> StoreError {
    StoreError::Broken { detail: "the writer thread has ended".into() }
}

impl Queue {
    /// A queue to a running writer; `threads` end when the queue is dropped.
    pub(super) fn new(
        sender: mpsc::Sender<Box<dyn Operation>>,
        wake: Option<mpsc::SyncSender<()>>,
        threads: Vec<JoinHandle<()>>,
        patience: Patience,
    ) -> Self {
        Self { sender: Some(sender), wake, threads, patience }
    }

    /// The queue of a store that was opened only to be looked at: it takes nothing.
    pub(super) fn closed(patience: Patience) -> Self {
        Self { sender: None, wake: None, threads: Vec::new(), patience }
    }

    /// Lets nothing wait for other processes any more.
    pub(super) fn give_up(&self) {
        self.patience.give_up();
    }

    /// Has the owner's checkpointer look whether there is something to do.
    pub(super) fn checkpoint(&self) {
        if let Some(wake) = &self.wake {
            // A full channel means that it is awake already.
            let _ = wake.try_send(());
        }
    }

    fn send<T: Send + 'static>(
        &self,
        terms: Terms,
        run: impl FnMut(&mut Group<'_>) -> Sql<T> + Send + 'static,
        reply: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Result<()> {
        let task = Box::new(Task { terms, run, value: None, reply });
        let read_only = || StoreError::Other("it was opened for reading only".into());
        self.sender.as_ref().ok_or_else(read_only)?.send(task).map_err(|_| gone())
    }

    /// Queues an operation at once and answers later; it is written even if nobody waits for the answer.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        terms: Terms,
        run: impl FnMut(&mut Group<'_>) -> Sql<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let (reply, answer) = oneshot::channel();
        let sent = self.send(terms, run, move |result| {
            // Whoever asked may have left.
            let _ = reply.send(result);
        });
        Box::pin(async move {
            sent?;
            answer.await.unwrap_or_else(|_| Err(gone()))
        })
    }

    /// Queues an operation and waits for its answer.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        terms: Terms,
        run: impl FnMut(&mut Group<'_>) -> Sql<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.send(terms, run, move |result| {
            let _ = reply.send(result);
        })?;
        answer.recv().unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        (self.sender, self.wake) = (None, None);
        self.patience.close();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to write.
            let _ = thread.join();
        }
    }
}
