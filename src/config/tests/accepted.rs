use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

const EXAMPLE: &str = r##"[relay]
hostname = "localhost"            # host of the URIs handed out; must be in the certificate
realm    = "relay.test"
shards   = 2                      # default: one per core

[[listen]]
address   = "127.0.0.1:2856"
transport = "tls"

[[listen]]
address   = "127.0.0.1:2855"
transport = "tcp"
auth      = true                  # lab switch: AUTH without TLS; off by default

[tls]
certificate = "server.crt"
key         = "server.key"
client_ca   = "ca.crt"            # verifies peer relays

[[peer_relay]]
name = "peer.example"             # a dNSName in its certificate
# max_chunk = 65536, multiplex = false …

[[listen]]
address   = "127.0.0.1:2857"
transport = "tcp"                 # far sides only: AUTH gets 403

[auth]
algorithms = ["MD5"]              # or ["SHA-256", "MD5"]

[[auth.user]]
name     = "alice"
password = "secret"

[[auth.user]]
name     = "bob"
ha1      = "99477e34459fa0b8573440794b798a90"   # an HA1 instead of a password

[[auth.user]]
name     = "carol"
password = "secret"
relay    = false                  # right password, may not use the relay: 403

[limits]
tokens_per_user = 1000
dials_per_user_per_minute = 5000
connections_per_address = 500
new_connections_per_address_per_minute = 1000
auths_per_address_per_minute = 5000

[policy]
allow_next_hops = ["127.0.0.0/8", "::1/128"]

[admin]
address = "127.0.0.1:9855"
"##;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn a_laboratory_file_is_accepted_and_the_rest_has_its_defaults() {
    let directory = TempDir::new().expect("a directory");
    for file in ["server.crt", "server.key", "ca.crt"] {
        fs::write(directory.path().join(file), "").expect("a file");
    }
    let file = directory.path().join("chappe.toml");
    fs::write(&file, EXAMPLE).expect("a file");
    let config = Config::load(&file).unwrap_or_else(|problems| panic!("{problems}"));

    let listen = |text, transport, auth| Listen { address: address(text), transport, auth, advertise: None };
    let user = |name: &str, credential, relay| User { name: name.to_owned(), credential, relay };
    let password = || Credential::Password(Secret::from("secret"));
    let ha1 = Credential::Ha1 { md5: Some(Secret::from("99477e34459fa0b8573440794b798a90")), sha256: None };
    let expected = Config {
        relay: Relay { realm: "relay.test".to_owned(), shards: Some(2), ..Relay::default() },
        listen: vec![
            listen("127.0.0.1:2856", Transport::Tls, true),
            listen("127.0.0.1:2855", Transport::Tcp, true),
            listen("127.0.0.1:2857", Transport::Tcp, false),
        ],
        tls: Some(Tls {
            certificate: CertSource::Files {
                certificate: directory.path().join("server.crt"),
                key: directory.path().join("server.key"),
            },
            client_ca: Some(directory.path().join("ca.crt")),
            ..Tls::default()
        }),
        peer_relay: vec![PeerRelay { name: "peer.example".to_owned(), max_chunk: None, multiplex: true, bulk: true }],
        auth: Auth {
            users: vec![user("alice", password(), true), user("bob", ha1, true), user("carol", password(), false)],
            ..Auth::default()
        },
        limits: Limits {
            tokens_per_user: 1000,
            dials_per_user_per_minute: 5000,
            connections_per_address: 500,
            new_connections_per_address_per_minute: 1000,
            auths_per_address_per_minute: 5000,
            ..Limits::default()
        },
        policy: EgressPolicy {
            allow: ["127.0.0.0/8", "::1/128"].into_iter().flat_map(|r| r.parse::<Rule>()).collect(),
            ..EgressPolicy::default()
        },
        sip: None,
        admin: Some(Admin::default()),
        log: Log::default(),
        records: None,
    };
    assert_eq!(config, expected);
    assert_eq!(config.warnings(), [Warning::AuthWithoutTls(1)]);
}

#[test]
fn development_is_the_least_file_with_a_user_and_loopback_next_hops() {
    let mut least = valid(
        "[[auth.user]]\nname = \"demo\"\npassword = \"p\"\n[policy]\nallow_next_hops = [\"127.0.0.0/8\", \"::1/128\"]\n\
         [[sip.listen]]\naddress = \"127.0.0.1:5060\"\n[[sip.listen]]\naddress = \"127.0.0.1:5060\"\n\
         transport = \"tcp\"\n[sip.media]\naccept_loopback = true\n",
    );
    assert_eq!(Config::development(Secret::from("p")), least);
    assert_eq!(least.warnings(), [Warning::CertificateInMemory]);
    least.auth.users.clear();
    assert_eq!(least.warnings(), [Warning::CertificateInMemory, Warning::NoUsers]);
}

#[test]
fn durations_and_octets_have_units_or_are_plain_numbers() {
    let limits = valid(
        "[limits]\nhold = \"250us\"\nqueue_stall = 90\nlink_buffer = \"1.5MiB\"\nsession_buffer = 0x1_0000\nuri = \"2k\"\n",
    )
    .limits;
    assert_eq!(limits.hold, Duration::from_micros(250));
    assert_eq!(limits.queue_stall, Duration::from_secs(90));
    assert_eq!(limits.link_buffer, 1_572_864);
    assert_eq!(limits.session_buffer, 65_536);
    assert_eq!(limits.uri, 2000);
}

#[test]
fn sha_256_is_offered_before_md5_however_it_is_written() {
    assert_eq!(
        valid("[auth]\nalgorithms = [\"MD5\", \"SHA-256\"]\n").auth.algorithms,
        [Algorithm::Sha256, Algorithm::Md5]
    );
}

#[test]
fn an_ha1_is_kept_in_lower_case_and_one_of_two_is_worth_a_warning() {
    let ha1 = "99477E34459FA0B8573440794B798A90";
    let config = valid(&format!(
        "[auth]\nalgorithms = [\"MD5\", \"SHA-256\"]\n[[auth.user]]\nname = \"bob\"\nha1 = \"{ha1}\"\n"
    ));
    let md5 = Some(Secret::from(ha1.to_ascii_lowercase()));
    assert_eq!(config.auth.users[0].credential, Credential::Ha1 { md5, sha256: None });
    assert!(config.warnings().contains(&Warning::HalfHa1("bob".to_owned())));
}

#[test]
fn the_realm_is_the_hostname_unless_written() {
    let relay = valid("[relay]\nhostname = \"Relay.Example\"\n").relay;
    assert_eq!((relay.hostname.as_str(), relay.realm.as_str()), ("relay.example", "relay.example"));
}

#[test]
fn an_address_as_hostname_is_worth_a_warning() {
    let config = valid("[relay]\nhostname = \"[2001:db8::1]\"\n");
    assert_eq!(config.relay.hostname, "2001:db8::1");
    assert!(config.warnings().contains(&Warning::HostnameIsAddress));
}

#[test]
fn admin_can_be_switched_off_and_records_go_where_they_are_told() {
    let config = valid("[admin]\nenabled = false\naddress = \"0.0.0.0:9855\"\n[records]\npath = \"-\"\n");
    assert_eq!(config.admin, None);
    assert_eq!(config.records, Some(Records::StandardOutput));
}

#[test]
fn ports_are_numbers_or_ranges() {
    assert_eq!(valid("[policy]\nallow_ports = [443, \"2855-2860\"]\n").policy.allow_ports, [443..=443, 2855..=2860]);
}

#[test]
fn two_listeners_may_let_the_system_choose_their_ports() {
    let config = parse(
        "[[listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n[[listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n",
    );
    assert_eq!(config.map(|config| config.listen.len()), Ok(2));
}

#[test]
fn secrets_are_redacted_in_debug_output() {
    let config = valid("[[auth.user]]\nname = \"a\"\npassword = \"hunter2\"\n[admin]\ntoken = \"hunter2\"\n");
    assert!(!format!("{config:?}").contains("hunter2"));
}
