//! A server whose responses come in pieces or incomplete.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub(crate) struct Server {
    address: SocketAddr,
    answered: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (answered, stopped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (count, stop) = (Arc::clone(&answered), Arc::clone(&stopped));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                answer(&stream).unwrap();
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, answered, stopped, thread }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// Stops the server, which then no longer listens.
    pub(crate) fn stop(self) {
        self.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address).unwrap());
        self.thread.join().unwrap();
    }
}

/// Sends one response, then closes the connection.
fn answer(stream: &TcpStream) -> std::io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head)?;
    }
    let bytes = body(&head, &mut reader)?;
    let start = |status: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n").into_bytes()
    };
    if head.starts_with("GET /pieces") {
        writer.write_all(&start("200 OK", 8))?;
        for piece in ["one, ", "two"] {
            writer.flush()?;
            // So that each piece arrives separately.
            std::thread::sleep(Duration::from_millis(50));
            writer.write_all(piece.as_bytes())?;
        }
        Ok(())
    } else if head.starts_with("GET /broken") {
        writer.write_all(&start("200 OK", 100))?;
        writer.write_all(b"not all of it")
    } else {
        let text = bytes.to_string();
        writer.write_all(&start("201 Created", text.len()))?;
        writer.write_all(text.as_bytes())
    }
}

/// The number of bytes in the body.
fn body(head: &str, reader: &mut impl BufRead) -> std::io::Result<usize> {
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    if let Some(length) = length.and_then(|length| length.parse().ok()) {
        reader.read_exact(&mut vec![0; length])?;
        return Ok(length);
    }
    let mut sum = 0;
    while head.contains("transfer-encoding: chunked") {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        reader.read_exact(&mut vec![0; length + 2])?;
        sum += length;
        if length == 0 {
            break;
        }
    }
    Ok(sum)
}
