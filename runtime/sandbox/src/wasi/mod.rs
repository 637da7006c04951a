//! WASI 0.2 for modules that import it: clocks, randomness and environment come from the run's world, standard streams
//! go to the log. Folders and files exist in name only, because the C library asks for them: none is opened. Modules
//! that import sockets are rejected when they are loaded.

mod link;
mod pause;
mod stdio;

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

pub(super) use link::link;

use reactor_core::guest::Call;

use super::host::Host;
use super::http::Requests;
use super::module::Shared;

/// Open handles of a run: streams, requests, fields and the like.
const MAX_HANDLES: usize = 1_000;
/// Bytes of the names and values of one request's or response's headers.
const MAX_FIELDS: usize = 64 << 10;
/// Random bytes in one call.
const MAX_RANDOM: u64 = 64 << 10;

/// A run's WASI data; created only for modules that import WASI.
pub(super) struct Wasi {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    pub(super) requests: Option<Requests>,
}

impl Wasi {
    pub(super) fn new(shared: &Shared, call: &Call) -> Self {
        let spec = &shared.spec;
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let wasi = WasiCtx::builder()
            .stdout(stdio::lines(tracing::Level::INFO, &spec.limits))
            .stderr(stdio::lines(tracing::Level::WARN, &spec.limits))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_FIELDS);
        let new = |http| Requests::new(Arc::clone(http), Arc::clone(&call.world), call.identity);
        let requests = shared.http.as_ref().map(new);
        Self { table, wasi, http, requests }
    }
}

/// Only imported interfaces are linked, and a linked one has this data: see `Host::new`.
const LINKED: &str = "a module that imports WASI has its part of the host";

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let own = self.wasi.as_mut().expect(LINKED);
        WasiCtxView { ctx: &mut own.wasi, table: &mut own.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let own = self.wasi.as_mut().expect(LINKED);
        let hooks = own.requests.as_mut().expect(LINKED);
        WasiHttpCtxView { hooks, table: &mut own.table, ctx: &mut own.http }
    }
}
