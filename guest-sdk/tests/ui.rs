//! What a wrong handler is told, and where: each `ui/*.rs` has its golden `*.stderr`.
//! `TRYBUILD=overwrite cargo test -p reactor-guest --test ui` writes them again.

#[test]
fn errors_point_at_the_users_code() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
