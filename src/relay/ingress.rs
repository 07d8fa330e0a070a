//! From octets of a link to frames: who deals with a frame is decided once, at its head.

use bytes::Bytes;

use super::event::{RefusalKind, frame_kind};
use super::link::{CloseReason, Frame, LinkId, Phase};
use super::refusal::Refusal;
use super::{Relay, link};
use crate::moment::Moment;
use crate::msrp::{Event, Flag, Head, Kind, MAX_NON_SEND_BODY, Method};
use crate::planted::{Bug, on};

/// Malformed responses that a link may send before it is closed.
const BAD_RESPONSES: u32 = 100;
/// Over-long requests that are not SENDs, of which the last closes the link.
const OVERSIZE: u32 = 3;
/// Requests without somebody to answer to, of which the last closes a link that is in use.
const UNANSWERABLE: u32 = 3;
/// Longer path lines are checked anew each time rather than kept.
const CHECKED_PATHS: usize = 1024;

impl Relay {
    /// Octets arrived on a link (plaintext). What cannot be dealt with yet waits in the link and stops its reading.
    pub fn handle_data(&mut self, id: LinkId, octets: Bytes, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        if matches!(link.phase, Phase::Flushing { .. }) {
            return;
        }
        self.counts.octets_in[usize::from(link.meta.secure)] += octets.len() as u64;
        link.feed(octets, now);
        self.pump(id, now);
    }

    /// Deals with what a link has received, as far as it may.
    pub(super) fn pump(&mut self, id: LinkId, now: Moment) {
        loop {
            let queue = self.settings.limits.response_queue;
            let Some(link) = self.links.get_mut(id) else { return };
            let go_on = if link.eof { link.may_finish(queue) } else { link.wants_input(queue) };
            if !go_on {
                break;
            }
            match link.decoder.next() {
                Ok(Some(Event::Head(head))) => {
                    link.head_since = None;
                    let has_body = link.decoder.frame_has_body();
                    let (kind, transport) = (frame_kind(head.kind()), usize::from(link.meta.secure));
                    link.frame_kind = kind;
                    self.counts.frames_in[kind][transport] += 1;
                    self.counts.frame_octets_in[kind][transport] += head.bytes().len() as u64;
                    self.take_head(id, head, has_body, now);
                }
                Ok(Some(Event::Body(octets))) => {
                    let (kind, transport) = (link.frame_kind, usize::from(link.meta.secure));
                    self.counts.frame_octets_in[kind][transport] += octets.len() as u64;
                    self.take_body(id, octets, now);
                }
                Ok(Some(Event::End(flag))) => self.take_end(id, flag, now),
                Ok(None) => {
                    if link.decoder.in_head() && link.head_since.is_none() {
                        link.head_since = Some(now);
                        let at = now + self.settings.limits.header_timeout;
                        self.arm(id, at);
                    }
                    break;
                }
                Err(_) => {
                    // Framing is lost: a transact-id cannot be trusted any more, so nothing is answered.
                    self.close_now(id, CloseReason::Framing, now);
                    return;
                }
            }
        }
        self.watch_input(id, now);
        self.finish_eof(id, now);
    }

    /// Sets the clocks that depend on whether the link is read.
    pub(super) fn watch_input(&mut self, id: LinkId, now: Moment) {
        let limits = &self.settings.limits;
        let (queue, stall, wait) = (limits.response_queue, limits.chunk_stall, limits.transaction);
        let Some(link) = self.links.get_mut(id) else { return };
        let paused = !link.wants_input(queue);
        if paused != link.paused {
            link.paused = paused;
            if paused {
                link.transactions.freeze(now);
            } else {
                link.transactions.thaw(now);
                link.last_input = now;
                link.head_since = link.head_since.map(|_| now);
                if let Some(at) = link.transactions.deadline(wait, now) {
                    self.arm(id, at);
                }
            }
            self.touch(id);
        }
        let Some(link) = self.links.get_mut(id) else { return };
        if link.decoder.in_frame() && !paused {
            // What goes on in another read must not pin the buffer of this one.
            if let Frame::Chunk { head, .. } | Frame::Whole { head, .. } = &mut link.frame {
                head.detach();
            }
            self.arm(id, now + stall);
        }
    }

    /// Whether the link should be read now.
    pub fn wants_input(&self, id: LinkId) -> bool {
        self.links.get(id).is_some_and(|l| l.wants_input(self.settings.limits.response_queue))
    }

    fn take_head(&mut self, id: LinkId, head: Head, has_body: bool, now: Moment) {
        match head.kind() {
            Kind::Response(_) => {
                self.set_frame(id, Frame::Skip);
                self.take_response(id, &head, now);
            }
            Kind::Request(Method::Send) => self.begin_send(id, head, has_body, now),
            Kind::Request(_) => {
                self.set_frame(id, Frame::Whole { head, body: Vec::new(), has_body, oversize: false });
            }
        }
    }

    fn take_body(&mut self, id: LinkId, octets: Bytes, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        match &mut link.frame {
            Frame::Chunk { .. } => self.continue_send(id, octets, now),
            Frame::Whole { body, oversize, .. } => {
                if (body.len() + octets.len()) as u64 > MAX_NON_SEND_BODY {
                    *oversize = true;
                    *body = Vec::new();
                } else if !*oversize {
                    body.extend_from_slice(&octets);
                }
            }
            Frame::Skip | Frame::None => {}
        }
    }

    fn take_end(&mut self, id: LinkId, flag: Flag, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        match std::mem::replace(&mut link.frame, Frame::None) {
            Frame::Chunk { source, serial, head, received } => {
                self.end_send(id, source, serial, &head, received, flag, now);
            }
            Frame::Whole { head, body, has_body, oversize } => {
                if oversize {
                    self.refuse(id, &head, Refusal::TooLarge, now);
                    self.count_oversize(id, now);
                } else if flag != Flag::Complete {
                    // Only SENDs come in chunks (AMB-28).
                    self.refuse(id, &head, Refusal::Bad, now);
                } else {
                    self.take_whole(id, head, body, has_body, now);
                }
            }
            Frame::Skip | Frame::None => {}
        }
    }

    pub(super) fn set_frame(&mut self, id: LinkId, frame: Frame) {
        if let Some(link) = self.links.get_mut(id) {
            link.frame = frame;
        }
    }

    /// Checks what every request must have before anybody is asked about it: an address to answer to, well-formed paths, a
    /// head without defects. `Err(None)` when nobody can be answered.
    pub(super) fn check_request(&self, head: &Head) -> Result<(), Option<Refusal>> {
        use crate::msrp::Uri;
        let to = head.to_path().filter(|p| p.first().is_some()).ok_or(None)?;
        let from = head.from_path().ok_or(None)?;
        from.first().and_then(|f| Uri::parse(f).ok()).ok_or(None)?;
        if head.fault().is_some() {
            return Err(Some(Refusal::Bad));
        }
        if to.check(&self.settings.wire).is_err() || from.check(&self.settings.wire).is_err() {
            return Err(Some(Refusal::Bad));
        }
        let auth = head.kind() == Kind::Request(Method::Auth);
        // RLY-77: only the target of an AUTH may leave its port to SRV.
        if !auth && to.texts().any(|u| Uri::parse(u).is_ok_and(|u| u.port().is_none())) {
            return Err(Some(Refusal::Bad));
        }
        Ok(())
    }

    /// As [`Relay::check_request`] for a SEND, whose paths are mostly those of the link's last one and checked already.
    pub(super) fn check_send(&mut self, id: LinkId, head: &Head) -> Result<(), Option<Refusal>> {
        let lines = head.path_lines().unwrap_or_default();
        let Some(link) = self.links.get(id) else { return Err(None) };
        if head.fault().is_none() && !lines.is_empty() && link.checked_paths == lines {
            return Ok(());
        }
        self.check_request(head)?;
        if let Some(link) = self.links.get_mut(id)
            && lines.len() <= CHECKED_PATHS
        {
            link.checked_paths.clear();
            link.checked_paths.extend_from_slice(lines);
        }
        Ok(())
    }

    /// A frame that cannot be answered: counted; tolerated twice on a link that is in use (RFC 4976 section 6.4.1).
    pub(super) fn unanswerable(&mut self, id: LinkId, now: Moment) {
        self.counts.unanswerable += 1;
        let Some(link) = self.links.get_mut(id) else { return };
        link.unanswerable += 1;
        if link.meta.relay.is_none() && (!link.in_session() || link.unanswerable >= UNANSWERABLE) {
            self.close_now(id, CloseReason::Framing, now);
        }
    }

    /// One more malformed request in this minute.
    pub(super) fn count_bad(&mut self, id: LinkId, now: Moment) {
        let most = self.settings.limits.bad_requests_per_minute;
        let Some(link) = self.links.get_mut(id) else { return };
        let (count, since) = &mut link.bad_requests;
        if now.since(*since) >= std::time::Duration::from_secs(60) {
            (*count, *since) = (0, now);
        }
        *count += 1;
        if *count >= most && link.meta.relay.is_none() {
            self.close_flushing(id, CloseReason::BadRequests, now);
        }
    }

    /// One more request that was too long to be passed whole; the third closes a client's link.
    fn count_oversize(&mut self, id: LinkId, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        link.oversize += 1;
        if link.oversize >= OVERSIZE && link.meta.relay.is_none() {
            self.close_flushing(id, CloseReason::BadRequests, now);
        }
    }

    /// A response that does not parse: dropped (RFC 4976 section 6.4.3); a flood of them ends the link.
    pub(super) fn count_bad_response(&mut self, id: LinkId, now: Moment) {
        self.counts.responses_unmatched += 1;
        let Some(link) = self.links.get_mut(id) else { return };
        link.bad_responses += 1;
        if link.bad_responses >= BAD_RESPONSES && link.meta.relay.is_none() {
            self.close_now(id, CloseReason::BadRequests, now);
        }
    }

    /// Refuses a request: a response where one may be sent, silence otherwise.
    pub(super) fn refuse(&mut self, id: LinkId, head: &Head, refusal: Refusal, now: Moment) {
        self.counts.refusals[refusal.kind() as usize] += 1;
        let report = head.kind() == Kind::Request(Method::Report);
        let send = head.kind() == Kind::Request(Method::Send) && !on(Bug::ErrorForNo);
        let quiet = report || (send && head.failure_report() == crate::msrp::FailureReport::No);
        if !quiet {
            self.respond(id, head, refusal.status(), &[], now);
        }
        let Some(link) = self.links.get_mut(id) else { return };
        let relay = link.meta.relay.is_some();
        match refusal.kind() {
            RefusalKind::Certificate if !relay && !link.in_session() => {
                self.close_flushing(id, CloseReason::Certificate, now);
            }
            RefusalKind::Misaddressed if !relay => self.close_flushing(id, CloseReason::Misaddressed, now),
            RefusalKind::Bad => {
                self.count_bad(id, now);
                self.count_probation(id, now);
            }
            RefusalKind::Impostor => {
                let event =
                    link.relay_name().cloned().map(|relay| super::Event::Impostor { relay, peer: link.meta.peer });
                self.outputs.extend(event.map(super::Output::Event));
            }
            _ => self.count_probation(id, now),
        }
    }

    /// One more failed request; the last one that probation allows closes the link (RFC 4976 section 6.1).
    pub(super) fn count_probation(&mut self, id: LinkId, now: Moment) {
        let most = self.settings.limits.probation_failures;
        let Some(link) = self.links.get_mut(id) else { return };
        let Some(probation) = &mut link.probation else { return };
        probation.failures += 1;
        if probation.failures >= most {
            self.close_flushing(id, CloseReason::Probation, now);
        }
    }

    pub(super) fn end_probation(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(id) {
            link.probation = None;
        }
    }
}

impl link::Link {
    /// After the other end finished, what it sent before is still dealt with.
    fn may_finish(&self, response_queue: usize) -> bool {
        self.phase == Phase::Open
            && self.waiting.is_none()
            && self.full_flows == 0
            && self.egress.queued_urgent() < response_queue.saturating_mul(2)
    }
}
