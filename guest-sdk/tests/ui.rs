//! What the compiler says of a wrong reactor, as golden files. `TRYBUILD=overwrite` writes them anew.

#[test]
fn errors_point_at_the_users_own_code() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
