//! The program against a real relay: every shape of load and every route, as a user would run it.

mod support;

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use chappe_load::result::RunResult;
use rstest::rstest;
use support::{LOAD, Relay};

/// Runs a scenario of this text and reads its result.
fn load(relay: &Relay, scenario: &str, arguments: &[&str]) -> (Output, Option<RunResult>) {
    let directory = tempfile::tempdir().unwrap();
    let (file, json) = (directory.path().join("test.toml"), directory.path().join("result.json"));
    fs::write(&file, format!("about = \"a test\"\n{scenario}")).unwrap();
    let tls = !arguments.contains(&"tcp");
    let mut command = Command::new(LOAD);
    command.arg("run").arg(&file).arg("--json").arg(&json);
    command.arg("--relay").arg(format!("localhost:{}", if tls { relay.tls } else { relay.tcp }));
    if tls && !arguments.contains(&"--ca") {
        command.arg("--ca").arg(relay.ca());
    }
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let result = json.exists().then(|| RunResult::read(&json).unwrap());
    (output, result)
}

/// The same, and everything has to have gone well.
fn clean(relay: &Relay, scenario: &str, arguments: &[&str]) -> RunResult {
    let users = ["--user", "alice:secret", "--user", "bob:secret"];
    let (output, result) = load(relay, scenario, &[&users, arguments].concat());
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    let result = result.expect("a result");
    assert!(result.is_clean() && text.contains(" messages, "), "{text}");
    result
}

const MIXED: &str = r#"
[sessions]
count = 6
[load]
window = 3
warm_up = "100ms"
duration = "600ms"
patience = "10s"
[[messages]]
size = "200B"
[[messages]]
size = "300B"
success_report = true
[[messages]]
size = "60B"
refuse = 0.5
[[messages]]
size = "60B"
failure_report = "partial"
refuse = 0.5
[[messages]]
size = "100KiB"
chunk = "30KiB"
abort = 0.3
content_type = "application/octet-stream"
success_report = true
[[messages]]
size = "0B"
"#;

#[rstest]
#[case::caller_direct(&[], "caller direct")]
#[case::tcp(&["--transport", "tcp"], "caller direct")]
#[case::both_authenticated(&["--set", "sessions.callers=authenticated"], "both authenticated")]
#[case::shared_links(&["--set", "sessions.per_link=3", "--set", "sessions.callers=authenticated"], "both authenticated")]
#[case::sources(&["--source", "127.0.0.2", "--source", "127.0.0.3"], "caller direct")]
fn all_kinds_of_messages_pass(#[case] arguments: &[&str], #[case] route: &str) {
    let relay = Relay::start("\"SHA-256\", \"MD5\"");
    let result = clean(&relay, MIXED, arguments);
    assert_eq!((result.scenario.route.as_str(), result.scenario.sessions), (route, 6));
    let counts = result.counts;
    assert!(counts.messages > 50 && counts.refused > 0 && counts.aborted > 0, "{counts:?}");
    assert!(counts.success_reports > 0 && counts.failure_reports > 0, "{counts:?}");
    assert!(result.latencies.delivery.count() > 50 && result.latencies.set_up.count() == 6);
    assert_eq!(result.tls.is_some(), result.scenario.transport == "TLS");
}

#[test]
fn a_chain_of_two_relays_passes_all_as_well() {
    let (north, south) = Relay::pair();
    let caller_relay = format!("localhost:{}", north.tls);
    let arguments = ["--caller-relay", &caller_relay, "--set", "sessions.callers=authenticated"];
    let result = clean(&south, MIXED, &arguments);
    assert_eq!(result.scenario.route, "two relays, both authenticated");
    assert!(result.counts.messages > 50 && result.counts.failure_reports > 0, "{:?}", result.counts);
}

#[rstest]
#[case("\"MD5\"", &[])]
#[case("\"SHA-256\"", &[])]
#[case("\"SHA-256\", \"MD5\"", &["--digest", "md5"])]
fn every_digest_is_spoken(#[case] algorithms: &str, #[case] arguments: &[&str]) {
    let relay = Relay::start(algorithms);
    let scenario =
        "[sessions]\ncount = 2\n[load]\nwarm_up = \"0s\"\nduration = \"100ms\"\n[[messages]]\nsize = \"9B\"\n";
    assert!(clean(&relay, scenario, arguments).counts.messages > 0);
}

#[test]
fn an_open_load_has_its_rate_and_measures_from_when_messages_are_due() {
    let relay = Relay::start("\"MD5\"");
    let scenario = "[sessions]\ncount = 10\n[load]\nshape = \"open\"\nrate = 1000\nwarm_up = \"200ms\"\nduration = \"1s\"\n\
                    [[messages]]\nsize = \"100B\"\n";
    let result = clean(&relay, scenario, &[]);
    // Poisson: five standard deviations are 160.
    assert!((840..1160).contains(&result.counts.messages), "{:?}", result.counts);
    let (lag, delivery) = (&result.latencies.lag, &result.latencies.delivery);
    assert_eq!(lag.count(), delivery.count());
    assert!(lag.quantile(0.5) < delivery.quantile(0.5));
}

#[test]
fn a_ramp_rises() {
    let relay = Relay::start("\"MD5\"");
    let scenario = "[sessions]\ncount = 10\n[load]\nshape = \"ramp\"\nrate = 100\nrate_end = 1900\nwarm_up = \"0s\"\n\
                    duration = \"1s\"\n[[messages]]\nsize = \"100B\"\n";
    let result = clean(&relay, scenario, &[]);
    let half = result.series.len() / 2;
    let sum = |steps: &[chappe_load::result::Interval]| steps.iter().map(|step| step.messages).sum::<u64>();
    assert!(sum(&result.series[half..]) > 2 * sum(&result.series[..half]), "{:?}", result.counts);
    assert!(result.latencies.delivery.count() > 700);
}

#[test]
fn churn_sets_up_and_takes_down() {
    let relay = Relay::start("\"MD5\"");
    let scenario = "[load]\nshape = \"churn\"\nrate = 100\nmessages = 2\nwarm_up = \"0s\"\nduration = \"1s\"\n\
                    [[messages]]\nsize = \"100B\"\n";
    let pid = relay.pid().to_string();
    let result = clean(&relay, scenario, &["--relay-pid", &pid]);
    assert!((50..150).contains(&result.counts.torn_down), "{:?}", result.counts);
    assert!(result.counts.messages >= 2 * result.counts.torn_down.saturating_sub(9), "{:?}", result.counts);
    assert!(result.latencies.set_up.count() > 50);
    assert!(result.relay.unwrap().cpu_per_session.unwrap() > 0.0);
}

#[test]
fn idle_sessions_have_a_price_in_memory() {
    let relay = Relay::start("\"MD5\"");
    let scenario = "[sessions]\ncount = 100\n[load]\nshape = \"idle\"\nrest = \"200ms\"\n[[messages]]\nsize = \"100KiB\"\n\
                    chunk = \"10000B\"\n";
    let pid = relay.pid().to_string();
    let result = clean(&relay, scenario, &["--relay-pid", &pid]);
    assert_eq!(result.counts.messages, 100);
    let relay = result.relay.unwrap();
    assert!(relay.pss_per_session.unwrap() > 1.0 && relay.with_sessions.pss > relay.before.pss, "{relay:?}");
}

#[test]
fn slow_readers_hold_up_themselves_alone() {
    let relay = Relay::start("\"MD5\"");
    let scenario = "[sessions]\ncount = 4\n[load]\nwarm_up = \"0s\"\nduration = \"1s\"\npatience = \"60s\"\n\
                    [[messages]]\nsize = \"20KiB\"\nchunk = \"4KiB\"\n[slow]\nshare = 1.0\nrate = \"100kB\"\n";
    let slow = clean(&relay, scenario, &[]);
    // Four receivers of 100 kB/s each, and what their sockets hold.
    assert!(slow.megabyte_rate() < 1.0, "{} MB/s", slow.megabyte_rate());
    let fast = clean(&relay, scenario, &["--set", "slow.share=0.0"]);
    assert!(fast.megabyte_rate() > 3.0 * slow.megabyte_rate(), "{} MB/s", fast.megabyte_rate());
}

#[test]
fn several_processes_make_one_result() {
    let relay = Relay::start("\"MD5\"");
    let pid = relay.pid().to_string();
    let result =
        clean(&relay, MIXED, &["--processes", "3", "--relay-pid", &pid, "--label", "chappe", "--cell", "mixed"]);
    assert_eq!((result.generator.processes, result.scenario.sessions), (3, 6));
    assert_eq!((result.label.as_str(), result.cell.as_str()), ("chappe", "mixed"));
    assert!(result.relay.unwrap().cpu_per_message.unwrap() > 0.0);
}

#[rstest]
#[case::password(&["--user", "alice:wrong"], 1, "refused-401")]
#[case::no_user(&[], 1, "authentication")]
fn what_the_relay_refuses_is_an_error(#[case] arguments: &[&str], #[case] status: i32, #[case] kind: &str) {
    let relay = Relay::start("\"MD5\"");
    let scenario = "[sessions]\ncount = 2\n[load]\nduration = \"100ms\"\n[[messages]]\nsize = \"9B\"\n";
    let (output, result) = load(&relay, scenario, arguments);
    assert_eq!(output.status.code(), Some(status), "{}", String::from_utf8_lossy(&output.stderr));
    let errors = result.unwrap().errors;
    assert_eq!(errors.keys().map(String::as_str).collect::<Vec<_>>(), [kind]);
    assert_eq!(errors[kind].count, 2);
}

#[rstest]
#[case::no_certificate(&["--ca", "nowhere.crt"], "nowhere.crt")]
#[case::no_process(&["--relay-pid", "4194304"], "process 4194304 is not there")]
#[case::cipher(&["--cipher", "ROT13"], "TLS13_AES_128_GCM_SHA256")]
#[case::user(&["--user", "alice"], "NAME:PASSWORD")]
#[case::setting(&["--set", "load.windwo=3"], "windwo")]
#[case::listen(&["--listen", "127.0.0.1:0"], "--certificate")]
fn mistakes_are_named_before_anything_is_sent(#[case] arguments: &[&str], #[case] expected: &str) {
    let relay = Relay::start("\"MD5\"");
    let (output, result) = load(&relay, "[[messages]]\nsize = \"9B\"\n", arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains(expected) && result.is_none(), "{text}");
}

#[test]
fn results_become_a_table_and_a_page() {
    let relay = Relay::start("\"MD5\"");
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    for label in ["one", "two"] {
        let result = clean(&relay, MIXED, &["--label", label, "--relay-pid", &relay.pid().to_string()]);
        fs::write(path(label), serde_json::to_string(&result).unwrap()).unwrap();
    }
    let act = |arguments: &[&str]| Command::new(LOAD).args(arguments).output().unwrap();
    let table = act(&["compare", &path("one"), &path("two"), "--baseline", "one"]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("two") && table.contains('|'), "{table}");
    assert!(act(&["report", &path("one"), &path("two"), "-o", &path("page.html")]).status.success());
    let page = fs::read_to_string(path("page.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("two") && !page.contains("<script src"));
    let other = act(&["merge", &path("one"), &path("two"), "-o", &path("merged")]);
    assert_eq!(other.status.code(), Some(2), "results of two relays are not one result");
    fs::write(path("old"), "{\"format\": 0}").unwrap();
    assert!(String::from_utf8_lossy(&act(&["compare", &path("old")]).stderr).contains("format 0"));
}

#[test]
fn every_scenario_of_the_project_can_be_read() {
    let mut seen = 0;
    for directory in ["scenarios", "cells"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        for file in fs::read_dir(&directory).into_iter().flatten() {
            let file = file.unwrap().path();
            let output = Command::new(LOAD).arg("check").arg(&file).output().unwrap();
            assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen}");
}

#[test]
fn a_generator_process_that_dies_ends_the_run() {
    // Whoever connects here is never answered, so that no part gets beyond its set-up.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = deaf.local_addr().unwrap().to_string();
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/chat.toml");
    let mut run = Command::new(LOAD)
        .args(["run", scenario, "--transport", "tcp", "--user", "a:b", "--processes", "2", "--relay", &relay])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A part sets up 32 sessions at a time, so both of them are here.
    let _links: Vec<_> = (0..40).map(|_| deaf.accept().unwrap()).collect();
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.id())).unwrap();
    let last = children.split_whitespace().last().expect("a part");
    assert!(Command::new("kill").args(["-KILL", last]).status().unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(2));
    let mut told = String::new();
    std::io::Read::read_to_string(&mut run.stderr.take().unwrap(), &mut told).unwrap();
    assert!(told.contains("a generator process has failed"), "{told}");
}
