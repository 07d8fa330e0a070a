//! What leaves a relay: where from, in which order, with which octets, under which name.

use super::arrivals::{about, line};
use super::signal::ANSWER;
use super::tokens::Came;
use super::{Chunk, Model, Part, Passage, Rule};
use crate::frame::{Event, Head, Kind, Range, Wish};
use crate::stats::Count;
use crate::trace::Trace;
use crate::wire::EndRef;

/// Of two transact-ids so many characters are never alike, at either end.
const ALIKE: usize = 10;
/// Another shard has heard of a refusal by then, in nanoseconds.
const HEARD: u64 = 5_000_000_000;
/// A longer chunk must be interruptible (RFC 4975 section 7.1.1).
const SMALL: u64 = 2048;
/// What a relay does, it does within this, in nanoseconds.
const SOON: u64 = 2_000_000_000;
/// A refused message stays refused at least so long.
const POISON: u64 = 55_000_000_000;
/// Codes that concern a whole message.
const FOR_GOOD: [u16; 5] = [403, 413, 415, 481, 506];

impl Model {
    pub(super) fn depart(&mut self, trace: &mut Trace, node: usize, end: EndRef, event: Event, now: u64) {
        match event {
            Event::Head(head) => {
                trace.say(|| format!("  relay {node} -> {end}: {}", line(&head)));
                self.head_leaves(node, end, &head, now);
            }
            Event::Body(octets) => self.body_leaves(node, end, &octets, now),
            Event::End(flag) => {
                trace.say(|| format!("  relay {node} -> {end}: end {flag}"));
                self.end_leaves(node, end, flag, now);
            }
        }
    }

    fn head_leaves(&mut self, node: usize, end: EndRef, head: &Head, now: u64) {
        if let Kind::Response(code) = head.kind {
            return self.answer_leaves(node, end, head, code, now);
        }
        self.name_is_new(node, &head.tid);
        if head.is("SEND") {
            self.send_leaves(node, end, head, now);
        } else if head.is("REPORT") {
            self.report_leaves(node, end, head, now);
        } else {
            self.whole_leaves(node, end, head);
        }
    }

    /// Nobody can guess the transact-id of another's request (RFC 4975 section 7.1; msrp-relay 5.6).
    fn name_is_new(&mut self, node: usize, tid: &str) {
        let (head, tail) = (tid.get(..ALIKE), tid.get(tid.len().saturating_sub(ALIKE)..));
        let (Some(head), Some(tail)) = (head, tail) else {
            return self.fail(Rule::TransactId, format!("relay {node}: {tid} is too short"));
        };
        let tids = &mut self.nodes[node].tids;
        let fresh = tids[0].insert(head.to_owned()) & tids[1].insert(tail.to_owned());
        if !fresh {
            self.fail(Rule::TransactId, format!("relay {node}: {tid} is like an earlier one"));
        }
    }

    fn send_leaves(&mut self, node: usize, end: EndRef, head: &Head, now: u64) {
        let id = head.message().to_owned();
        let own = head.from.len() == 1 && self.is_leg(node, &head.from[0]);
        let Some(passage) = self.nodes[node].passages.get(&id) else {
            if own && !head.body {
                return; // It makes itself known on a leg.
            }
            return self.fail(Rule::Octets, format!("relay {node} sends {id}, which it has not got"));
        };
        let Some(range) = head.range() else {
            return self.fail(Rule::Headers, format!("relay {node}: Byte-Range of {id}"));
        };
        let next = |c: &Chunk| !c.out_done && c.start + c.out == range.start;
        let from = passage.cursor.min(passage.chunks.len());
        let later = || passage.chunks[from..].iter().position(next).map(|i| i + from);
        // What had come by a link that broke is read when it has come to another shard: too late, and told as failed.
        let broken = || passage.chunks.iter().position(|c| next(c) && !self.is_open(node, c.link));
        let Some(at) = later().or_else(broken) else {
            let expected: Vec<u64> = passage.chunks[from..].iter().map(|c| c.start + c.out).collect();
            let what = format!("relay {node} sends {id} from octet {}; there wait {expected:?}", range.start);
            return self.fail(Rule::Order, what);
        };
        let chunk = &passage.chunks[at];
        let (link, to, path) = (chunk.link, chunk.to.clone(), chunk.from.clone());
        let came = Came { link, to: &to, from: &path, at: chunk.came };
        let kept = kept_lines(&chunk.lines) == kept_lines(&head.lines) && chunk.body == head.body;
        let total = range.total.is_none_or(|t| chunk.total.is_none_or(|c| c == t) || chunk.flag == Some('$'));
        let alone = chunk.refused.is_some_and(|at| now > at + HEARD);
        if let Err((rule, what)) = self.may_pass(node, &came, end, head) {
            return self.fail(rule, format!("{id}: {what}"));
        }
        if !kept || !total {
            return self.fail(Rule::Headers, format!("relay {node}: headers of {id} are not those that came"));
        }
        if alone {
            return self.fail(Rule::Signal, format!("relay {node} sends {id} though it has refused it"));
        }
        let before = self.nodes[node].passages.get(&id).and_then(|p| self.refused_before(node, p, at));
        if let Some(code) = before {
            return self.fail(Rule::Signal, format!("relay {node} goes on with {id} after its next hop said {code}"));
        }
        self.had_its_turn(node, &id, at, end);
        let n = &mut self.nodes[node];
        n.ways.insert((link, to.join(" ")), end);
        let Some(passage) = n.passages.get_mut(&id) else { return };
        passage.cursor = at;
        passage.parts.push(Part {
            link: end,
            chunk: at,
            start: range.start,
            len: 0,
            range,
            from: head.from[0].clone(),
            flag: None,
            sent: 0,
            answer: None,
        });
        let part = passage.parts.len() - 1;
        passage.chunks[at].parts.push(part);
        passage.chunks[at].moved = now;
        if let Some(link) = n.links.get_mut(&end) {
            link.parts.insert(head.tid.clone(), (id.clone(), part));
            link.leaving = Some((id, part));
        }
    }

    fn body_leaves(&mut self, node: usize, end: EndRef, octets: &[u8], now: u64) {
        let n = &mut self.nodes[node];
        let Some((id, part)) = n.links.get(&end).and_then(|l| l.leaving.clone()) else { return };
        let Some(passage) = n.passages.get_mut(&id) else { return };
        let p = &mut passage.parts[part];
        let position = p.start + p.len;
        p.len += octets.len() as u64;
        let c = &mut passage.chunks[p.chunk];
        c.out += octets.len() as u64;
        c.moved = now;
        let right = self.book.octets(&id, position, octets.len()).is_some_and(|b| b == octets);
        if !right {
            self.fail(Rule::Octets, format!("relay {node}: {id} from octet {position} on is not what was sent"));
        }
    }

    fn end_leaves(&mut self, node: usize, end: EndRef, flag: char, now: u64) {
        let n = &mut self.nodes[node];
        let Some((id, part)) = n.links.get_mut(&end).and_then(|l| l.leaving.take()) else { return };
        let Some(passage) = n.passages.get_mut(&id) else { return };
        let p = &mut passage.parts[part];
        (p.flag, p.sent) = (Some(flag), now);
        let (range, start, len, at) = (p.range, p.start, p.len, p.chunk);
        let c = &mut passage.chunks[at];
        let all = c.flag.is_some() && c.out == c.len;
        c.out_done = flag != '+' || (all && c.flag == Some('+'));
        let (mine, chunk_len) = (c.flag, c.len);
        if c.out_done {
            passage.cursor = passage.cursor.max(at + 1);
            self.front_of_way(node, &id, at);
        }
        if flag == '+' {
            self.stats.add(Count::Interruption);
        }
        let last = start + len - 1;
        let wrong = match flag {
            '$' if mine != Some('$') => Some("is ended as complete, which it is not"),
            '$' if !all => Some("is ended as complete without its rest"),
            '+' if len == 0 && chunk_len > 0 => Some("makes no progress"),
            _ if range.end.is_some_and(|e| e != last) => Some("has a wrong end of its range"),
            _ if range.end.is_some() && len > SMALL => Some("cannot be interrupted"),
            _ if range.total.is_some_and(|t| t < last) => Some("has a total that is too small"),
            '$' if range.total.is_some_and(|t| t != last) => Some("has a wrong total"),
            _ => None,
        };
        if let Some(what) = wrong {
            self.fail(
                Rule::Headers,
                format!("relay {node}: a part of {id} from {start}, {len} octets, {flag}: {what}"),
            );
        }
    }

    /// A request that passes whole leaves once, for one that came.
    fn whole_leaves(&mut self, node: usize, end: EndRef, head: &Head) {
        let Kind::Request(method) = &head.kind else { return };
        if !self.passes(node, end, head) {
            self.fail(
                Rule::Octets,
                format!("relay {node} sends a {method} that it has not got, or has passed on already"),
            );
        }
    }

    /// A REPORT that came in and leaves again; false if this is none.
    pub(super) fn report_passes(&mut self, node: usize, end: EndRef, head: &Head) -> bool {
        let own = head.from.len() == 1 && !self.is_leg(node, &head.from[0]);
        let passes = !own && self.passes(node, end, head);
        if passes {
            self.stats.add(Count::ReportPassed);
        }
        passes
    }

    /// One of those that came in with these headers leaves; it must be one that may.
    fn passes(&mut self, node: usize, end: EndRef, head: &Head) -> bool {
        let what = about(head);
        let same = |p: &super::Passing| head.is(&p.method) && p.about == what;
        let alike: Vec<usize> =
            (0..self.nodes[node].passing.len()).filter(|i| same(&self.nodes[node].passing[*i])).collect();
        let mut wrong = None;
        for at in &alike {
            let came = self.nodes[node].passing.remove(*at);
            let request = Came { link: came.link, to: &came.to, from: &came.from, at: came.came };
            match self.may_pass(node, &request, end, head) {
                Ok(()) => return true,
                Err(because) => wrong = Some(because),
            }
            self.nodes[node].passing.insert(*at, came);
        }
        if let Some((rule, what)) = wrong {
            // A REPORT of its own on a leg looks like one that passes.
            if head.is("REPORT") && head.from.len() == 1 {
                return false;
            }
            self.fail(rule, format!("{:?}: {what}", head.kind));
        }
        !alike.is_empty()
    }

    fn answer_leaves(&mut self, node: usize, end: EndRef, head: &Head, code: u16, now: u64) {
        let n = &mut self.nodes[node];
        let Some(link) = n.links.get_mut(&end) else { return };
        let request = match link.requests.get_mut(&head.tid) {
            Some(requests) if !requests.is_empty() => requests.remove(0),
            _ => return self.fail(Rule::Signal, format!("relay {node} answers {} on {end} to nobody", head.tid)),
        };
        let back = if request.method == "SEND" { &request.from[..1] } else { &request.from[..] };
        if head.to != back || head.from.first() != request.to.first() {
            return self.fail(Rule::Headers, format!("relay {node}: paths of the answer to {}", head.tid));
        }
        if request.method == "AUTH" && request.to.len() == 1 && code == 200 {
            self.token_given(node, end, head, (request.expires_named, request.came), now);
        }
        if let Some((id, chunk)) = request.chunk {
            self.send_is_answered(node, &id, chunk, code, now);
        }
    }

    fn send_is_answered(&mut self, node: usize, id: &str, chunk: usize, code: u16, now: u64) {
        let Some(c) = self.nodes[node].passages.get_mut(id).and_then(|p| p.chunks.get_mut(chunk)) else { return };
        c.answer = Some(code);
        c.refused = (code >= 300).then_some(now);
        let wrong = match (c.wish, code) {
            (Wish::No, _) => Some("though it did not want to be"),
            (Wish::Partial, 200..=299) => Some("with a success that nobody asked for"),
            (_, 408) => Some("with 408, which is for REPORTs"),
            (_, 200) if c.flag.is_none() => Some("before all of it was there"),
            (_, 300..) if !c.reports.is_empty() => Some("and reported"),
            _ => None,
        };
        self.stats.add(if code == 200 { Count::Accepted } else { Count::Refused });
        if let Some(what) = wrong {
            return self.fail(Rule::Signal, format!("relay {node}: {id} is answered {code} {what}"));
        }
        if code == 481 {
            self.no_session(node, id, chunk, now);
        }
    }

    /// A SEND is refused for want of a session: one of its ends has gone, or is about to go.
    fn no_session(&mut self, node: usize, id: &str, chunk: usize, now: u64) {
        let Some(passage) = self.nodes[node].passages.get(id).filter(|p| p.chunks.len() == 1) else { return };
        let c = &passage.chunks[chunk];
        if !c.parts.is_empty() || now > c.came + SOON {
            return;
        }
        if let Some(ends) = self.session_of(node, c.link, &c.to, c.came, now) {
            let what = format!("relay {node} knows no session for {id}, in by {}", c.link);
            self.suspect(node, ends.to_vec(), now, Rule::Token, what);
        }
    }

    /// Of a message that the next hop has refused for good nothing more is accepted (RFC 4975 section 7.3.1).
    fn refused_before(&self, node: usize, passage: &Passage, at: usize) -> Option<u16> {
        let c = &passage.chunks[at];
        let failed = |p: &&Part| p.answer.is_some_and(|(code, _)| !(200..300).contains(&code));
        let part = passage.parts.iter().filter(failed).min_by_key(|p| p.answer.map(|(_, at)| at))?;
        let (first, (code, told)) = (&passage.chunks[part.chunk], part.answer?);
        let in_time = |p: &Part| p.flag.is_none() || told + SOON < p.sent + ANSWER;
        let counts = first.wish != Wish::No && first.parts.iter().all(|p| in_time(&passage.parts[*p]));
        let same = first.link == c.link && first.to[0] == c.to[0] && self.is_open(node, part.link);
        let meanwhile = told + SOON < c.came && c.came < told + POISON && self.nodes[node].disturbed + SOON < c.came;
        (FOR_GOOD.contains(&code) && counts && same && meanwhile).then_some(code)
    }
}

/// What a relay must not touch.
fn kept_lines(lines: &[(String, String)]) -> Vec<&(String, String)> {
    lines.iter().filter(|(name, _)| name != "Byte-Range").collect()
}

/// The octets that a Byte-Range names: first, and one behind the last.
pub(super) fn bounds(range: Range) -> (u64, u64) {
    (range.start, range.end.map_or(range.start, |e| e + 1))
}
