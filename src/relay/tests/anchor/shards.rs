//! Anchors whose links are accepted anywhere: they come to the anchor, or parcels go between.

use std::sync::Arc;
use std::time::Duration;

use crate::msrp::{Flag, Method, Status};
use crate::relay::tests::shards::World;
use crate::relay::{
    AnchorId, AnchorNews, AnchorWish, Authority, Connect, Expects, LegTerms, SessionEnd, SessionRecord, Side,
};

const MOMENT: Duration = Duration::from_millis(50);

/// An anchor of one shard between two ends.
pub(super) struct Meeting {
    pub(super) home: usize,
    pub(super) anchor: AnchorId,
    pub(super) uris: [String; 2],
    pub(super) ends: [usize; 2],
}

impl Meeting {
    pub(super) fn reserve(w: &mut World, home: usize, ends: [usize; 2]) -> Meeting {
        let at = Authority { scheme: crate::msrp::Scheme::Msrps, host: "relay.example".to_owned(), port: 2855 };
        let now = w.now;
        let wish = AnchorWish { at: [at.clone(), at], user: Arc::from("ana") };
        let reserved = w.shard(0, home).reserve_anchor(wish, now).expect("room");
        let uris = reserved.uris.map(|u| String::from_utf8_lossy(&u).into_owned());
        Meeting { home, anchor: reserved.anchor, uris, ends }
    }

    pub(super) fn answer(&self, w: &mut World, side: Side) {
        let target = w.ends[self.ends[side as usize]].uri.as_bytes().into();
        let terms = LegTerms {
            target,
            connect: Connect::Them,
            expects: Expects::Nothing,
            within: None,
            max_size: None,
            file: false,
        };
        let now = w.now;
        w.shard(0, self.home).set_leg(self.anchor, side, terms, now).expect("good terms");
    }

    pub(super) fn joined(w: &mut World, home: usize, ends: [usize; 2]) -> Meeting {
        let m = Meeting::reserve(w, home, ends);
        for side in Side::BOTH {
            m.answer(w, side);
            m.hello(w, side);
        }
        w.run(MOMENT);
        m
    }

    pub(super) fn hello(&self, w: &mut World, side: Side) -> String {
        let end = self.ends[side as usize];
        w.ends[end].request("SEND", &self.uris[side as usize], "Message-ID: hello\r\nByte-Range: 1-0/0\r\n")
    }

    pub(super) fn say(&self, w: &mut World, side: Side, id: &str, body: &[u8]) -> String {
        w.ends[self.ends[side as usize]].send(&self.uris[side as usize], id, body)
    }

    pub(super) fn release(&self, w: &mut World, end: SessionEnd) {
        let now = w.now;
        w.shard(0, self.home).release_anchor(self.anchor, end, now);
    }
}

pub(super) fn record(w: &World) -> Option<SessionRecord> {
    w.news.iter().rev().find_map(|n| match n {
        AnchorNews::Ended(record) => Some((**record).clone()),
        _ => None,
    })
}

/// Both ways, with what the ends see.
fn talk(w: &mut World, m: &Meeting) {
    for side in Side::BOTH {
        let (from, to) = (m.ends[side as usize], m.ends[side.other() as usize]);
        let body: Vec<u8> = (0..30_000u32).map(|i| i as u8).collect();
        let id = format!("talk{side:?}");
        let tid = m.say(w, side, &id, &body);
        w.run(MOMENT);
        assert_eq!(w.ends[from].status_of(&tid), Some(200));
        assert_eq!(w.ends[to].message(&id), Some(body));
        let arrived = w.ends[to].frames.iter().find(|f| f.message() == id).expect("it has come");
        let path = |p: Option<crate::msrp::Path<'_>>| String::from_utf8_lossy(p.expect("a path").after(0)).into_owned();
        assert_eq!(path(arrived.head.to_path()), w.ends[to].uri);
        assert_eq!(path(arrived.head.from_path()), m.uris[side.other() as usize]);
        assert!(w.ends[from].reports(&id).is_empty());
    }
}

#[test]
fn a_fresh_link_comes_to_the_shard_of_its_anchor() {
    let mut w = World::with_shards(1, 3);
    let ends = [w.connect("ana.example", 0, 1), w.connect("bo.example", 0, 2)];
    let m = Meeting::joined(&mut w, 0, ends);
    assert!(ends.iter().all(|e| w.link_of(*e).map(|l| l.0) == Some(0)));
    talk(&mut w, &m);
    m.release(&mut w, SessionEnd::Bye);
    w.run(MOMENT);
    assert!(ends.iter().all(|e| w.ends[*e].closed));
    w.assert_nothing_left();
}

#[test]
fn links_that_stay_where_they_are_meet_by_parcels() {
    // Shards of the anchor, of Ana's link and of Bo's.
    for (home, ana, bo) in [(0, 1, 0), (0, 0, 1), (0, 1, 2), (0, 1, 1), (2, 0, 1)] {
        let mut w = World::with_shards(7, 3);
        w.delay = Some(Duration::from_micros(300));
        let ana = w.busy_client("ana.example", 0, ana).0;
        let bo = w.busy_client("bo.example", 0, bo).0;
        let m = Meeting::joined(&mut w, home, [ana, bo]);
        talk(&mut w, &m);
        talk_whole(&mut w, &m);
        m.release(&mut w, SessionEnd::Bye);
        w.run(Duration::from_secs(5));
        let tally = record(&w).expect("it is over").tally;
        assert_eq!((tally.octets_from_owner, tally.octets_to_owner), (30_000, 30_000), "{home}");
        assert_eq!((tally.messages_from_owner, tally.messages_to_owner), (1, 1));
        // Their other sessions keep them.
        assert!(!w.ends[ana].closed && !w.ends[bo].closed);
        let tid = m.say(&mut w, Side::A, "late", b"late");
        w.run(MOMENT);
        assert_eq!(w.ends[ana].status_of(&tid), Some(481));
        w.assert_nothing_left();
    }
}

/// A REPORT and a request with an answer.
fn talk_whole(w: &mut World, m: &Meeting) {
    let [ana, bo] = m.ends;
    w.ends[bo].request("REPORT", &m.uris[1], "Message-ID: talkA\r\nByte-Range: 1-9/9\r\nStatus: 000 200 OK\r\n");
    let tid = w.ends[ana].request("NICKNAME", &m.uris[0], "Use-Nickname: \"ana\"\r\n");
    w.run(MOMENT);
    assert_eq!(w.ends[ana].count(Method::Report), 1);
    let at = w.ends[bo].frames.iter().rposition(|f| f.is(Method::Nickname)).expect("it has come");
    let head = w.ends[bo].frames[at].head.clone();
    w.ends[bo].respond(&head, Status::OK);
    w.run(MOMENT);
    assert_eq!(w.ends[ana].status_of(&tid), Some(200));
    let answer = w.ends[ana].frames.last().expect("an answer");
    assert_eq!(answer.head.from_path().map(|p| p.after(0).to_vec()), Some(m.uris[0].clone().into_bytes()));
}

#[test]
fn what_comes_early_from_elsewhere_waits_there() {
    let mut w = World::with_shards(3, 2);
    let ana = w.connect("ana.example", 0, 0);
    let bo = w.busy_client("bo.example", 0, 1).0;
    let m = Meeting::reserve(&mut w, 0, [ana, bo]);
    m.answer(&mut w, Side::A);
    m.hello(&mut w, Side::A);
    let tid = m.say(&mut w, Side::B, "early", b"early");
    w.run(Duration::from_secs(8));
    assert_eq!(w.ends[bo].status_of(&tid), None);
    m.answer(&mut w, Side::B);
    w.run(MOMENT);
    assert_eq!(w.ends[bo].status_of(&tid), Some(200));
    assert_eq!(w.ends[ana].message("early"), Some(b"early".to_vec()));
    // And in vain, when nobody answers; the link serves others and stays.
    let first = m;
    let m = Meeting::reserve(&mut w, 0, [ana, bo]);
    let tid = m.say(&mut w, Side::B, "vain", b"vain");
    w.run(Duration::from_secs(11));
    assert_eq!(w.ends[bo].status_of(&tid), Some(481));
    assert!(!w.ends[bo].closed);
    for m in [first, m] {
        m.release(&mut w, SessionEnd::Cancelled);
    }
    w.assert_nothing_left();
}

#[test]
fn a_bodiless_send_from_elsewhere_binds_before_the_other_leg_is_there() {
    let mut w = World::with_shards(3, 2);
    let ana = w.connect("ana.example", 0, 0);
    let bo = w.busy_client("bo.example", 0, 1).0;
    let m = Meeting::reserve(&mut w, 0, [ana, bo]);
    m.answer(&mut w, Side::A);
    m.answer(&mut w, Side::B);
    let tid = m.hello(&mut w, Side::B);
    w.run(MOMENT);
    assert_eq!(w.ends[bo].status_of(&tid), Some(200));
    assert!(matches!(w.news[..], [AnchorNews::Bound { side: Side::B, .. }]));
    // A second one is told so.
    let other = w.busy_client("other.example", 0, 1).0;
    let tid = w.ends[other].send(&m.uris[1], "me", b"me too");
    w.run(MOMENT);
    assert_eq!(w.ends[other].status_of(&tid), Some(506));
    // The bound one goes, and the dialogs hear of it on the anchor's shard.
    w.hang_up(bo);
    w.run(MOMENT);
    assert!(w.news.iter().any(|n| matches!(n, AnchorNews::Lost { side: Side::B, .. })));
    m.release(&mut w, SessionEnd::Bye);
    w.assert_nothing_left();
}

#[test]
fn a_bye_cuts_what_is_under_way_between_shards() {
    for (home, ana, bo) in [(0, 1, 0), (0, 0, 1), (0, 1, 2), (0, 1, 1)] {
        let mut w = World::with_shards(5, 3);
        let ana = w.busy_client("ana.example", 0, ana).0;
        let bo = w.busy_client("bo.example", 0, bo).0;
        let m = Meeting::joined(&mut w, home, [ana, bo]);
        w.ends[bo].rate = Some(1);
        let body = vec![b'x'; 150_000];
        let first = m.say(&mut w, Side::A, "file", &body);
        let second = m.say(&mut w, Side::A, "next", b"next");
        w.run(Duration::from_millis(200));
        m.release(&mut w, SessionEnd::Bye);
        w.run(Duration::from_secs(1));
        assert!(record(&w).is_none());
        w.run(Duration::from_secs(3));
        assert_eq!(record(&w).map(|r| r.end), Some(SessionEnd::Bye));
        w.ends[bo].rate = None;
        w.run(Duration::from_secs(1));
        for (tid, id) in [(&first, "file"), (&second, "next")] {
            let why = format!("{id} {home}");
            let (status, reports) = (w.ends[ana].status_of(tid), w.ends[ana].reports(id));
            let failed = usize::from(status.is_some_and(|s| s != 200));
            assert_eq!(failed + reports.len(), 1, "{why}: {status:?} {reports:?}");
            assert!(w.ends[bo].message(id).is_none(), "{why}");
        }
        assert_eq!(w.ends[bo].flags("file").last(), Some(&Flag::Abort));
        w.assert_nothing_left();
    }
}

#[test]
fn a_new_path_reaches_senders_elsewhere() {
    let mut w = World::with_shards(9, 2);
    let ana = w.busy_client("ana.example", 0, 1).0;
    let bo = w.connect("bo.example", 0, 0);
    let m = Meeting::joined(&mut w, 0, [ana, bo]);
    m.say(&mut w, Side::A, "one", b"one");
    w.run(MOMENT);
    w.ends[bo].uri = format!("msrps://edge.example:1/x;tcp {}", w.ends[bo].uri);
    m.answer(&mut w, Side::B);
    w.run(MOMENT);
    m.say(&mut w, Side::A, "two", b"two");
    w.run(MOMENT);
    let paths: Vec<_> = ["one", "two"]
        .iter()
        .map(|id| w.ends[bo].frames.iter().find(|f| f.message() == *id).and_then(|f| f.head.to_path()).map(|p| p.len()))
        .collect();
    assert_eq!(paths, [Some(1), Some(2)]);
    m.release(&mut w, SessionEnd::Bye);
    w.run(MOMENT);
    w.assert_nothing_left();
}
