//! A new process takes the listening sockets of the running one.

use std::fs;
use std::time::{Duration, Instant};

use chappe::handover::take_over;

use crate::support::{Authority, PATIENCE, Relay, Wish};
use crate::traffic::{Attempts, Traffic, client, owner, tell};
use crate::{engines, with_engine};

const HANDOVER: &str = "handover = \"handover.sock\"";

fn wish(shards: usize) -> Wish<'static> {
    Wish { shards, relay: HANDOVER, ..Wish::default() }
}

/// Requests refused for this reason.
fn refused(relay: &Relay, reason: &str) -> u64 {
    let (_, text) = relay.http("GET", "/metrics", "");
    let series = format!("chappe_refusals_total{{reason=\"{reason}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or_else(|| panic!("{series} in {text}"));
    line.parse().expect("a number")
}

/// Two upgrades, to more shards and to fewer, with traffic on sessions and a hundred new clients a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_refuses_nobody_and_loses_nothing() {
    for engine in engines() {
        let authority = Authority::new();
        let mut first = Relay::with_text(&authority, &wish(2), &with_engine(engine, &wish(2)));
        let (holder, held) = owner(&first, &authority).await;
        let idle = client(&first, &authority).await;
        let traffic = Traffic::start(&first, &authority, 4).await;
        let attempts = Attempts::start(&first, &authority);
        attempts.serve(50).await;

        fs::write(first.path("chappe.toml"), with_engine(engine, &wish(3))).expect("a file");
        let mut second = first.beside(&wish(3));
        assert_eq!((second.tls, second.tcp, second.admin), (first.tls, first.tcp, first.admin));
        first.expect_log("a new process serves");
        let before = second.metric("chappe_links_opened_total");
        attempts.serve(100).await;
        assert!(second.metric("chappe_links_opened_total") >= before + 50.0, "the new process serves");
        traffic.flow(100).await;

        // A token that nobody had used is unknown to the new process, and that is counted.
        let far = client(&second, &authority).await;
        let why = tell(&far, &held.own_path(holder.uri()), "late".to_owned()).await.expect_err("unknown");
        assert!(why.contains("481"), "{why}");
        assert_eq!(refused(&second, "old_generation"), 1);

        // The old process lets go of those who have no session there.
        first.expect_log("draining");
        tokio::time::timeout(PATIENCE, idle.closed()).await.expect("closed in time");
        traffic.flow(50).await;

        fs::write(first.path("chappe.toml"), with_engine(engine, &wish(1))).expect("a file");
        let third = second.beside(&wish(1));
        assert_eq!((third.tls, third.tcp), (first.tls, first.tcp));
        second.expect_log("a new process serves");
        attempts.serve(100).await;
        traffic.flow(50).await;
        // Nobody has a session at the second process.
        assert!(second.wait().success());
        attempts.serve(50).await;

        let (served, failures) = attempts.end().await;
        assert_eq!(failures, Vec::<String>::new(), "{engine}: {served} served");
        let messages = traffic.end().await;
        assert!(first.wait().success());
        println!("{engine}: {served} clients served, {messages} messages, none lost");
        // The last one still offers its sockets, and takes the name with it.
        assert!(third.path("handover.sock").exists());
        let mut third = third;
        third.signal("TERM");
        assert!(third.wait().success());
        let left: Vec<_> = fs::read_dir(third.directory.path()).expect("readable").flatten().collect();
        assert!(!left.iter().any(|file| file.file_name().to_string_lossy().contains("sock")), "{left:?}");
    }
}

/// The new process fails in every way it can; the running one goes on, and is taken over in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_process_that_fails_changes_nothing() {
    let authority = Authority::new();
    let good = with_engine("tokio", &wish(2));
    let mut relay = Relay::with_text(&authority, &wish(2), &good);
    let traffic = Traffic::start(&relay, &authority, 2).await;
    let attempts = Attempts::start(&relay, &authority);

    // It takes the sockets and dies.
    let (predecessor, sockets) = take_over(&relay.path("handover.sock")).await.expect("sockets").expect("a process");
    assert_eq!(sockets.len(), 5, "two listeners of two shards, and the admin interface");
    attempts.serve(20).await;
    drop((predecessor, sockets));
    relay.expect_log("a new process has not become ready");

    // Its configuration is good, and what that names is not. The message says what.
    let certificate = fs::read(relay.path("server.crt")).expect("a file");
    fs::write(relay.path("server.crt"), "garbage").expect("a file");
    let output = crate::start::run(&relay.path("chappe.toml"), &[]);
    assert_eq!(output.code, Some(78), "{}", output.text);
    assert!(output.text.contains("tls.certificate"), "{}", output.text);
    fs::write(relay.path("server.crt"), certificate).expect("a file");

    // A SIP port is taken: everything before it has been started by then.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let sip = format!("{good}\n[[sip.listen]]\naddress = \"{address}\"\ntransport = \"tcp\"\n");
    fs::write(relay.path("chappe.toml"), sip).expect("a file");
    let output = crate::start::run(&relay.path("chappe.toml"), &[]);
    assert_eq!(output.code, Some(78), "{}", output.text);
    assert!(output.text.contains("sip.listen[0].address"), "{}", output.text);
    fs::write(relay.path("chappe.toml"), &good).expect("a file");

    attempts.serve(50).await;
    traffic.flow(50).await;
    let new = relay.beside(&wish(2));
    relay.expect_log("a new process serves");
    attempts.serve(50).await;
    let (_, failures) = attempts.end().await;
    assert_eq!(failures, Vec::<String>::new());
    traffic.end().await;
    assert!(relay.wait().success());
    drop(new);
}

/// SIGUSR2: the process starts the next one itself, from the program at its path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigusr2_starts_the_program_anew() {
    let authority = Authority::new();
    let mut relay = Relay::with_text(&authority, &wish(2), &with_engine("tokio", &wish(2)));
    let attempts = Attempts::start(&relay, &authority);
    relay.signal("USR2");
    let line = relay.expect_log("a new process was started");
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let pid = line["fields"]["pid"].as_u64().or(line["pid"].as_u64()).expect("a pid");
    relay.expect_log("a new process serves");
    attempts.serve(100).await;
    assert!(relay.wait().success(), "nobody has a session there");
    attempts.serve(100).await;
    let (_, failures) = attempts.end().await;
    assert_eq!(failures, Vec::<String>::new());
    let kill = |signal: &str| std::process::Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(kill("-TERM").expect("kill").success());
    wait_for_end(pid);
}

/// Waits for a process that is no child of ours, and ends it if it does not end.
pub(crate) fn wait_for_end(pid: u64) {
    let deadline = Instant::now() + PATIENCE;
    // Whoever has adopted it may not have looked yet.
    let ended = || match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
        Err(_) => true,
    };
    while !ended() {
        if Instant::now() > deadline {
            let _ = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            panic!("the new process does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
