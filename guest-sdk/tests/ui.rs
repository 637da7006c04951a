//! The compiler's messages for wrong handlers: each `ui/*.rs` has its golden `*.stderr`.
//! `TRYBUILD=overwrite cargo test -p reactor-guest --test ui` rewrites them.

#[test]
fn errors_point_at_the_users_code() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
