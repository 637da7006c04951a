//! WASI 0.2 for modules that import it: clocks, randomness, environment and standard streams, all of them the host's. There
//! are folders and files in name only, as the C library asks for them: none is opened. Sockets are refused at load.

mod stdio;

use std::time::Duration;

use rand::rand_core::Infallible;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use std::sync::Arc;

use super::host::Host;
use super::http::Requests;
use super::module::Shared;
use crate::clock::Clock;
use crate::pipeline::invoke::Call;

/// Handles of a run at once: streams, requests, fields and the like.
const MAX_HANDLES: usize = 1_000;
/// Bytes of the names and values of one request's or response's headers.
const MAX_FIELDS: usize = 64 << 10;
/// Random bytes in one call.
const MAX_RANDOM: u64 = 64 << 10;

/// What a run has of WASI; made only for modules that import some of it.
pub(super) struct Outside {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    pub(super) requests: Option<Requests>,
}

impl Outside {
    pub(super) fn new(shared: &Shared, call: &Call) -> Self {
        let spec = &shared.spec;
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let env: Vec<_> = spec.config.iter().collect();
        let wasi = WasiCtx::builder()
            .arg(&spec.reactor)
            .envs(&env)
            .wall_clock(Time(Arc::clone(&spec.clock)))
            .monotonic_clock(Time(Arc::clone(&spec.clock)))
            .secure_random(Dice(Arc::clone(&spec.clock)))
            .insecure_random(Dice(Arc::clone(&spec.clock)))
            .insecure_random_seed(u128::from(spec.clock.random()))
            .max_random_size(MAX_RANDOM)
            .stdout(stdio::lines(tracing::Level::INFO, &spec.limits))
            .stderr(stdio::lines(tracing::Level::WARN, &spec.limits))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_FIELDS);
        let requests = shared.http.as_ref().map(|http| Requests::new(Arc::clone(http), call.identity));
        Self { table, wasi, http, requests }
    }
}

/// Only what is imported is linked, and what is linked has this: see `Host::new`.
const LINKED: &str = "a module that imports WASI has its part of the host";

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let outside = self.outside.as_mut().expect(LINKED);
        WasiCtxView { ctx: &mut outside.wasi, table: &mut outside.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let outside = self.outside.as_mut().expect(LINKED);
        let hooks = outside.requests.as_mut().expect(LINKED);
        WasiHttpCtxView { hooks, table: &mut outside.table, ctx: &mut outside.http }
    }
}

/// The host's clock.
struct Time(Arc<dyn Clock>);

impl HostWallClock for Time {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.wall().as_millisecond()).unwrap_or(0))
    }
}

impl HostMonotonicClock for Time {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.now().since_start().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The host's randomness.
struct Dice(Arc<dyn Clock>);

impl rand::TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.0.random() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.random())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.0.random().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}
