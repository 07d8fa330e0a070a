//! Exactly one failure signal for each accepted SEND: a chunk that has failed becomes one error response while it still
//! arrives, or one REPORT afterwards (RFC 4975 section 7.1.2).

use std::sync::Arc;
use std::time::Duration;

use super::Relay;
use super::event::frame_kind;
use super::link::{Frame, LinkId};
use super::refusal::Refusal;
use super::short::Short;
use super::source::{Failure, Poisoned, SourceId, SourceRef, poisons};
use crate::moment::Moment;
use crate::msrp::{ByteRange, Kind, Method, Path, Scheme, Status, Tid, Uri, report};
use crate::planted::{Bug, on};

/// REPORTs of a session that may wait for their second; more are lost.
const DEFERRED: usize = 4096;

impl Relay {
    // ---- at the source

    /// The previous hop's message is refused from now on; a chunk of it that still arrives gets its response at once.
    pub(super) fn take_refused(
        &mut self,
        id: SourceId,
        serial: u32,
        message: Option<Short>,
        status: Status,
        now: Moment,
    ) {
        let Some(source) = self.sources.get(id) else { return };
        let link_id = source.link;
        if poisons(status) {
            self.poison(id, message.as_ref().map(Short::as_bytes), status, now);
        }
        let Some(link) = self.links.get_mut(link_id) else { return };
        let Frame::Chunk { source, serial: arriving, head, .. } = &link.frame else { return };
        if *source != id {
            return;
        }
        let same_message = head.message_id().is_some() && head.message_id() == message.as_ref().map(Short::as_bytes);
        if *arriving == serial || (poisons(status) && same_message) {
            let serial = *arriving;
            self.refuse_running(link_id, id, serial, Refusal::Poisoned(status), now);
        }
    }

    /// No more of this message is accepted for a while.
    pub(super) fn poison(&mut self, id: SourceId, message: Option<&[u8]>, status: Status, now: Moment) {
        let (most, time) = (self.settings.limits.poisoned_per_session, self.settings.limits.poison);
        let (Some(source), Some(message)) = (self.sources.get_mut(id), message) else { return };
        if source.poison(Some(message), now).is_some() || !poisons(status) || on(Bug::PoisonForgotten) {
            return;
        }
        if source.poisoned.len() >= most {
            source.poisoned.pop_front();
        }
        source.poisoned.push_back(Poisoned { message: Short::new(message), status, until: now + time });
    }

    /// A chunk failed after it was accepted: one REPORT, unless it has had its error response.
    pub(super) fn take_failed(&mut self, id: SourceId, failure: Failure, now: Moment) {
        let most = self.settings.limits.reports_per_second;
        let Some(source) = self.sources.get_mut(id) else {
            self.counts.reports_dropped += 1;
            return;
        };
        if let Some(at) = source.answered.iter().position(|s| *s == failure.serial) {
            source.answered.swap_remove(at);
            return;
        }
        let (count, since) = &mut source.reports;
        if now.since(*since) >= Duration::from_secs(1) {
            (*count, *since) = (0, now);
        }
        *count += 1;
        let (many, at) = (*count > most, *since + Duration::from_secs(1));
        // Deferred REPORTs wait with their link; without it there is no time to lose.
        if many && self.links.contains(source.link) {
            return self.defer(id, failure, at);
        }
        self.send_report(id, failure, now);
    }

    /// Too many REPORTs this second: those on the same message are put together.
    fn defer(&mut self, id: SourceId, failure: Failure, at: Moment) {
        let Some(source) = self.sources.get_mut(id) else { return };
        let link = source.link;
        let message = failure.message.as_ref().map(Short::as_bytes);
        // Of the octets between two that failed nothing is known yet, or something else was told.
        let behind = |range: &ByteRange| range.end.map_or(range.start, |end| end + 1);
        let (start, end) = (failure.range.start, behind(&failure.range));
        let touches = |d: &Failure| d.range.start <= end && start <= behind(&d.range);
        let alike = |d: &Failure| d.status == failure.status && d.message.as_ref().map(Short::as_bytes) == message;
        let same = |d: &&mut Failure| alike(d) && touches(d);
        // Chunks of a message fail one after the other.
        let room = source.deferred.len() < DEFERRED;
        match source.deferred.iter_mut().rev().take(8).find(same) {
            Some(d) => {
                d.range.start = d.range.start.min(failure.range.start);
                d.range.end = d.range.end.max(failure.range.end);
                d.range.total = d.range.total.or(failure.range.total);
            }
            None if room => source.deferred.push(failure),
            None => self.counts.reports_dropped += 1,
        }
        self.arm(link, at);
    }

    /// REPORTs that waited for a new second.
    pub(super) fn send_deferred(&mut self, link: LinkId, now: Moment) {
        let mut at = 0;
        while let Some(id) = self.links.get(link).and_then(|l| l.sources.get(at)).copied() {
            at += 1;
            let Some(source) = self.sources.get_mut(id) else { continue };
            if source.deferred.is_empty() || now.since(source.reports.1) < Duration::from_secs(1) {
                continue;
            }
            source.reports = (0, now);
            for failure in std::mem::take(&mut source.deferred) {
                self.take_failed(id, failure, now);
            }
        }
    }

    /// REPORTs that wait leave at once: their link is about to close.
    pub(super) fn flush_deferred(&mut self, link: LinkId, now: Moment) {
        for id in self.links.get(link).map(|l| l.sources.clone()).unwrap_or_default() {
            let deferred = self.sources.get_mut(id).map(|s| std::mem::take(&mut s.deferred)).unwrap_or_default();
            for failure in deferred {
                self.send_report(id, failure, now);
            }
        }
    }

    fn send_report(&mut self, id: SourceId, failure: Failure, now: Moment) {
        let Some(source) = self.sources.get(id) else { return };
        let link = match source.relay.clone() {
            _ if self.links.contains(source.link) => Some(source.link),
            Some(name) => self.relay_link(&name).or_else(|| self.dial_back(&name, &failure.from_path, now)),
            None => None,
        };
        let Some(link) = link else {
            self.counts.reports_dropped += 1;
            return;
        };
        if on(Bug::LostReport) {
            return;
        }
        let message = failure.message.as_ref().map(Short::as_bytes);
        for _ in 0..1 + u32::from(on(Bug::DoubleReport)) {
            let tid = Tid::random(&mut self.rng);
            self.push_urgent(link, frame_kind(Kind::Request(Method::Report)), |out| {
                let Failure { from_path, token_uri, range, status, .. } = &failure;
                report(out, tid.as_bytes(), from_path, token_uri, message, *range, *status);
            });
        }
        self.counts.reports_made.add(failure.status);
        self.watch_responses(link, now);
        self.touch(link);
    }

    /// A connection to a peer relay that has none to us at the moment, at the address it goes by in From-Path.
    fn dial_back(&mut self, name: &Arc<str>, from_path: &[u8], now: Moment) -> Option<LinkId> {
        let uri = Uri::parse(Path::new(from_path).first()?).ok()?;
        if !uri.host_is(name) || !uri.is_tcp() || uri.scheme() != Scheme::Msrps {
            return None;
        }
        let dial = self.dial(&uri);
        match self.next_hops.get(&dial) {
            Some(link) if self.alive(*link) => Some(*link),
            _ if dial.peer => self.dial_for(dial, Some(name.clone()), now).ok(),
            _ => None,
        }
    }

    // ---- from flow to source, here or there

    pub(super) fn tell_refused(
        &mut self,
        to: SourceRef,
        serial: u32,
        message: Option<Short>,
        status: Status,
        now: Moment,
    ) {
        if to.shard == self.shard {
            self.take_refused(to.source, serial, message, status, now);
        } else {
            self.post_refused(to, serial, message, status);
        }
    }

    pub(super) fn tell_failed(&mut self, to: SourceRef, failure: Failure, now: Moment) {
        if to.shard == self.shard {
            self.take_failed(to.source, failure, now);
        } else {
            self.post_failed(to, failure);
        }
    }
}
