//! The units that are shipped, and the program under the filter of system calls that they set.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
