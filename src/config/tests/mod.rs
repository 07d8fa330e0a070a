//! The file as a whole: what is accepted, what is reported, what is documented, what a reload makes of it.

use std::path::Path;

use super::*;

mod accepted;
mod documented;
mod faults;
mod reloaded;
mod sip;

/// The least that loads.
const LEAST: &str = "[[listen]]\naddress = \"127.0.0.1:2855\"\n[tls]\n";

/// `text` as a configuration without files.
fn parse(text: &str) -> Result<Config, Problems> {
    Config::from_str(text, Path::new("/nonexistent"))
}

/// `LEAST` and then `text`.
fn valid(text: &str) -> Config {
    parse(&format!("{LEAST}{text}")).unwrap_or_else(|problems| panic!("{problems}"))
}
