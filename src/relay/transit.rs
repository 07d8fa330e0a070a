//! Requests that pass whole: REPORT, AUTH for an outer relay, NICKNAME and methods we do not know (RFC 4976 section
//! 6.4.2). They cannot be interrupted, so the first octet leaves when the last has come.

use std::time::Duration;

use super::Relay;
use super::anchor::Held;
use super::link::{LinkId, Reverse};
use super::refusal::Refusal;
use super::route::{Asker, Binding};
use super::session::FarLink;
use super::short::Short;
use super::turn::Turn;
use crate::moment::Moment;
use crate::msrp::{Flag, Head, Kind, Method, RangeOut, Tid, end_line, forward_request};

/// Responses that may be awaited from one link, for all who ask.
const REVERSE: usize = 4096;

/// A complete non-SEND request.
pub(super) struct Whole {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
    pub(super) has_body: bool,
}

impl Relay {
    /// A non-SEND request is complete.
    pub(super) fn take_whole(&mut self, id: LinkId, head: Head, body: Vec<u8>, has_body: bool, now: Moment) {
        match self.check_request(&head) {
            Ok(()) => {}
            Err(None) => return self.unanswerable(id, now),
            Err(Some(refusal)) => return self.refuse(id, &head, refusal, now),
        }
        let Kind::Request(method) = head.kind() else { return };
        match method {
            Method::Auth if self.is_for_us(&head) => return self.authorize(id, head, now),
            // A malformed REPORT is dropped, never answered (ADV-C22).
            Method::Report if head.status_header().is_none_or(|s| s.is_err()) => {
                self.counts.unanswerable += 1;
                return;
            }
            _ => {}
        }
        let whole = Whole { head, body, has_body };
        match self.pass_on(id, &whole, now) {
            Ok(()) => {}
            // A REPORT that cannot pass at once is lost, as it is anywhere.
            Err(refusal) if refusal.may_pass() && !is_report(&whole.head) => {
                self.hold(id, Held::Whole(whole), refusal, now);
            }
            Err(refusal) => self.refuse(id, &whole.head, refusal, now),
        }
    }

    fn pass_on(&mut self, id: LinkId, whole: &Whole, now: Moment) -> Result<(), Refusal> {
        let to = whole.head.to_path().ok_or(Refusal::Bad)?;
        let from_first = whole.head.from_path().and_then(|p| p.first()).ok_or(Refusal::Bad)?;
        self.check_identity(id, from_first)?;
        let link = self.links.get(id).ok_or(Refusal::NoSession)?;
        let asker = Asker::of(self.shard, id, link);
        let place = self.admit(&asker, to, from_first, 0, now)?;
        if place.to == Binding::Here {
            let known = matches!(whole.head.kind(), Kind::Request(Method::Report | Method::Auth));
            return Err(if known { Refusal::NoSession } else { Refusal::NotImplemented });
        }
        self.check_method(&whole.head)?;
        let report = whole.head.kind() == Kind::Request(Method::Report);
        let most = self.settings.limits.reverse_map_per_connection;
        if !report && self.links.get(id).is_some_and(|l| l.reverse_from_here >= most) {
            return Err(Refusal::TooMany);
        }
        let target = match place.to {
            Binding::Link(target) => target,
            Binding::Dial(ref dial) => {
                let far = if place.from_owner && place.inner.is_none() { to.texts().nth(place.hops) } else { None };
                self.dial_link(dial.clone(), place.token, far, now)?
            }
            Binding::Abroad(_) | Binding::Home(..) => {
                if !report {
                    self.await_response(id);
                }
                self.post_whole(id, &asker, &place, whole);
                return Ok(());
            }
            Binding::Here => return Err(Refusal::NoSession),
        };
        let queue = self.settings.limits.response_queue;
        if !report
            && self.links.get(target).is_some_and(|l| l.reverse.len() >= REVERSE || l.egress.queued_urgent() >= queue)
        {
            return Err(Refusal::TooMany);
        }
        if !report {
            self.await_response(id);
        }
        self.send_whole(target, whole, &place.turn(), asker.at, now);
        self.end_probation(id);
        Ok(())
    }

    pub(super) fn await_response(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(id)
            && link.meta.relay.is_none()
        {
            link.reverse_from_here += 1;
        }
    }

    fn check_method(&self, head: &Head) -> Result<(), Refusal> {
        let unknown = head.kind() == Kind::Request(Method::Other);
        let name = head.method_name();
        let blocked = self.settings.blocked_methods.iter().any(|m| m.as_bytes() == name);
        if blocked || (unknown && !self.settings.forward_unknown_methods) {
            return Err(Refusal::NotImplemented);
        }
        Ok(())
    }

    /// Puts a whole request before the SEND data of a link, and remembers the way back unless it is a REPORT.
    pub(super) fn send_whole(&mut self, target: LinkId, whole: &Whole, turn: &Turn, back: FarLink, now: Moment) {
        let tid = Tid::random(&mut self.rng);
        let until = now + self.settings.limits.reverse_map;
        let most = self.settings.limits.response_queue;
        let Some(link) = self.links.get_mut(target) else { return };
        let report = whole.head.kind() == Kind::Request(Method::Report);
        if link.egress.queued_urgent() >= most && report {
            // Nobody is told of a lost REPORT; a receiver that reads none is closed by its write clock.
            self.counts.reports_dropped += 1;
            return;
        }
        self.push_urgent(target, super::event::frame_kind(whole.head.kind()), |out| {
            forward_request(out, &whole.head, tid.as_bytes(), turn.paths(), RangeOut::Keep, whole.has_body);
            out.extend_from_slice(&whole.body);
            end_line(out, tid.as_bytes(), Flag::Complete, whole.has_body);
        });
        if let Some(Ok((_, status))) = whole.head.status_header().filter(|_| report) {
            self.counts.reports_passed.add(status);
        }
        if !report {
            let credentials =
                whole.head.kind() == Kind::Request(Method::Auth) && whole.head.header("Authorization").is_some();
            let back_tid = Short::new(whole.head.transact_id());
            let origin = whole.head.from_path().map(|p| p.after(0)).unwrap_or_default().into();
            let (hops, leg) = match turn {
                Turn::Hops(hops) => (*hops, None),
                Turn::Leg(_) => (1, whole.head.to_path().map(|p| p.after(0).into())),
            };
            let Some(link) = self.links.get_mut(target) else { return };
            link.reverse.insert(tid, Reverse { back, tid: back_tid, origin, hops, leg, credentials, until });
            self.arm(target, until);
        }
        self.touch(target);
    }

    /// Ways back whose time is over: a late response is dropped.
    pub(super) fn expire_reverse(&mut self, id: LinkId, now: Moment) -> Option<Moment> {
        let link = self.links.get_mut(id)?;
        let mut over: Vec<FarLink> = Vec::new();
        link.reverse.retain(|_, r| {
            let keep = r.until > now;
            if !keep {
                over.push(r.back);
            }
            keep
        });
        let next = link.reverse.values().map(|r| r.until).min();
        for back in over {
            if back.shard == self.shard
                && let Some(l) = self.links.get_mut(back.link)
            {
                l.reverse_from_here = l.reverse_from_here.saturating_sub(1);
            } else if back.shard != self.shard {
                self.post_reply(back, Vec::new(), false);
            }
        }
        next
    }
}

fn is_report(head: &Head) -> bool {
    head.kind() == Kind::Request(Method::Report)
}

/// A pause between looks at slow clocks.
pub(super) const SECOND: Duration = Duration::from_secs(1);
