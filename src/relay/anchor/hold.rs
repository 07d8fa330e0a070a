//! Requests that come too early: before the answer that says whose certificate may use the leg, or before the other leg
//! has a link. Their link is not read meanwhile, so no more than one read of it is kept (SDP-60, ADV-S15).

use super::AnchorId;
use crate::moment::Moment;
use crate::msrp::Head;
use crate::relay::Relay;
use crate::relay::link::{CloseReason, LinkId, Waiting};
use crate::relay::refusal::Refusal;
use crate::relay::session::TokenId;
use crate::relay::transit::Whole;

/// A request that waits for its anchor.
pub(in crate::relay) enum Held {
    /// A SEND whose body waits in the decoder.
    Send {
        /// Its head.
        head: Head,
        /// Something follows.
        has_body: bool,
    },
    /// A complete request of another method.
    Whole(Whole),
}

impl Held {
    fn head(&self) -> &Head {
        match self {
            Held::Send { head, .. } => head,
            Held::Whole(whole) => &whole.head,
        }
    }

    /// The leg that it comes in on.
    fn token(&self) -> Option<TokenId> {
        TokenId::of_uri(self.head().to_path()?.last()?)
    }
}

impl Relay {
    /// Keeps a request until its anchor has changed, for 10 seconds at most; what comes after one that has waited in vain is
    /// refused at once. A link that others share does not wait for one session.
    #[cold]
    pub(in crate::relay) fn hold(&mut self, id: LinkId, mut held: Held, refusal: Refusal, now: Moment) {
        let until = now + self.settings.limits.anchor_hold;
        let Some(link) = self.links.get_mut(id) else { return };
        let vain = link.in_vain.is_some() && link.in_vain == held.token();
        if link.shared() || link.waiting.is_some() || vain {
            return self.refuse(id, held.head(), refusal, now);
        }
        match &mut held {
            Held::Send { head, .. } => head.detach(),
            Held::Whole(whole) => whole.head.detach(),
        }
        link.waiting = Some(Waiting::Anchor { held: Box::new(held), ready: false, until });
        self.arm(id, until);
        self.watch_input(id, now);
    }

    /// Something has changed for what waits for this anchor.
    pub(super) fn wake_waiting(&mut self, id: AnchorId) {
        let Some(anchor) = self.anchors.get_mut(id) else { return };
        // What is pushed last is taken first, and who came first is to be first.
        for far in std::mem::take(&mut anchor.waiting).into_iter().rev() {
            if far.shard == self.shard { self.take_resume(far.link) } else { self.post_resume(far) }
        }
    }

    /// What this link holds may be tried again.
    pub(in crate::relay) fn take_resume(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else { return };
        link.in_vain = None;
        if let Some(Waiting::Anchor { ready, .. }) = &mut link.waiting {
            *ready = true;
            self.resumable.push(id);
        }
    }

    /// Input of a link goes on, with what it holds if that has become ready.
    #[cold]
    pub(in crate::relay) fn resume(&mut self, id: LinkId, now: Moment) {
        self.resume_held(id, now);
        self.pump(id, now);
    }

    /// Tries the request of a link again, if something has changed for it. Waiting anew does not make its time longer.
    fn resume_held(&mut self, id: LinkId, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        let ready = link.waiting.take_if(|w| matches!(w, Waiting::Anchor { ready: true, .. }));
        let Some(Waiting::Anchor { held, until: first, .. }) = ready else { return };
        match *held {
            Held::Send { head, has_body } => self.begin_send(id, head, has_body, now),
            Held::Whole(Whole { head, body, has_body }) => self.take_whole(id, head, body, has_body, now),
        }
        if let Some(Waiting::Anchor { until, .. }) = self.links.get_mut(id).and_then(|l| l.waiting.as_mut()) {
            *until = first.min(*until);
            let until = *until;
            self.arm(id, until);
        }
    }

    /// What it waited for has not come: the request is refused, and a link that serves nothing else is closed.
    pub(in crate::relay) fn hold_timeout(&mut self, id: LinkId, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        let over = link.waiting.take_if(|w| matches!(w, Waiting::Anchor { until, .. } if *until <= now));
        let Some(Waiting::Anchor { held, .. }) = over else { return };
        link.in_vain = held.token();
        self.refuse(id, held.head(), Refusal::NoSession, now);
        if self.links.get(id).is_some_and(|l| !l.in_session() && l.meta.relay.is_none()) {
            return self.close_flushing(id, CloseReason::Probation, now);
        }
        self.pump(id, now);
    }
}
