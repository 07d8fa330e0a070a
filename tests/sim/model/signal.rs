//! Exactly one outcome for each accepted SEND (msrp-relay 5.4): the next hop's 2xx, or one REPORT that covers what it has not
//! confirmed; for one that was refused, the refusal.

use super::departures::bounds;
use super::{Chunk, Model, Passage, Rule};
use crate::frame::{Head, Wish};
use crate::stats::Count;
use crate::wire::EndRef;

/// Time for an answer, in nanoseconds (RFC 4975 section 7.1.1).
pub(super) const ANSWER: u64 = 30_000_000_000;
/// A clock that stands still for want of reading does so for this long at most.
const FREEZE: u64 = 60_000_000_000;
/// What clocks may be wrong by.
const SLACK: u64 = 20_000_000;

/// A link that is to close has this long for its last frames, in nanoseconds.
const FLUSH: u64 = 5_500_000_000;
/// What has been read waits for a look-up so long at most.
const UNSEEN: u64 = 10_000_000_000;
const PREMATURE: &str = "before the time for its answer was over";
const CONFIRMED: &str = "though all of it was confirmed";

/// What is right only if one of these links goes.
pub(super) struct Suspect {
    node: usize,
    links: Vec<EndRef>,
    at: u64,
    rule: Rule,
    what: String,
}

impl Model {
    /// This is wrong unless one of these links goes in a moment.
    pub(super) fn suspect(&mut self, node: usize, links: Vec<EndRef>, at: u64, rule: Rule, what: String) {
        self.suspects.push(Suspect { node, links, at, rule, what });
    }

    /// The links of suspicious REPORTs have closed, or should have.
    pub(super) fn look_at_suspects(&mut self, node: usize, now: u64) {
        let disturbed = self.nodes[node].disturbed;
        let over = |s: &Suspect| s.at.max(disturbed) + FLUSH;
        let due = |s: &Suspect| s.node == node && now > over(s);
        let (ripe, open): (Vec<_>, _) = std::mem::take(&mut self.suspects).into_iter().partition(due);
        self.suspects = open;
        for suspect in ripe {
            let closed =
                |end: &EndRef| self.nodes[node].links.get(end).is_none_or(|l| !l.open && l.closed <= over(&suspect));
            if !suspect.links.iter().any(closed) && self.nodes[node].up {
                self.fail(suspect.rule, suspect.what);
            }
        }
    }

    pub(super) fn report_leaves(&mut self, node: usize, end: EndRef, head: &Head, now: u64) {
        if self.report_passes(node, end, head) {
            return;
        }
        let id = head.message().to_owned();
        let wrong =
            |what: &str| format!("relay {node} reports {} on {id}: {what}", head.line("Byte-Range").unwrap_or("-"));
        let (Some(code), Some(range)) = (head.status(), head.range().filter(|r| r.end.is_some())) else {
            return self.fail(Rule::Signal, wrong("without code or range"));
        };
        if head.from.len() != 1 {
            return self.fail(Rule::Signal, wrong("one that is not its own, and has not come in"));
        }
        let (first, behind) = bounds(range);
        let Some(passage) = self.nodes[node].passages.get(&id) else {
            return self.fail(Rule::Signal, wrong("which it has not got"));
        };
        let of = |c: &&Chunk| c.from == head.to && c.to[0] == head.from[0];
        let within = |c: &Chunk| c.start <= first && behind <= c.start + c.len;
        let meets = |c: &Chunk| c.start < behind && first < c.start + c.len;
        let chunks = || passage.chunks.iter().enumerate().filter(|(_, c)| of(c));
        let candidates: Vec<usize> = chunks().filter(|(_, c)| within(c)).map(|(i, _)| i).collect();
        // Too many in a second are put together.
        let several: Vec<usize> = chunks().filter(|(_, c)| meets(c) && c.reports.is_empty()).map(|(i, _)| i).collect();
        let found = match candidates[..] {
            [] if several.len() > 1 => several,
            [] => return self.fail(Rule::Signal, wrong("which is no range of one that came")),
            [only] => vec![only],
            _ => {
                // A chunk without an octet touches those beside it: it is the one that is meant if it is there.
                let exact = |i: usize| (passage.chunks[i].start, passage.chunks[i].start + passage.chunks[i].len);
                let other = |i: &usize| exact(*i) != (first, behind);
                let wrong = |i: &usize| self.why_not(node, passage, *i, now).is_some();
                let told = |i: &usize| !passage.chunks[*i].reports.is_empty();
                candidates.into_iter().min_by_key(|i| (other(i), told(i), wrong(i))).into_iter().collect()
            }
        };
        let previous = passage.chunks[found[0]].link;
        if let [only] = found[..]
            && let Some(what) = self.why_not(node, passage, only, now)
        {
            // Unless it is about to close a link on which something of it went: that is seen after its last frames. What
            // came by that link behind the reason for its end has been read, and is not looked at.
            let parts = || passage.chunks[only].parts.iter().map(|p| &passage.parts[*p]);
            let unseen = what == CONFIRMED && parts().any(|p| p.answer.is_some_and(|(_, at)| now < at + UNSEEN));
            let links: Vec<EndRef> = parts().map(|p| p.link).collect();
            let text = wrong(what);
            if !(what == PREMATURE || unseen) || links.is_empty() {
                return self.fail(Rule::Signal, text);
            }
            self.suspect(node, links, now, Rule::Signal, text);
        }
        if previous != end && self.is_open(node, previous) {
            return self.fail(Rule::Signal, wrong("to somebody else than it came from"));
        }
        self.stats.add(Count::Report);
        if code == 408 {
            self.stats.add(Count::Report408);
        }
        if let Some(passage) = self.nodes[node].passages.get_mut(&id) {
            for at in found {
                passage.chunks[at].reports.push((first, behind, code));
            }
        }
    }

    /// Why a REPORT on this chunk is wrong now.
    fn why_not(&self, node: usize, passage: &Passage, at: usize, now: u64) -> Option<&'static str> {
        let c = &passage.chunks[at];
        if c.wish == Wish::No {
            return Some("which nobody wanted to know");
        }
        if !c.reports.is_empty() {
            return Some("for the second time");
        }
        if c.answer.is_some_and(|a| a >= 300) {
            return Some("which it has refused");
        }
        if c.flag.is_none() && !c.cut {
            return Some("before it has ended");
        }
        let ending = self.nodes[node].shutting_down || self.leg_is_over(node, &c.to[0]);
        if !c.out_done || c.out < c.len || ending {
            return None;
        }
        let parts = c.parts.iter().map(|p| &passage.parts[*p]);
        let mut silent = false;
        for p in parts {
            let gone = !self.is_open(node, p.link);
            let refused = p.answer.is_some_and(|(code, _)| !(200..300).contains(&code));
            let late = p.answer.is_none_or(|(_, at)| at >= p.sent + ANSWER - SLACK);
            silent |= late;
            // Silence is a failure for those who asked for answers alone.
            let over = || late && c.wish == Wish::Yes && self.waited(node, p.link, p.sent, now) >= ANSWER - SLACK;
            // The relay has given the message up: nobody need wait for an answer.
            let given_up = late && p.flag == Some('#') && c.flag != Some('#');
            if gone || refused || p.flag.is_none() || over() || given_up {
                return None;
            }
        }
        Some(if silent { PREMATURE } else { CONFIRMED })
    }

    pub(super) fn is_open(&self, node: usize, end: EndRef) -> bool {
        self.nodes[node].links.get(&end).is_some_and(|l| l.open)
    }

    /// Time since then during which answers could come in.
    fn waited(&self, node: usize, end: EndRef, since: u64, now: u64) -> u64 {
        let Some(link) = self.nodes[node].links.get(&end) else { return u64::MAX };
        let pauses = link.pauses.iter().copied().chain(link.paused.map(|from| (from, now)));
        let unread: u64 = pauses.map(|(from, to)| to.min(from + FREEZE).saturating_sub(from.max(since))).sum();
        now.saturating_sub(since).saturating_sub(unread)
    }

    /// All clocks have run out and nothing has happened for long: what has no outcome now will never have one.
    pub fn conclude(&mut self) {
        for node in 0..self.nodes.len() {
            if !self.nodes[node].up || self.nodes[node].shutting_down {
                continue;
            }
            let mut found = None;
            'all: for (id, passage) in &self.nodes[node].passages {
                for at in 0..passage.chunks.len() {
                    if let Some(what) = self.verdict(node, passage, at) {
                        let c = &passage.chunks[at];
                        found = Some(format!(
                            "relay {node}: {id} from octet {}, {} octets, {:?}, in by {}, answered {:?}: {what}",
                            c.start, c.len, c.wish, c.link, c.answer
                        ));
                        break 'all;
                    }
                }
            }
            if let Some(what) = found {
                self.fail(Rule::Signal, what);
            }
            self.whole_requests_are_answered(node);
        }
    }

    /// What is wrong with the fate of this chunk.
    fn verdict(&self, node: usize, passage: &Passage, at: usize) -> Option<String> {
        let c = &passage.chunks[at];
        let link = self.nodes[node].links.get(&c.link)?;
        // Who is gone is told nothing.
        if !link.open || link.finished || c.cut || c.flag.is_none() || c.wish == Wish::No {
            return None;
        }
        match c.answer {
            Some(200) => {}
            Some(_) => return None,
            None if c.wish == Wish::Yes => return Some("never answered".into()),
            None => {}
        }
        // A question whether the token lives is answered and goes nowhere; so does a greeting on a leg.
        let for_us = (c.to.len() == 1 && !self.is_leg(node, &c.to[0])) || !c.body && self.is_leg(node, &c.to[0]);
        if for_us && c.parts.is_empty() {
            return None;
        }
        let silent = c.wish == Wish::Partial;
        let mut open = Vec::new();
        for part in c.parts.iter().map(|p| &passage.parts[*p]) {
            let answer = part.answer.map(|(code, at)| (code, at.saturating_sub(part.sent)));
            match answer {
                Some((200..300, _)) => {}
                // Of a `partial` nobody waits for an answer; one that comes late may find nobody.
                None if silent => {}
                Some((_, after)) if silent && after > ANSWER - SLACK => {}
                _ => open.push((part.start, part.start + part.len)),
            }
        }
        let left = c.start + c.out;
        let all = c.out_done && c.out == c.len;
        if !all {
            open.push((left, c.start + c.len));
        }
        // A chunk without an octet may have been put together with its neighbour (RLY-54): they name the same end.
        let told_beside = |a: u64| passage.chunks.iter().any(|c| c.reports.iter().any(|(_, behind, _)| *behind == a));
        if c.reports.is_empty() && open.iter().all(|(a, b)| a == b && told_beside(*a)) {
            return None;
        }
        match (c.reports.first(), open.is_empty()) {
            (None, true) => None,
            (None, false) => Some(format!("accepted, and of {open:?} nothing was told")),
            (Some(_), true) => None,
            (Some((first, behind, _)), false) => {
                let covers = |(a, b): &(u64, u64)| a == b || (first <= a && b <= behind);
                let missed: Vec<_> = open.iter().filter(|o| !covers(o)).collect();
                (!missed.is_empty()).then(|| format!("REPORT of {first} to {behind} leaves out {missed:?}"))
            }
        }
    }

    fn whole_requests_are_answered(&mut self, node: usize) {
        let n = &self.nodes[node];
        for (end, link) in n.links.iter().filter(|(_, l)| l.open && !l.finished && !l.incoming.is_broken()) {
            let open = link.requests.iter().find(|(_, r)| r.iter().any(|r| r.method == "AUTH" && r.to.len() == 1));
            if let Some((tid, _)) = open {
                let what = format!("relay {node} never answers AUTH {tid} on {end}");
                return self.fail(Rule::Signal, what);
            }
        }
    }
}
