//! A relay between networks: several listeners of one protocol, IPv6, and both families in one call.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod sip;
mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use chappe::client::{Endpoint, EndpointOptions, Listener, SendOptions};
use rstest::rstest;
use sip::Transport::{self, Tcp, Udp};
use sip::ua::{Agent, Draft, Message, msrp_sdp, place_of, uri_of};
use support::{Authority, PATIENCE, Relay, Wish, next_message};
use tokio::time::timeout;

const FOUR: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 9, 0, 1));
const SIX: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// An address with a port of the system's choice, as the configuration has it.
fn at(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, 0)
}

/// A port of IPv6 that is free just now.
fn port() -> u16 {
    std::net::TcpListener::bind(at(SIX)).and_then(|listener| listener.local_addr()).expect("IPv6").port()
}

/// Alice in one network, Bob in another, and a relay that listens in both, and elsewhere before that.
struct Scene {
    relay: Relay,
    alice: Agent,
    bob: Agent,
    desk: Listener,
    /// Where Alice and Bob find the relay.
    ours: [SocketAddr; 2],
}

impl Scene {
    /// By addresses, or all of it by one name, which would be good for both families: the ports tell them apart.
    async fn new(transport: Transport, a: IpAddr, b: IpAddr, named: bool) -> Scene {
        let bob = Agent::at("bob", transport, at(b)).await;
        let param = if transport == Tcp { ";transport=tcp" } else { "" };
        let mut extra = format!("[sip]\noutbound_proxy = \"sip:{}{param};lr\"\n", bob.address());
        let mut networks = vec![IpAddr::V4(Ipv4Addr::new(127, 8, 0, 1)), a];
        networks.extend((a != b).then_some(b));
        for ip in &networks {
            let (address, name) = (at(*ip), transport.name().to_lowercase());
            extra += &format!("[[sip.listen]]\naddress = \"{address}\"\ntransport = \"{name}\"\n");
        }
        extra += "[sip.media]\naccept_loopback = true\n";
        if networks.contains(&SIX) {
            let address = SocketAddr::new(SIX, port());
            let advertise = if named { String::new() } else { format!("advertise = \"{address}\"\n") };
            extra += &format!("[[listen]]\naddress = \"{address}\"\n{advertise}transport = \"tcp\"\n");
        }
        let wish = Wish { name: if named { "localhost" } else { "127.0.0.1" }, extra: &extra, ..Wish::default() };
        let mut relay = Relay::start(&Authority::new(), &wish);
        let ours = [a, b].map(|ip| {
            let start = at(ip).to_string();
            relay.sip_at(transport.name(), start.trim_end_matches('0'))
        });
        let alice = Agent::at("alice", transport, at(a)).await.through(ours[0]);
        let desk = Listener::bind_tcp(at(if b.is_ipv6() { SIX } else { FOUR })).await.expect("a listener");
        Scene { relay, alice, bob, desk, ours }
    }

    /// What our request says of us is where it came from, and the listener of that network.
    fn is_ours(&self, request: &Message, network: usize) {
        let ours = self.ours[network];
        assert_eq!(request.peer.ip(), ours.ip(), "{request}");
        if request.need("Via").starts_with("SIP/2.0/UDP") {
            assert_eq!(request.peer, ours, "{request}");
        }
        assert!(request.need("Via").contains(&format!(" {ours};")), "{ours} in {request}");
        if let Some(contact) = request.header("Contact") {
            assert_eq!(place_of(uri_of(contact)), ours, "{request}");
        }
    }
}

async fn says(from: &Endpoint, to: &str, words: &str) {
    let sending = from.send_message(to, Some("text/plain"), words.to_owned(), SendOptions::default()).await;
    timeout(PATIENCE, sending.expect("sent").outcome()).await.expect("in time").expect("delivered");
}

async fn hears(at: &Endpoint) -> Vec<u8> {
    loop {
        let body = next_message(at).await.body.expect("a whole body");
        if !body.is_empty() {
            return body.to_vec();
        }
    }
}

/// SDP-98: a chat across families, or from one network of ours to another; Bob hangs up.
#[rstest]
#[case::six(SIX, SIX, false)]
#[case::six_and_four(SIX, FOUR, false)]
#[case::four_and_six(FOUR, SIX, false)]
#[case::six_and_four_of_one_name(SIX, FOUR, true)]
#[case::four_and_six_of_one_name(FOUR, SIX, true)]
#[case::two_networks(FOUR, OTHER, false)]
#[case::one_network(OTHER, OTHER, false)]
#[tokio::test]
async fn each_side_is_spoken_to_in_its_network(
    #[values(Udp, Tcp)] transport: Transport,
    #[case] a: IpAddr,
    #[case] b: IpAddr,
    #[case] named: bool,
) {
    let mut scene = Scene::new(transport, a, b, named).await;
    let host = |ip: IpAddr| if ip.is_ipv6() { "[::1]" } else { "127.0.0.1" };
    let own = format!("msrp://{}:9/alice7tB2mXv9;tcp", host(a));
    let invite = scene.alice.invite("sip:bob@east.example", &msrp_sdp(&own, "active")).await;
    let got = scene.bob.expect("INVITE").await;
    scene.is_ours(&got, 1);
    scene.bob.answer(&got, &msrp_sdp(scene.desk.uri(), "passive")).await;
    let ok = scene.alice.response(&invite, 200).await;
    assert_eq!(place_of(&ok.contact()), scene.ours[0]);
    scene.alice.ack(&ok).await;
    let ack = scene.bob.expect("ACK").await;
    scene.is_ours(&ack, 1);
    for (message, side) in [(&got, b), (&ok, a)] {
        let family = if side.is_ipv6() { "c=IN IP6 " } else { "c=IN IP4 " };
        assert!(message.sdp().contains(family), "{message}");
    }
    // Who resolves our name in the family of its network finds us there.
    let place = |uri: &str, ip: IpAddr| -> SocketAddr {
        let place = uri.split("://").nth(1).and_then(|rest| rest.split('/').next()).expect("a place");
        place.replace("localhost", host(ip)).parse().expect("an address")
    };
    assert_eq!(ok.path().contains("localhost"), named);
    let (told_a, told_b) = (place(&ok.path(), a), place(&got.path(), b));
    assert_eq!(told_a.port() == told_b.port(), a.is_ipv6() == b.is_ipv6(), "{told_a} {told_b}");
    let bob = timeout(PATIENCE, scene.desk.accept(EndpointOptions::default())).await.expect("in time").expect("bob");
    let options = EndpointOptions { uri: Some(own), ..EndpointOptions::default() };
    let alice = Endpoint::connect_tcp_with(told_a, options).await.expect("the place that was named");
    says(&alice, &ok.path(), "there").await;
    assert_eq!(hears(&bob).await, b"there");
    says(&bob, &got.path(), "back").await;
    assert_eq!(hears(&alice).await, b"back");
    let bye = scene.bob.within(&got, "BYE", Draft::new()).await;
    scene.bob.response(&bye, 200).await;
    let bye = scene.alice.expect("BYE").await;
    if transport == Udp {
        scene.is_ours(&bye, 0);
    }
    scene.alice.reply(&bye, 200).await;
    for gauge in ["chappe_sip_calls", "chappe_anchors"] {
        scene.relay.metric_becomes(gauge, 0.0).await;
    }
    scene.alice.quiet();
    scene.bob.quiet();
}

/// A caller whom the operator trusts names a target: only where SIP may be, whatever is in the Request-URI or the Route.
#[tokio::test]
async fn nobody_is_led_to_where_no_server_of_sip_is() {
    let mut bob = Agent::at("bob", Udp, at(FOUR)).await;
    let extra = "[sip]\ndeny_targets = [\"127.9.0.0/16\"]\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\n";
    let mut relay = Relay::start(&Authority::new(), &Wish { extra, ..Wish::default() });
    let mut alice = Agent::udp("alice").await.through(relay.sip("UDP"));
    let offer = msrp_sdp("msrp://192.0.2.1:7100/alice7tB2mXv9;tcp", "active");
    for (uri, route) in [
        ("sip:bob@127.9.0.1:5060", None),
        ("sip:bob@127.0.0.1:22;transport=tcp", None),
        ("sip:bob@169.254.169.254:5060", None),
        ("sip:bob@224.0.1.75:5060", None),
        ("sip:bob@east.example", Some("<sip:127.0.0.1:111;lr>")),
    ] {
        let draft = Draft::sdp(&offer);
        let draft = if let Some(route) = route { draft.header("Route", route) } else { draft };
        let invite = alice.request("INVITE", uri, draft).await;
        let refused = alice.response(&invite, 403).await;
        alice.ack(&refused).await;
    }
    let reached = alice.invite(&bob.uri(), &offer).await;
    let got = bob.expect("INVITE").await;
    bob.reply(&got, 486).await;
    let refused = alice.response(&reached, 486).await;
    alice.ack(&refused).await;
}
