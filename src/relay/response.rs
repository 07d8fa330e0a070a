//! Responses: those we send, those that settle a SEND of ours, those that travel back end to end (RFC 4976 section
//! 6.4.3).

use super::Relay;
use super::event::RESPONSE;
use super::link::{CloseReason, LinkId, Reverse};
use super::pending::PendingId;
use super::session::FarLink;
use crate::moment::Moment;
use crate::msrp::{Head, Kind, Method, Path, PathsOut, Status, Tid, Uri, forward_response, response};
use crate::planted::{Bug, on};

/// Failed AUTHs at an outer relay, within a minute, that close the client's link (RLY-25).
const REMOTE_AUTH_FAILURES: u32 = 3;

impl Relay {
    /// Answers a request on the link it came on: one hop back for a SEND, the whole From-Path for anything else (RFC 4975
    /// section 7.2).
    pub(super) fn respond(&mut self, id: LinkId, head: &Head, status: Status, extra: &[(&str, &[u8])], now: Moment) {
        let (Some(to), Some(from)) = (head.to_path(), head.from_path()) else { return };
        let send = head.kind() == Kind::Request(Method::Send);
        let back = if send { from.first().unwrap_or_default() } else { from.after(0) };
        let own = to.first().unwrap_or_default();
        let other = || self.links.iter().map(|(other, _)| other).find(|other| *other != id);
        let id = if send && on(Bug::ResponseToWrongLink) { other().unwrap_or(id) } else { id };
        self.push_urgent(id, RESPONSE, |out| response(out, head.transact_id(), status, back, own, extra));
        self.counts.responses_made.add(status);
        self.watch_responses(id, now);
        self.touch(id);
    }

    /// A relay's link is not stopped when it does not read our responses, so there must be an end.
    pub(super) fn watch_responses(&mut self, id: LinkId, now: Moment) {
        let most = self.settings.limits.response_queue;
        if self.links.get(id).is_some_and(|l| l.meta.relay.is_some() && l.egress.queued_urgent() > most) {
            self.arm(id, now);
        }
    }

    /// A response arrived.
    pub(super) fn take_response(&mut self, id: LinkId, head: &Head, now: Moment) {
        let Kind::Response(status) = head.kind() else { return };
        self.counts.responses_received.add(status);
        let parts = (head.to_path().and_then(|p| p.first()), head.from_path(), Tid::parse(head.transact_id()));
        let (Some(own), Some(_), tid) = parts else {
            return self.count_bad_response(id, now);
        };
        let Some(tid) = tid else {
            self.counts.responses_unmatched += 1;
            return;
        };
        let Some(link) = self.links.get_mut(id) else { return };
        if let Some(t) = link.transactions.get(&tid) {
            let pending = t.pending;
            if self.pendings.contains(pending) && !self.answers(pending, own) {
                self.counts.responses_unmatched += 1;
                return;
            }
            let Some(t) = self.links.get_mut(id).and_then(|l| l.transactions.remove(&tid)) else { return };
            let flow = self.pendings.get(pending).map(|p| p.flow);
            if let Some(flow) = flow.and_then(|f| self.flows.get_mut(f)) {
                flow.answers = (flow.answers.0 + 1, now);
            }
            let outcome = if status.is_success() { Ok(()) } else { Err(status) };
            if outcome.is_err() {
                self.leg_refuses(id, flow, status, now);
            }
            if !t.complete {
                // ADV-R12: an answer before the last octet counts.
                let running = flow.and_then(|f| self.flows.get_mut(f)).and_then(|f| f.open.as_mut());
                if let Some(part) = running.filter(|part| part.tid == tid) {
                    part.refused |= outcome.is_err();
                }
                self.settle_part(pending, t.first, self.written_so_far(pending, t.first), outcome, now);
            } else {
                self.settle_part(pending, t.first, t.behind, outcome, now);
            }
        } else if link.reverse.contains_key(&tid) {
            self.pass_back(id, &tid, head, status, now);
        } else if !self.greeted(id, &tid, status) {
            self.counts.responses_unmatched += 1;
        }
    }

    /// The response is addressed to the URI we sent from (RLY-68).
    fn answers(&self, pending: PendingId, own: &[u8]) -> bool {
        let Some(p) = self.pendings.get(pending) else { return false };
        if *p.token_uri == *own {
            return true;
        }
        let Ok(uri) = Uri::parse(own) else { return false };
        // With an internal hop the newest of our URIs is another token.
        Uri::parse(&p.token_uri).is_ok_and(|t| t.equivalent(&uri)) || self.settings.is_ours(&uri)
    }

    fn written_so_far(&self, pending: PendingId, first: u64) -> u64 {
        let flow = self.pendings.get(pending).and_then(|p| self.flows.get(p.flow));
        flow.and_then(|f| f.open.as_ref()).filter(|o| o.start == first).map_or(first, |o| o.start + o.written)
    }

    /// An end-to-end response goes back the way its request came (RLY-65).
    fn pass_back(&mut self, id: LinkId, tid: &Tid, head: &Head, status: Status, now: Moment) {
        let Some(to) = head.to_path() else { return };
        let ours = to.first().and_then(|u| Uri::parse(u).ok()).is_some_and(|u| self.settings.is_ours(&u));
        if !ours {
            self.counts.responses_unmatched += 1;
            return;
        }
        let Some(reverse) = self.links.get_mut(id).and_then(|l| l.reverse.remove(tid)) else { return };
        let back_tid = if on(Bug::ReverseCrossed) { tid.as_bytes() } else { reverse.tid.as_bytes() };
        let failed = reverse.credentials
            && status == Status::UNAUTHORIZED
            && !head.header("WWW-Authenticate").is_some_and(says_stale);
        let mut frame = Vec::new();
        let turned = PathsOut::Turn(reverse.hops);
        if let Some(own) = &reverse.leg {
            let set = PathsOut::Set { to: &reverse.origin, from: own };
            forward_response(&mut frame, head, back_tid, set);
        } else if to.len() > reverse.hops {
            forward_response(&mut frame, head, back_tid, turned);
        } else if let Some(whole) = self.with_origin(head, to, &reverse) {
            forward_response(&mut frame, &whole, back_tid, turned);
        }
        self.send_back(reverse.back, frame, failed, now);
    }

    /// The response as it should have been: some relays answer any request to the adjacent URI alone, as if it were a SEND
    /// (RFC 4975 section 7.2 wants the whole path). We know where the request came from.
    fn with_origin(&self, head: &Head, to: Path<'_>, reverse: &Reverse) -> Option<Head> {
        let (text, value) = (head.bytes(), to.after(0));
        let at = memchr::memmem::find(text, value)? + value.len();
        let mut block = Vec::with_capacity(text.len() + reverse.origin.len() + 1);
        block.extend_from_slice(&text[..at]);
        block.push(b' ');
        block.extend_from_slice(&reverse.origin);
        block.extend_from_slice(&text[at..]);
        Head::parse(block.into(), &self.settings.wire).ok()
    }

    /// A whole frame for a link of this or another shard; a link that is gone swallows it: no connection is ever made for a
    /// response (RLY-70).
    pub(super) fn send_back(&mut self, to: FarLink, frame: Vec<u8>, auth_failed: bool, now: Moment) {
        if to.shard != self.shard {
            return self.post_reply(to, frame, auth_failed);
        }
        self.take_reply(to.link, &frame, auth_failed, now);
    }

    pub(super) fn take_reply(&mut self, id: LinkId, frame: &[u8], auth_failed: bool, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        link.reverse_from_here = link.reverse_from_here.saturating_sub(1);
        if !frame.is_empty() {
            self.push_urgent(id, RESPONSE, |out| out.extend_from_slice(frame));
        }
        let Some(link) = self.links.get_mut(id) else { return };
        let relay = link.meta.relay.is_some();
        if auth_failed && !relay {
            let (count, since) = &mut link.remote_auth_failures;
            if now.since(*since) >= std::time::Duration::from_secs(60) {
                (*count, *since) = (0, now);
            }
            *count += 1;
            if *count >= REMOTE_AUTH_FAILURES {
                self.close_flushing(id, CloseReason::AuthFailures, now);
            }
        }
        self.touch(id);
    }
}

fn says_stale(value: &[u8]) -> bool {
    let text = value.to_ascii_lowercase();
    memchr::memmem::find(&text, b"stale=true").is_some() || memchr::memmem::find(&text, b"stale=\"true\"").is_some()
}
