//! Chunks that leave on another shard than they arrive on: octets one way, credit and outcomes the other.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::super::Relay;
use super::super::anchor::Attach;
use super::super::feed::Start;
use super::super::flow::FlowId;
use super::super::link::LinkId;
use super::super::pending::PendingId;
use super::super::refusal::Refusal;
use super::super::session::{FarLink, TokenId};
use super::super::short::Short;
use super::super::source::{Failure, SourceId, SourceRef};
use super::{Content, Parcel};
use crate::moment::Moment;
use crate::msrp::{ByteRange, FailureReport, Flag, Status};
use crate::planted::{Bug, on};
use crate::relay::Output;

/// Parcels under way to one other shard.
#[derive(Default)]
pub(in super::super) struct Mailbox {
    under_way: usize,
    /// Parcels received from there and not yet acknowledged.
    received: usize,
    /// Links that are stopped because it is full.
    waiting: Vec<LinkId>,
}

/// A chunk that has failed while the rest of it still comes: what is told of it names its real end.
pub(in super::super) struct Lost {
    fate: Fate,
    /// One behind the last octet so far.
    behind: u64,
}

impl Mailbox {
    /// This link is stopped because the mailbox is full.
    pub(in super::super) fn stops(&self, id: LinkId) -> bool {
        self.waiting.contains(&id)
    }
}

impl Lost {
    /// The accepted SEND that is kept open for what still comes.
    pub(in super::super) fn failing(&self) -> Option<PendingId> {
        match &self.fate {
            Fate::Failing { pending, .. } => Some(*pending),
            Fate::Refused(_) => None,
        }
    }
}

enum Fate {
    /// It was never queued.
    Refused(Failure),
    /// It was, and this record is kept open for it; `begun` if octets of it have left.
    Failing { pending: PendingId, begun: bool },
}

impl Relay {
    // ---- posting

    pub(super) fn post(&mut self, to: u16, content: Content) {
        if content.traffic()
            && let Some(mailbox) = self.mailboxes.get_mut(usize::from(to))
        {
            mailbox.under_way += 1;
        }
        self.counts.parcels += 1;
        self.outputs.push_back(Output::Post { to, parcel: Box::new(Parcel(content)) });
    }

    /// Posts traffic of a link; a full mailbox stops the link.
    pub(super) fn post_from(&mut self, id: LinkId, to: u16, content: Content) {
        self.post(to, content);
        let most = self.settings.limits.mailbox;
        let Some(mailbox) = self.mailboxes.get_mut(usize::from(to)) else { return };
        if mailbox.under_way >= most
            && !mailbox.waiting.contains(&id)
            && let Some(link) = self.links.get_mut(id)
        {
            mailbox.waiting.push(id);
            link.full_flows += 1;
        }
    }

    pub(in super::super) fn post_start(&mut self, shard: u16, flow: FlowId, source: SourceId, mut start: Start) {
        start.head.detach();
        let Some(link) = self.sources.get(source).map(|s| s.link) else { return };
        self.post_from(link, shard, Content::Start { flow, source, start });
    }

    /// Body octets for a flow elsewhere. A link that is stopped for its flows is stopped when its credit is used up; of any
    /// other the message is refused when its flow stands still or the link has its share of memory (RLY-88).
    #[allow(clippy::too_many_arguments)]
    pub(in super::super) fn post_body(
        &mut self,
        id: LinkId,
        shard: u16,
        flow: FlowId,
        source: SourceId,
        serial: u32,
        octets: Bytes,
        now: Moment,
    ) {
        let limits = &self.settings.limits;
        let (limit, patience, link_buffer) = (limits.session_buffer, limits.overflow_patience, limits.link_buffer);
        let Some(s) = self.sources.get_mut(source) else { return };
        s.in_flight += octets.len();
        let filled = s.in_flight >= limit;
        // Slices of this shard's buffers stay here.
        let octets = Bytes::copy_from_slice(&octets);
        self.post_from(id, shard, Content::Body { flow, source, octets });
        if !filled {
            return;
        }
        self.stop_source(SourceRef { shard: self.shard, source }, now);
        let shared = self.links.get(id).is_some_and(|l| l.shared());
        let since = self.sources.get(source).map_or(now, |s| s.full_since.max(s.progress));
        if shared && (now.since(since) >= patience || self.buffered_for(id, now) > link_buffer) {
            self.refuse_running(id, source, serial, Refusal::TooLarge, now);
        }
    }

    pub(in super::super) fn post_end(&mut self, shard: u16, flow: FlowId, source: SourceId, flag: Flag) {
        self.post(shard, Content::End { flow, source, flag });
    }

    pub(in super::super) fn post_abort(
        &mut self,
        shard: u16,
        flow: FlowId,
        source: SourceId,
        message: Option<&[u8]>,
        status: Status,
    ) {
        self.post(shard, Content::Abort { flow, source, message: message.map(Short::new), status });
    }

    pub(in super::super) fn post_source_gone(&mut self, shard: u16, flow: FlowId) {
        self.post(shard, Content::SourceGone { flow });
    }

    pub(in super::super) fn post_credit(&mut self, to: SourceRef, octets: u64) {
        if octets > 0 && !on(Bug::CreditKept) {
            self.post(to.shard, Content::Credit { source: to.source, octets });
        }
    }

    pub(in super::super) fn post_refused(
        &mut self,
        to: SourceRef,
        serial: u32,
        message: Option<Short>,
        status: Status,
    ) {
        self.post(to.shard, Content::Refused { source: to.source, serial, message, status });
    }

    pub(in super::super) fn post_failed(&mut self, to: SourceRef, failure: Failure) {
        self.post(to.shard, Content::Failed { source: to.source, failure });
    }

    pub(in super::super) fn post_flow_closed(&mut self, to: SourceRef) {
        self.post(to.shard, Content::FlowClosed { source: to.source });
    }

    pub(in super::super) fn post_barrier(&mut self, shard: u16, flow: FlowId) {
        self.post(shard, Content::Barrier { flow });
    }

    pub(in super::super) fn post_session_over(&mut self, to: SourceRef) {
        self.post(to.shard, Content::SessionOver { source: to.source });
    }

    // ---- anchors

    pub(in super::super) fn post_attach(&mut self, to: u16, attach: Attach) {
        self.post(to, Content::Attach(attach));
    }

    pub(in super::super) fn post_attached(
        &mut self,
        to: u16,
        leg: TokenId,
        link: FarLink,
        relay: Option<Arc<str>>,
        peer: Option<SocketAddr>,
    ) {
        self.post(to, Content::Attached { leg, link, relay, peer });
    }

    pub(in super::super) fn post_not_attached(&mut self, to: u16, leg: TokenId) {
        self.post(to, Content::NotAttached { leg });
    }

    pub(in super::super) fn post_cut_flow(&mut self, shard: u16, flow: FlowId) {
        self.post(shard, Content::CutFlow { flow });
    }

    pub(in super::super) fn post_resume(&mut self, to: FarLink) {
        self.post(to.shard, Content::Resume { link: to.link });
    }

    pub(in super::super) fn post_cut(&mut self, to: FarLink, tokens: Arc<[TokenId]>) {
        self.post(to.shard, Content::Cut { link: to.link, tokens });
    }

    pub(in super::super) fn post_close_unused(&mut self, to: FarLink) {
        self.post(to.shard, Content::CloseUnused { link: to.link });
    }

    /// A link elsewhere is the far side of a token here.
    pub(in super::super) fn post_bound(&mut self, token: TokenId, to: FarLink) {
        if to.shard != self.shard {
            self.post(to.shard, Content::Bound { link: to.link, token });
        }
    }

    /// A link is no far side of a token here any more.
    pub(in super::super) fn release_far(&mut self, token: TokenId, from: FarLink) {
        if from.shard == self.shard {
            self.take_token_over(token, from.link);
        } else {
            self.post(from.shard, Content::TokenOver { token, link: from.link });
        }
    }

    /// What has come in by a token that lives elsewhere, unless it leaves there and is counted there.
    pub(in super::super) fn post_tally(&mut self, token: TokenId, target: u16, octets: u64, message: bool) {
        if let Some(home) = self.whereabouts(&token).filter(|home| *home != target) {
            self.post(home, Content::Tally { token, octets, message });
        }
    }

    pub(in super::super) fn post_reply(&mut self, to: FarLink, frame: Vec<u8>, auth_failed: bool) {
        self.post(to.shard, Content::Reply { link: to.link, frame, auth_failed });
    }

    // ---- receiving

    /// An eighth of the mailbox is acknowledged at a time. What is not yet acknowledged never fills a mailbox to its half,
    /// so nobody who waits for room there waits for this.
    pub(super) fn acknowledge(&mut self, from: u16) {
        let Some(mailbox) = self.mailboxes.get_mut(usize::from(from)) else { return };
        mailbox.received += 1;
        if mailbox.received * 8 >= self.settings.limits.mailbox {
            let parcels = std::mem::take(&mut mailbox.received);
            if on(Bug::MailboxNotEmptied) {
                return;
            }
            self.post(from, Content::Received { parcels });
        }
    }

    pub(super) fn take_received(&mut self, from: u16, parcels: usize) {
        let most = self.settings.limits.mailbox;
        let Some(mailbox) = self.mailboxes.get_mut(usize::from(from)) else { return };
        mailbox.under_way = mailbox.under_way.saturating_sub(parcels);
        if mailbox.under_way * 2 > most {
            return;
        }
        for id in std::mem::take(&mut mailbox.waiting) {
            if let Some(link) = self.links.get_mut(id) {
                link.full_flows = link.full_flows.saturating_sub(1);
                self.resumable.push(id);
            }
        }
    }

    pub(super) fn take_start(&mut self, from: u16, flow: FlowId, source: SourceId, start: Start, now: Moment) {
        let back = SourceRef { shard: from, source };
        let (serial, head) = (start.serial, start.head.clone());
        let (from_path, token_uri) = (start.from_path.clone(), start.token_uri.clone());
        let Err(refusal) = self.push_start(flow, start, now) else { return };
        if head.failure_report() == FailureReport::No {
            return;
        }
        // The chunk may have ended by the time its source hears this: then it becomes a REPORT, with the end that is
        // known when all of it has come.
        let message = head.message_id().map(Short::new);
        let status = refusal.status();
        let range = head.byte_range().unwrap_or(ByteRange::UNKNOWN);
        self.counts.refusals[refusal.kind() as usize] += 1;
        self.tell_refused(back, serial, message.clone(), status, now);
        let failure = Failure { serial, from_path, token_uri, message, range, status };
        let behind = failure.range.start;
        self.lost.insert((from, source), Lost { fate: Fate::Refused(failure), behind });
    }

    pub(super) fn take_posted_body(&mut self, from: u16, flow: FlowId, source: SourceId, octets: Bytes, now: Moment) {
        let arriving = |f: &super::super::flow::Flow| f.queue.back().is_some_and(|c| c.end.is_none());
        if !self.lost.is_empty()
            && let Some(lost) = self.lost.get_mut(&(from, source))
        {
            lost.behind = lost.behind.saturating_add(octets.len() as u64);
        } else if self.flows.get(flow).is_some_and(arriving) {
            return self.push_body(flow, octets, now);
        }
        // Octets that nobody wants are credited all the same: their link may wait for it.
        self.post_credit(SourceRef { shard: from, source }, octets.len() as u64);
    }

    pub(super) fn take_posted_end(&mut self, from: u16, flow: FlowId, source: SourceId, flag: Flag, now: Moment) {
        if !self.tell_lost(from, source, true, now) {
            self.push_end(flow, flag, now);
        }
    }

    pub(super) fn take_abort(
        &mut self,
        from: u16,
        flow: FlowId,
        source: SourceId,
        message: Option<Short>,
        status: Status,
        now: Moment,
    ) {
        self.abort_message(flow, message.as_ref().map(Short::as_bytes), status, now);
        self.tell_lost(from, source, false, now);
    }

    /// All of a chunk that was lost has come; `whole` if its sender has ended it, not its source. False when the chunk that
    /// ends was not lost.
    fn tell_lost(&mut self, from: u16, source: SourceId, whole: bool, now: Moment) -> bool {
        if self.lost.is_empty() {
            return false;
        }
        let Some(Lost { fate, behind }) = self.lost.remove(&(from, source)) else { return false };
        let end = behind.saturating_sub(1);
        match fate {
            Fate::Refused(mut failure) => {
                failure.range.end = Some(end);
                failure.range.total = failure.range.total.filter(|t| *t >= end);
                self.tell_failed(SourceRef { shard: from, source }, failure, now);
            }
            Fate::Failing { pending, begun } => {
                if let Some(p) = self.pendings.get_mut(pending) {
                    if let Some(failed) = &mut p.failed {
                        failed.behind = failed.behind.max(behind);
                    }
                    // If nothing was missing but its end, the answers to its octets say what became of them.
                    p.failed.take_if(|failed| whole && begun && failed.first == failed.behind);
                }
                self.settle_silently(pending, now);
            }
        }
        true
    }

    /// A chunk of which more comes has failed at its flow. Its source here drops the rest; of one elsewhere the rest may be
    /// under way already, and belongs to what has failed.
    pub(in super::super) fn await_rest(&mut self, back: SourceRef, pending: PendingId, behind: u64, begun: bool) {
        if back.shard == self.shard {
            return;
        }
        if let Some(p) = self.pendings.get_mut(pending) {
            p.open_parts += 1;
            self.lost.insert((back.shard, back.source), Lost { fate: Fate::Failing { pending, begun }, behind });
        }
    }

    pub(super) fn take_credit(&mut self, id: SourceId, octets: u64, now: Moment) {
        let limit = self.settings.limits.session_buffer;
        let Some(source) = self.sources.get_mut(id) else { return };
        source.in_flight = source.in_flight.saturating_sub(usize::try_from(octets).unwrap_or(usize::MAX));
        source.progress = now;
        if source.full && source.in_flight < limit / 2 {
            self.credit(SourceRef { shard: self.shard, source: id }, 0, true);
        }
    }
}
