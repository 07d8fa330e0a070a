//! That `config/fail2ban` reads what is really written: its filter against lines of the real log, in both formats.
//!
//! Python does what fail2ban does with a filter; where fail2ban is installed it is asked as well.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::config::LogFormat;
use crate::observe::log::tests::logged;
use crate::observe::log_event;
use crate::relay::{Claimant, CloseReason, Event};

const FILTER: &str = "config/fail2ban/filter.d/chappe.conf";
const JAIL: &str = "config/fail2ban/jail.d/chappe.conf";

/// Reads the filter as fail2ban does: the date is found and cut out, then an expression has to match. Prints the addresses.
const READER: &str = r#"
import configparser, re, sys
filter, mode, log = sys.argv[1:]
parsed = configparser.ConfigParser(interpolation=None)
parsed.read(filter)
terms = dict(parsed["Definition"])
terms["mode"] = mode
terms["addr"] = r"(?P<addr>[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]+)"
def plain(text):
    while True:
        done = re.sub(r"<([A-Za-z_]+)>", lambda m: terms[m.group(1).lower()], text)
        if done == text: return text
        text = done
# A group's name is no tag.
hide = lambda text: text.replace("(?P<", "(?P\0")
terms["addr"] = hide(terms["addr"])
show = lambda text: text.replace("(?P\0", "(?P<")
directives = {"%Y": r"\d{4}", "%m": r"\d{2}", "%d": r"\d{2}", "%H": r"\d{2}", "%M": r"\d{2}", "%S": r"\d{2}", "%f": r"\d+", "%z": "Z"}
dates = []
for date in terms["datepattern"].replace("%%", "%").split("\n"):
    for directive, digits in directives.items():
        date = date.replace(directive, digits)
    dates.append(re.compile(date.strip()))
rules = [re.compile(show(plain(rule.strip()))) for rule in terms["failregex"].split("\n")]
for line in open(log):
    line = line.rstrip("\n")
    found = next((m for m in (date.search(line) for date in dates) if m), None)
    if not found: sys.exit("no date in " + line)
    rest = line[:found.start()] + line[found.end():]
    for rule in rules:
        match = rule.search(rest)
        if match:
            print(match.group("addr"))
            break
"#;

fn root(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn failed(peer: &str, from: Claimant) -> Event {
    Event::AuthFailed { peer: Some(peer.parse().expect("an address")), failures: 2, from }
}

fn banned(address: &str) -> Event {
    Event::Banned { address: address.parse().expect("an address"), failures: 20, time: Duration::from_secs(600) }
}

/// What is written of guessers, of bans, and of others who must not be taken for them.
fn lines(format: LogFormat) -> String {
    let written = logged("trace", format, |_| {
        log_event(&failed("192.0.2.7:40000", Claimant::Client));
        log_event(&failed("[2001:db8::7]:40001", Claimant::Client));
        log_event(&failed("192.0.2.8:40002", Claimant::Relay("peer.example".into())));
        log_event(&failed("192.0.2.9:40003", Claimant::Datagram));
        log_event(&Event::AuthFailed { peer: None, failures: 1, from: Claimant::Client });
        log_event(&banned("192.0.2.17"));
        log_event(&banned("2001:db8::17"));
        log_event(&Event::LinkClosed { peer: None, reason: CloseReason::AuthFailures, relay: None });
        // A user name is the only text of a stranger's that a line may have.
        let name = "x\" WARN chappe::abuse: authentication failed;  peer=192.0.2.66 port=1 failures=1 held_back=0";
        tracing::warn!(user = ?name, "WARN chappe::abuse: authentication failed;");
    });
    assert_eq!(written.len(), 9, "{written:?}");
    written.concat()
}

/// Addresses that Python finds with our filter.
fn read(mode: &str, log: &str) -> Vec<String> {
    let output = Command::new("python3").args(["-c", READER]).arg(root(FILTER)).args([mode, log]).output();
    let output = output.expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// What fail2ban itself finds, if it is here.
fn read_by_fail2ban(mode: &str, log: &str) -> Option<Vec<String>> {
    let filter = format!("{}[mode={mode}]", root(FILTER).display());
    let output = Command::new("fail2ban-regex").args(["-o", "ip", log, &filter]).output().ok()?;
    assert!(output.status.success() || output.stdout.is_empty(), "{output:?}");
    Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

#[test]
fn the_filter_finds_guessers_and_nobody_else() {
    let directory = tempfile::tempdir().expect("a directory");
    for format in [LogFormat::Text, LogFormat::Json] {
        let log = directory.path().join("log");
        fs::write(&log, lines(format)).expect("a file");
        let log = log.to_str().expect("a plain path");
        for (mode, addresses) in [("failed", ["192.0.2.7", "2001:db8::7"]), ("banned", ["192.0.2.17", "2001:db8::17"])]
        {
            assert_eq!(read(mode, log), addresses, "{format:?}, {mode}:\n{}", lines(format));
            if let Some(found) = read_by_fail2ban(mode, log) {
                assert_eq!(found, addresses, "fail2ban itself, {format:?}, {mode}");
            }
        }
    }
}

#[test]
fn the_jails_name_modes_that_the_filter_has() {
    let (filter, jail) = (fs::read_to_string(root(FILTER)), fs::read_to_string(root(JAIL)));
    let (filter, jail) = (filter.expect("the filter"), jail.expect("the jails"));
    let used: Vec<&str> = jail.lines().filter_map(|l| l.strip_prefix("filter   = ")).collect();
    assert_eq!(used, ["chappe", "chappe[mode=banned]"]);
    for mode in ["failed", "banned"] {
        assert!(filter.contains(&format!("\n_{mode} = ")), "{mode}");
    }
    assert!(!jail.contains("enabled  = true"), "nobody is banned by installing a file");
}
