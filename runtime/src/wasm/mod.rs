//! Seam: the sandbox. wasmtime appears nowhere else.
