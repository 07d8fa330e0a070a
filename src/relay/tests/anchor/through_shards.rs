//! Legs whose end has us as its relay, by a token that is at home on another shard than the anchor.

use std::time::Duration;

use super::shards::{Meeting, record};
use crate::msrp::{Method, Status};
use crate::relay::tests::shards::World;
use crate::relay::{AnchorError, AnchorNews, Connect, Expects, LegTerms, SessionEnd, Side};

const MOMENT: Duration = Duration::from_millis(50);

/// Shards of the anchor, of Ana's link and of Bo's.
const PLACES: [(usize, usize, usize); 6] = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, 2), (2, 0, 1)];

/// Bo's answer, which begins with this token of ours.
fn answer_through(w: &mut World, m: &Meeting, token: &str, connect: Connect) -> Result<(), AnchorError> {
    let target = format!("{token} {}", w.ends[m.ends[1]].uri).into_bytes().into();
    let terms = LegTerms { target, connect, expects: Expects::Nothing, within: None, max_size: None, file: false };
    let now = w.now;
    w.shard(0, m.home).set_leg(m.anchor, Side::B, terms, now)
}

/// Ana and Bo on these shards, where their links stay; Bo's token.
fn joined(w: &mut World, (home, ana, bo): (usize, usize, usize), connect: Connect) -> (Meeting, String) {
    let ana = w.busy_client("ana.example", 0, ana).0;
    let (bo, token) = w.busy_client("bo.example", 0, bo);
    let m = Meeting::reserve(w, home, [ana, bo]);
    m.answer(w, Side::A);
    m.hello(w, Side::A);
    answer_through(w, &m, &token, connect).expect("good terms");
    w.run(MOMENT);
    (m, token)
}

fn path(p: Option<crate::msrp::Path<'_>>) -> String {
    String::from_utf8_lossy(p.expect("a path").after(0)).into_owned()
}

#[test]
fn messages_and_reports_pass_both_ways_between_any_shards() {
    for (seed, place) in (11..).zip(PLACES) {
        let mut w = World::with_shards(seed, 3);
        w.delay = Some(Duration::from_micros(300));
        let (m, token) = joined(&mut w, place, Connect::Us);
        let [ana, bo] = m.ends;
        let via = format!("{token} {}", m.uris[1]);
        let hello = w.ends[bo].frames.iter().rfind(|f| f.is(Method::Send)).expect("Bo hears from us first");
        assert_eq!(path(hello.head.from_path()), via, "{place:?}");
        let body: Vec<u8> = (0..30_000u32).map(|i| i as u8).collect();
        for round in 0..2 {
            let (there, back) = (format!("there{round}"), format!("back{round}"));
            let tid = m.say(&mut w, Side::A, &there, &body);
            let reply = w.ends[bo].send(&via, &back, &body);
            w.run(MOMENT);
            assert_eq!(
                (w.ends[ana].status_of(&tid), w.ends[bo].status_of(&reply)),
                (Some(200), Some(200)),
                "{place:?}"
            );
            assert!(
                w.ends[bo].message(&there).as_ref() == Some(&body)
                    && w.ends[ana].message(&back).as_ref() == Some(&body)
            );
            let arrived = w.ends[bo].frames.iter().find(|f| f.message() == there).expect("it has come");
            assert_eq!(
                (path(arrived.head.to_path()), path(arrived.head.from_path())),
                (w.ends[bo].uri.clone(), via.clone())
            );
            let arrived = w.ends[ana].frames.iter().find(|f| f.message() == back).expect("it has come");
            assert_eq!(
                (path(arrived.head.to_path()), path(arrived.head.from_path())),
                (w.ends[ana].uri.clone(), m.uris[0].clone())
            );
        }
        w.ends[bo].request("REPORT", &via, "Message-ID: there0\r\nByte-Range: 1-9/9\r\nStatus: 000 200 OK\r\n");
        w.ends[ana].request("REPORT", &m.uris[0], "Message-ID: back0\r\nByte-Range: 1-9/9\r\nStatus: 000 200 OK\r\n");
        w.run(MOMENT);
        assert_eq!((w.ends[ana].reports("there0").len(), w.ends[bo].reports("back0").len()), (1, 1), "{place:?}");
        // What the next hop refuses comes back as one REPORT.
        w.ends[ana].answer = Some(Status::new(415));
        w.ends[bo].answer = Some(Status::new(415));
        m.say(&mut w, Side::A, "odd", b"odd");
        w.ends[bo].send(&via, "odd", b"odd");
        w.run(MOMENT);
        assert_eq!(w.ends[ana].reports("odd").iter().map(|r| r.0).collect::<Vec<_>>(), [415], "{place:?}");
        assert_eq!(w.ends[bo].reports("odd").iter().map(|r| r.0).collect::<Vec<_>>(), [415], "{place:?}");
        m.release(&mut w, SessionEnd::Bye);
        w.run(MOMENT);
        // At once, and when all is over.
        for late in ["late1", "late2"] {
            let tids = [m.say(&mut w, Side::A, late, b"late"), w.ends[bo].send(&via, late, b"late")];
            w.run(Duration::from_secs(5));
            assert_eq!(w.ends[ana].status_of(&tids[0]), Some(481), "{place:?} {late}");
            assert_eq!(w.ends[bo].status_of(&tids[1]), Some(481), "{place:?} {late}");
        }
        let tally = record(&w).expect("it is over").tally;
        assert_eq!((tally.octets_from_owner, tally.octets_to_owner), (60_003, 60_003), "{place:?}");
        assert!(!w.ends[bo].closed, "{place:?}");
        w.assert_nothing_left();
    }
}

/// ADV-S18: what has not left or has no answer two seconds after a BYE is told once, and soon: both keep their links.
#[test]
fn a_bye_cuts_what_is_under_way_between_any_shards() {
    for place in PLACES {
        for by_ana in [true, false] {
            let mut w = World::with_shards(5, 3);
            let (m, token) = joined(&mut w, place, Connect::Them);
            let (from, to) = if by_ana { (m.ends[0], m.ends[1]) } else { (m.ends[1], m.ends[0]) };
            let path = if by_ana { m.uris[0].clone() } else { format!("{token} {}", m.uris[1]) };
            w.ends[to].answer = None;
            let silent = w.ends[from].send(&path, "silent", b"no answer");
            w.run(MOMENT);
            w.ends[to].rate = Some(1);
            let file = w.ends[from].send(&path, "file", &vec![b'x'; 150_000]);
            w.run(Duration::from_millis(200));
            m.release(&mut w, SessionEnd::Bye);
            w.run(Duration::from_secs(5));
            assert_eq!(record(&w).map(|r| r.end), Some(SessionEnd::Bye), "{place:?} {by_ana}");
            for (tid, id) in [(&silent, "silent"), (&file, "file")] {
                let (status, reports) = (w.ends[from].status_of(tid), w.ends[from].reports(id));
                let failed = usize::from(status.is_some_and(|s| s != 200));
                assert_eq!(failed + reports.len(), 1, "{id} {place:?} {by_ana}: {status:?} {reports:?}");
            }
            w.ends[to].rate = None;
            w.run(Duration::from_secs(40));
            assert!(!w.ends[from].closed && !w.ends[to].closed, "{place:?} {by_ana}");
            assert!(w.ends[from].reports("silent").len() <= 1 && w.ends[to].message("file").is_none());
            w.assert_nothing_left();
        }
    }
}

#[test]
fn the_end_of_the_clients_link_is_told_on_the_anchors_shard() {
    for place in PLACES {
        let mut w = World::with_shards(5, 3);
        let (m, _) = joined(&mut w, place, Connect::Them);
        assert!(matches!(w.news[..], [AnchorNews::Bound { .. }, AnchorNews::Bound { .. }]), "{place:?}: {:?}", w.news);
        w.hang_up(m.ends[1]);
        w.run(MOMENT);
        let lost = w.news.iter().filter(|n| matches!(n, AnchorNews::Lost { side: Side::B, .. })).count();
        assert_eq!(lost, 1, "{place:?}");
        m.release(&mut w, SessionEnd::Bye);
        w.assert_nothing_left();
    }
}

/// A client behind a peer relay sends by another link of that relay, on a shard that has neither its token nor the leg: a new
/// path of the other side is followed there as well.
#[test]
fn a_new_path_reaches_who_sends_by_another_link_of_a_relay() {
    let mut w = World::with_shards(10, 3);
    let ana = w.busy_client("ana.example", 0, 0).0;
    let [hub, other] = [1, 2].map(|shard| w.connect_relay("hub.example", 0, shard));
    for end in [hub, other] {
        w.ends[end].uri = "msrps://hub.example:7000/in;tcp msrps://bo.example:7000/bo;tcp".to_owned();
    }
    let token = w.auth(hub, 0);
    let m = Meeting::reserve(&mut w, 1, [ana, hub]);
    m.answer(&mut w, Side::A);
    m.hello(&mut w, Side::A);
    answer_through(&mut w, &m, &token, Connect::Them).expect("good terms");
    w.run(MOMENT);
    let via = format!("{token} {}", m.uris[1]);
    w.ends[other].send(&via, "one", b"one");
    w.run(MOMENT);
    w.ends[ana].uri = format!("msrps://edge.example:1/x;tcp {}", w.ends[ana].uri);
    m.answer(&mut w, Side::A);
    w.run(MOMENT);
    w.ends[other].send(&via, "two", b"two");
    w.run(MOMENT);
    let hops = |id: &str| {
        w.ends[ana].frames.iter().find(|f| f.message() == id).and_then(|f| f.head.to_path()).map(|p| p.len())
    };
    assert_eq!((hops("one"), hops("two")), (Some(1), Some(2)));
    m.release(&mut w, SessionEnd::Bye);
    // A token that nobody's link takes along dies in its time.
    w.run(Duration::from_secs(4000));
    w.assert_nothing_left();
}

/// The client has moved since its token was made: it is asked for where it has gone, and stays there from then on.
#[test]
fn a_token_that_has_moved_is_found() {
    for to in [0, 2] {
        let mut w = World::with_shards(6, 3);
        w.delay = Some(Duration::from_micros(300));
        let ana = w.busy_client("ana.example", 0, 0).0;
        let (bo, token) = w.client("bo.example", 0, 1);
        assert!(w.force_move(bo, to));
        let m = Meeting::reserve(&mut w, 0, [ana, bo]);
        m.answer(&mut w, Side::A);
        m.hello(&mut w, Side::A);
        answer_through(&mut w, &m, &token, Connect::Them).expect("good terms");
        w.run(MOMENT);
        assert!(!w.force_move(bo, 1), "a session counts on it");
        m.say(&mut w, Side::A, "there", b"there");
        let via = format!("{token} {}", m.uris[1]);
        w.ends[bo].send(&via, "back", b"back");
        w.run(MOMENT);
        assert_eq!(
            (w.ends[bo].message("there"), w.ends[ana].message("back")),
            (Some(b"there".into()), Some(b"back".into()))
        );
        m.release(&mut w, SessionEnd::Bye);
        // What it sent is answered for, for a while.
        w.run(Duration::from_secs(200));
        assert!(w.force_move(bo, 1), "and nobody after it");
        w.assert_nothing_left();
    }
}

/// Nobody there knows it: the dialogs hear of it as of a place that cannot be reached.
#[test]
fn a_token_that_has_died_elsewhere_is_told() {
    let mut w = World::with_shards(8, 2);
    let ana = w.busy_client("ana.example", 0, 0).0;
    let (bo, token) = w.client("bo.example", 0, 1);
    let m = Meeting::reserve(&mut w, 0, [ana, bo]);
    m.answer(&mut w, Side::A);
    m.hello(&mut w, Side::A);
    w.hang_up(bo);
    w.run(MOMENT);
    answer_through(&mut w, &m, &token, Connect::Us).expect("who knows");
    w.run(MOMENT);
    assert!(w.news.iter().any(|n| matches!(n, AnchorNews::Unreachable { side: Side::B, .. })), "{:?}", w.news);
    m.release(&mut w, SessionEnd::Bye);
    w.assert_nothing_left();
}

/// A call that is over before its question has been answered leaves nothing on the client's link.
#[test]
fn an_answer_that_comes_too_late_is_taken_back() {
    let mut w = World::with_shards(9, 2);
    w.delay = Some(Duration::from_millis(20));
    let ana = w.busy_client("ana.example", 0, 0).0;
    let (bo, token) = w.client("bo.example", 0, 1);
    let m = Meeting::reserve(&mut w, 0, [ana, bo]);
    m.answer(&mut w, Side::A);
    answer_through(&mut w, &m, &token, Connect::Us).expect("good terms");
    m.release(&mut w, SessionEnd::Cancelled);
    w.run(Duration::from_secs(1));
    assert!(w.force_move(bo, 0), "nothing of the leg is left on its link");
    w.assert_nothing_left();
}
