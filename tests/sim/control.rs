//! The SIP plane, as far as the core sees it: commands about anchors, and what is told of them.

use std::sync::Arc;

use chappe::relay::{AnchorId, AnchorNews, AnchorWish, Connect, Expects, LegTerms, SessionEnd, Side};

use crate::dice::Dice;
use crate::frame::{end_line, head};
use crate::model::Rule;
use crate::plan::{Act, Way};
use crate::stats::Count;
use crate::world::{Task, World};

/// A call whose media are anchored.
pub struct Call {
    pub home: usize,
    pub session: usize,
    shard: u16,
    anchor: Option<AnchorId>,
    released: bool,
    ended: bool,
    bound: [bool; 2],
    set: [bool; 2],
}

impl Call {
    pub fn new(home: usize, session: usize) -> Call {
        let (anchor, shard) = (None, 0);
        Call { home, session, shard, anchor, released: false, ended: false, bound: [false; 2], set: [false; 2] }
    }

    /// Its relay has lost its memory.
    pub fn forget(&mut self) {
        (self.anchor, self.released, self.ended) = (None, true, true);
    }

    /// Its relay ends all sessions.
    pub fn shutting_down(&mut self) {
        self.released = true;
    }
}

fn side(n: usize) -> Side {
    Side::BOTH[n]
}

fn text(uri: &[u8]) -> String {
    String::from_utf8_lossy(uri).into_owned()
}

impl World {
    /// The action of this number.
    pub fn act(&mut self, index: usize) {
        let action = self.plan.actions[index].clone();
        let mut dice = action.dice;
        self.trace.note("act", &[index as u64]);
        self.trace.say(|| format!("ACT {:?}", action.act));
        let done = match &action.act {
            Act::Join(person) => {
                self.stats.add(Count::Person);
                self.join_person(*person);
                true
            }
            Act::Say(say) => self.say(*say, &mut dice),
            Act::Reauth(talk, side) => self.reauth(*talk, *side),
            Act::Whole(talk, side) => self.ask_whole(*talk, *side, &mut dice),
            Act::Lie(person, kind) => self.lie(*person, *kind, &mut dice),
            Act::Reserve(call) => self.reserve(*call, &mut dice),
            Act::Set(call, n) => self.set_leg(*call, *n),
            Act::Renew(call, n, keep) => self.renew(*call, *n, *keep),
            Act::Release(call, bye) => self.release(*call, *bye),
            Act::Fault(fault) => {
                self.suffer(fault);
                true
            }
        };
        if !done {
            self.stats.add(Count::Spared);
        }
    }

    /// A request that is neither SEND nor REPORT.
    fn ask_whole(&mut self, talk: usize, side: usize, dice: &mut Dice) -> bool {
        let (Some(to), Some(conn)) = (self.talks[talk].path(side), self.speaks_on(talk, side)) else { return false };
        let (tid, method) = (dice.ident(12), dice.pick(&["NICKNAME", "FROB"]));
        let lines = [format!("Use-Nickname: \"of {tid}\"")];
        let mut octets = head(&tid, method, &to.join(" "), &self.talks[talk].uris[side], &lines, false);
        octets.extend(end_line(&tid, '$', false));
        self.stats.add(Count::Whole);
        self.say_octets(conn, octets);
        true
    }

    // ---- commands

    fn reserve(&mut self, call: usize, dice: &mut Dice) -> bool {
        let Call { home, session, .. } = self.calls[call];
        let now = self.node_now(home);
        if !self.nodes[home].up || self.calls[call].anchor.is_some() {
            return false;
        }
        let at = self.nodes[home].settings.authorities[0].clone();
        let shard = dice.below(self.nodes[home].shards.len()) as u16;
        let wish = AnchorWish { at: [at.clone(), at], user: Arc::from("ana") };
        let Some(Ok(reserved)) = self.relay(home, shard).map(|r| r.reserve_anchor(wish, now)) else { return false };
        self.calls[call] = Call { shard, anchor: Some(reserved.anchor), ..Call::new(home, session) };
        for (n, uri) in reserved.uris.iter().enumerate() {
            self.talks[session].tokens[n] = vec![text(uri)];
            self.model.leg_uri(home, call, n, &text(uri));
        }
        self.stats.add(Count::Anchor);
        self.ready(Task::Shard(home, shard));
        true
    }

    fn set_leg(&mut self, call: usize, n: usize) -> bool {
        let Call { home, session, shard, anchor: Some(anchor), .. } = self.calls[call] else { return false };
        let now = self.node_now(home);
        let t = &self.talks[session];
        let (target, person) = (t.uris[n].clone(), t.persons[n]);
        let connect = if matches!(t.ways[n], Way::Leg(_, true)) { Connect::Us } else { Connect::Them };
        let terms = LegTerms {
            target: target.clone().into_bytes().into(),
            connect,
            expects: Expects::Nothing,
            within: None,
            max_size: None,
            file: false,
        };
        self.model.leg_target(home, call, n, &target, person);
        let Some(Ok(())) = self.relay(home, shard).map(|r| r.set_leg(anchor, side(n), terms, now)) else {
            return false;
        };
        self.calls[call].set[n] = true;
        self.ready(Task::Shard(home, shard));
        self.greet_anchors(person);
        true
    }

    fn renew(&mut self, call: usize, n: usize, keep: bool) -> bool {
        let Call { home, session, shard, anchor: Some(anchor), .. } = self.calls[call] else { return false };
        let now = self.node_now(home);
        let Some(Ok(uri)) = self.relay(home, shard).map(|r| r.renew_leg(anchor, side(n), now)) else { return false };
        self.stats.add(Count::Renewal);
        self.ready(Task::Shard(home, shard));
        self.model.leg_uri(home, call, n, &text(&uri));
        if keep {
            self.talks[session].tokens[n] = vec![text(&uri)];
            return self.set_leg(call, n);
        }
        if let Some(relay) = self.relay(home, shard) {
            relay.withdraw_renewal(anchor, side(n), now);
        }
        self.model.leg_uri_dead(home, &text(&uri), now.as_nanos());
        true
    }

    fn release(&mut self, call: usize, bye: bool) -> bool {
        let Call { home, shard, anchor: Some(anchor), released: false, .. } = self.calls[call] else { return false };
        let now = self.node_now(home);
        self.calls[call].released = true;
        self.model.anchor_over(home, call, now.as_nanos());
        let end = if bye { SessionEnd::Bye } else { SessionEnd::Cancelled };
        if let Some(relay) = self.relay(home, shard) {
            relay.release_anchor(anchor, end, now);
        }
        self.stats.add(Count::Release);
        self.ready(Task::Shard(home, shard));
        true
    }

    /// All calls that are left end.
    pub fn hang_up_calls(&mut self) {
        for call in 0..self.calls.len() {
            self.release(call, call % 2 == 0);
        }
    }

    /// The end of a leg makes itself known, as the active side does (RFC 4975 section 5.4).
    pub fn greet_anchors(&mut self, person: usize) {
        for call in 0..self.calls.len() {
            let session = self.calls[call].session;
            for n in 0..2 {
                let t = &self.talks[session];
                let active = t.persons[n] == person && matches!(t.ways[n], Way::Leg(_, false));
                let Some(token) = t.tokens[n].first().filter(|_| active).cloned() else { continue };
                let Some(conn) = self.speaks_on(session, n) else { continue };
                let tid = self.people[person].dice.ident(12);
                let lines = [format!("Message-ID: hello{tid}"), "Byte-Range: 1-0/0".to_owned()];
                let mut octets = head(&tid, "SEND", &token, &self.talks[session].uris[n], &lines, false);
                octets.extend(end_line(&tid, '$', false));
                self.say_octets(conn, octets);
            }
        }
    }

    // ---- news

    /// What is told of an anchor must follow from what was done with it.
    pub fn anchor_news(&mut self, node: usize, shard: u16, anchor: AnchorId, news: AnchorNews) {
        self.stats.add(Count::AnchorNews);
        self.trace.note("news", &[node as u64, shard.into(), anchor.as_u64()]);
        self.trace.say(|| format!("    {}", news.word()));
        let now = self.node_now(node).as_nanos();
        let found = self.calls.iter().position(|c| c.home == node && c.shard == shard && c.anchor == Some(anchor));
        let Some(call) = found else {
            return self.model.fail(Rule::News, format!("news of an anchor that nobody has reserved: {news:?}"));
        };
        let word = news.word();
        let c = &mut self.calls[call];
        let mut wrong = c.ended;
        match news {
            AnchorNews::Bound { side, .. } => {
                wrong |= !c.set[side as usize];
                c.bound[side as usize] = true;
            }
            AnchorNews::Lost { side, .. } | AnchorNews::NotRebuilt { side } => wrong |= !c.bound[side as usize],
            AnchorNews::Unconnected { side } => wrong |= !c.set[side as usize],
            AnchorNews::Ended(_) => {
                let answered = c.set == [true; 2];
                wrong |= !c.released && answered;
                c.ended = true;
                self.model.anchor_over(node, call, now);
            }
            _ => {}
        }
        if wrong {
            self.model.fail(Rule::News, format!("call {call} is told {word} though that cannot be"));
        }
    }

    /// Every call that was released has been told of its end.
    pub fn check_calls(&mut self) {
        for call in 0..self.calls.len() {
            let c = &self.calls[call];
            if c.anchor.is_some() && c.released && !c.ended {
                self.model.fail(Rule::News, format!("call {call} was never told of its end"));
            }
        }
    }
}
