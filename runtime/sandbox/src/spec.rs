//! What a reactor's table says of the runs of its module.

use std::time::Duration;

use reactor_config::model::{Config, ReactorConfig};
use reactor_core::subscription::TypePattern;

use super::limits::Limits;

/// What a module's runs may do; from the reactor's table.
#[derive(Clone)]
pub struct GuestSpec {
    /// The reactor's name.
    pub reactor: String,
    /// Wall-clock limit of a run.
    pub timeout: Duration,
    /// CPU limit of a run.
    pub cpu: Duration,
    /// Sum of memories and tables, in bytes.
    pub memory: usize,
    /// Whether the state interface is granted.
    pub allow_state: bool,
    /// Origins that requests may be sent to, such as `https://api.example.com`.
    pub allow_http: Vec<String>,
    /// Which types may be emitted and the channels they go to; the first match counts.
    pub emit: Vec<(TypePattern, String)>,
    /// Longest chain of emitted events.
    pub hop_limit: u32,
    /// The other limits.
    pub limits: Limits,
}

impl GuestSpec {
    /// The spec of a reactor in the configuration.
    pub fn of(config: &Config, reactor: &ReactorConfig) -> Self {
        Self {
            reactor: reactor.name.clone(),
            timeout: reactor.timeout,
            cpu: reactor.cpu,
            memory: reactor.memory,
            allow_state: reactor.allow.state,
            allow_http: reactor.allow.http.iter().map(|origin| origin.meaning().to_owned()).collect(),
            emit: reactor.emit.clone(),
            hop_limit: config.runtime.hop_limit,
            limits: Limits::default(),
        }
    }
}
