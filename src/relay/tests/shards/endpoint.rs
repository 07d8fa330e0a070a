//! Local endpoints: links without a socket, that send to links of any shard.

use std::collections::VecDeque;
use std::time::Duration;

use super::World;
use crate::msrp::{Method, Status};
use crate::relay::LinkId;

const SOON: Duration = Duration::from_millis(100);

/// Somebody in a room: the end, the room's token for it, what was not sent to it yet.
struct Member {
    end: usize,
    token: String,
    waiting: VecDeque<(String, Vec<u8>)>,
}

/// A room that sends what one member says to all.
struct FanOut {
    end: usize,
    link: LinkId,
    members: Vec<Member>,
    seen: usize,
}

impl FanOut {
    fn bind(&mut self, w: &mut World, member: usize) {
        let now = w.now;
        let token = w.shard(0, 0).bind_local(self.link, "room", now).expect("a token");
        let token = String::from_utf8(token.to_vec()).expect("text");
        self.members.push(Member { end: member, token, waiting: VecDeque::new() });
    }

    /// One turn: copies what has come, sends what there is room for.
    fn turn(&mut self, w: &mut World) {
        let came = w.ends[self.end].frames.iter().skip(self.seen).filter(|f| f.is(Method::Send) && f.body != b"join");
        let came: Vec<_> = came.map(|f| (f.message(), f.body.clone())).collect();
        self.seen = w.ends[self.end].frames.len();
        for member in &mut self.members {
            member.waiting.extend(came.iter().cloned());
            while let Some((id, body)) = member.waiting.front() {
                let far = w.ends[member.end].uri.clone();
                if w.shard(0, 0).endpoint_room(self.link, member.token.as_bytes(), far.as_bytes()) < body.len() {
                    break;
                }
                w.ends[self.end].send(&format!("{} {far}", member.token), id, body);
                member.waiting.pop_front();
                w.run(Duration::from_micros(100));
            }
        }
    }
}

/// A room on shard 0 with so many members on each of two shards, who stay there.
fn room(members: usize) -> (World, FanOut) {
    let mut w = World::with_shards(4, 2);
    let (end, link) = w.endpoint(0, 0);
    let mut fan = FanOut { end, link, members: Vec::new(), seen: 0 };
    for shard in 0..2 {
        let anchor = w.connect("anchor.example", 0, shard);
        for i in 0..members {
            let token = w.auth(anchor, 0);
            let far = w.connect(&format!("m{shard}x{i}.example"), 0, shard);
            let to = format!("{token} {}", w.ends[anchor].uri);
            w.ends[far].send(&to, "stay", b"stay");
            w.run(Duration::from_millis(2));
            fan.bind(&mut w, far);
            let to = format!("{} {}", fan.members.last().expect("one").token, w.ends[end].uri);
            w.ends[far].send(&to, "join", b"join");
        }
    }
    w.run(SOON);
    let shards: Vec<_> = fan.members.iter().map(|m| w.link_of(m.end).expect("alive").0).collect();
    assert_eq!(shards.iter().filter(|s| **s == 1).count(), members);
    (w, fan)
}

fn say(w: &mut World, fan: &FanOut, id: &str, body: &[u8]) {
    let to = format!("{} {}", fan.members[0].token, w.ends[fan.end].uri);
    w.ends[fan.members[0].end].send(&to, id, body);
}

#[test]
fn a_hundred_members_on_two_shards_all_hear_one() {
    let (mut w, mut fan) = room(50);
    say(&mut w, &fan, "said", b"hello all");
    for _ in 0..20 {
        w.run(Duration::from_millis(1));
        fan.turn(&mut w);
    }
    w.run(SOON);
    for m in &fan.members {
        assert_eq!(w.ends[m.end].message("said").as_deref(), Some(&b"hello all"[..]));
    }
    let sent = w.ends[fan.end].frames.iter().filter(|f| f.status() == Some(200)).count();
    assert_eq!(sent, 100);
    w.assert_nothing_left();
}

#[test]
fn a_stalled_member_stops_only_its_own_copy() {
    let (mut w, mut fan) = room(5);
    let stalled = [1, 7];
    stalled.iter().for_each(|m| w.ends[fan.members[*m].end].rate = Some(0));
    let ids: Vec<_> = (0..60).map(|i| format!("said{i}")).collect();
    for id in &ids {
        say(&mut w, &fan, id, &[b'x'; 9000]);
        for _ in 0..3 {
            w.run(Duration::from_millis(1));
            fan.turn(&mut w);
        }
    }
    w.run(SOON);
    for (i, m) in fan.members.iter().enumerate() {
        if stalled.contains(&i) {
            assert!(m.waiting.len() > 10, "{} wait", m.waiting.len());
            w.ends[m.end].rate = None;
        } else {
            assert!(ids.iter().all(|id| w.ends[m.end].message(id).is_some()), "member {i}");
        }
    }
    assert!(w.most_buffered < 1 << 20, "{}", w.most_buffered);
    for _ in 0..50 {
        w.run(Duration::from_millis(1));
        fan.turn(&mut w);
    }
    w.run(SOON);
    for m in &fan.members {
        assert!(ids.iter().all(|id| w.ends[m.end].message(id).is_some()));
    }
    assert_eq!(w.ends[fan.end].count(Method::Report), 0);
    w.assert_nothing_left();
}

#[test]
fn an_echo_answers_whom_it_hears_wherever_that_is() {
    let mut w = World::with_shards(4, 2);
    let (echo, link) = w.endpoint(0, 1);
    let now = w.now;
    let token = w.shard(0, 1).bind_local(link, "echo", now).expect("a token");
    let token = String::from_utf8(token.to_vec()).expect("text");
    let (a, own) = w.busy_client("a.example", 0, 0);
    let to = format!("{own} {token} {}", w.ends[echo].uri);
    w.ends[a].send(&to, "m1", b"hello?");
    w.run(SOON);
    let heard = w.ends[echo].message("m1").expect("heard");
    let back = format!("{token} {own} {}", w.ends[a].uri);
    let tid = w.ends[echo].send(&back, "m2", &heard);
    w.run(SOON);
    assert_eq!(w.ends[echo].status_of(&tid), Some(200));
    assert_eq!(w.ends[a].message("m2").as_deref(), Some(&b"hello?"[..]));
    w.ends[a].answer = Some(Status::NO_SESSION);
    w.ends[echo].send(&back, "m3", &heard);
    w.run(SOON);
    assert_eq!(w.ends[echo].reports("m3").iter().map(|r| r.0).collect::<Vec<_>>(), [481]);
    w.assert_nothing_left();
}

#[test]
fn an_endpoint_that_nobody_uses_wakes_its_shard_no_more() {
    let mut w = World::with_shards(4, 1);
    let (end, _) = w.endpoint(0, 0);
    let tid = w.ends[end].send("msrps://relay.example:2855/none;tcp", "m1", b"anybody?");
    w.run(SOON);
    assert_eq!(w.ends[end].status_of(&tid), Some(481));
    // Longer than a link of a far side may be idle, and than a socket may take nothing.
    w.run(Duration::from_secs(310));
    let now = w.now;
    let next = w.shard(0, 0).poll_timeout();
    assert!(next.is_none_or(|at| at > now + Duration::from_secs(30)), "{:?}", next.map(|at| at.since(now)));
    w.assert_nothing_left();
}
