//! What `generate!` makes of the contract.
#![allow(missing_docs, unreachable_pub, clippy::all)]

wit_bindgen::generate!({
    path: "wit",
    world: "reactor-with-http",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export",
    default_bindings_module: "reactor_guest::__private::bindings",
});
