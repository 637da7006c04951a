//! The code that `bindgen!` generates from the contract in `guest-sdk/wit`, and the event of the previous contract.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::large_futures, clippy::semicolon_if_nothing_returned)]

wasmtime::component::bindgen!({
    path: "../../guest-sdk/wit",
    world: "reactor",
    imports: { default: trappable },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});

/// Contract 0.1.0, whose event has no attributes. Its imports are the current ones; `previous.rs` links them.
#[allow(dead_code)]
pub mod previous {
    wasmtime::component::bindgen!({
        path: [
            "../../guest-sdk/wit/deps/io",
            "../../guest-sdk/wit/deps/clocks",
            "../../guest-sdk/wit/deps/http",
            "src/contract/reactor-0.1.0.wit",
        ],
        world: "reactor:guest/reactor@0.1.0",
        imports: { default: trappable },
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
