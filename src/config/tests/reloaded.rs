use std::fs;

use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::config::reload::{Change, Fixed, NeedsRestart, diff};

#[test]
fn nothing_changes_where_nothing_was_changed() {
    assert_eq!(diff(&valid(""), &valid("")), Ok(Vec::new()));
}

#[rstest]
#[case("min_version = \"1.3\"", Change::Tls)]
#[case("[[auth.user]]\nname = \"a\"\npassword = \"b\"", Change::Users)]
#[case("[auth]\nmax_expires = \"3h\"", Change::Auth)]
#[case("[auth]\nalgorithms = [\"SHA-256\"]", Change::Auth)]
#[case("[auth]\nban_after = 0", Change::Auth)]
#[case("[auth]\nban_exempt = [\"10.0.0.0/8\"]", Change::Auth)]
#[case("[policy]\ndeny_next_hops = [\"far.example\"]", Change::Policy)]
#[case("[limits]\nhold = \"1ms\"", Change::Limits)]
#[case("[relay]\nmax_chunk = 2048", Change::Relay)]
#[case("[relay]\nabort_flag = \"+\"", Change::Relay)]
#[case("[log]\nlevel = \"debug\"", Change::LogLevel)]
#[case("[records]\npath = \"-\"", Change::Records)]
#[case("[admin]\ntoken = \"t\"", Change::AdminToken)]
fn what_a_reload_can_do_is_a_change(#[case] text: &str, #[case] change: Change) {
    assert_eq!(diff(&valid(""), &valid(text)), Ok(vec![change]));
}

#[test]
fn a_peer_relay_is_a_change() {
    let old = valid("");
    let mut new = old.clone();
    new.peer_relay.push(PeerRelay { name: "peer.example".to_owned(), max_chunk: None, multiplex: true, bulk: true });
    assert_eq!(diff(&old, &new), Ok(vec![Change::PeerRelays]));
}

#[rstest]
#[case("[relay]\nhostname = \"a.example\"\nrealm = \"localhost\"", Fixed::Hostname)]
#[case("[relay]\nrealm = \"a\"", Fixed::Realm)]
#[case("[relay]\nshards = 3", Fixed::Shards)]
#[case("[relay]\nnode = 1", Fixed::Node)]
#[case("[relay]\npin = false", Fixed::Pin)]
#[case("[relay]\nhandover = \"h.sock\"", Fixed::Handover)]
#[case("[[listen]]\naddress = \"127.0.0.1:2857\"\ntransport = \"tcp\"", Fixed::Listeners)]
#[case("[admin]\naddress = \"127.0.0.1:1\"", Fixed::AdminAddress)]
#[case("[admin]\nenabled = false", Fixed::AdminAddress)]
#[case("[log]\nformat = \"json\"", Fixed::LogFormat)]
#[case("[[sip.listen]]\naddress = \"127.0.0.1:5060\"", Fixed::SipListeners)]
fn what_only_a_restart_can_do_is_refused_by_its_key(#[case] text: &str, #[case] fixed: Fixed) {
    assert_eq!(diff(&valid(""), &valid(text)), Err(NeedsRestart(vec![fixed])));
}

#[rstest]
#[case("resolve = false")]
#[case("trusted = []")]
#[case("max_calls = 1")]
#[case("[[sip.route]]\ndomain = \"*\"")]
#[case("[sip.media]\ntls_required = true")]
fn all_of_sip_but_its_listeners_is_a_change(#[case] text: &str) {
    let listener = "[[sip.listen]]\naddress = \"127.0.0.1:5060\"\n";
    let (old, new) = (valid(&format!("[sip]\n{listener}")), valid(&format!("[sip]\n{text}\n{listener}")));
    assert_eq!(diff(&old, &new), Ok(vec![Change::Sip]));
    assert_eq!(diff(&valid(""), &new), Err(NeedsRestart(vec![Fixed::SipListeners])));
}

#[test]
fn a_reload_is_all_or_nothing() {
    let new = valid("[relay]\nrealm = \"a\"\nshards = 3\n[limits]\nhold = \"1ms\"");
    let refused = diff(&valid(""), &new).expect_err("two keys need a restart");
    assert_eq!(refused.to_string(), "nothing was changed: a restart is needed for relay.realm, relay.shards");
    assert_eq!(refused.0, [Fixed::Realm, Fixed::Shards]);
}

#[test]
fn files_that_are_named_are_read_again_although_no_key_changed() {
    let directory = TempDir::new().expect("a directory");
    for file in ["s.crt", "s.key", "users"] {
        fs::write(directory.path().join(file), "").expect("a file");
    }
    let files =
        "certificate = \"s.crt\"\nkey = \"s.key\"\n[auth]\nhtdigest = \"users\"\n[records]\npath = \"records\"\n";
    let config = Config::from_str(&format!("{LEAST}{files}"), directory.path());
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(diff(&config, &config), Ok(vec![Change::Tls, Change::Users, Change::Records]));
}
