//! Secrets do not stay in memory: the relay's own is searched for them, as a core dump would be.
//!
//! Reading a child's memory needs no more rights than debugging it.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use chappe::auth::{Algorithm, Ha1};
use chappe::client::Endpoint;
use support::{Authority, Relay, Wish};

const PASSWORD: &str = "kelp-anchor-41-quite-a-rare-text";
/// In a comment of the file, so that nothing but the file's text has it.
const COMMENT: &str = "bollard-lantern-77-beside-the-password";
const TOKEN: &str = "gannet-thimble-19-of-the-admin";

fn rules(user: &str) -> String {
    let engine = support::engine();
    format!(
        "# {COMMENT}\n[relay]\nhostname = \"localhost\"\nrealm = \"relay.test\"\nshards = 2\npin = false\nengine = \"{engine}\"\n\
         [[listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tls\"\n[[listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n\
         [tls]\ncertificate = \"server.crt\"\nkey = \"server.key\"\n{user}[admin]\naddress = \"127.0.0.1:0\"\n\
         token = \"{TOKEN}\"\n[log]\nlevel = \"debug\"\nformat = \"json\"\n"
    )
}

/// Which of these the process has anywhere in memory that it can write to.
fn remembered<'a>(relay: &Relay, texts: &[(&'a str, &[u8])]) -> Vec<&'a str> {
    let maps = fs::read_to_string(format!("/proc/{}/maps", relay.pid)).expect("the map of its memory");
    let memory = File::open(format!("/proc/{}/mem", relay.pid)).expect("its memory");
    let mut found = Vec::new();
    let mut searched = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (start, end) = line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).expect("an address"));
        let mut octets = vec![0; (end - start) as usize];
        // What is reserved and not there cannot be read.
        let Ok(read) = memory.read_at(&mut octets, start) else { continue };
        searched += read;
        let there = |text: &[u8]| memchr::memmem::find(&octets[..read], text).is_some();
        found.extend(texts.iter().filter(|(_, text)| there(text)).map(|(name, _)| *name));
    }
    assert!(searched > 1 << 20, "only {searched} octets were searched");
    found.sort();
    found.dedup();
    found
}

fn reload(relay: &Relay) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(relay.admin).expect("admin");
    let head =
        format!("POST /reload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn what_was_read_from_files_is_wiped_and_what_is_revoked_is_forgotten() {
    let authority = Authority::new();
    let user = format!("[[auth.user]]\nname = \"ines\"\npassword = \"{PASSWORD}\"\n");
    let relay = Relay::with_text(&authority, &Wish::default(), &rules(&user));
    let endpoint = Endpoint::connect_tls(relay.tls, "localhost", &authority.pem, None).await.expect("a connection");
    endpoint.authenticate(&relay.auth_uri("ines"), "ines", PASSWORD, None).await.expect("a grant");
    let key = fs::read_to_string(relay.path("server.key")).expect("the key");
    // The second line: the first is the same for all keys of a kind. With it, so many octets of the key itself.
    let line = key.lines().nth(2).expect("a line in the middle").to_owned();
    let der = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.decode(&line).expect("base64")
    };
    let ha1 = Ha1::from_password("ines", "relay.test", PASSWORD);
    let ha1 = ha1.hex(Algorithm::Md5).expect("MD5").as_bytes();
    let all = [
        ("password", PASSWORD.as_bytes()),
        ("text of the configuration", COMMENT.as_bytes()),
        ("text of the key", line.as_bytes()),
        ("octets of the key", &der),
        ("H(A1)", ha1),
        ("admin token", TOKEN.as_bytes()),
    ];
    // A search that finds nothing proves nothing: what has to be kept is there.
    assert_eq!(remembered(&relay, &all), ["H(A1)", "admin token", "password"]);
    endpoint.close().await;
    relay_without(&relay);
    assert_eq!(remembered(&relay, &all), ["admin token"]);
}

/// Ines is not in the file any more.
fn relay_without(relay: &Relay) {
    fs::write(relay.path("chappe.toml"), rules("")).expect("a file");
    reload(relay);
}

/// The key of records that follows from a traffic secret of TLS 1.3 with AES-256-GCM and SHA-384 (RFC 8446 sections 7.1 and 7.3).
fn record_key(secret: &[u8]) -> Vec<u8> {
    use hmac::Mac;
    let label = b"tls13 key";
    let info = [&32u16.to_be_bytes()[..], &[label.len() as u8], label, &[0, 1]].concat();
    let mut mac = hmac::Hmac::<sha2::Sha384>::new_from_slice(secret).expect("a key of any length");
    mac.update(&info);
    mac.finalize().into_bytes()[..32].to_vec()
}

/// The traffic secret of the only connection, from the file of SSLKEYLOGFILE.
fn traffic_secret(relay: &Relay, label: &str) -> Vec<u8> {
    let keys = fs::read_to_string(relay.path("keys.log")).expect("secrets of TLS");
    let line = keys.lines().find(|line| line.starts_with(label)).expect("such a secret");
    let digits = line.rsplit(' ').next().expect("digits").as_bytes();
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("digits");
    digits.chunks(2).map(octet).collect()
}

/// rustls moves its secrets about while it makes a connection, and leaves copies where they were. They last until that memory is
/// used again: some connections later nothing is left.
#[tokio::test]
async fn keys_of_records_do_not_outlive_their_connection_for_long() {
    let authority = Authority::new();
    let relay = Relay::start(&authority, &Wish { key_log: true, shards: 1, ..Wish::default() });
    let first = Endpoint::connect_tls(relay.tls, "localhost", &authority.pem, None).await.expect("a connection");
    first.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a grant");
    let [theirs, ours] = ["CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"].map(|l| traffic_secret(&relay, l));
    let (their_key, our_key) = (record_key(&theirs), record_key(&ours));
    let all = [
        ("key of what comes in", &*their_key),
        ("key of what leaves", &our_key),
        ("secret of what comes in", &theirs),
        ("secret of what leaves", &ours),
    ];
    let kept = remembered(&relay, &all);
    assert!(kept.contains(&"key of what comes in") && kept.contains(&"key of what leaves"), "{kept:?}");
    first.close().await;
    let mut others = 0;
    loop {
        relay.metric_becomes("chappe_links", 0.0).await;
        let left = remembered(&relay, &all);
        println!("after {others} more connections: {left:?}");
        if left.is_empty() {
            break;
        }
        assert!(others < 200, "{left:?}");
        for _ in 0..10 {
            let next = Endpoint::connect_tls(relay.tls, "localhost", &authority.pem, None).await.expect("a connection");
            next.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a grant");
            next.close().await;
            others += 1;
        }
    }
}
