//! Chappe between SIPp and SIPp, and MSRP through its anchor.

#![allow(unreachable_pub, reason = "a module of a test binary")]

use std::net::SocketAddr;
use std::time::Duration;

use chappe::client::{Endpoint, EndpointOptions, Listener, SendOptions};
use tokio::time::timeout;

use super::sip::Transport::{self, Tcp, Udp};
use super::sip::sipp::{Script, Sipp};
use super::support::{Authority, PATIENCE, Relay, Wish, next_message};

/// What each side speaks with Chappe.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Ways {
    Udp,
    Tcp,
    /// The caller sends datagrams, the callee has connections.
    Mixed,
}

impl Ways {
    pub fn caller(self) -> Transport {
        if self == Ways::Tcp { Tcp } else { Udp }
    }

    pub fn callee(self) -> Transport {
        if self == Ways::Udp { Udp } else { Tcp }
    }
}

/// Chappe, which sends each call where its Request-URI says, and where the MSRP sessions of both sides are.
pub struct Scene {
    pub relay: Relay,
    udp: SocketAddr,
    tcp: SocketAddr,
    /// Alice's session, and the one that she changes to.
    pub alice: [Listener; 2],
    /// The same of Bob.
    pub bob: [Listener; 2],
}

impl Scene {
    pub async fn new() -> Scene {
        Scene::with("", "").await
    }

    /// With these lines in `[sip]` and in `[sip.media]`.
    pub async fn with(sip: &str, media: &str) -> Scene {
        let extra = plane(sip, media);
        let mut relay = Relay::start(&Authority::new(), &Wish { extra: &extra, ..Wish::default() });
        let (udp, tcp) = (relay.sip("UDP"), relay.sip("TCP"));
        let alice = [listener().await, listener().await];
        Scene { relay, udp, tcp, alice, bob: [listener().await, listener().await] }
    }

    /// Where it takes SIP.
    pub fn address(&self, transport: Transport) -> SocketAddr {
        if transport == Udp { self.udp } else { self.tcp }
    }

    /// A callee with Bob's sessions.
    pub fn callee(&self, scenario: &str, ways: Ways) -> Script {
        Script::callee(scenario, ways.callee()).session(self.bob[0].uri()).second_session(self.bob[1].uri())
    }

    /// A caller with Alice's sessions, who wants to reach this callee.
    pub fn caller(&self, scenario: &str, ways: Ways, callee: &Sipp) -> Script {
        let target = format!("{};transport={}", callee.address(), ways.callee().param());
        Script::caller(scenario, ways.caller(), self.address(ways.caller()))
            .target(&target)
            .session(self.alice[0].uri())
            .second_session(self.alice[1].uri())
    }

    /// Runs both sides of a call to their ends; then nothing of it may be left.
    pub async fn pair(&self, ways: Ways, caller: &str, callee: &str) -> (Sipp, Sipp) {
        self.call(ways, caller, callee, |script| script, |script| script).await
    }

    /// The same, with something to be put into the scripts of the caller and the callee.
    pub async fn call(
        &self,
        ways: Ways,
        caller: &str,
        callee: &str,
        near: impl FnOnce(Script) -> Script,
        far: impl FnOnce(Script) -> Script,
    ) -> (Sipp, Sipp) {
        let mut callee = far(self.callee(callee, ways)).start().await;
        let mut caller = near(self.caller(caller, ways, &callee)).start().await;
        caller.end().await;
        callee.end().await;
        self.kept_apart(&caller, &callee);
        self.empty().await;
        (caller, callee)
    }

    /// No side has heard of the other's sessions (SDP-99).
    pub fn kept_apart(&self, caller: &Sipp, callee: &Sipp) {
        for (side, others) in [(caller, &self.bob), (callee, &self.alice)] {
            let messages = side.messages();
            assert!(!others.iter().any(|other| messages.contains(other.uri())), "{messages}");
        }
    }

    /// Whether an MSRP URI leads to the relay.
    pub fn is_ours(&self, uri: &str) -> bool {
        uri.starts_with(&format!("msrp://localhost:{}/", self.relay.tcp.port()))
    }

    /// Waits until nothing of any call is left.
    pub async fn empty(&self) {
        empty(&self.relay).await;
    }
}

/// Waits until nothing of any call is left but transactions that absorb repetitions.
pub async fn empty(relay: &Relay) {
    for gauge in ["calls", "dialogs", "anchors", "timers"] {
        relay.metric_becomes(&format!("chappe_sip_{gauge}"), 0.0).await;
    }
    for gauge in ["chappe_anchors", "chappe_sessions"] {
        relay.metric_becomes(gauge, 0.0).await;
    }
}

/// The control plane on loopback, by datagrams and connections.
pub fn plane(sip: &str, media: &str) -> String {
    format!(
        "[sip]\nmin_session_expires = \"90s\"\n{sip}\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"udp\"\n\
         [[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n[sip.media]\naccept_loopback = true\n{media}"
    )
}

/// Where an MSRP session may be connected to.
pub async fn listener() -> Listener {
    Listener::bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("an MSRP listener")
}

/// How the parts of the tests take messages: whole, up to the size of their file.
pub fn whole() -> EndpointOptions {
    EndpointOptions { collect: 16 << 20, ..EndpointOptions::default() }
}

/// Connects to the relay, which has told this URI, as the session with that one.
pub async fn join(relay: &Relay, told: &str, own: &str) -> Endpoint {
    assert!(told.starts_with("msrp://"), "{told}");
    let options = EndpointOptions { uri: Some(own.to_owned()), ..whole() };
    Endpoint::connect_tcp_with(relay.tcp, options).await.expect("a connection")
}

/// Waits for the relay to connect.
pub async fn joined(desk: &Listener) -> Endpoint {
    timeout(PATIENCE, desk.accept(whole())).await.expect("in time").expect("a connection")
}

/// One side of a session: its endpoint, and the URI that the relay has told it.
pub type End<'a> = (&'a Endpoint, &'a str);

/// Messages and a file of 8 MiB in both directions, all at once.
pub async fn carries(alice: End<'_>, bob: End<'_>) {
    carries_files(alice, bob, 8 << 20).await;
}

/// The same with a file of this many octets.
pub async fn carries_files(alice: End<'_>, bob: End<'_>, octets: u32) {
    // Which of them connected last may still be unknown to the other's shard.
    let (there, back) = (says(alice, bob, "Alice", octets), says(bob, alice, "Bob", octets));
    tokio::join!(there, back);
}

async fn says(from: End<'_>, to: End<'_>, who: &str, octets: u32) {
    for n in 0..5 {
        let text = format!("{n} of {who}");
        let options = SendOptions { success_report: true, ..SendOptions::default() };
        let sending = from.0.send_message(from.1, Some("text/plain"), text.clone(), options).await.expect("sent");
        assert_eq!(heard(to.0).await, text.as_bytes());
        assert!(timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("delivered").reported());
    }
    let file = file(octets);
    let kind = Some("application/octet-stream");
    let sending = from.0.send_message(from.1, kind, file.clone(), SendOptions::default()).await.expect("sent");
    assert!(heard(to.0).await == file, "the file of {who}");
    timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("delivered");
}

/// The body of the next message that has one: that by which the relay makes itself known has none.
pub async fn heard(endpoint: &Endpoint) -> Vec<u8> {
    loop {
        let body = next_message(endpoint).await.body.expect("a whole body");
        if !body.is_empty() {
            return body.to_vec();
        }
    }
}

fn file(octets: u32) -> Vec<u8> {
    (0..octets).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A little while: for what must not happen, or must have happened before.
pub const MOMENT: Duration = Duration::from_millis(300);

/// A file of `config/` with other addresses and ports; each of them must be there.
pub fn shipped(file: &str, changes: &[(&str, &str)]) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(file);
    let mut text = std::fs::read_to_string(path).expect("a configuration");
    // So that the test can read where it listens.
    for (from, to) in changes.iter().chain(&[("\nlevel = \"info\"\n", "\nlevel = \"info\"\nformat = \"json\"\n")]) {
        if !(from.contains("level") && text.contains("\nformat = \"json\"")) {
            assert!(text.contains(from), "{file} has no {from:?}");
            text = text.replace(from, to);
        }
    }
    text
}
