//! `config/standalone.toml`: Chappe alone between two domains, with other addresses.

use super::scene::{carries, empty, join, joined, listener, shipped};
use super::sip::Transport::{Tcp, Udp};
use super::sip::ports::Port;
use super::sip::ua::{Agent, Draft, msrp_sdp};
use super::support::{Authority, Relay, Wish};

/// A user of each domain, who is her proxy too, and one of the department that has a relay of its own.
struct Domains {
    relay: Relay,
    /// Where Chappe takes SIP; by datagrams and connections.
    sip: Port,
    north: Agent,
    south: Agent,
    lab: Agent,
}

impl Domains {
    async fn new() -> Domains {
        let (sip, silent) = (Port::claim(), Port::claim());
        let agent = |name| Agent::new(name, Tcp);
        let (north, south, lab) = (agent("nora").await, agent("sam").await, agent("lea").await);
        let uri = |agent: &Agent| format!("sip:{};transport=tcp", agent.address());
        let (here, here_north, here_south) = (sip.address().to_string(), uri(&north), uri(&south));
        // The first proxy of the north is not there.
        let nobody = format!("sip:{};transport=tcp", silent.address());
        let text = shipped(
            "standalone.toml",
            &[
                ("0.0.0.0:2855", "127.0.0.1:0"),
                ("127.0.0.1:9855", "127.0.0.1:0"),
                ("0.0.0.0:5060", &here),
                ("advertise = \"relay.example.net\"", "advertise = \"127.0.0.1\""),
                ("10.1.0.0/16", "127.0.0.0/8"),
                ("\"192.0.2.11\", \"198.51.100.11\"", "\"127.0.0.1\""),
                ("sip:192.0.2.11:5060;transport=tcp", &nobody),
                ("sip:192.0.2.12:5060;transport=tcp", &here_north),
                ("sip:198.51.100.11:5060;transport=tcp", &here_south),
                ("sip:198.51.100.31:5060;transport=tcp", &uri(&lab)),
                ("[sip.media]\n", "[sip.media]\naccept_loopback = true\n"),
            ],
        );
        let mut relay = Relay::with_text(&Authority::new(), &Wish::default(), &text);
        assert_eq!([relay.sip("UDP"), relay.sip("TCP")], [sip.address(); 2]);
        let (north, south) = (north.through(sip.address()), south.through(sip.address()));
        Domains { relay, sip, north, south, lab }
    }
}

/// Sets up a call from one user to the other, with MSRP through the anchor, and ends it.
async fn chat(relay: &Relay, caller: &mut Agent, callee: &mut Agent, to: &str) {
    let (own, desk) = (listener().await, listener().await);
    let invite = caller.invite(to, &msrp_sdp(own.uri(), "active")).await;
    let got = callee.expect("INVITE").await;
    assert_eq!(got.uri(), to);
    callee.reply(&got, 180).await;
    caller.response(&invite, 180).await;
    callee.answer(&got, &msrp_sdp(desk.uri(), "passive")).await;
    let ok = caller.response(&invite, 200).await;
    caller.ack(&ok).await;
    callee.expect("ACK").await;
    for path in [ok.path(), got.path()] {
        assert!(path.starts_with(&format!("msrp://relay.example.net:{}/", relay.tcp.port())), "{path}");
    }
    let here = join(relay, &ok.path(), own.uri()).await;
    let there = joined(&desk).await;
    carries((&here, &ok.path()), (&there, &got.path())).await;
    let bye = callee.within(&got, "BYE", Draft::new()).await;
    callee.response(&bye, 200).await;
    let heard = caller.expect("BYE").await;
    caller.reply(&heard, 200).await;
    empty(relay).await;
}

#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn calls_between_two_domains() {
    let mut domains = Domains::new().await;
    let Domains { relay, north, south, .. } = &mut domains;
    chat(relay, north, south, "sip:sam@south.example").await;
    // By the second proxy, since the first does not answer; and then at once, since that is remembered.
    chat(relay, south, north, "sip:nora@north.example").await;
    chat(relay, south, north, "sip:nora@north.example").await;
    north.quiet();
    south.quiet();
}

#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_department_with_a_relay_of_its_own() {
    let mut domains = Domains::new().await;
    let (own, desk) = (listener().await, listener().await);
    let Domains { relay, north, lab, .. } = &mut domains;
    let invite = north.invite("sip:lea@lab.south.example", &msrp_sdp(own.uri(), "active")).await;
    let got = lab.expect("INVITE").await;
    assert_eq!(got.path(), own.uri(), "her own path passes by");
    lab.answer(&got, &msrp_sdp(desk.uri(), "passive")).await;
    let ok = north.response(&invite, 200).await;
    assert_eq!(ok.path(), desk.uri());
    north.ack(&ok).await;
    lab.expect("ACK").await;
    assert!(relay.metric("chappe_anchors") == 0.0);
    let bye = north.within(&ok, "BYE", Draft::new()).await;
    north.response(&bye, 200).await;
    let heard = lab.expect("BYE").await;
    lab.reply(&heard, 200).await;
    empty(relay).await;
}

#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn strangers_and_other_domains() {
    let mut domains = Domains::new().await;
    let own = listener().await;
    let offer = msrp_sdp(own.uri(), "active");
    let refused = domains.north.invite("sip:eve@third.example", &offer).await;
    let answer = domains.north.response(&refused, 404).await;
    domains.north.ack(&answer).await;
    let stranger = Agent::at("eve", Udp, ([127, 0, 0, 2], 0).into()).await;
    let mut stranger = stranger.through(domains.sip.address());
    let refused = stranger.invite("sip:sam@south.example", &offer).await;
    let answer = stranger.response(&refused, 403).await;
    stranger.ack(&answer).await;
    empty(&domains.relay).await;
    domains.south.quiet();
}
