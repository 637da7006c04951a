//! What `bindgen!` makes of the contract in `guest-sdk/wit`.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::large_futures, clippy::semicolon_if_nothing_returned)]

wasmtime::component::bindgen!({
    path: "../guest-sdk/wit",
    world: "reactor",
    imports: { default: trappable },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});
