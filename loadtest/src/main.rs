//! `chappe-load`.
fn main() {}
