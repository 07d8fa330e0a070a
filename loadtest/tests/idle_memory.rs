//! What a session holds that has carried a file and rests.

mod support;

use std::process::Command;

use chappe_load::result::RunResult;
use support::{LOAD, Relay};

/// kB of proportional memory per session, two TLS links each: the goal is 20, what is more is for the day. Some 10 of them are
/// not the session's, but code that was read in since the relay began.
const LIMIT: f64 = 23.0;
/// A ring holds a buffer for each silent link.
const OF_A_RING: f64 = 3.0;

/// The relay looks every ten seconds which links rest, and the allocator gives memory back over ten more.
#[test]
#[cfg_attr(debug_assertions, ignore = "needs a release build")]
fn a_session_that_rests_gives_its_buffers_back() {
    let relay = Relay::with("\"MD5\"", 1);
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("result.json");
    let status = Command::new(LOAD)
        .args(["run", concat!(env!("CARGO_MANIFEST_DIR"), "/cells/idle.toml"), "--quiet"])
        .args(["--relay", &format!("localhost:{}", relay.tls), "--relay-pid", &relay.pid().to_string()])
        .args(["--user", "alice:secret", "--user", "bob:secret"])
        .arg("--ca")
        .arg(relay.ca())
        .arg("--json")
        .arg(&json)
        .status()
        .unwrap();
    assert!(status.success());
    let held = RunResult::read(&json).unwrap().relay.unwrap().pss_per_session.unwrap();
    println!("{held:.1} kB per session");
    let limit = LIMIT + if support::engine() == "io-uring" { OF_A_RING } else { 0.0 };
    assert!(held < limit, "{held:.1} kB");
}
