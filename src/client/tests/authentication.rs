use super::*;
use crate::auth::{Algorithm, Authorization, Ha1, Verdict, authentication_info, challenge, verify};

const RELAY: &str = "msrps://ines@gate.north.example;tcp";
const GRANT: &str = "Use-Path: msrps://gate.north.example:2855/abc;tcp\r\nExpires: 1200\r\n";

/// Reads an AUTH and challenges it.
async fn challenge_next(peer: &mut Peer, nonce: &str, algorithm: Algorithm, stale: bool) {
    let got = peer.frame().await.unwrap();
    let value = challenge("gate.north.example", nonce, "opaque", algorithm, stale);
    peer.answer(&got, 401, &format!("WWW-Authenticate: {value}\r\n")).await;
}

/// Reads an AUTH that has to have the right answer, and grants it.
async fn grant_next(peer: &mut Peer, algorithm: Algorithm) -> Got {
    let got = peer.frame().await.unwrap();
    let value = got.header("Authorization");
    let authorization = Authorization::parse(value.as_bytes()).unwrap();
    assert_eq!(authorization.check("gate.north.example", &[algorithm]), Ok(()));
    let ha1 = Ha1::from_password("ines", "gate.north.example", "kelp-anchor-41");
    let verdict = verify(&authorization, Some(&ha1), RELAY.as_bytes(), false, false, &[algorithm]);
    let Verdict::Right(proof) = verdict else { panic!("wrong response") };
    let info = authentication_info(&proof, None);
    peer.answer(&got, 200, &format!("{GRANT}Authentication-Info: {info}\r\n")).await;
    got
}

#[rstest::rstest]
#[case(Algorithm::Md5)]
#[case(Algorithm::Sha256)]
#[tokio::test]
async fn s5_1_auth_answers_the_challenge_and_takes_the_grant(#[case] algorithm: Algorithm) {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let (grant, got) = tokio::join!(endpoint.authenticate(RELAY, "ines", "kelp-anchor-41", Some(1200)), async {
        challenge_next(&mut peer, "n1", algorithm, false).await;
        grant_next(&mut peer, algorithm).await
    });
    let grant = grant.unwrap();
    assert_eq!((grant.use_path, grant.expires), (vec!["msrps://gate.north.example:2855/abc;tcp".into()], 1200));
    assert_eq!((got.header("To-Path").as_str(), got.header("Expires").as_str()), (RELAY, "1200"));
    assert_eq!(got.header("From-Path"), endpoint.uri());
}

#[tokio::test]
async fn rly_21_stale_nonce_is_replaced_once() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let (grant, ()) = tokio::join!(endpoint.authenticate(RELAY, "ines", "kelp-anchor-41", None), async {
        challenge_next(&mut peer, "n1", Algorithm::Md5, false).await;
        challenge_next(&mut peer, "n2", Algorithm::Md5, true).await;
        assert!(grant_next(&mut peer, Algorithm::Md5).await.header("Authorization").contains("nonce=\"n2\""));
    });
    assert!(grant.is_ok());
}

#[tokio::test]
async fn wrong_password_is_refused_without_another_try() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let (grant, ()) = tokio::join!(endpoint.authenticate(RELAY, "ines", "wrong", None), async {
        challenge_next(&mut peer, "n1", Algorithm::Md5, false).await;
        challenge_next(&mut peer, "n2", Algorithm::Md5, false).await;
    });
    assert_eq!(grant, Err(ClientError::Refused(Status::UNAUTHORIZED)));
}

#[tokio::test]
async fn s9_1_relay_that_proves_nothing_is_not_trusted() {
    for info in ["", "Authentication-Info: rspauth=\"934c6ab04bfefb235306b70d9180e60f\"\r\n"] {
        let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
        let (grant, ()) = tokio::join!(endpoint.authenticate(RELAY, "ines", "kelp-anchor-41", None), async {
            challenge_next(&mut peer, "n1", Algorithm::Md5, false).await;
            let got = peer.frame().await.unwrap();
            peer.answer(&got, 200, &format!("{GRANT}{info}")).await;
        });
        assert_eq!(grant, Err(ClientError::RspAuth));
    }
}

#[tokio::test]
async fn refusals_and_useless_challenges_are_told_apart() {
    for (status, headers, error) in [
        (403, "", ClientError::Refused(Status::FORBIDDEN)),
        (423, "Min-Expires: 60\r\n", ClientError::Refused(Status::OUT_OF_BOUNDS)),
        (401, "", ClientError::Challenge),
        (401, "WWW-Authenticate: Basic realm=\"x\"\r\n", ClientError::Challenge),
        (200, GRANT, ClientError::RspAuth),
    ] {
        let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
        let (grant, ()) = tokio::join!(endpoint.authenticate(RELAY, "ines", "kelp-anchor-41", None), async {
            let got = peer.frame().await.unwrap();
            peer.answer(&got, status, headers).await;
        });
        assert_eq!(grant, Err(error));
    }
}
