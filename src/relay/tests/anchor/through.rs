//! Legs whose end has us as its relay: its path begins with a token of ours, and its link is there already (RFC 4976
//! sections 5.1 and 6.2; SDP-95).

use super::scene::{ANA, BO, Meeting, from_path, reserve, terms, to_path};
use crate::relay::tests::chunk::{Request, pattern};
use crate::relay::tests::end::Answer;
use crate::relay::tests::scene::{HUB, INES, TOMAS};
use crate::relay::{AnchorError, Connect, Peer, SessionEnd, Settings, Side};

/// Ana comes to us, and Bo is a client of ours, whose answer begins with its token.
struct Through {
    m: Meeting,
    ana: usize,
    bo: usize,
    token: String,
}

impl Through {
    fn joined() -> Through {
        Through::with(|_| {}, &[])
    }

    fn with(change: impl FnOnce(&mut Settings), auth: &[&str]) -> Through {
        let mut m = Meeting::with(change);
        let bo = m.net.client(0);
        let token = m.net.auth(bo, BO, auth);
        m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
        m.set(Side::B, terms(&format!("{token} {BO}"), Connect::Them)).expect("good terms");
        let ana = m.come(Side::A);
        assert_eq!(m.news(), ["bound B", "bound A"]);
        m.forget();
        Through { m, ana, bo, token }
    }

    /// A SEND of Bo, by his token.
    fn of_bo(&self) -> Request {
        Request::send(&[&self.token, self.m.uri(Side::B)], BO)
    }

    fn bo_says(&mut self, id: &str, words: &str) -> String {
        let send = self.of_bo().id(id).body(words);
        self.m.net.write(self.bo, send.octets());
        send.tid
    }
}

#[test]
fn messages_answers_and_reports_pass_both_ways() {
    let Through { mut m, ana, bo, token } = Through::joined();
    let (uri_a, uri_b) = (m.uri(Side::A).to_owned(), m.uri(Side::B).to_owned());
    let tid = m.say(ana, Side::A, "m0000001", "moin");
    assert_eq!(m.codes(ana, &tid), [200]);
    let arrived = m.net.ends[bo].sends()[0].clone();
    assert_eq!((to_path(&arrived), from_path(&arrived)), (BO.into(), format!("{token} {uri_b}")));
    // The way back is that of the From-Path (RFC 4975 section 7.1.2).
    let report = Request::new("REPORT", &[&token, &uri_b], BO).id("m0000001").range("1-4/4").line("Status: 000 200 OK");
    m.net.write(bo, report.octets());
    let report = m.net.ends[ana].reports()[0].clone();
    assert_eq!((to_path(&report), from_path(&report), report.reported()), (ANA.into(), uri_a.clone(), Some(200)));
    let send = Request::send(&[&token, &uri_b], BO).id("m0000002").body("moin moin");
    m.net.write(bo, send.octets());
    assert_eq!(m.codes(bo, &send.tid), [200]);
    let answer = m.net.last(bo);
    assert_eq!((to_path(&answer), from_path(&answer)), (BO.into(), token.clone()));
    let arrived = m.net.ends[ana].sends()[0].clone();
    assert_eq!((to_path(&arrived), from_path(&arrived)), (ANA.into(), uri_a.clone()));
    let seen = String::from_utf8_lossy(&m.net.ends[ana].raw).into_owned();
    assert!(!seen.contains(&token) && !seen.contains(BO) && !seen.contains(&uri_b), "SDP-99: {seen}");
    // What a next hop refuses is told to who sent it, by the URI that it wrote.
    for (end, other) in [(ana, bo), (bo, ana)] {
        m.net.ends[other].answer = Answer::Code(415);
        let to: &[&str] = if end == ana { &[&uri_a] } else { &[&token, &uri_b] };
        let (from, first) = if end == ana { (ANA, &uri_a) } else { (BO, &token) };
        m.net.write(end, Request::send(to, from).id("m0000003").body("odd").octets());
        let report = m.net.ends[end].reports().last().copied().cloned().expect("a report");
        assert_eq!((report.reported(), from_path(&report)), (Some(415), first.clone()));
    }
    m.release(SessionEnd::Bye);
    let tally = m.record().expect("it is over").tally;
    assert_eq!((tally.octets_from_owner, tally.octets_to_owner), (4 + 3, 9 + 3));
    assert!(!m.net.ends[bo].closed, "it has its link for other sessions");
    m.assert_dead();
}

#[test]
fn other_requests_have_their_answers() {
    let Through { mut m, ana, bo, token } = Through::joined();
    let (uri_a, uri_b) = (m.uri(Side::A).to_owned(), m.uri(Side::B).to_owned());
    for (end, other, to, from, back) in
        [(ana, bo, vec![&uri_a], ANA, uri_a.clone()), (bo, ana, vec![&token, &uri_b], BO, format!("{token} {uri_b}"))]
    {
        let to: Vec<&str> = to.into_iter().map(String::as_str).collect();
        let nick = Request::new("NICKNAME", &to, from).line("Use-Nickname: \"odd\"");
        m.net.write(end, nick.octets());
        let asked = m.net.last(other);
        m.net.ends[other].answer_whole(&asked, 200, &[]);
        m.net.run();
        let answer = m.net.last(end);
        assert_eq!((answer.code(), answer.tid(), to_path(&answer)), (Some(200), nick.tid, from.into()));
        assert_eq!(from_path(&answer), back);
    }
    m.assert_nothing_left();
}

/// SDP-25: who answers `passive` hears from us first, and an answer that refuses is told.
#[test]
fn a_passive_end_hears_from_us_first() {
    let mut m = Meeting::reserved();
    let bo = m.net.client(0);
    let token = m.net.auth(bo, BO, &[]);
    m.net.ends[bo].answer = Answer::Code(481);
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    m.set(Side::B, terms(&format!("{token} {BO}"), Connect::Us)).expect("good terms");
    let hello = m.net.ends[bo].sends()[0].clone();
    assert_eq!((to_path(&hello), from_path(&hello)), (BO.into(), format!("{token} {}", m.uri(Side::B))));
    assert!(!hello.has_body && m.net.dialled.is_empty());
    assert_eq!(m.news(), ["bound B", "refused B 481"]);
    m.assert_nothing_left();
}

#[test]
fn what_comes_before_the_answer_or_the_other_leg_waits() {
    let mut m = Meeting::reserved();
    let bo = m.net.client(0);
    let token = m.net.auth(bo, BO, &[]);
    let send = Request::send(&[&token, m.uri(Side::B)], BO).id("early001").body("early");
    m.net.write(bo, send.octets());
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    m.set(Side::B, terms(&format!("{token} {BO}"), Connect::Them)).expect("good terms");
    m.net.seconds(5);
    assert!(m.codes(bo, &send.tid).is_empty());
    let ana = m.come(Side::A);
    assert_eq!((m.codes(bo, &send.tid), m.net.ends[ana].content("early001")), (vec![200], b"early".to_vec()));
    m.assert_nothing_left();
}

/// Who has waited for one call in vain still waits for another, though its token is the same.
#[test]
fn waiting_in_vain_is_of_one_call() {
    let mut m = Meeting::reserved();
    let bo = m.net.client(0);
    let token = m.net.auth(bo, BO, &[]);
    let path = format!("{token} {BO}");
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    m.set(Side::B, terms(&path, Connect::Them)).expect("good terms");
    let send = Request::send(&[&token, m.uri(Side::B)], BO).id("vain0001").body("anybody?");
    m.net.write(bo, send.octets());
    m.net.seconds(11);
    assert_eq!(m.codes(bo, &send.tid), [481]);
    let (anchor, uris) = reserve(&mut m.net).expect("room for an anchor");
    let now = m.net.now;
    for (side, target) in [(Side::A, ANA), (Side::B, &*path)] {
        m.relay().set_leg(anchor, side, terms(target, Connect::Them), now).expect("good terms");
    }
    let send = Request::send(&[&token, &uris[1]], BO).id("m0000001").body("anybody?");
    m.net.write(bo, send.octets());
    assert!(m.codes(bo, &send.tid).is_empty());
    let ana = m.net.client(0);
    m.net.write(ana, Request::send(&[&uris[0]], ANA).id("hello000").range("1-0/0").octets());
    assert_eq!((m.codes(bo, &send.tid), m.net.ends[ana].content("m0000001")), (vec![200], b"anybody?".to_vec()));
    let now = m.net.now;
    assert!(m.relay().release_anchor(anchor, SessionEnd::Bye, now));
    m.assert_nothing_left();
}

/// The leg's URI is no use to anybody but the client whose token stands before it.
#[test]
fn nobody_else_comes_in_on_the_leg() {
    let mut t = Through::joined();
    let uri = t.m.uri(Side::B).to_owned();
    let eve = t.m.net.client(0);
    let own = t.m.net.auth(eve, TOMAS, &[]);
    for to in [vec![&*own, &*uri], vec![&*uri], vec![&*t.token, &*uri], vec![&*own, &*t.token, &*uri]] {
        let send = Request::send(&to, TOMAS).id("m0000001").body("it is me");
        t.m.net.write(eve, send.octets());
        let codes = t.m.codes(eve, &send.tid);
        // By Bo's own token it goes to Bo, as it would without a call (RFC 4976 section 6.2).
        let to_bo = to.iter().rev().nth(1) == Some(&&*t.token);
        assert_eq!(codes, [if to_bo { 200 } else { 481 }], "{to:?}");
    }
    // Nor may Bo leave the token out, or write something behind the leg.
    for to in [vec![&*uri], vec![&*t.token, &*uri, ANA]] {
        let send = Request::send(&to, BO).id("m0000002").body("short");
        t.m.net.write(t.bo, send.octets());
        assert_eq!(t.m.codes(t.bo, &send.tid), [481], "{to:?}");
    }
    assert!(t.m.net.ends[t.ana].sends().is_empty());
    t.m.assert_nothing_left();
}

#[test]
fn a_path_that_leads_through_nobody_is_refused() {
    let mut m = Meeting::reserved();
    let bo = m.net.client(0);
    let token = m.net.auth(bo, BO, &[]);
    let plain = token.replace("msrps:", "msrp:");
    for (path, error) in [
        (format!("{}X;tcp {BO}", &token[..token.len() - 5]), AnchorError::Gone),
        (token.clone(), AnchorError::Target),
        (format!("{token} {token} {BO}"), AnchorError::Target),
        (format!("{} {BO}", m.uri(Side::A)), AnchorError::Target),
        (format!("{plain} {BO}"), AnchorError::Target),
    ] {
        assert_eq!(m.set(Side::B, terms(&path, Connect::Us)), Err(error), "{path}");
    }
    m.net.lose(bo);
    assert_eq!(m.set(Side::B, terms(&format!("{token} {BO}"), Connect::Us)), Err(AnchorError::Gone));
    assert!(m.net.dialled.is_empty() && m.news().is_empty());
    m.assert_nothing_left();
}

/// SDP-93: as any leg, and rebuilt by another token.
#[test]
fn the_leg_is_lost_with_its_owners_link_and_rebuilt_by_another() {
    let Through { mut m, ana, bo, .. } = Through::joined();
    m.net.ends[bo].answer = Answer::Nothing;
    let lost = m.say(ana, Side::A, "m0000001", "will not arrive");
    m.net.lose(bo);
    assert_eq!(m.news(), ["lost B lost"]);
    assert_eq!((m.codes(ana, &lost), m.net.ends[ana].reported()), (vec![200], vec![481]));
    let bo = m.net.client(0);
    let token = m.net.auth(bo, BO, &[]);
    let uri = m.renew(Side::B);
    m.set(Side::B, terms(&format!("{token} {BO}"), Connect::Them)).expect("good terms");
    let tid = m.say(ana, Side::A, "m0000002", "again");
    assert_eq!((m.codes(ana, &tid), m.net.ends[bo].content("m0000002")), (vec![200], b"again".to_vec()));
    let send = Request::send(&[&token, &uri], BO).id("m0000003").body("here");
    m.net.write(bo, send.octets());
    assert_eq!(m.net.ends[ana].content("m0000003"), b"here");
    m.assert_nothing_left();
}

/// RLY-30: a token that says how long it lives takes its leg along; another one lives as long as it is in use (IOP-14).
#[test]
fn the_leg_lives_as_long_as_the_token() {
    for (line, lives) in [(&["Expires: 120"][..], false), (&[][..], true)] {
        let mut t = Through::with(|s| s.auth.default_expires = 120, line);
        t.m.net.seconds(119);
        assert!(t.m.news().is_empty());
        t.m.net.seconds(2);
        assert_eq!(t.m.news(), if lives { vec![] } else { vec!["lost B released"] });
        let tid = t.bo_says("m0000001", "still here");
        assert_eq!(t.m.codes(t.bo, &tid), [if lives { 200 } else { 481 }]);
        assert!(!t.m.net.ends[t.bo].closed);
        t.m.release(SessionEnd::Bye);
        t.m.net.seconds(125);
        let tid = t.bo_says("m0000002", "and after the call");
        assert_eq!(t.m.codes(t.bo, &tid), [481]);
        t.m.assert_dead();
    }
}

/// A new offer of either side: what was known of the ways before counts no more.
#[test]
fn new_paths_are_followed_both_ways() {
    let Through { mut m, ana, bo, token } = Through::joined();
    let says = |m: &mut Meeting, token: &str, uri: &str, id: &str| {
        let send = Request::send(&[token, uri], BO).id(id).body("moin");
        m.net.write(bo, send.octets());
        m.codes(bo, &send.tid)
    };
    let uri_b = m.uri(Side::B).to_owned();
    assert_eq!(says(&mut m, &token, &uri_b, "m0000001"), [200]);
    m.set(Side::A, terms(&format!("{INES} {ANA}"), Connect::Them)).expect("good terms");
    assert_eq!(says(&mut m, &token, &uri_b, "m0000002"), [200]);
    let paths: Vec<String> = m.net.ends[ana].sends().into_iter().map(to_path).collect();
    assert_eq!(paths, [ANA.to_owned(), format!("{INES} {ANA}")]);
    // Bo takes another token, as before the first one's end.
    m.say(ana, Side::A, "m0000003", "before");
    let next = m.net.auth(bo, BO, &[]);
    let uri = m.renew(Side::B);
    m.set(Side::B, terms(&format!("{next} {BO}"), Connect::Them)).expect("good terms");
    m.say(ana, Side::A, "m0000004", "after");
    let paths: Vec<String> = m.net.ends[bo].sends().into_iter().map(from_path).collect();
    assert_eq!(paths, [format!("{token} {uri_b}"), format!("{next} {uri}")]);
    assert_eq!(says(&mut m, &next, &uri, "m0000005"), [200]);
    assert!(m.news().iter().all(|n| n == "bound B"));
    // And none at last: he is reached without us.
    m.renew(Side::B);
    m.set(Side::B, terms(BO, Connect::Them)).expect("good terms");
    // The URI before is good for a while, to who has had it.
    assert_eq!(says(&mut m, &next, &uri, "m0000006"), [200]);
    let new = m.uri(Side::B).to_owned();
    assert_eq!(says(&mut m, &next, &new, "m0000008"), [481]);
    m.net.seconds(31);
    assert_eq!(says(&mut m, &next, &uri, "m0000009"), [481]);
    let direct = m.come(Side::B);
    m.say(ana, Side::A, "m0000007", "direct");
    assert_eq!(m.net.ends[direct].content("m0000007"), b"direct");
    m.assert_nothing_left();
}

/// ADV-S18: what has not left two seconds after a BYE is cut and told, in both directions, and the client keeps its link.
#[test]
fn a_bye_cuts_what_is_under_way_in_both_directions() {
    for by_ana in [true, false] {
        let mut t = Through::joined();
        let (from, to) = if by_ana { (t.ana, t.bo) } else { (t.bo, t.ana) };
        t.m.net.window = 1000;
        t.m.net.read(to, false);
        let send = if by_ana { t.m.send(Side::A) } else { t.of_bo() };
        t.m.net.write(from, send.id("file0001").range("1-*/40000").body(pattern(40_000)).octets());
        let send = if by_ana { t.m.send(Side::A) } else { t.of_bo() };
        t.m.net.write(from, send.id("file0002").range("1-*/4").body("more").octets());
        t.m.release(SessionEnd::Bye);
        t.m.net.millis(1900);
        assert!(t.m.news().is_empty() && t.m.net.ends[from].reports().is_empty());
        t.m.net.millis(200);
        let mut told: Vec<_> = t.m.net.ends[from].reports().iter().map(|f| (f.message(), f.reported())).collect();
        told.sort();
        assert_eq!(told, [("file0001".into(), Some(408)), ("file0002".into(), Some(408))], "by Ana: {by_ana}");
        assert_eq!(t.m.news(), ["ended bye"]);
        t.m.net.window = 64 << 10;
        t.m.net.read(to, true);
        t.m.net.seconds(6);
        assert!(t.m.net.ends[t.ana].closed && !t.m.net.ends[t.bo].closed);
        t.m.assert_dead();
    }
}

/// A BYE while a message of the client still comes in: its sender hears that there is no session, and once.
#[test]
fn a_bye_in_the_midst_of_a_clients_message_is_told_once() {
    let mut t = Through::joined();
    let send = t.of_bo().id("file0001").range("1-*/40000").body(pattern(40_000));
    let octets = send.octets();
    t.m.net.write(t.bo, &octets[..20_000]);
    t.m.release(SessionEnd::Bye);
    t.m.net.seconds(3);
    t.m.net.write(t.bo, &octets[20_000..]);
    let codes = t.m.codes(t.bo, &send.tid);
    assert_eq!((codes, t.m.net.ends[t.bo].reported()), (vec![481], vec![]));
    assert_eq!(t.m.news(), ["ended bye"]);
    t.m.assert_dead();
}

/// A client behind a peer relay: its link is any of that relay's, or is made when it is needed.
#[test]
fn a_client_behind_a_peer_relay_is_reached_by_that_relay() {
    let peer = |s: &mut Settings| {
        s.peers.insert(HUB.to_owned(), Peer { max_chunk: None, multiplex: true, bulk: false });
    };
    let mut m = Meeting::with(peer);
    let inner = format!("msrps://{HUB}:2855/h7Wq2;tcp");
    let hub = m.net.peer_relay(0, HUB);
    let token = m.net.auth(hub, &format!("{inner} {BO}"), &[]).rsplit(' ').next().expect("a URI").to_owned();
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    let ana = m.come(Side::A);
    m.set(Side::B, terms(&format!("{token} {inner} {BO}"), Connect::Them)).expect("good terms");
    m.forget();
    let uri_b = m.uri(Side::B).to_owned();
    m.say(ana, Side::A, "m0000001", "moin");
    let arrived = m.net.ends[hub].sends()[0].clone();
    assert_eq!((to_path(&arrived), from_path(&arrived)), (format!("{inner} {BO}"), format!("{token} {uri_b}")));
    // From another connection of the same relay.
    let other = m.net.peer_relay(0, HUB);
    let from = format!("{inner} {BO}");
    let send = Request::send(&[&token, &uri_b], &from).id("m0000002").body("moin moin");
    m.net.write(other, send.octets());
    assert_eq!((m.codes(other, &send.tid), m.net.ends[ana].content("m0000002")), (vec![200], b"moin moin".to_vec()));
    m.assert_nothing_left();
}
