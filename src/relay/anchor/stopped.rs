//! A file transfer that one side stops: the dialogs are to follow, and what nobody follows is cleaned up (RFC 5547 section 8.4).

use std::time::Duration;

use super::{AnchorId, AnchorNews};
use crate::moment::Moment;
use crate::relay::Relay;
use crate::relay::session::TokenId;

/// Time for an offer or a BYE.
const FOLLOWED: Duration = Duration::from_secs(30);

impl Relay {
    /// A message that came in by this token was stopped: by `#` of its sender, or by 413 of its receiver. A chat goes on without
    /// it, and so does a file between links of other shards than the anchor's, until its dialog ends.
    #[cold]
    pub(in crate::relay) fn transfer_stops(&mut self, token: TokenId, now: Moment) {
        let Some((id, _)) = self.leg_of(&token) else { return };
        let Some(anchor) = self.anchors.get_mut(id).filter(|a| a.ending.is_none()) else { return };
        if anchor.legs.iter().any(|leg| leg.terms.as_ref().is_some_and(|terms| terms.file)) {
            anchor.followed_by.get_or_insert(now + FOLLOWED);
            self.arm_anchor(id);
        }
    }

    /// Nobody has followed within that time.
    pub(super) fn transfer_is_over(&mut self, id: AnchorId, now: Moment) {
        if self.anchors.get_mut(id).is_some_and(|a| a.followed_by.take_if(|at| *at <= now).is_some()) {
            self.tell(id, AnchorNews::Stopped);
        }
    }
}
