//! baresip through Chappe: audio is none of its business, and stays as it is.

use rstest::rstest;

use super::scene::{Scene, empty, listener};
use super::sip::Transport::{self, Tcp, Udp};
use super::sip::baresip::Baresip;
use super::sip::ua::{Agent, Draft, msrp_sdp};

/// The description of one medium: its m-line, and what follows up to the next one.
fn section<'a>(sdp: &'a str, medium: &str) -> &'a str {
    let from = sdp.find(&format!("m={medium} ")).unwrap_or_else(|| panic!("no {medium} in {sdp}"));
    let rest = &sdp[from..];
    rest[1..].find("\nm=").map_or(rest, |end| &rest[..end + 2])
}

/// Descriptions in a trace of messages: what each says of its audio.
fn audio(trace: &str) -> Vec<String> {
    let lines = trace.lines().filter(|line| line.starts_with("m=audio") || line.starts_with("a="));
    lines.map(str::to_owned).collect()
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn two_telephones(#[values(Udp, Tcp)] transport: Transport) {
    let scene = Scene::new().await;
    let here = scene.address(transport);
    let mut alice = Baresip::without_registrar("alice", transport, here).await;
    let mut bob = Baresip::without_registrar("bob", transport, here).await;
    alice.dial(&bob.uri()).await;
    bob.event("CALL_INCOMING").await;
    alice.event("CALL_RINGING").await;
    bob.command("accept", "").await;
    for phone in [&mut alice, &mut bob] {
        phone.event("CALL_ESTABLISHED").await;
        // It hears the other one.
        phone.event("CALL_RTPESTAB").await;
    }
    scene.relay.metric_becomes("chappe_sip_calls", 1.0).await;
    assert!(scene.relay.metric("chappe_anchors") == 0.0, "there is nothing to be anchored");
    bob.command("hold", "").await;
    for phone in [&mut alice, &mut bob] {
        phone.writes("a=recvonly").await;
    }
    alice.command("hangup", "").await;
    bob.event("CALL_CLOSED").await;
    empty(&scene.relay).await;
    let (said, heard) = (audio(&alice.output()), audio(&bob.output()));
    assert!(said.len() > 6 && said == heard, "{said:#?}\n{heard:#?}");
}

/// A telephone as caller; the other side adds MSRP, which it refuses, and the audio goes on.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_telephone_is_offered_msrp(#[values(Udp, Tcp)] transport: Transport) {
    let scene = Scene::new().await;
    let mut phone = Baresip::without_registrar("alice", transport, scene.address(transport)).await;
    let mut agent = Agent::new("bob", transport).await;
    let desk = listener().await;
    phone.dial(&agent.uri()).await;
    let invite = agent.expect("INVITE").await;
    assert!(phone.output().contains(section(&invite.sdp(), "audio").trim_end()), "{invite}");
    let said = |version: u32, more: &str| {
        format!(
            "v=0\r\no=bob 5 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio 9 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101  telephone-event/8000\r\na=x-odd: 1 ;2\r\n{more}"
        )
    };
    agent.reply(&invite, 180).await;
    agent.answer(&invite, &said(1, "")).await;
    agent.expect("ACK").await;
    phone.event("CALL_ESTABLISHED").await;
    let both = said(2, section(&msrp_sdp(desk.uri(), "actpass"), "message"));
    let again = agent.reinvite(&invite, &both).await;
    let ok = agent.response(&again, 200).await;
    agent.ack(&ok).await;
    assert!(ok.sdp().contains("m=message 0 "), "{ok}");
    assert!(phone.output().contains(section(&ok.sdp(), "audio").trim_end()), "{ok}");
    // What it has heard: our place in the MSRP line, and the audio as it was said, both times.
    let heard = phone.output();
    assert_eq!(heard.matches(section(&said(1, ""), "audio")).count(), 2, "{heard}");
    assert!(heard.contains("m=message ") && !heard.contains(desk.uri()), "{heard}");
    scene.relay.metric_becomes("chappe_anchors", 0.0).await;
    agent.hang_up(&invite).await;
    phone.event("CALL_CLOSED").await;
    empty(&scene.relay).await;
}

/// A telephone as callee of a call with audio and MSRP.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_telephone_is_called_with_msrp(#[values(Udp, Tcp)] transport: Transport) {
    let scene = Scene::new().await;
    let mut phone = Baresip::without_registrar("bob", transport, scene.address(transport)).await;
    let mut agent = Agent::new("alice", transport).await.through(scene.address(transport));
    let own = listener().await;
    let message = msrp_sdp(own.uri(), "actpass");
    let offer = message.replace("m=message", "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\nm=message");
    let invite = agent.request("INVITE", &phone.uri(), Draft::sdp(&offer)).await;
    phone.event("CALL_INCOMING").await;
    phone.command("accept", "").await;
    let ok = agent.response(&invite, 200).await;
    agent.ack(&ok).await;
    phone.event("CALL_ESTABLISHED").await;
    assert!(ok.sdp().contains("m=message 0 "), "{ok}");
    let heard = phone.output();
    assert!(heard.contains("m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\nm=message "), "{heard}");
    assert!(heard.contains(section(&ok.sdp(), "audio").split("\r\nm=").next().expect("a section")), "{heard}");
    assert!(!heard.contains(own.uri()), "{heard}");
    scene.relay.metric_becomes("chappe_anchors", 0.0).await;
    phone.command("hangup", "").await;
    let bye = agent.expect("BYE").await;
    agent.reply(&bye, 200).await;
    empty(&scene.relay).await;
}
