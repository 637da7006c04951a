//! Simulates a distant server: a forwarder that delays responses.

#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

const CHUNK: usize = 64 << 10;

/// Forwards until it is dropped.
pub(crate) struct Forwarder {
    /// The address it listens on.
    pub(crate) address: SocketAddr,
    _thread: Runtime,
}

/// Listens in front of `server` and delays its responses by `later`.
pub(crate) fn forward(server: SocketAddr, later: Duration) -> std::io::Result<Forwarder> {
    let thread = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let listener = thread.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    thread.spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(connection(client, server, later));
        }
    });
    Ok(Forwarder { address, _thread: thread })
}

async fn connection(client: TcpStream, server: SocketAddr, later: Duration) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((mut ours, answers), (theirs, mut requests)) = (client.into_split(), server.into_split());
    let answers = tokio::spawn(delay(theirs, answers, later));
    copy(&mut ours, &mut requests).await?;
    answers.abort();
    Ok(())
}

async fn delay(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, later: Duration) -> std::io::Result<()> {
    let (late, mut due) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let writing = async {
        while let Some((at, bytes)) = due.recv().await {
            sleep_until(at).await;
            to.write_all(&bytes).await?;
        }
        Ok(())
    };
    let reading = async move {
        loop {
            let mut bytes = Vec::with_capacity(CHUNK);
            if from.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
            let _ = late.send((Instant::now() + later, bytes));
        }
    };
    tokio::try_join!(reading, writing).map(drop)
}
