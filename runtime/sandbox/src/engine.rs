//! The engine that compiles and runs modules: one per process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Semaphore;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use super::cache::Cache;
use super::compiler::Compiler;
use super::shared::Compiled;

/// How often guest code yields to others and its budget is checked.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// Bytes of the stack that WebAssembly code may use; the rest of the fiber's stack is for host calls.
const WASM_STACK: usize = 512 << 10;
const FIBER_STACK: usize = 2 << 20;
/// Frames that a backtrace shows.
const FRAMES: usize = 20;

/// Bounds of one component; a component beyond them is rejected when it is loaded. A core module wrapped by the
/// component encoder has one memory, two tables and three core instances.
const MEMORIES: u32 = 2;
const TABLES: u32 = 8;
const CORE_INSTANCES: u32 = 16;
const TABLE_ELEMENTS: usize = 65_536;

/// The settings of an engine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Folder of compiled modules; created if absent, used only if no other user can enter it.
    pub cache_dir: PathBuf,
    /// Concurrent runs; further ones wait.
    pub instances: usize,
    /// Maximum bytes of any run's memory.
    pub max_memory: usize,
    /// Compiles modules that are not in the cache.
    pub compiler: Compiler,
}

/// Compiles modules and runs them. Clones share all state.
#[derive(Clone)]
pub struct Engine {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) wasm: wasmtime::Engine,
    pub(super) cache: Option<Cache>,
    /// A permit per slot of the pool, so that a run waits instead of failing when all slots are taken.
    pub(super) slots: Arc<Semaphore>,
    pub(super) max_memory: usize,
    pub(super) compiler: Compiler,
    /// The loaded code, so that reactors with the same module share it.
    pub(super) compiled: Compiled,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("free_slots", &self.inner.slots.available_permits()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Reserves the pool for instances and starts the ticker. Without a pool (too little address space) or without a
    /// private cache folder the engine still works, but slower, and logs that.
    ///
    /// # Errors
    /// This machine cannot run WebAssembly, or no thread can be started.
    pub fn new(options: EngineOptions) -> anyhow::Result<Self> {
        let EngineOptions { cache_dir, instances, max_memory, compiler } = options;
        let instances = instances.clamp(1, 10_000);
        let max_memory = max_memory.next_multiple_of(64 << 10).clamp(64 << 10, 4 << 30);
        let mut config = config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances, max_memory)));
        let wasm = match wasmtime::Engine::new(&config) {
            Ok(wasm) => wasm,
            Err(error) => {
                tracing::warn!(
                    instances,
                    "cannot create a pool of WebAssembly instances ({error:#}); runs will start more slowly"
                );
                config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
                wasmtime::Engine::new(&config)
                    .map_err(|error| anyhow::anyhow!("cannot start the WebAssembly engine: {error:#}"))?
            }
        };
        start_ticker(&wasm)?;
        let cache = Cache::open(cache_dir, &wasm)
            .inspect_err(|error| {
                tracing::warn!("compiled modules cannot be cached and are compiled at each start: {error:#}");
            })
            .ok();
        let slots = Arc::new(Semaphore::new(instances));
        let compiled = Compiled::default();
        Ok(Self { inner: Arc::new(Inner { wasm, cache, slots, max_memory, compiler, compiled }) })
    }
}

pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        // The same bits on every machine, so that a run is repeatable.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .shared_memory(false)
        .gc_support(false)
        .concurrency_support(false)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(FRAMES))
        .wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config
}

fn pool(instances: usize, max_memory: usize) -> PoolingAllocationConfig {
    // A warm slot keeps its pages, which avoids page faults; together they stay within 256 MiB.
    let resident = ((256 << 20) / instances).clamp(128 << 10, 8 << 20).min(max_memory);
    let count = u32::try_from(instances).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count)
        .total_stacks(count)
        .total_core_instances(count.saturating_mul(CORE_INSTANCES))
        .total_memories(count.saturating_mul(MEMORIES))
        .total_tables(count.saturating_mul(TABLES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(max_memory)
        .linear_memory_keep_resident(resident)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(64 << 10)
        .max_unused_warm_slots(count)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Advances the epoch until the engine, and everything loaded with it, is dropped.
fn start_ticker(wasm: &wasmtime::Engine) -> anyhow::Result<()> {
    let weak = wasm.weak();
    std::thread::Builder::new()
        .name("wasm-ticker".to_owned())
        .spawn(move || {
            while let Some(wasm) = weak.upgrade() {
                wasm.increment_epoch();
                drop(wasm);
                std::thread::sleep(TICK);
            }
        })
        .context("cannot start the thread that keeps guests within their time")?;
    Ok(())
}
