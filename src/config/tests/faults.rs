//! One test for each rule: the line as it is printed, with file, line number, key, what is wrong and the mend.

use std::fs;

use rstest::rstest;
use tempfile::TempDir;

use super::*;

/// What is reported for `LEAST` (three lines) and then `text`.
fn reported(text: &str) -> Vec<String> {
    lines(&format!("{LEAST}{text}"))
}

fn lines(text: &str) -> Vec<String> {
    let problems = parse(text).expect_err("a problem");
    problems.to_string().lines().map(|line| line.replace("configuration:", "")).collect()
}

#[rstest]
// A key nobody knows, near to one that is known and not.
#[case("[relay]\nhostnam = \"a\"", "5: relay.hostnam: unknown key; write `hostname`")]
#[case("[log]\nlevl = 3", "5: log.levl: unknown key; write `level`")]
#[case("[log]\ncolour = true", "5: log.colour: unknown key; write one of level, format, or remove it")]
#[case("[limit]\nhold = 3", "4: limit: unknown key; write `limits`")]
// Kinds of values.
#[case("[relay]\npin = 1", "5: relay.pin: 1 is not a switch; write true or false")]
#[case("[relay]\nnode = 65536", "5: relay.node: 65536 is not a small number; write a whole number from 0 to 65535")]
#[case(
    "[limits]\nconnections = -1",
    "5: limits.connections: -1 is not a count; write a whole number from 0 to 4294967295"
)]
#[case(
    "[limits]\nconnections = 1.5",
    "5: limits.connections: this float is not a count; write a whole number from 0 to 4294967295"
)]
#[case(
    "[limits]\nhold = \"10\"",
    "5: limits.hold: \"10\" is not a duration; write a number of seconds, or text such as \"10ms\", \"30s\" or \"1h\", up to a year"
)]
#[case(
    "[limits]\nuri = \"1 furlong\"",
    "5: limits.uri: \"1 furlong\" is not a number of octets; write a whole number, or text such as \"64 KiB\" or \"8 MiB\""
)]
#[case("[relay]\nengine = \"epoll\"", "5: relay.engine: \"epoll\" is not an engine; write \"tokio\" or \"io-uring\"")]
#[case("[relay]\nabort_flag = \"$\"", "5: relay.abort_flag: \"$\" is not a continuation flag; write \"#\" or \"+\"")]
#[case("min_version = \"1.1\"", "4: tls.min_version: \"1.1\" is not a TLS version; write \"1.2\" or \"1.3\"")]
#[case(
    "[auth]\nalgorithms = [\"MD5\",\n\"SHA1\"]",
    "6: auth.algorithms[1]: \"SHA1\" is not a digest algorithm; write \"MD5\" or \"SHA-256\""
)]
#[case(
    "[auth]\nalgorithms = \"MD5\"",
    "5: auth.algorithms: \"MD5\" is not a list; write it in square brackets, as [\"…\", \"…\"]"
)]
#[case("[log]\nformat = \"xml\"", "5: log.format: \"xml\" is not a log format; write \"text\" or \"json\"")]
#[case(
    "[peer_relay]\n",
    "4: peer_relay: this table is not a list of sections; write its head in double brackets, as [[listen]]"
)]
#[case("[[auth]]\n", "4: auth: this array is not a section; write it as [section] with one key per line")]
#[case(
    "[limits]\nhold = \"10y\"",
    "5: limits.hold: \"10y\" is not a duration; write a number of seconds, or text such as \"10ms\", \"30s\" or \"1h\", up to a year"
)]
#[case("[log]\n\"a\\nb\" = 1", "5: log.a\\nb: unknown key; write one of level, format, or remove it")]
// [relay]
#[case(
    "[relay]\nhostname = \"\"",
    "5: relay.hostname: empty; write a host name that is in the certificate, as \"relay.example.com\""
)]
#[case(
    "[relay]\nhostname = \"a b\"",
    "5: relay.hostname: \"a b\" is not a host name; write a host name that is in the certificate, as \"relay.example.com\""
)]
#[case("[relay]\nrealm = \"\"", "5: relay.realm: empty; write text without quotes, backslashes and control characters")]
#[case(
    "[relay]\nrealm = 'a\"b'",
    "5: relay.realm: \"a\\\"b\" is not a realm; write text without quotes, backslashes and control characters"
)]
#[case("[relay]\nshards = 2000", "5: relay.shards: 2000 is out of range; write 0 to 1024")]
#[case(
    "[relay]\nblocked_methods = [\"SEND\"]",
    "5: relay.blocked_methods[0]: SEND is needed by every session; write only other methods, as \"NICKNAME\""
)]
#[case(
    "[relay]\nblocked_methods = [\"nick\"]",
    "5: relay.blocked_methods[0]: \"nick\" is not a method; write it in capital letters, as \"NICKNAME\""
)]
#[case(
    "[relay]\nmax_chunk = 0",
    "5: relay.max_chunk: 0 would stop everything; write at least 1, or remove the key for its default"
)]
#[case("[relay]\nhandover = \"\"", "5: relay.handover: empty; write a path, relative to this file")]
#[case(
    "[relay]\nhandover = \"/run/a-name-that-is-far-too-long-for-a-unix-socket-whose-path-must-fit-into-a-hundred-and-eight-octets\"",
    "5: relay.handover: /run/a-name-that-is-far-too-long-for-a-unix-socket-whose-path-must-fit-into-a-hundred-and-eight-octets cannot be a socket; write the path of a file, at most 90 octets long"
)]
// [[listen]]
#[case("[[listen]]\n", "4: listen[1].address: missing; write address = \"127.0.0.1:2855\"")]
#[case(
    "[[listen]]\naddress = \"localhost:1\"",
    "5: listen[1].address: \"localhost:1\" is not an IP address with a port; write one such as \"127.0.0.1:2855\" or \"[::1]:2855\""
)]
#[case(
    "[[listen]]\naddress = \"127.0.0.1:1\"\ntransport = \"udp\"",
    "6: listen[1].transport: \"udp\" is not a transport; write \"tls\" or \"tcp\""
)]
#[case(
    "[[listen]]\naddress = \"127.0.0.1:2855\"",
    "5: listen[1].address: 127.0.0.1:2855 stands here twice (first at listen[0].address); write it once"
)]
#[case(
    "[[listen]]\naddress = \"127.0.0.1:1\"\nadvertise = \"relay.example\"",
    "6: listen[1].advertise: \"relay.example\" is not a host with a port; write one such as \"relay.example.com:2855\" or \"[2001:db8::1]:2855\""
)]
// [tls] and [[peer_relay]]
#[case("sslkeylog = \"yes\"", "4: tls.sslkeylog: \"yes\" is not a switch; write true or false")]
#[case("client_ca = \"\"", "4: tls.client_ca: empty; write a path, relative to this file")]
#[case(
    "[[peer_relay]]\nname = \"peer.example\"",
    "4: peer_relay[0]: a peer relay cannot be verified without tls.client_ca; write client_ca = \"ca.crt\" under [tls]"
)]
// [auth]
#[case("[auth]\nalgorithms = []", "5: auth.algorithms: empty; write [\"MD5\"] or [\"SHA-256\", \"MD5\"]")]
#[case(
    "[auth]\nalgorithms = [\"MD5\", \"MD5\"]",
    "5: auth.algorithms[1]: MD5 stands here twice (first at auth.algorithms[0]); write it once"
)]
#[case(
    "[auth]\nmin_expires = \"1h\"",
    "5: auth.min_expires: min_expires exceeds default_expires; write values so that min_expires is at most default_expires"
)]
#[case(
    "[auth]\nmax_expires = 1000",
    "5: auth.max_expires: default_expires exceeds max_expires; write values so that default_expires is at most max_expires"
)]
#[case(
    "[auth]\nmin_expires = \"1500ms\"",
    "5: auth.min_expires: 1.5s is out of range; write 1 s to 31622400 s, without a fraction"
)]
#[case(
    "[auth]\nnonce_lifetime = 0",
    "5: auth.nonce_lifetime: 0 would stop everything; write at least 1, or remove the key for its default"
)]
#[case(
    "[auth]\nhtdigest = \"users\"",
    "5: auth.htdigest: /nonexistent/users cannot be read: No such file or directory (os error 2); write the path of a readable file, relative to this file"
)]
#[case("[[auth.user]]\npassword = \"a\"", "4: auth.user[0].name: missing; write name = \"alice\"")]
#[case(
    "[[auth.user]]\nname = \"a:b\"\npassword = \"a\"",
    "5: auth.user[0].name: \"a:b\" is not a user name; write text without colons, quotes, backslashes and control characters"
)]
#[case(
    "[[auth.user]]\nname = \"a\"",
    "4: auth.user[0]: neither password nor HA1; write password = \"…\", or ha1 = \"…\" as made by `chappe passwd`"
)]
#[case("[[auth.user]]\nname = \"a\"\npassword = \"\"", "6: auth.user[0].password: empty; write a password")]
#[case(
    "[[auth.user]]\nname = \"a\"\npassword = \"p\"\nha1 = \"99477e34459fa0b8573440794b798a90\"",
    "4: auth.user[0]: both a password and an HA1; write only one of them"
)]
#[case(
    "[[auth.user]]\nname = \"a\"\nha1 = \"99477e34\"",
    "6: auth.user[0].ha1: not an HA1: 8 characters; write 32 hexadecimal digits"
)]
#[case(
    "[[auth.user]]\nname = \"a\"\nha1 = \"99477e34459fa0b8573440794b798a90\"\nha1_sha256 = \"x\"",
    "7: auth.user[0].ha1_sha256: not an HA1: 1 characters; write 64 hexadecimal digits"
)]
#[case(
    "[auth]\nalgorithms = [\"SHA-256\"]\n[[auth.user]]\nname = \"a\"\nha1 = \"99477e34459fa0b8573440794b798a90\"",
    "6: auth.user[0]: no HA1 for an offered algorithm; write ha1_sha256, or change auth.algorithms"
)]
#[case(
    "[[auth.user]]\nname = \"a\"\npassword = \"p\"\n[[auth.user]]\nname = \"a\"\npassword = \"q\"",
    "8: auth.user[1].name: \"a\" stands here twice (first at auth.user[0].name); write it once"
)]
// [limits]
#[case(
    "[limits]\nhold = 0",
    "5: limits.hold: 0 would stop everything; write at least 1, or remove the key for its default"
)]
#[case(
    "[limits]\nmax_message = 0",
    "5: limits.max_message: 0 would stop everything; write at least 1, or remove the key for its default"
)]
#[case(
    "[limits]\nheader_block = 1000",
    "5: limits.header_block: header_line exceeds header_block; write values so that header_line is at most header_block"
)]
#[case("[limits]\nheader_block = \"64 KiB\"", "5: limits.header_block: 65536 is out of range; write 1 to 65535")]
#[case(
    "[limits]\nsession_buffer = \"1 GiB\"",
    "5: limits.session_buffer: session_buffer exceeds link_buffer; write values so that session_buffer is at most link_buffer"
)]
#[case("[limits]\nidle_foreign = \"30s\"", "5: limits.idle_foreign: 30s is out of range; write 60s to 365days")]
// [policy]
#[case(
    "[policy]\nallow_next_hops = [\"10.0.0.1/8\"]",
    "5: policy.allow_next_hops[0]: \"10.0.0.1/8\" is not a next-hop rule: bits behind the prefix; write the first address of the network; write a CIDR or a host name, each with or without \":port\" or \":low-high\""
)]
#[case(
    "[policy]\ndeny_next_hops = [\n\"a.example\",\n\"*\"]",
    "7: policy.deny_next_hops[1]: \"*\" is not a next-hop rule: malformed host name; write a CIDR or a host name, each with or without \":port\" or \":low-high\""
)]
#[case(
    "[policy]\nallow_ports = [\"0-9\"]",
    "5: policy.allow_ports[0]: \"0-9\" is not a port; write a number from 1 to 65535, or a range such as \"1024-65535\""
)]
#[case("[policy]\nallow_ports = []", "5: policy.allow_ports: empty; write [\"1024-65535\"]")]
// [admin], [log], [records]
#[case(
    "[admin]\naddress = \"0.0.0.0:9855\"",
    "5: admin.address: the admin interface listens outside loopback without a token; write token = \"…\" or a loopback address"
)]
#[case("[admin]\ntoken = \"\"", "5: admin.token: empty; write a long random text")]
#[case(
    "[admin]\naddress = \"127.0.0.1:2855\"",
    "5: admin.address: 127.0.0.1:2855 stands here twice (first at listen[0].address); write it once"
)]
#[case(
    "[log]\nlevel = \"inof\"",
    "5: log.level: \"inof\" is not a log level; write \"error\", \"warn\", \"info\", \"debug\", \"trace\" or directives such as \"info,chappe::net=debug\""
)]
#[case(
    "[records]\npath = \"records\"",
    "5: records.path: /nonexistent/records cannot be a file; write the path of a file in a directory that exists, or \"-\""
)]
fn each_broken_rule_names_its_line_its_key_and_its_mend(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(reported(text), [expected]);
}

#[rstest]
#[case("", "1: listen: no listener; write [[listen]] with address = \"127.0.0.1:2855\"")]
#[case("listen = []", "1: listen: no listener; write [[listen]] with address = \"127.0.0.1:2855\"")]
#[case(
    "[[listen]]\naddress = \"127.0.0.1:1\"\ntransport = \"tls\"",
    "3: listen[0].transport: a TLS listener without a [tls] section; write [tls] with certificate and key, or transport = \"tcp\""
)]
#[case(
    "[[listen]]\naddress = \"0.0.0.0:1\"\n[tls]\n[relay]\nhostname = \"a.example\"",
    "3: tls.certificate: a TLS listener outside loopback needs a certificate; write certificate = \"server.crt\" and key = \"server.key\""
)]
#[case(
    "[[listen]]\naddress = \"0.0.0.0:1\"\ntransport = \"tcp\"\n[relay]\n",
    "4: relay.hostname: missing; write a host name that is in the certificate, as \"relay.example.com\""
)]
#[case(
    "relay = 3\nlisten = [{ address = \"127.0.0.1:1\", transport = \"tcp\" }]",
    "1: relay: this integer is not a section; write it as [section] with one key per line"
)]
fn what_concerns_the_file_as_a_whole_is_reported_too(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(lines(text), [expected]);
}

#[test]
fn certificate_files_must_be_readable_and_come_in_pairs() {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("s.crt"), "").expect("a file");
    let report = |text: &str| {
        let problems = Config::from_str(&format!("{LEAST}{text}"), directory.path()).expect_err("a problem");
        problems.to_string().replace(&format!("{}/", directory.path().display()), "").replace("configuration:", "")
    };
    assert_eq!(report("certificate = \"s.crt\""), "4: tls.certificate: certificate without key; write both or neither");
    assert_eq!(
        report("certificate = \"s.crt\"\nkey = \"s.key\""),
        "5: tls.key: s.key cannot be read: No such file or directory (os error 2); write the path of a readable file, relative to this file"
    );
    assert_eq!(
        report("certificate = \"s.crt\"\nkey = \".\""),
        "5: tls.key: . cannot be read: it is a directory; write the path of a readable file, relative to this file"
    );
}

#[test]
fn every_problem_is_reported_at_once_in_the_order_of_the_file() {
    let text =
        "[admin]\naddress = \"0.0.0.0:1\"\n[relay]\nhostnam = \"a\"\npin = 3\n[auth]\nalgorithms = [\"a\", \"b\"]\n";
    let lines: Vec<String> =
        reported(text).iter().filter_map(|line| line.split(": ").nth(1).map(str::to_owned)).collect();
    assert_eq!(lines, ["admin.address", "relay.hostnam", "relay.pin", "auth.algorithms[0]", "auth.algorithms[1]"]);
}

#[test]
fn text_that_is_not_toml_is_reported_with_its_lines() {
    let problems = parse("[relay\nhostname = \"a\"\n[log]\nlevel = = 3\n").expect_err("not TOML");
    let lines: Vec<Option<usize>> = problems.list.iter().map(|problem| problem.line).collect();
    assert!(lines.contains(&Some(1)) && lines.contains(&Some(4)), "{problems}");
    assert!(problems.list.iter().all(|problem| matches!(problem.fault, Fault::Syntax(_))), "{problems}");
}

#[test]
fn the_file_is_named_at_the_head_of_each_line() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("chappe.toml");
    let missing = Config::load(&file).expect_err("no such file").to_string();
    let expected =
        "cannot be read: No such file or directory (os error 2); write the path of a readable file behind --config";
    assert_eq!(missing, format!("{}: {expected}", file.display()));
    fs::write(&file, format!("{LEAST}[log]\nlevl = 3\n")).expect("a file");
    let unknown = Config::load(&file).expect_err("an unknown key").to_string();
    assert_eq!(unknown, format!("{}:5: log.levl: unknown key; write `level`", file.display()));
}

#[test]
fn a_secret_of_the_wrong_kind_is_not_repeated() {
    let text = "[[auth.user]]\nname = \"a\"\npassword = 4711\n";
    assert_eq!(reported(text), ["6: auth.user[0].password: this integer is not text; write it in double quotes"]);
}

#[test]
fn an_engine_that_was_not_built_is_refused() {
    let built = cfg_has_io_uring();
    assert_eq!(parse(&format!("{LEAST}[relay]\nengine = \"io-uring\"\n")).is_ok(), built);
}

#[allow(unexpected_cfgs, reason = "the cargo feature comes with the engine")]
fn cfg_has_io_uring() -> bool {
    cfg!(feature = "io-uring")
}
