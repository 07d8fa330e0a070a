//! What is in the messages of a call beside its MSRP session: files with icons, audio, headers.

use rstest::rstest;

use super::scene::{Scene, Ways};

/// SDP-65, SDP-70
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_file_with_its_icon(#[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    let (mut caller, mut callee) = scene.pair(ways, "uac_icon", "uas_icon").await;
    assert!(callee.logged("type").await.starts_with("multipart/related"));
    let sent = |messages: &str, start: &str| -> Vec<String> {
        messages.lines().filter(|line| line.starts_with(start)).map(str::to_owned).collect()
    };
    // Each line of the file is there as it was said, and the other part of the body is the same.
    let (said, heard) = (caller.messages(), callee.messages());
    for start in ["a=file-", "--frontier", "Content-ID", "Content-Transfer-Encoding", "Content-Disposition", "iVBOR"] {
        assert!(!sent(&said, start).is_empty() && sent(&heard, start).starts_with(&sent(&said, start)), "{heard}");
    }
    assert_eq!(callee.logged("part").await, "Content-ID: <icon@alice.example>");
    assert!(scene.is_ours(&callee.logged("offer.path").await));
    assert!(scene.is_ours(&caller.logged("answer.path").await));
}

/// SDP-43, SDP-54
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn audio_beside_msrp(#[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    let (mut caller, mut callee) = scene.pair(ways, "uac_audio", "uas_audio").await;
    for (side, audio) in [(&mut callee, "m=audio 40000 RTP/AVP 0"), (&mut caller, "m=audio 41000 RTP/AVP 0")] {
        assert_eq!(side.logged("audio").await, audio);
        assert_eq!(side.logged("rtpmap").await, "a=rtpmap:0 PCMU/8000");
    }
    assert!(scene.is_ours(&callee.logged("offer.path").await) && scene.is_ours(&caller.logged("answer.path").await));
}

/// Octet for octet where a message of one side makes one on the other; what is answered here, hop by hop, ends here.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn headers_that_nobody_knows(#[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    let odd = "aB;q=\"\u{e9}\\\"x\" ,,  two  spaces";
    let (caller, callee) = scene
        .call(ways, "uac_headers", "uas_headers", |near| near.key("x_header", odd), |far| far.key("x_header", odd))
        .await;
    for (side, name, value) in [
        (&callee, "invite", odd.to_owned()),
        (&callee, "ack", String::new()),
        (&callee, "bye", format!("bye {odd}")),
        (&caller, "ringing", format!("ringing {odd}")),
        (&caller, "answer", format!("ok {odd}")),
        (&caller, "bye", String::new()),
    ] {
        assert_eq!(side.all_logged(name), [value], "{name}");
    }
    assert_eq!(callee.all_logged("odd"), ["a,b;c=\"d, e\""]);
    assert_eq!(callee.messages().matches("\nX-Empty:").count(), 1, "{}", callee.messages());
}
