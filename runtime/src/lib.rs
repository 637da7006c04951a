//! Reactor's host: reads events from channels, runs sandboxed consumers on them, and commits what each did, with the mark
//! that it is done, in one transaction.
//!
//! In reading order:
//!
//! - [`event`], [`effect`], [`subscription`], [`clock`], [`backoff`]: the nouns, without I/O. An [`event::Event`] is what
//!   happened, a delivery is one event on its way to one reactor, an attempt is one run of it, and an [`effect::Effect`] is
//!   what a run wants to happen.
//! - [`world`]: all that a run can learn from its host, as a trait.
//! - [`config`]: `reactors.toml`, what the file says turned into what the program needs.
//! - [`pipeline`]: the way of an event, one file a step: decode, route, admit, claim, invoke, judge, commit, settle.
//! - [`channel`]: remote queues and topics: the seams, and SQS and SNS behind them.
//! - [`store`]: the durable state behind it, as a trait, in `SQLite`, and in memory.
//! - [`history`]: what became of events, as the store noted it.
//! - [`wasm`]: the sandbox behind [`pipeline::invoke`].
//! - [`http_client`]: what sends the requests of modules, behind [`world`].
//! - [`admin`] and [`otlp`]: what the host tells about itself: metrics and health, and traces.
//! - [`mod@bench`]: what an event costs on this machine, and what it could cost at least.
//! - [`cli`]: one file a command, and the only place that wires the parts together.
//!
//! Dependencies point one way: the pipeline knows the nouns and the traits, and nothing behind them. [`json`] is the
//! little that decode and route share; [`plain`] is how text from outside is printed.

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see cli::say")]

pub mod attribute;
pub mod effect;
pub mod event;
pub mod identity;
pub mod subscription;

pub mod backoff;
pub mod clock;

pub mod world;

pub mod config;

pub mod pipeline;

pub mod channel;

pub mod store;

pub mod history;

pub mod wasm;

pub mod http_client;

pub mod admin;

pub mod otlp;

pub mod bench;

pub mod cli;

pub mod json;

pub mod plain;
