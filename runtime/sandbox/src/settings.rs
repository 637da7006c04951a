//! How WebAssembly is compiled: the same in this process and in the children that compile for it.

use wasmtime::{Config, WasmBacktraceDetails};

/// Bytes of the stack that WebAssembly code may use; the rest of the fiber's stack is for host calls.
const WASM_STACK: usize = 512 << 10;
const FIBER_STACK: usize = 2 << 20;
/// Frames that a backtrace shows.
const FRAMES: usize = 20;

/// The settings that machine code depends on.
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
