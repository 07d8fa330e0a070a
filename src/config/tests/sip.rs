//! The control plane's part of the file.

use std::fs;
use std::time::Duration;

use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::sdp;

/// Four lines: `LEAST` and the head of the section. What follows begins in line 5.
const HEAD: &str = "[[listen]]\naddress = \"127.0.0.1:2855\"\n[tls]\n[sip]\n";
const LISTENER: &str = "[[sip.listen]]\naddress = \"127.0.0.1:5060\"\n";

fn read(text: &str) -> Sip {
    let config = parse(&format!("{HEAD}{text}")).unwrap_or_else(|problems| panic!("{problems}"));
    config.sip.expect("a listener")
}

fn reported(text: &str) -> Vec<String> {
    let problems = parse(&format!("{HEAD}{text}")).expect_err("a problem");
    problems.to_string().lines().map(|line| line.replace("configuration:", "")).collect()
}

#[test]
fn without_a_listener_there_is_no_control_plane() {
    for text in ["", "[sip]\n", "[sip]\nresolve = false\nlisten = []\n", "[sip.media]\ntls_required = true\n"] {
        assert_eq!(valid(text).sip, None, "{text}");
    }
}

#[test]
fn every_key_is_read() {
    let directory = TempDir::new().expect("a directory");
    for file in ["server.crt", "server.key", "ca.crt"] {
        fs::write(directory.path().join(file), "").expect("a file");
    }
    let text = r#"
        [relay]
        hostname = "relay.example"
        [[listen]]
        address = "127.0.0.1:2855"
        [tls]
        certificate = "server.crt"
        key = "server.key"
        client_ca = "ca.crt"
        [sip]
        outbound_proxy = "sips:proxy.example"
        resolve = false
        trusted = ["10.0.0.0/8", "2001:db8::5"]
        trusted_certificates = ["Proxy.Example."]
        untrusted = "digest"
        allow_targets = ["127.0.0.1:5060"]
        deny_targets = ["10.9.0.0/16"]
        session_expires = "1h"
        min_session_expires = 90
        setup_timeout = "4min"
        max_calls = 7
        max_transactions = 8
        failed_connects_per_user_per_minute = 9
        messages_per_second = 9
        burst = 10
        connections_per_address = 11
        forks = "first"
        hash_call_id = false
        [[sip.listen]]
        address = "0.0.0.0:5061"
        transport = "tls"
        advertise = "Sip.Example"
        [[sip.listen]]
        address = "[::1]:5060"
        [[sip.route]]
        domain = "*.Example.com"
        to = "sip:one.example;transport=tcp"
        anchor = false
        protocol = "tls"
        [[sip.route]]
        domain = "*"
        to = ["sip:one.example", "sip:192.0.2.2:5070"]
        protocol = "tcp"
        [[sip.route]]
        domain = "b.example"
        protocol = "same"
        [sip.media]
        tls_required = true
        fingerprint_required = true
        fingerprints_need_secure_sip = true
        accept_sha1 = false
        accept_loopback = true
        blocked_types = ["image/*"]
        max_size = "1 KiB"
        media_timeout = "20s"
    "#;
    let config = Config::from_str(text, directory.path()).unwrap_or_else(|problems| panic!("{problems}"));
    let hop = |text: &str| text.parse::<Hop>().expect("a hop");
    let expected = Sip {
        listen: vec![
            SipListen {
                address: "0.0.0.0:5061".parse().expect("an address"),
                protocol: Protocol::Tls,
                advertise: Some(SipName { host: "sip.example".to_owned(), port: None }),
            },
            SipListen { address: "[::1]:5060".parse().expect("an address"), protocol: Protocol::Udp, advertise: None },
        ],
        outbound_proxy: Some(hop("sips:proxy.example")),
        resolve: false,
        routes: vec![
            Route {
                domain: Domain::Below("example.com".to_owned()),
                to: vec![hop("sip:one.example;transport=tcp")],
                anchor: false,
                protocol: Some(sdp::Protocol::Tls),
            },
            Route {
                domain: Domain::Any,
                to: vec![hop("sip:one.example"), hop("sip:192.0.2.2:5070")],
                anchor: true,
                protocol: Some(sdp::Protocol::Tcp),
            },
            Route { domain: Domain::Exact("b.example".to_owned()), to: Vec::new(), anchor: true, protocol: None },
        ],
        trusted: ["10.0.0.0/8", "2001:db8::5/128"].iter().flat_map(|text| text.parse()).collect(),
        trusted_certificates: vec!["proxy.example".to_owned()],
        untrusted: Untrusted::Digest,
        allow_targets: ["127.0.0.1:5060"].iter().flat_map(|text| text.parse()).collect(),
        deny_targets: ["10.9.0.0/16"].iter().flat_map(|text| text.parse()).collect(),
        session_expires: Duration::from_secs(3600),
        min_session_expires: Duration::from_secs(90),
        setup_timeout: Duration::from_secs(240),
        max_calls: 7,
        max_transactions: 8,
        failed_connects: 9,
        messages_per_second: 9,
        burst: 10,
        connections_per_address: 11,
        forks: Forks::First,
        hash_call_id: false,
        media: Media {
            tls_required: true,
            fingerprint_required: true,
            fingerprints_need_secure_sip: true,
            accept_sha1: false,
            accept_loopback: true,
            blocked_types: sdp::Blocked::new("image/*").into_iter().collect(),
            max_size: Some(1024),
            media_timeout: Duration::from_secs(20),
        },
    };
    assert_eq!(config.sip.as_ref(), Some(&expected));
    let warnings = config.warnings();
    assert_eq!(
        warnings,
        [Warning::NoUsers, Warning::RouteWithoutEffect(0), Warning::RouteWithoutEffect(1), Warning::LoopbackAccepted]
    );
}

#[test]
fn loopback_trusts_itself_unless_told_otherwise() {
    let networks = |list: &[&str]| list.iter().flat_map(|text| text.parse()).collect::<Vec<Network>>();
    assert_eq!(read(LISTENER).trusted, networks(&["127.0.0.0/8", "::1/128"]));
    assert_eq!(read(&format!("trusted = []\n{LISTENER}")).trusted, []);
    assert_eq!(read("[[sip.listen]]\naddress = \"192.0.2.1:5060\"\n").trusted, []);
}

#[rstest]
#[case("trusted = []\n[[sip.listen]]\naddress = \"127.0.0.1:5060\"\n", &[Warning::NobodyMayCall])]
#[case("trusted = []\nuntrusted = \"digest\"\n[[sip.listen]]\naddress = \"127.0.0.1:5060\"\n", &[])]
#[case("trusted = [\"10.0.0.0/8\", \"::/0\"]\n[[sip.listen]]\naddress = \"127.0.0.1:5060\"\n", &[Warning::EverybodyTrusted(1)])]
#[case("[[sip.listen]]\naddress = \"127.0.0.1:5060\"\n[sip.media]\naccept_loopback = true\n", &[])]
fn what_is_seldom_meant_is_a_warning(#[case] text: &str, #[case] expected: &[Warning]) {
    let config = parse(&format!("{HEAD}{text}")).unwrap_or_else(|problems| panic!("{problems}"));
    let others = [Warning::CertificateInMemory, Warning::NoUsers];
    let warnings: Vec<Warning> = config.warnings().into_iter().filter(|it| !others.contains(it)).collect();
    assert_eq!(warnings, expected);
}

#[test]
fn udp_and_tcp_share_a_port_but_two_streams_do_not() {
    let udp_beside = "[[sip.listen]]\naddress = \"127.0.0.1:2855\"\n[[sip.listen]]\naddress = \"127.0.0.1:9855\"\n";
    assert_eq!(read(udp_beside).listen.len(), 2);
    let chosen = "[[sip.listen]]\naddress = \"127.0.0.1:0\"\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\n";
    assert_eq!(read(chosen).listen.len(), 2);
}

#[test]
fn a_secure_listener_outside_loopback_needs_a_certificate() {
    let text = "[[sip.listen]]\naddress = \"192.0.2.1:5061\"\ntransport = \"tls\"\n";
    assert_eq!(
        reported(text),
        [
            "3: tls.certificate: a TLS listener outside loopback needs a certificate; write certificate = \"server.crt\" and key = \"server.key\""
        ]
    );
    let without = "[[listen]]\naddress = \"127.0.0.1:1\"\ntransport = \"tcp\"\n";
    let problems = parse(&format!("{without}{text}")).expect_err("a problem").to_string();
    assert_eq!(
        problems,
        "configuration:6: sip.listen[0].transport: a TLS listener without a [tls] section; write [tls] with certificate and key, or transport = \"tcp\""
    );
}

#[rstest]
// [sip]
#[case(
    "outbound_proxy = \"sip:p.example\"",
    "5: sip.outbound_proxy: no SIP listener; write [[sip.listen]] with address = \"127.0.0.1:5060\""
)]
#[case(
    "[[sip.route]]\ndomain = \"*\"",
    "5: sip.route: no SIP listener; write [[sip.listen]] with address = \"127.0.0.1:5060\""
)]
#[case(
    "outbound_proxy = \"p.example\"\nlisten = [{ address = \"127.0.0.1:5060\" }]",
    "5: sip.outbound_proxy: \"p.example\" is not a next hop: not a SIP URI; write one such as \"sip:proxy.example.com:5060;transport=tcp\""
)]
#[case("resolve = 1", "5: sip.resolve: 1 is not a switch; write true or false")]
#[case(
    "trusted = [\"10.0.0.0/8\",\n\"10.0.0.0/33\"]",
    "6: sip.trusted[1]: \"10.0.0.0/33\" is not a network: not a prefix length of such an address; write a CIDR such as \"10.0.0.0/8\", or an address"
)]
#[case(
    "trusted = [\"proxy\"]",
    "5: sip.trusted[0]: \"proxy\" is not a network: not an IP address; write a CIDR such as \"10.0.0.0/8\", or an address"
)]
#[case(
    "trusted_certificates = [\"a.example\"]",
    "5: sip.trusted_certificates: a certificate cannot be verified without tls.client_ca; write client_ca = \"ca.crt\" under [tls]"
)]
#[case(
    "allow_targets = [\"pbx.example\"]",
    "5: sip.allow_targets[0]: \"pbx.example\" is not a network: not an IP address; write a CIDR such as \"10.0.0.0/8\", or an address"
)]
#[case(
    "untrusted = \"allow\"",
    "5: sip.untrusted: \"allow\" is not a way with strangers; write \"reject\" or \"digest\""
)]
#[case(
    "session_expires = 0",
    "5: sip.session_expires: 0 would stop everything; write at least 1, or remove the key for its default"
)]
#[case(
    "session_expires = \"2min\"",
    "5: sip.session_expires: min_session_expires exceeds session_expires; write values so that min_session_expires is at most session_expires"
)]
#[case(
    "min_session_expires = \"1h\"",
    "5: sip.min_session_expires: min_session_expires exceeds session_expires; write values so that min_session_expires is at most session_expires"
)]
#[case("min_session_expires = 89", "5: sip.min_session_expires: 89s is out of range; write 90s to 365days")]
#[case(
    "min_session_expires = \"100500ms\"",
    "5: sip.min_session_expires: 100.5s is out of range; write 1 s to 31622400 s, without a fraction"
)]
#[case(
    "setup_timeout = 0",
    "5: sip.setup_timeout: 0 would stop everything; write at least 1, or remove the key for its default"
)]
#[case(
    "max_calls = 0",
    "5: sip.max_calls: 0 would stop everything; write at least 1, or remove the key for its default"
)]
#[case(
    "max_transactions = \"many\"",
    "5: sip.max_transactions: \"many\" is not a count; write a whole number from 0 to 4294967295"
)]
#[case(
    "messages_per_second = 101",
    "5: sip.messages_per_second: messages_per_second exceeds burst; write values so that messages_per_second is at most burst"
)]
#[case(
    "burst = 49",
    "5: sip.burst: messages_per_second exceeds burst; write values so that messages_per_second is at most burst"
)]
#[case(
    "connections_per_address = 0",
    "5: sip.connections_per_address: 0 would stop everything; write at least 1, or remove the key for its default"
)]
#[case("forks = \"all\"", "5: sip.forks: \"all\" is not a way with forks; write \"first\" or \"each\"")]
#[case("hash_call_id = \"no\"", "5: sip.hash_call_id: \"no\" is not a switch; write true or false")]
#[case("hash_callid = true", "5: sip.hash_callid: unknown key; write `hash_call_id`")]
// [[sip.listen]]
#[case("[[sip.listen]]\n", "5: sip.listen[0].address: missing; write address = \"127.0.0.1:5060\"")]
#[case(
    "[[sip.listen]]\naddress = \"127.0.0.1:5060\"\ntransport = \"ws\"",
    "7: sip.listen[0].transport: \"ws\" is not a transport; write \"udp\", \"tcp\" or \"tls\""
)]
#[case(
    "[[sip.listen]]\naddress = \"[::]:5060\"",
    "5: sip.listen[0].advertise: a wildcard address tells nobody where to answer; write advertise = \"sip.example.com\""
)]
#[case(
    "[[sip.listen]]\naddress = \"[::]:5060\"\nadvertise = \"a b\"",
    "7: sip.listen[0].advertise: \"a b\" is not a host; write one such as \"sip.example.com\", \"sip.example.com:5070\" or \"[2001:db8::1]:5070\""
)]
#[case(
    "[[sip.listen]]\naddress = \"127.0.0.1:5060\"\n[[sip.listen]]\naddress = \"127.0.0.1:5060\"",
    "8: sip.listen[1].address: 127.0.0.1:5060 stands here twice (first at sip.listen[0].address); write it once"
)]
#[case(
    "[[sip.listen]]\naddress = \"127.0.0.1:2855\"\ntransport = \"tcp\"",
    "6: sip.listen[0].address: 127.0.0.1:2855 stands here twice (first at listen[0].address); write it once"
)]
#[case(
    "[[sip.listen]]\naddress = \"127.0.0.1:9855\"\ntransport = \"tls\"",
    "6: sip.listen[0].address: 127.0.0.1:9855 stands here twice (first at admin.address); write it once"
)]
// [[sip.route]]
#[case(
    "listen = [{ address = \"127.0.0.1:5060\" }]\n[[sip.route]]\nto = \"sip:p.example\"",
    "6: sip.route[0].domain: missing; write domain = \"example.com\", \"*.example.com\" or \"*\""
)]
#[case(
    "listen = [{ address = \"127.0.0.1:5060\" }]\n[[sip.route]]\ndomain = \"*example.com\"",
    "7: sip.route[0].domain: \"*example.com\" is not a domain: a * stands alone or before the first dot; write \"example.com\", \"*.example.com\" or \"*\""
)]
#[case(
    "listen = [{ address = \"127.0.0.1:5060\" }]\n[[sip.route]]\ndomain = \"*.a\"\n[[sip.route]]\ndomain = \"*.A.\"",
    "9: sip.route[1].domain: *.a stands here twice (first at sip.route[0].domain); write it once"
)]
#[case(
    "listen = [{ address = \"127.0.0.1:5060\" }]\n[[sip.route]]\ndomain = \"*\"\nto = []",
    "8: sip.route[0].to: empty; write \"sip:proxy.example.com\", or remove the key"
)]
#[case(
    "listen = [{ address = \"127.0.0.1:5060\" }]\n[[sip.route]]\ndomain = \"*\"\nto = 3",
    "8: sip.route[0].to: 3 is not text; write it in double quotes"
)]
#[case(
    "listen = [{ address = \"127.0.0.1:5060\" }]\n[[sip.route]]\ndomain = \"*\"\nto = [\"sip:a\",\n\"sip:b;transport=ws\"]",
    "9: sip.route[0].to[1]: \"sip:b;transport=ws\" is not a next hop: a transport that is not spoken here; write one such as \"sip:proxy.example.com:5060;transport=tcp\""
)]
#[case(
    "listen = [{ address = \"127.0.0.1:5060\" }]\n[[sip.route]]\ndomain = \"*\"\nto = [\"sip:a\", \"sip:b\", \"sip:c\", \"sip:d\", \"sip:e\", \"sip:f\", \"sip:g\", \"sip:h\", \"sip:i\"]",
    "8: sip.route[0].to[8]: 9 is out of range; write 1 to 8"
)]
#[case(
    "listen = [{ address = \"127.0.0.1:5060\" }]\n[[sip.route]]\ndomain = \"*\"\nanchor = \"yes\"",
    "8: sip.route[0].anchor: \"yes\" is not a switch; write true or false"
)]
#[case(
    "listen = [{ address = \"127.0.0.1:5060\" }]\n[[sip.route]]\ndomain = \"*\"\nprotocol = \"udp\"",
    "8: sip.route[0].protocol: \"udp\" is not a protocol; write \"same\", \"tls\" or \"tcp\""
)]
// [sip.media]
#[case("media = 3", "5: sip.media: this integer is not a section; write it as [section] with one key per line")]
#[case("[sip.media]\ntls_required = \"a\"", "6: sip.media.tls_required: \"a\" is not a switch; write true or false")]
#[case(
    "[sip.media]\nfingerprint_required = 0",
    "6: sip.media.fingerprint_required: 0 is not a switch; write true or false"
)]
#[case(
    "[sip.media]\nfingerprints_need_secure_sip = 0",
    "6: sip.media.fingerprints_need_secure_sip: 0 is not a switch; write true or false"
)]
#[case("[sip.media]\naccept_sha1 = 0", "6: sip.media.accept_sha1: 0 is not a switch; write true or false")]
#[case("[sip.media]\naccept_loopback = 0", "6: sip.media.accept_loopback: 0 is not a switch; write true or false")]
#[case(
    "[sip.media]\nblocked_types = [\"image/png\", \"*/*\"]",
    "6: sip.media.blocked_types[1]: \"*/*\" is not a media type; write one such as \"image/png\" or \"image/*\""
)]
#[case(
    "[sip.media]\nmax_size = 0",
    "6: sip.media.max_size: 0 would stop everything; write at least 1, or remove the key for its default"
)]
#[case(
    "[sip.media]\nmedia_timeout = 0",
    "6: sip.media.media_timeout: 0 would stop everything; write at least 1, or remove the key for its default"
)]
#[case("[sip.media]\nmax_siz = 1", "6: sip.media.max_siz: unknown key; write `max_size`")]
fn each_broken_rule_names_its_line_its_key_and_its_mend(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(reported(text), [expected]);
}

#[test]
fn who_only_anchors_calls_needs_no_users() {
    let plain = "[[listen]]\naddress = \"127.0.0.1:2856\"\ntransport = \"tcp\"\n";
    let warnings = |text: &str| parse(text).unwrap_or_else(|problems| panic!("{problems}")).warnings();
    assert_eq!(warnings(&format!("{plain}[sip]\n{LISTENER}")), []);
    assert_eq!(warnings(&format!("{plain}[sip]\nuntrusted = \"digest\"\n{LISTENER}")), [Warning::NoUsers]);
    assert_eq!(warnings(plain), [Warning::NoUsers]);
}
