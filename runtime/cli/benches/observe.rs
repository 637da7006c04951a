//! The cost of observability: the same events through an unobserved host, one whose metrics are read ten times a
//! second, and one that sends a trace of every attempt, in turns in one run. Prints figures; asserts nothing.
//!
//! Options: `--events N`, `--rounds N`; `--smoke` for a few, to check that it runs.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program that prints figures")]

#[allow(dead_code, reason = "each program uses its part of it")]
mod host;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reactor_cli::bench::meter::Meter;
use reactor_cli::bench::rig;
use reactor_core::store::StoreClient;
use reactor_observe::admin::Admin;
use reactor_observe::otlp::Exporter;
use reactor_signal::{Signals, count_events};

#[derive(Clone, Copy, PartialEq)]
enum Watch {
    Nobody,
    Metrics,
    Traces,
}

fn main() {
    let (events, rounds) = if host::is_smoke() { (500, 1) } else { (40_000, 5) };
    let (events, rounds) = (host::number("--events", events), host::number("--rounds", rounds));
    let collector = Collector::start();
    let modes =
        [("nobody watches", Watch::Nobody), ("metrics, 10 reads/s", Watch::Metrics), ("traces by OTLP", Watch::Traces)];
    let mut results = vec![Vec::new(); modes.len()];
    for _ in 0..rounds {
        for (mode, results) in modes.iter().zip(&mut results) {
            results.push(run(events, mode.1, &collector));
        }
    }
    println!("\n{events} events, {rounds} rounds in turns, medians");
    let mut first = None;
    for ((name, _), results) in modes.iter().zip(&results) {
        let rate = host::median(results.iter().map(|result| result.0));
        let cpu = host::median(results.iter().map(|result| result.1));
        let (base_rate, base_cpu) = *first.get_or_insert((rate, cpu));
        println!(
            "  {name:<20} {rate:>8.0} events/s ({:.2})   {cpu:>6.1} us CPU/event ({:.2})",
            rate / base_rate,
            cpu / base_cpu
        );
    }
    println!("  spans the collector was sent: {} requests, {} bytes", collector.requests(), collector.bytes());
    let start = Instant::now();
    count_events(1_000_000);
    println!("  counting itself, which is always on: {:.0} ns/event", start.elapsed().as_secs_f64() * 1e3);
}

fn run(events: usize, watch: Watch, collector: &Collector) -> (f64, f64) {
    let threads = rig::threads("watch", 1).expect("threads");
    let exporter = (watch == Watch::Traces)
        .then(|| Exporter::new(&collector.url(), threads.handle().clone()).expect("an exporter"));
    let signals = Arc::new(Signals::traced(exporter.as_ref().map(Exporter::tracer)));
    let rig = host::rig(host::TALLY).with_signals(Arc::clone(&signals));
    let store = Arc::clone(rig.store());
    let channel = store.channel_id("in").expect("a channel");
    host::append(&*store, channel, (0..events).map(|id| host::event(id, id % host::ACCOUNTS)));
    let over = Arc::new(AtomicBool::new(false));
    let reader = (watch == Watch::Metrics).then(|| {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let bound = Admin::bind(address, Arc::clone(&signals), Arc::clone(&store) as Arc<dyn StoreClient>);
        let admin = threads.block_on(bound).expect("a free port");
        let (address, over) = (admin.address(), Arc::clone(&over));
        threads.spawn(admin.serve());
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                read(address);
                std::thread::sleep(Duration::from_millis(100));
            }
        })
    });
    let (start, meter) = (Instant::now(), Meter::now());
    let mut running = rig.run().expect("a host");
    running.until_idle().expect("the host ends");
    exporter.into_iter().for_each(Exporter::flush);
    let (took, used) = (start.elapsed(), meter.used().cpu_in_all());
    over.store(true, Ordering::Relaxed);
    reader.into_iter().for_each(|reader| reader.join().expect("the reader ends"));
    let done: u64 = store.stats().expect("counts").reactors.iter().map(|reactor| reactor.done).sum();
    assert_eq!(done as usize, events);
    (events as f64 / took.as_secs_f64(), used.as_secs_f64() * 1e6 / events as f64)
}

fn read(address: SocketAddr) {
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut answer));
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

/// Accepts and counts what it is sent.
struct Collector {
    address: SocketAddr,
    counts: Arc<(AtomicUsize, AtomicUsize)>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let counted = Arc::clone(&counts);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || take(stream, &counted));
            }
        });
        Self { address, counts }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn requests(&self) -> usize {
        self.counts.0.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> usize {
        self.counts.1.load(Ordering::Relaxed)
    }
}

/// Responds to every request on a connection.
fn take(mut stream: TcpStream, counts: &(AtomicUsize, AtomicUsize)) -> Option<()> {
    let (mut buffer, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let head = loop {
            if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
            buffer.extend_from_slice(&chunk[..read]);
        };
        let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
        let length: usize = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())?;
        while buffer.len() < head + length {
            let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
            buffer.extend_from_slice(&chunk[..read]);
        }
        buffer.drain(..head + length);
        counts.0.fetch_add(1, Ordering::Relaxed);
        counts.1.fetch_add(length, Ordering::Relaxed);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}
