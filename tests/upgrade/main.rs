//! What an operator does while there is traffic: a new process takes over, the old one drains, the configuration is read again, the
//! start fails. Real processes, both engines, nobody refused and nothing lost.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

#[path = "../sip/mod.rs"]
mod sip;
#[path = "../support/mod.rs"]
mod support;

mod calls;
mod drain;
mod reload;
mod start;
mod systemd;
mod takeover;
mod traffic;
mod units;

use support::{Wish, configuration};

/// The engines that this build has.
fn engines() -> &'static [&'static str] {
    if cfg!(feature = "io-uring") { &["tokio", "io-uring"] } else { &["tokio"] }
}

/// What is wished, with this engine, and little time for those who were let in without a session.
fn with_engine(engine: &str, wish: &Wish<'_>) -> String {
    let text = configuration(wish);
    let of_environment = format!("engine = \"{}\"", support::engine());
    assert!(text.contains(&of_environment));
    text.replace(&of_environment, &format!("engine = \"{engine}\""))
        .replace("[limits]\n", "[limits]\nprobation = \"2s\"\n")
}
