//! The units that are shipped, and whether the program gets on with the filter of system calls that they set.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::support::{Authority, Relay, Wish};
use crate::traffic::Traffic;
use crate::{engines, with_engine};

fn unit(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/systemd").join(name)
}

/// The values of each directive, in order, by section.
fn directives(name: &str) -> BTreeMap<(String, String), Vec<String>> {
    let text = fs::read_to_string(unit(name)).expect("a unit");
    let mut found: BTreeMap<_, Vec<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(head) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = head.to_owned();
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("no directive: {line}"));
        found.entry((section.clone(), key.to_owned())).or_default().push(value.to_owned());
    }
    found
}

#[test]
fn the_service_has_what_it_needs_and_may_do_nothing_else() {
    let found = directives("chappe.service");
    let all = |key: &str| found.get(&("Service".to_owned(), key.to_owned())).cloned().unwrap_or_default();
    for (key, value) in [
        ("Type", "notify"),
        ("NotifyAccess", "all"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("RestartPreventExitStatus", "78"),
        ("DynamicUser", "yes"),
        ("RuntimeDirectory", "chappe"),
        ("RuntimeDirectoryMode", "0700"),
        ("CapabilityBoundingSet", ""),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateDevices", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        ("SystemCallArchitectures", "native"),
    ] {
        assert_eq!(all(key), [value], "{key}");
    }
    assert!(all("LimitNOFILE")[0].parse::<u64>().expect("a number") >= 2 * 100_000, "two processes of all connections");
    assert_eq!(all("SystemCallFilter")[0], "@system-service");
    assert!(all("SystemCallFilter").iter().any(|filter| filter.starts_with("~@privileged @resources")));
    // Text that is commented out is what operators switch on.
    let text = fs::read_to_string(unit("chappe.service")).expect("a unit");
    for optional in
        ["#SystemCallFilter=io_uring_setup io_uring_enter io_uring_register", "#MemoryMax=", "#Requires=chappe.socket"]
    {
        assert!(text.contains(optional), "{optional}");
    }
    // Without /proc/meminfo the relay would not know how much memory there is.
    assert!(all("ProcSubset").is_empty());
    // The stop waits longer than the drain does by default.
    assert_eq!(all("TimeoutStopSec"), ["65min"]);
}

#[test]
fn the_sockets_are_those_of_the_documented_configuration() {
    let found = directives("chappe.socket");
    let streams = &found[&("Socket".to_owned(), "ListenStream".to_owned())];
    let documented =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/chappe.toml")).expect("a file");
    for address in streams {
        let address: std::net::SocketAddr = address.parse().expect("an address with a port");
        assert!(documented.contains(&format!(":{}\"", address.port())), "{address}");
    }
    assert_eq!(found[&("Socket".to_owned(), "Service".to_owned())], ["chappe.service"]);
}

/// systemd's own opinion. Its package is installed by `tests/upgrade/install.sh`.
#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_accepts_the_units() {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["chappe.service", "chappe.socket"] {
        // What it executes has to be there.
        let text = fs::read_to_string(unit(name)).expect("a unit");
        let text = text.replace("/usr/local/bin/chappe", env!("CARGO_BIN_EXE_chappe"));
        fs::write(directory.path().join(name), text).expect("a file");
    }
    let paths = ["chappe.service", "chappe.socket"].map(|name| directory.path().join(name));
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&paths).output().expect("runs");
    let said = String::from_utf8_lossy(&verified.stderr);
    let of_ours: Vec<&str> = said.lines().filter(|line| line.contains("chappe")).collect();
    assert!(verified.status.success() && of_ours.is_empty(), "{said}");
    let mut security = Command::new("systemd-analyze");
    // Tenths: 2.0 and less is what it calls fine.
    security.args(["security", "--offline=yes", "--threshold=20", "--no-pager"]).arg(&paths[0]);
    let judged = security.output().expect("runs");
    let text = String::from_utf8_lossy(&judged.stdout);
    assert!(judged.status.success(), "{text}\n{}", String::from_utf8_lossy(&judged.stderr));
    println!("{}", text.lines().last().unwrap_or_default());
}

/// What is behind each name that begins with `@`, as systemd tells it.
fn sets() -> BTreeMap<String, Vec<String>> {
    let output = Command::new("systemd-analyze").args(["syscall-filter", "--no-pager"]).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut sets: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        match line.strip_prefix("    ") {
            Some(member) => sets.entry(name.clone()).or_default().push(member.trim().to_owned()),
            None if line.starts_with('@') => line.trim().clone_into(&mut name),
            None => {}
        }
    }
    sets
}

fn expand(what: &str, sets: &BTreeMap<String, Vec<String>>, out: &mut BTreeSet<String>) {
    for word in what.split_whitespace() {
        match sets.get(word) {
            Some(members) => members.iter().for_each(|member| expand(member, sets, out)),
            None => {
                assert!(!word.starts_with('@'), "systemd knows no {word}");
                out.insert(word.to_owned());
            }
        }
    }
}

/// The calls that the unit allows, with the line for io_uring or without it.
fn allowed(io_uring: bool) -> BTreeSet<String> {
    let sets = sets();
    let mut allowed = BTreeSet::new();
    expand("@default", &sets, &mut allowed);
    let text = fs::read_to_string(unit("chappe.service")).expect("a unit");
    for line in text.lines() {
        let line =
            if io_uring { line.strip_prefix('#').filter(|l| l.contains("io_uring")).unwrap_or(line) } else { line };
        let Some(filter) = line.strip_prefix("SystemCallFilter=") else { continue };
        let mut named = BTreeSet::new();
        expand(filter.trim_start_matches('~'), &sets, &mut named);
        if filter.starts_with('~') {
            allowed.retain(|call| !named.contains(call));
        } else {
            allowed.extend(named);
        }
    }
    allowed
}

/// From the start to the end, with a reload, TLS, records and an upgrade; under strace, since nothing but systemd itself sets the filter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs systemd-analyze and strace"]
async fn the_program_makes_no_system_call_that_the_service_forbids() {
    for engine in engines() {
        let wish = Wish {
            relay: "handover = \"handover.sock\"",
            extra: "[records]\npath = \"records.jsonl\"\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\n",
            ..Wish::default()
        };
        let (authority, directory) = (Authority::new(), Arc::new(tempfile::tempdir().expect("a directory")));
        let (chain, key) = authority.issue(&["localhost"]);
        let text = with_engine(engine, &wish).replace("pin = false", "pin = true");
        for (name, text) in
            [("server.crt", &*chain), ("server.key", &*key), ("ca.crt", &*authority.pem), ("chappe.toml", &*text)]
        {
            fs::write(directory.path().join(name), text).expect("a file");
        }
        let trace = directory.path().join("trace");
        let mut command = Command::new("strace");
        // The tracer is the grandchild: signals and the exit code are the relay's.
        command.args(["-D", "-f", "-qq", "-e", "signal=none", "-o"]).arg(&trace).arg(env!("CARGO_BIN_EXE_chappe"));
        let mut relay = Relay::launch(command, directory.clone(), "localhost");
        let traffic = Traffic::start(&relay, &authority, 1).await;
        traffic.flow(20).await;
        assert_eq!(relay.http("POST", "/reload", "").0, 200);
        relay.signal("USR2");
        relay.expect_log("a new process serves");
        traffic.flow(20).await;
        traffic.end().await;
        assert!(relay.wait().success());
        let line = relay.expect_log("a new process was started");
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let pid = line["fields"]["pid"].as_u64().or(line["pid"].as_u64()).expect("a pid");
        assert!(Command::new("kill").arg(pid.to_string()).status().expect("kill").success());
        crate::takeover::wait_for_end(pid);

        let text = fs::read_to_string(&trace).expect("a trace");
        let name = |line: &str| {
            let call = line.split_once(' ')?.1.trim_start();
            let name: String = call.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            call[name.len()..].starts_with('(').then_some(name)
        };
        let made: BTreeSet<String> = text.lines().filter_map(name).collect();
        assert!(made.contains("accept4") && made.contains("recvmsg"), "{made:?}");
        assert_eq!(made.contains("io_uring_enter"), *engine == "io-uring", "{made:?}");
        let forbidden: Vec<_> = made.difference(&allowed(*engine == "io-uring")).cloned().collect();
        assert_eq!(forbidden, Vec::<String>::new(), "{engine}, of {made:?}");
        println!("{engine}: {} different system calls, all of them allowed", made.len());
    }
}
