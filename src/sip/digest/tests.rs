use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rstest::rstest;

use super::*;
use crate::auth::{response, work};

const NOW: Moment = Moment::from_nanos(1 << 40);
const URI: &str = "sip:bob@relay.example";
const BOTH: [Algorithm; 2] = Algorithm::STRONGEST_FIRST;

fn guard(algorithms: &[Algorithm]) -> Guard {
    let terms = Terms {
        realm: "relay.test".to_owned(),
        algorithms: algorithms.to_vec(),
        nonce_lifetime: Duration::from_secs(60),
    };
    Guard::new(terms, [7; 32], 0, "o".to_owned())
}

fn nonce(guard: &Guard, now: Moment) -> String {
    let challenge = guard.challenge(Role::Server, false, now, &mut ChaCha8Rng::seed_from_u64(1));
    let value = &challenge.headers[0].1;
    value.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce").to_owned()
}

/// What a client sends: everything that its response is made of, and what it says beside.
#[derive(Clone)]
struct Sent {
    algorithm: Algorithm,
    password: &'static str,
    hashed_method: &'static str,
    uri: &'static str,
    nonce: String,
    nc: &'static str,
    realm: &'static str,
    user: &'static str,
}

fn sent(nonce: &str) -> Sent {
    Sent {
        algorithm: Algorithm::Md5,
        password: "secret",
        hashed_method: "INVITE",
        uri: URI,
        nonce: nonce.to_owned(),
        nc: "00000001",
        realm: "relay.test",
        user: "ines",
    }
}

fn account(user: &str) -> Option<Ha1> {
    (user == "ines").then(|| Ha1::from_password(user, "relay.test", "secret"))
}

impl Sent {
    fn value(&self) -> String {
        let Sent { algorithm, password, hashed_method, uri, nonce, nc, realm, user } = self;
        let ha1 = Ha1::from_password(user, realm, password);
        let ha1 = ha1.hex(*algorithm).expect("both");
        let response = response(*algorithm, ha1, nonce, nc, "c", hashed_method, uri.as_bytes());
        format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", cnonce=\"c\", nc={nc}, \
             qop=auth, algorithm={}, response=\"{response}\"",
            algorithm.name()
        )
    }

    /// What comes of it in an INVITE to [`URI`].
    fn judged(&self, guard: &mut Guard, now: Moment) -> Result<Verdict, AuthorizationError> {
        let request = invite(&[("Authorization", &self.value())]);
        let credentials = guard.credentials(Role::Server, &request)?.expect("credentials for our realm");
        let ha1 = account(credentials.user());
        Ok(guard.judge(&credentials, ha1.as_ref(), now))
    }
}

fn invite(headers: &[(&str, &str)]) -> Request {
    Request { headers: headers.iter().copied().collect(), ..Request::new("INVITE", URI) }
}

#[rstest]
#[case(Role::Server, 401, "WWW-Authenticate")]
#[case(Role::Proxy, 407, "Proxy-Authenticate")]
fn rfc8760_s2_3_a_challenge_offers_each_algorithm_the_strongest_first(
    #[case] role: Role,
    #[case] status: u16,
    #[case] name: &str,
) {
    let challenge = guard(&BOTH).challenge(role, false, NOW, &mut ChaCha8Rng::seed_from_u64(1));
    assert_eq!(challenge.status, status);
    let [(first, sha), (second, md5)] = &challenge.headers[..] else { panic!("{:?}", challenge.headers) };
    assert_eq!((*first, *second), (name, name));
    assert!(sha.contains("algorithm=SHA-256") && md5.contains("algorithm=MD5"), "{sha} {md5}");
    for value in [sha, md5] {
        assert!(value.starts_with("Digest realm=\"relay.test\", nonce=\"") && value.contains("qop=\"auth\""));
        assert!(!value.contains("stale"), "{value}");
    }
    let stale = guard(&[Algorithm::Md5]).challenge(role, true, NOW, &mut ChaCha8Rng::seed_from_u64(1));
    assert_eq!(stale.headers.len(), 1);
    assert!(stale.headers[0].1.ends_with("stale=true"));
}

#[rstest]
#[case(Algorithm::Md5)]
#[case(Algorithm::Sha256)]
fn s22_4_who_knows_the_password_is_let_in(#[case] algorithm: Algorithm) {
    let mut guard = guard(&BOTH);
    let nonce = nonce(&guard, NOW);
    assert_eq!(Sent { algorithm, ..sent(&nonce) }.judged(&mut guard, NOW), Ok(Verdict::Right));
}

#[rstest]
#[case::wrong_password(Sent { password: "guess", ..sent("") }, Ok(Verdict::Wrong))]
#[case::unknown_user(Sent { user: "nobody", ..sent("") }, Ok(Verdict::Wrong))]
#[case::hashed_for_another_method(Sent { hashed_method: "BYE", ..sent("") }, Ok(Verdict::Wrong))]
#[case::hashed_for_msrp(Sent { hashed_method: "AUTH", ..sent("") }, Ok(Verdict::Wrong))]
#[case::equivalent_uri(Sent { uri: "SIP:%62ob@RELAY.example;x=y", ..sent("") }, Ok(Verdict::Right))]
#[case::uri_of_another_user(Sent { uri: "sip:eve@relay.example", ..sent("") }, Err(AuthorizationError::OtherUri))]
#[case::uri_of_another_host(Sent { uri: "sip:bob@other.example", ..sent("") }, Err(AuthorizationError::OtherUri))]
#[case::uri_with_another_port(Sent { uri: "sip:bob@relay.example:5060", ..sent("") }, Err(AuthorizationError::OtherUri))]
#[case::uri_with_another_scheme(Sent { uri: "sips:bob@relay.example", ..sent("") }, Err(AuthorizationError::OtherUri))]
#[case::no_uri(Sent { uri: "x", ..sent("") }, Err(AuthorizationError::OtherUri))]
#[case::not_offered(Sent { algorithm: Algorithm::Sha256, ..sent("") }, Err(AuthorizationError::NotOffered))]
#[case::nc_0(Sent { nc: "00000000", ..sent("") }, Err(AuthorizationError::BadNc))]
fn s22_4_what_credentials_are_worth(#[case] sent: Sent, #[case] expected: Result<Verdict, AuthorizationError>) {
    let mut guard = guard(&[Algorithm::Md5]);
    let nonce = nonce(&guard, NOW);
    assert_eq!(Sent { nonce, ..sent }.judged(&mut guard, NOW), expected);
}

#[test]
fn a_nonce_is_good_once_for_each_count_and_for_its_life() {
    let mut guard = guard(&[Algorithm::Md5]);
    let (nonce, late) = (nonce(&guard, NOW), NOW + Duration::from_secs(60));
    let with = |nc, at, guard: &mut Guard| Sent { nc, ..sent(&nonce) }.judged(guard, at);
    assert_eq!(with("00000001", NOW, &mut guard), Ok(Verdict::Right));
    assert_eq!(with("00000001", NOW, &mut guard), Ok(Verdict::Stale), "a replay");
    assert_eq!(with("00000003", NOW, &mut guard), Ok(Verdict::Right));
    assert_eq!(with("00000002", NOW, &mut guard), Ok(Verdict::Stale), "an older one");
    assert_eq!(with("00000004", late, &mut guard), Ok(Verdict::Stale), "its time is over");
    let foreign = Guard::new(guard.terms.clone(), [8; 32], 0, String::new());
    let foreign = sent(&self::nonce(&foreign, NOW));
    assert_eq!(foreign.judged(&mut guard, NOW), Ok(Verdict::Stale), "of another process");
    assert_eq!(sent("made-up").judged(&mut guard, NOW), Ok(Verdict::Stale));
}

#[test]
fn who_knows_no_secret_uses_up_nothing_and_learns_nothing_of_the_nonce() {
    let mut guard = guard(&[Algorithm::Md5]);
    let nonce = nonce(&guard, NOW);
    let wrong = Sent { password: "guess", ..sent(&nonce) };
    assert_eq!(wrong.judged(&mut guard, NOW), Ok(Verdict::Wrong));
    assert_eq!(sent(&nonce).judged(&mut guard, NOW), Ok(Verdict::Right));
    assert_eq!(wrong.judged(&mut guard, NOW), Ok(Verdict::Wrong), "and not stale");
}

#[test]
fn rly_98_an_unknown_user_costs_as_much_as_a_wrong_password() {
    let mut guard = guard(&BOTH);
    let nonce = nonce(&guard, NOW);
    for algorithm in BOTH {
        let mut cost = |sent: Sent| {
            let request = invite(&[("Authorization", &sent.value())]);
            let ha1 = account(sent.user);
            let mut verdict = None;
            let hashes = work::hashes(|| {
                let credentials = guard.credentials(Role::Server, &request).ok().flatten().expect("credentials");
                verdict = Some(guard.judge(&credentials, ha1.as_ref(), NOW));
            });
            (verdict, hashes)
        };
        let wrong = cost(Sent { algorithm, password: "guess", ..sent(&nonce) });
        let unknown = cost(Sent { algorithm, user: "nobody", ..sent(&nonce) });
        assert_eq!(wrong, (Some(Verdict::Wrong), 2));
        assert_eq!(unknown, wrong);
    }
}

#[test]
fn credentials_for_others_are_left_alone() {
    let guard = guard(&[Algorithm::Md5]);
    let ours = sent(&nonce(&guard, NOW)).value();
    let theirs = Sent { realm: "other.test", ..sent("n") }.value();
    let found = |headers: &[(&str, &str)]| {
        let request = invite(headers);
        guard.credentials(Role::Server, &request).map(|found| found.is_some())
    };
    assert_eq!(found(&[]), Ok(false));
    assert_eq!(found(&[("Authorization", &theirs)]), Ok(false));
    assert_eq!(found(&[("Authorization", "Basic aW5lczpzZWNyZXQ=")]), Ok(false));
    assert_eq!(found(&[("Authorization", &theirs), ("authorization", &ours)]), Ok(true));
    assert_eq!(found(&[("Proxy-Authorization", &ours)]), Ok(false), "that is for a proxy");
    assert_eq!(found(&[("Authorization", "Digest realm")]), Err(AuthorizationError::Syntax));
    assert_eq!(found(&[("Authorization", "Digest realm"), ("Authorization", &ours)]), Ok(true));
    let proxied = invite(&[("Proxy-Authorization", &ours)]);
    assert!(matches!(guard.credentials(Role::Proxy, &proxied), Ok(Some(found)) if found.user() == "ines"));
}

#[test]
fn a_digest_uri_is_needed() {
    let guard = guard(&[Algorithm::Md5]);
    let value = sent("n").value().replace(&format!("uri=\"{URI}\", "), "");
    let request = invite(&[("Authorization", &value)]);
    assert!(matches!(guard.credentials(Role::Server, &request), Err(AuthorizationError::Missing("uri"))));
}

#[test]
fn other_terms_are_in_force_at_once() {
    let mut guard = guard(&[Algorithm::Md5]);
    let nonce = nonce(&guard, NOW);
    let request = invite(&[("Authorization", &sent(&nonce).value())]);
    let read_before = guard.credentials(Role::Server, &request).ok().flatten().expect("credentials");
    guard.reconfigure(Terms { algorithms: vec![Algorithm::Sha256], ..guard.terms.clone() });
    assert_eq!(guard.judge(&read_before, account("ines").as_ref(), NOW), Verdict::Wrong);
    let sha = Sent { algorithm: Algorithm::Sha256, ..sent(&nonce) };
    assert_eq!(sha.judged(&mut guard, NOW), Ok(Verdict::Right), "nonces that are out stay good");
}

#[test]
fn s22_1_ack_and_cancel_are_never_challenged() {
    assert!(!may_be_challenged("ACK") && !may_be_challenged("CANCEL"));
    assert!(may_be_challenged("INVITE") && may_be_challenged("BYE"));
}

#[test]
fn debug_shows_no_response() {
    let request = invite(&[("Authorization", &sent("n0nce").value())]);
    let guard = guard(&[Algorithm::Md5]);
    let shown = format!("{:?}", guard.credentials(Role::Server, &request));
    assert!(shown.contains("ines") && !shown.contains("n0nce"), "{shown}");
}
