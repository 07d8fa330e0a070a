//! SIPp, Kamailio and baresip among themselves: what the tests of the control plane rest upon is shown to work without it.
//! Debian's packages: `tests/sip/install.sh`.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod sip;

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use chappe::client::{Endpoint, EndpointOptions, Event, Listener, SendOptions};
use rstest::rstest;
use sip::Transport::{self, Tcp, Udp};
use sip::baresip::Baresip;
use sip::kamailio::{Kamailio, Wish};
use sip::sipp::{Script, Sipp};
use sip::storm::Storm;
use sip::ua::{Agent, Draft, msrp_sdp, sdp_version};
use sip::{PATIENCE, kamailio};
use tokio::time::timeout;

/// How two peers reach each other.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Direct,
    Kamailio,
}

/// What is between the peers: nothing, or a proxy where the callee has registered.
struct Between {
    transport: Transport,
    kamailio: Option<Kamailio>,
    calls: Cell<u32>,
}

impl Between {
    async fn new(way: Way, transport: Transport) -> Between {
        let kamailio = match way {
            Way::Direct => None,
            Way::Kamailio => Some(Kamailio::start(&Wish { without_chappe: true, ..Wish::default() }).await),
        };
        Between { transport, kamailio, calls: Cell::new(0) }
    }

    /// Runs both sides of a call to their ends. The callee is first registered, where there is a registrar.
    async fn call(&self, callee: Script, caller: impl FnOnce(SocketAddr) -> Script) -> (Sipp, Sipp) {
        // Each call has a callee of its own: registrations outlive their devices.
        self.calls.set(self.calls.get() + 1);
        let user = format!("bob{}", self.calls.get());
        let mut callee = callee.start().await;
        let next = match &self.kamailio {
            Some(kamailio) => {
                register(kamailio, &user, &callee.uri(&user), self.transport, None).await;
                kamailio.address()
            }
            None => callee.address(),
        };
        let mut caller = caller(next).user(&user).start().await;
        caller.end().await;
        callee.end().await;
        (caller, callee)
    }

    fn callee(&self, scenario: &str) -> Script {
        Script::callee(scenario, self.transport)
    }

    /// A pair of scenarios with nothing to be put in.
    async fn pair(&self, caller: &str, callee: &str) -> (Sipp, Sipp) {
        self.call(self.callee(callee), |next| Script::caller(caller, self.transport, next)).await
    }
}

async fn register(kamailio: &Kamailio, user: &str, contact: &str, transport: Transport, password: Option<&str>) {
    let script = Script::caller("uac_register", transport, kamailio.address()).user(user).key("contact", contact);
    let script = match password {
        Some(password) => script.options(&["-au", user, "-ap", password]),
        None => script,
    };
    script.start().await.end().await;
}

const A: &str = "msrp://127.0.0.1:7001/alice1;tcp";
const A2: &str = "msrp://127.0.0.1:7003/alice2;tcp";
const B: &str = "msrp://127.0.0.1:7002/bob1;tcp";
const B2: &str = "msrp://127.0.0.1:7004/bob2;tcp";

async fn listener() -> Listener {
    Listener::bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("an MSRP listener")
}

/// A message from here to the endpoint that a peer has named.
async fn carries(path: &str, far: &Listener) {
    let address = path.split('/').nth(2).and_then(|place| place.parse().ok()).expect("an address");
    let here = Endpoint::connect_tcp(address).await.expect("a connection");
    let text = Some("text/plain");
    let (sending, there) = tokio::join!(
        here.send_message(path, text, "through the call", SendOptions::default()),
        timeout(PATIENCE, far.accept(EndpointOptions::default()))
    );
    let there = there.expect("in time").expect("a connection");
    loop {
        match timeout(PATIENCE, there.event()).await.expect("in time").expect("an event") {
            Event::Message(message) => {
                assert_eq!(message.body.as_deref(), Some(&b"through the call"[..]));
                break;
            }
            _ => continue,
        }
    }
    timeout(PATIENCE, sending.expect("sent").outcome()).await.expect("in time").expect("answered");
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_call_by_which_msrp_endpoints_find_each_other(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
    #[values("basic", "late")] kind: &str,
) {
    let between = Between::new(way, transport).await;
    let (at_a, at_b) = (listener().await, listener().await);
    let callee = between.callee(&format!("uas_{kind}")).session(at_b.uri());
    let (mut caller, mut callee) = between
        .call(callee, |next| {
            Script::caller(&format!("uac_{kind}"), transport, next).session(at_a.uri()).hold(Duration::from_millis(50))
        })
        .await;
    // A late offer is the callee's.
    let (told_b, told_a) = if kind == "basic" { ("offer.path", "answer.path") } else { ("answer.path", "offer.path") };
    assert_eq!(callee.logged(told_b).await, at_a.uri());
    assert_eq!(caller.logged(told_a).await, at_b.uri());
    carries(&caller.logged(told_a).await, &at_b).await;
    carries(&callee.logged(told_b).await, &at_a).await;
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn the_callee_ends_the_call(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    between.pair("uac_byed", "uas_bye").await;
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn the_caller_gives_up(#[values(Way::Direct, Way::Kamailio)] way: Way, #[values(Udp, Tcp)] transport: Transport) {
    let between = Between::new(way, transport).await;
    let (caller, callee) = between.pair("uac_cancel", "uas_cancel").await;
    assert_eq!(caller.all_logged("final"), ["487"]);
    assert_eq!(callee.all_logged("cancelled"), [""]);
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn calls_that_are_refused(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    for (callee, status, header) in [
        ("uas_busy", "486", "Retry-After: 7"),
        ("uas_redirect", "302", "Contact: <sip:carol@127.0.0.1:9>"),
        ("uas_decline", "603", "Reason: Q.850;cause=21"),
        ("uas_unacceptable", "488", "Warning: 304 bob.example \"Media type not available\""),
    ] {
        let (caller, _) = between.pair("uac_rejected", callee).await;
        assert_eq!(caller.all_logged("final"), [status]);
        assert!(caller.messages().contains(&format!("\n{header}")), "{}", caller.messages());
    }
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_new_offer_of_the_caller(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    for (caller, callee) in [("uac_reinvite", "uas_reinvited"), ("uac_update", "uas_update")] {
        let far = between.callee(callee).session(B).key("direction", "recvonly");
        let near =
            |next| Script::caller(caller, transport, next).session(A).second_session(A2).key("direction", "sendonly");
        let (mut caller, mut callee) = between.call(far, near).await;
        assert_eq!(callee.logged("reoffer.path").await, A2);
        assert_eq!(callee.logged("reoffer.direction").await, "sendonly");
        assert_eq!(callee.logged("reoffer.origin").await, "alice 1 2 IN IP4 127.0.0.1");
        assert_eq!(caller.logged("reanswer.direction").await, "recvonly");
        assert_eq!(caller.logged("reanswer.path").await, B);
    }
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_new_offer_of_the_callee(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let far = between.callee("uas_reinvite").session(B).second_session(B2).key("direction", "inactive");
    let near = |next| Script::caller("uac_reinvited", transport, next).session(A).key("direction", "inactive");
    let (mut caller, mut callee) = between.call(far, near).await;
    assert_eq!(caller.logged("reoffer.path").await, B2);
    assert_eq!(caller.logged("reoffer.direction").await, "inactive");
    assert_eq!(callee.logged("reanswer.path").await, A);
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn new_offers_that_are_refused(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let near = |next| Script::caller("uac_reinvite_refused", transport, next).session(A).second_session(A2);
    let (caller, _) = between.call(between.callee("uas_reinvited_refuse"), near).await;
    assert_eq!(caller.all_logged("refused"), ["488"]);
    let far = between.callee("uas_reinvite_refused").session(B).second_session(B2);
    let near = |next| Script::caller("uac_reinvited_refuse", transport, next);
    let (_, callee) = between.call(far, near).await;
    assert_eq!(callee.all_logged("refused"), ["488"]);
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn crossing_offers_are_refused_and_one_is_made_again(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let (caller, callee) = between.pair("uac_glare", "uas_glare").await;
    for side in [&caller, &callee] {
        assert_eq!((side.all_logged("crossed").len(), side.all_logged("refused")), (1, vec!["491".to_owned()]));
    }
    assert_eq!((callee.all_logged("reoffer.path").len(), caller.all_logged("reanswer.path").len()), (1, 1));
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_reliable_183(#[values(Way::Direct, Way::Kamailio)] way: Way, #[values(Udp, Tcp)] transport: Transport) {
    let between = Between::new(way, transport).await;
    let (mut caller, mut callee) = between.pair("uac_prack", "uas_prack").await;
    assert_eq!(caller.logged("rseq").await, "4711");
    assert_eq!(callee.logged("rack").await, "4711 1 INVITE");
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn info_and_message_within_a_call(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let (mut caller, mut callee) = between.pair("uac_in_dialog", "uas_in_dialog").await;
    assert_eq!(callee.logged("info").await, "first of Alice");
    assert_eq!(callee.logged("message").await, "second of Alice");
    assert_eq!(caller.logged("info").await, "third");
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn options(#[values(Way::Direct, Way::Kamailio)] way: Way, #[values(Udp, Tcp)] transport: Transport) {
    let between = Between::new(way, transport).await;
    let (mut caller, _) = between.pair("uac_options", "uas_options").await;
    assert!(caller.logged("allow").await.contains("UPDATE"));
    assert!(caller.messages().contains("m=message 0 TCP/MSRP *"));
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_200_is_repeated_until_the_ack(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let (caller, _) = between.pair("uac_slow_ack", "uas_basic").await;
    // At 0, 0.5 and 1.5 s, also where the way there is reliable; SIPp repeats by datagrams only.
    let times = caller.messages().matches("SIP/2.0 200 OK").count() - 1;
    assert!(if transport == Udp { times >= 3 } else { times == 1 }, "{times} times");
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_call_without_an_ack_is_ended(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let (caller, _) = between.pair("uac_never_ack", "uas_never_acked").await;
    assert_eq!(caller.all_logged("ended by the callee").len(), 1);
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_session_timer(#[values(Way::Direct, Way::Kamailio)] way: Way, #[values(Udp, Tcp)] transport: Transport) {
    let between = Between::new(way, transport).await;
    let (mut caller, callee) = between.pair("uac_timer", "uas_timer").await;
    assert_eq!(caller.logged("min_se").await, "90");
    assert_eq!(caller.logged("expires").await, "90;refresher=uac");
    assert_eq!(caller.logged("refreshed").await, "90;refresher=uac");
    assert_eq!(callee.all_logged("asked"), ["60", "90;refresher=uac"]);
    assert_eq!(callee.all_logged("refreshed"), ["90;refresher=uac"]);
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_file_with_its_icon(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let (mut caller, mut callee) = between.pair("uac_icon", "uas_icon").await;
    assert!(callee.logged("type").await.starts_with("multipart/related"));
    assert!(callee.logged("selector").await.starts_with("name:\"tides-2031.pdf\" type:application/pdf"));
    assert_eq!(callee.logged("part").await, "Content-ID: <icon@alice.example>");
    let icon = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
    assert_eq!(callee.logged("icon").await, icon);
    caller.logged("answer.path").await;
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn audio_beside_msrp(#[values(Way::Direct, Way::Kamailio)] way: Way, #[values(Udp, Tcp)] transport: Transport) {
    let between = Between::new(way, transport).await;
    let (mut caller, mut callee) = between.pair("uac_audio", "uas_audio").await;
    assert_eq!(callee.logged("audio").await, "m=audio 40000 RTP/AVP 0");
    assert_eq!(caller.logged("audio").await, "m=audio 41000 RTP/AVP 0");
    assert_eq!(caller.logged("rtpmap").await, "a=rtpmap:0 PCMU/8000");
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn headers_that_nobody_knows(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let odd = "aB;q=\"\u{e9}\\\"x\" ,,  two  spaces";
    let far = between.callee("uas_headers").key("x_header", odd);
    let near = |next| Script::caller("uac_headers", transport, next).key("x_header", odd);
    let (caller, callee) = between.call(far, near).await;
    for (side, name, value) in [
        (&callee, "invite", String::new()),
        (&callee, "ack", "ack ".to_owned()),
        (&callee, "bye", "bye ".to_owned()),
        (&caller, "ringing", "ringing ".to_owned()),
        (&caller, "answer", "ok ".to_owned()),
        (&caller, "bye", "byeok ".to_owned()),
    ] {
        assert_eq!(side.all_logged(name), [value + odd], "{name}");
    }
    assert_eq!(callee.all_logged("odd"), ["a,b;c=\"d, e\""]);
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_call_to_two_devices(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let far = between.callee("uas_fork").session(B).second_session(B2);
    let (mut caller, _) = between.call(far, |next| Script::caller("uac_fork", transport, next).session(A)).await;
    assert_eq!(caller.logged("early.path").await, B2);
    assert_eq!(caller.logged("answer.path").await, B);
    let tags = caller.all_logged("tag");
    assert!(tags.len() == 3 && tags[0] != tags[1] && tags[1] == tags[2], "{tags:?}");
}

/// Kamailio forks: one device rings until it is told that the other one has taken the call.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn kamailio_forks_to_two_devices(#[values(Udp, Tcp)] transport: Transport) {
    let kamailio = Kamailio::start(&Wish { without_chappe: true, ..Wish::default() }).await;
    let mut rings = Script::callee("uas_cancel", transport).start().await;
    let mut takes = Script::callee("uas_basic", transport).start().await;
    for device in [&rings, &takes] {
        register(&kamailio, "bob", &device.uri("bob"), transport, None).await;
    }
    let mut caller = Script::caller("uac_basic", transport, kamailio.address()).start().await;
    caller.end().await;
    takes.end().await;
    rings.end().await;
    assert_eq!(rings.all_logged("cancelled"), [""]);
}

#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn kamailio_asks_for_passwords() {
    let kamailio = Kamailio::start(&Wish { auth: true, without_chappe: true, ..Wish::default() }).await;
    let mut callee = Script::callee("uas_basic", Udp).start().await;
    register(&kamailio, "bob", &callee.uri("bob"), Udp, Some("hunter2")).await;
    // Nobody registers for somebody else, or with a wrong password.
    for (user, password) in [("alice", "hunter2"), ("alice", "wrong"), ("carol", "secret")] {
        let script = Script::caller("uac_register", Udp, kamailio.address()).user("alice");
        let script = script.key("contact", "sip:alice@127.0.0.1:9").options(&["-au", user, "-ap", password]);
        let mut refused = script.start().await;
        assert_eq!(refused.end_anyhow().await, Some(1), "{user} {password}");
    }
    // A caller of its own domain is asked; who calls from elsewhere is not.
    let mut alice = Agent::udp("alice").await.through(kamailio.address());
    alice.register(kamailio.address(), Some("secret")).await;
    let from = format!("<{}>;tag=own", kamailio.uri("alice"));
    let first = alice.request("INVITE", &kamailio.uri("bob"), Draft::new().instead("From", &from)).await;
    let asked = alice.response(&first, 407).await;
    alice.ack(&asked).await;
    let mut stranger = Script::caller("uac_basic", Udp, kamailio.address()).start().await;
    stranger.end().await;
    callee.end().await;
}

/// The agent in Chappe's place: what goes to it, what comes back by its socket, and what passes it by.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn kamailio_sends_msrp_to_chappe_and_all_else_past_it(#[values(Udp, Tcp)] transport: Transport) {
    let kamailio = Kamailio::start(&Wish::default()).await;
    let (mut alice, mut bob) = (Agent::new("alice", transport).await, Agent::new("bob", transport).await);
    let mut chappe = Agent::at("chappe", Tcp, kamailio.chappe()).await.through(kamailio.inner());
    bob.register(kamailio.address(), None).await;
    let mut alice = {
        alice.register(kamailio.address(), None).await;
        alice.through(kamailio.address())
    };
    // An offer of MSRP, alone and in a multipart body.
    let multipart =
        format!("--frontier\r\nContent-Type: application/sdp\r\n\r\n{}\r\n--frontier--\r\n", msrp_sdp(A, "actpass"));
    let kinds = [
        Draft::sdp(&msrp_sdp(A, "actpass")),
        Draft::new().body("multipart/related; boundary=frontier", &multipart),
        Draft::sdp(&msrp_sdp("msrps://127.0.0.1:7001/alice1;tcp", "actpass")),
    ];
    for offer in kinds {
        let invite = alice.request("INVITE", &kamailio.uri("bob"), offer).await;
        let near = chappe.expect("INVITE").await;
        assert_eq!(near.uri(), kamailio.uri("bob"));
        bob.quiet();
        // Anchored, the call comes back to Kamailio and goes to where Bob has registered.
        let anchored = chappe.invite(near.uri(), &msrp_sdp(B2, "actpass")).await;
        let far = bob.expect("INVITE").await;
        assert_eq!((far.path().as_str(), far.uri()), (B2, bob.uri().as_str()));
        bob.reply(&far, 180).await;
        chappe.response(&anchored, 180).await;
        chappe.reply(&near, 180).await;
        alice.response(&invite, 180).await;
        bob.answer(&far, &msrp_sdp(B, "passive")).await;
        let ok = chappe.response(&anchored, 200).await;
        chappe.answer(&near, &msrp_sdp(A2, "passive")).await;
        let taken = alice.response(&invite, 200).await;
        assert_eq!(taken.path(), A2);
        chappe.ack(&ok).await;
        bob.expect("ACK").await;
        alice.ack(&taken).await;
        chappe.expect("ACK").await;
        // Within the call, from all four ends.
        let hold = alice.reinvite(&taken, &sdp_version(A, "actpass", 2, "a=sendonly\r\n")).await;
        let heard = chappe.expect("INVITE").await;
        chappe.reply(&heard, 488).await;
        let refused = alice.response(&hold, 488).await;
        alice.ack(&refused).await;
        let theirs = bob.within(&far, "INFO", Draft::new()).await;
        let heard = chappe.expect("INFO").await;
        chappe.reply(&heard, 200).await;
        bob.response(&theirs, 200).await;
        let bye = chappe.within(&near, "BYE", Draft::new()).await;
        let heard = alice.expect("BYE").await;
        alice.reply(&heard, 200).await;
        chappe.response(&bye, 200).await;
        let bye = chappe.within(&ok, "BYE", Draft::new()).await;
        let heard = bob.expect("BYE").await;
        bob.reply(&heard, 200).await;
        chappe.response(&bye, 200).await;
    }
    // Audio, a message outside of a call, and a call without an offer.
    let audio = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    for (method, draft) in [
        ("INVITE", Draft::sdp(audio)),
        ("INVITE", Draft::new()),
        ("MESSAGE", Draft::new().body("text/plain", "m=message 9 TCP/MSRP *")),
    ] {
        let request = alice.request(method, &kamailio.uri("bob"), draft).await;
        let heard = bob.expect(method).await;
        bob.reply(&heard, 486).await;
        let refused = alice.response(&request, 486).await;
        if method == "INVITE" {
            alice.ack(&refused).await;
        }
    }
    // A CANCEL follows its INVITE.
    let invite = alice.invite(&kamailio.uri("bob"), &msrp_sdp(A, "actpass")).await;
    let near = chappe.expect("INVITE").await;
    chappe.reply(&near, 180).await;
    alice.response(&invite, 180).await;
    let cancel = alice.cancel(&invite, Draft::new()).await;
    alice.response(&cancel, 200).await;
    let heard = chappe.expect("CANCEL").await;
    chappe.reply(&heard, 200).await;
    chappe.reply(&near, 487).await;
    let ended = alice.response(&invite, 487).await;
    alice.ack(&ended).await;
    // Nobody is let through to another domain.
    let elsewhere = alice.invite("sip:eve@192.0.2.7", &msrp_sdp(A, "actpass")).await;
    let refused = alice.response(&elsewhere, 403).await;
    alice.ack(&refused).await;
    chappe.expect("ACK").await;
}

/// What comes by a connection that Kamailio has opened itself comes from a client, by whatever socket Kamailio chose.
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn kamailio_takes_no_client_for_chappe() {
    let kamailio = Kamailio::start(&Wish::default()).await;
    let mut chappe = Agent::at("chappe", Tcp, kamailio.chappe()).await;
    let mut alice = Agent::udp("alice").await.through(kamailio.address());
    let mut bob = Agent::tcp("bob").await;
    register(&kamailio, "bob", &bob.uri(), Tcp, None).await;
    let message = alice.request("MESSAGE", &kamailio.uri("bob"), Draft::new().body("text/plain", "hi")).await;
    let heard = bob.expect("MESSAGE").await;
    bob.reply(&heard, 200).await;
    alice.response(&message, 200).await;
    let mut bob = bob.through(heard.peer);
    let invite = bob.invite(&kamailio.uri("alice"), &msrp_sdp(B, "actpass")).await;
    let near = chappe.expect("INVITE").await;
    chappe.reply(&near, 486).await;
    let refused = bob.response(&invite, 486).await;
    bob.ack(&refused).await;
}

#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn kamailio_tells_when_chappe_is_not_there() {
    let kamailio = Kamailio::start(&Wish { late_offers: true, ..Wish::default() }).await;
    let mut alice = Agent::udp("alice").await.through(kamailio.address());
    for draft in [Draft::sdp(&msrp_sdp(A, "actpass")), Draft::new()] {
        let invite = alice.request("INVITE", &kamailio.uri("bob"), draft).await;
        let refused = alice.final_response(&invite).await;
        assert!([477, 500, 503].contains(&refused.status()), "{refused}");
        alice.ack(&refused).await;
    }
    let gone = alice.request("MESSAGE", &kamailio.uri("nobody"), Draft::new()).await;
    alice.response(&gone, 404).await;
}

/// The agent as caller of SIPp, and as its callee.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn the_agent_and_sipp(#[values(Udp, Tcp)] transport: Transport) {
    let mut agent = Agent::new("carol", transport).await;
    let mut callee = Script::callee("uas_in_dialog", transport).session(B).start().await;
    let invite = agent.invite(&callee.uri("bob"), &msrp_sdp(A, "actpass")).await;
    agent.response(&invite, 180).await;
    let ok = agent.response(&invite, 200).await;
    assert_eq!((ok.path().as_str(), callee.logged("offer.path").await.as_str()), (B, A));
    agent.ack(&ok).await;
    for (method, text) in [("INFO", "first"), ("MESSAGE", "second")] {
        let request = agent.within(&ok, method, Draft::new().body("text/plain", text)).await;
        agent.response(&request, 200).await;
    }
    let heard = agent.expect_in(&ok, "INFO").await;
    assert_eq!(heard.body, b"Bob: third\r\n");
    agent.reply(&heard, 200).await;
    agent.hang_up(&ok).await;
    callee.end().await;
    agent.quiet();

    let script = Script::caller("uac_reinvite_refused", transport, agent.address()).user("carol");
    let mut caller = script.session(A).second_session(A2).start().await;
    let invite = agent.expect("INVITE").await;
    agent.reply(&invite, 180).await;
    agent.answer(&invite, &msrp_sdp(B, "passive")).await;
    agent.expect("ACK").await;
    let again = agent.expect_in(&invite, "INVITE").await;
    assert_eq!(again.path(), A2);
    agent.reply(&again, 488).await;
    agent.expect("ACK").await;
    let bye = agent.expect("BYE").await;
    agent.reply(&bye, 200).await;
    caller.end().await;
    agent.quiet();
}

/// A failure of SIPp is seen, and not only its success.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn what_goes_otherwise_than_the_scenario_says_fails(#[values(Udp, Tcp)] transport: Transport) {
    let mut agent = Agent::new("carol", transport).await;
    let mut caller = Script::caller("uac_basic", transport, agent.address()).user("carol").start().await;
    let invite = agent.expect("INVITE").await;
    agent.reply(&invite, 486).await;
    assert_eq!(caller.end_anyhow().await, Some(1));
    assert!(caller.file("errors.txt").contains("486"), "{}", caller.file("errors.txt"));
}

/// Telephones, whose calls have nothing to do with MSRP.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn two_telephones_by_way_of_kamailio(#[values(Udp, Tcp)] transport: Transport) {
    let kamailio = Kamailio::start(&kamailio::Wish { auth: true, ..Wish::default() }).await;
    let mut alice = Baresip::start("alice", transport, kamailio.address(), "secret").await;
    let mut bob = Baresip::start("bob", transport, kamailio.address(), "hunter2").await;
    alice.command("dial", &kamailio.uri("bob")).await;
    bob.event("CALL_INCOMING").await;
    alice.event("CALL_RINGING").await;
    bob.command("accept", "").await;
    for phone in [&mut alice, &mut bob] {
        phone.event("CALL_ESTABLISHED").await;
        // It hears the other one.
        phone.event("CALL_RTPESTAB").await;
    }
    bob.command("hold", "").await;
    alice.event("CALL_REMOTE_SDP").await;
    alice.command("hangup", "").await;
    bob.event("CALL_CLOSED").await;
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_storm_of_calls(#[values(Udp, Tcp)] transport: Transport) {
    let storm = Storm { rate: 500, calls: 1000, hold: Duration::from_millis(100) };
    let mut callee = storm.callee(transport).await;
    let address = callee.address();
    let reports = storm.run(transport, address, &address.to_string(), &mut callee).await;
    println!("caller: {}\ncallee: {}", reports[0], reports[1]);
    for report in reports {
        assert_eq!((report.successful, report.failed, report.unexpected), (1000, 0, 0), "{report}");
    }
    assert!(reports[0].rate > 200.0, "{}", reports[0]);
}
