//! The path to the writer thread and back.

use std::sync::mpsc;
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use reactor_core::store::{Result, StoreError};

use super::fault::Sql;
use super::group::Group;
use super::patience::Patience;
use super::writer::{Operation, Task, Terms};

/// The writer's queue. Its callers bound it: each of them waits for an answer.
#[derive(Debug)]
pub(super) struct Queue {
    sender: Option<mpsc::Sender<Box<dyn Operation>>>,
    /// Wakes the owner's checkpointer, which ends when this sender is dropped.
    wake: Option<mpsc::SyncSender<()>>,
    threads: Vec<JoinHandle<()>>,
    patience: Patience,
}

fn gone() -> StoreError {
    StoreError::Broken { detail: "the writer thread has ended".into() }
}

impl Queue {
    /// The queue of a running writer; `threads` end when the queue is dropped.
    pub(super) fn new(
        sender: mpsc::Sender<Box<dyn Operation>>,
        wake: Option<mpsc::SyncSender<()>>,
        threads: Vec<JoinHandle<()>>,
        patience: Patience,
    ) -> Self {
        Self { sender: Some(sender), wake, threads, patience }
    }

    /// The queue of a store opened only to look at it: it accepts no operations.
    pub(super) fn closed(patience: Patience) -> Self {
        Self { sender: None, wake: None, threads: Vec::new(), patience }
    }

    /// Stops all waits for other processes.
    pub(super) fn give_up(&self) {
        self.patience.give_up();
    }

    /// Wakes the owner's checkpointer, which then checks for work.
    pub(super) fn checkpoint(&self) {
        if let Some(wake) = &self.wake {
            // A full channel means that it is already awake.
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

    /// Queues an operation at once and returns a future; the operation is written even if no caller waits for the
    /// answer.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        terms: Terms,
        run: impl FnMut(&mut Group<'_>) -> Sql<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let (reply, answer) = oneshot::channel();
        let sent = self.send(terms, run, move |result| {
            // The caller may have gone.
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
