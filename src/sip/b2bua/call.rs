//! One call: two legs, their media, and what is under way between them.

use std::collections::VecDeque;

use super::CallKey;
use super::dialog::{Dialog, DialogKey};
use super::event::Cause;
use super::exchange::Exchange;
use super::media::Media;
use super::session_timer::{SessionTimer, Wishes};
use crate::moment::Moment;
use crate::relay::Side;
use crate::sip::message::{Headers, Request, Response};
use crate::sip::transaction::{ClientId, ServerId};
use crate::sip::way::{Target, Way};

/// A call.
pub(super) struct Call {
    pub(super) legs: [Leg; 2],
    pub(super) media: Media,
    /// An exchange of descriptions under way: never more than one (RFC 3264 section 4).
    pub(super) open: Option<Open>,
    /// Counts exchanges, so that late results are known.
    pub(super) exchanges: u64,
    /// An INVITE between the legs.
    pub(super) inviting: Option<Inviting>,
    /// Whether media are anchored on this route.
    pub(super) anchor: bool,
    /// The realm in which the caller had to show who it is; none where it is trusted.
    pub(super) stranger: Option<std::sync::Arc<str>>,
    /// Who pays, in records of the relay.
    pub(super) user: std::sync::Arc<str>,
    pub(super) call_id: String,
    pub(super) began: Moment,
    pub(super) answered: Option<Moment>,
    /// Whether its media lines have been told.
    pub(super) counted: bool,
    /// Call-ID and tag of our INVITE.
    pub(super) asked: Option<(String, String)>,
    /// Requests that were passed on and have no final response.
    pub(super) passing: Vec<ServerId>,
    /// Ended by us at that time, if nothing happens.
    pub(super) failing: Option<(Moment, Cause)>,
    /// What it is woken for.
    pub(super) armed: Moment,
}

/// One side of a call.
pub(super) struct Leg {
    /// Confirmed, or about to be: the 2xx has come or gone.
    pub(super) dialog: Option<Dialog>,
    /// How requests reach it.
    pub(super) way: Way,
    /// Whether a request of the other side has come by this connection.
    pub(super) heard: bool,
    /// Ours toward it.
    pub(super) contact: String,
    pub(super) timer: Option<SessionTimer>,
    /// When the timer acts.
    pub(super) due: Moment,
    /// Whether it takes UPDATE (RFC 3311 section 4).
    pub(super) update: bool,
    /// A refresh of ours that has no answer.
    pub(super) refreshing: Option<ClientId>,
    /// Our 2xx whose ACK has not come.
    pub(super) unacknowledged: Option<ServerId>,
}

impl Leg {
    pub(super) fn new(way: Way, contact: String) -> Leg {
        Leg {
            dialog: None,
            way,
            heard: false,
            contact,
            timer: None,
            due: Moment::FAR,
            update: false,
            refreshing: None,
            unacknowledged: None,
        }
    }
}

/// An INVITE that one side sent and the other has.
pub(super) struct Inviting {
    /// Who sent it.
    pub(super) from: Side,
    /// Its transaction there.
    pub(super) server: ServerId,
    /// As it came.
    pub(super) request: Request,
    /// Whether it began the call.
    pub(super) initial: bool,
    /// Whether it had no offer.
    pub(super) offerless: bool,
    /// Our transaction to the other side.
    pub(super) client: Option<ClientId>,
    /// Headers of its CANCEL: why the first side has given up.
    pub(super) reasons: Vec<(String, String)>,
    /// As it went on, without Via.
    pub(super) sent: Option<Request>,
    /// What the other side's dialogs begin with.
    pub(super) asking: Option<Dialog>,
    /// Where it may go on to, if this one fails.
    pub(super) targets: VecDeque<Target>,
    /// Its Request-URI and Route beyond us, where it began a call.
    pub(super) request_uri: String,
    pub(super) route: Vec<String>,
    pub(super) forks: Vec<Fork>,
    /// Offer and answer of this INVITE are done with this fork: what it says again is a repetition.
    pub(super) negotiated: Option<usize>,
    /// A 2xx of the other side, which waits for the first side's ACK with its answer.
    pub(super) to_acknowledge: Option<Waiting2xx>,
    /// The 2xx of the other side.
    pub(super) taken: Option<Box<Response>>,
    /// A 2xx that came while an answer was being concluded.
    pub(super) held: Option<Box<(ClientId, Response, crate::sip::way::FlowId)>>,
    /// Whether ours has gone back.
    pub(super) is_answered: bool,
    /// When routing counts as failed; never once it is done.
    pub(super) routed_by: Moment,
    /// Number of our next INVITE outside of a dialog.
    pub(super) number: u32,
    /// What we ask of the other side's session timer, and how often it wanted more.
    pub(super) wishes: Wishes,
    pub(super) raised: u8,
}

/// The 2xx of a late offer.
pub(super) struct Waiting2xx {
    pub(super) client: ClientId,
    pub(super) cseq: u32,
}

/// An early dialog behind an INVITE, and what the caller sees of it.
pub(super) struct Fork {
    /// With the callee.
    pub(super) far: Dialog,
    /// With the caller.
    pub(super) near: Dialog,
    /// What it answered in a reliable response.
    pub(super) answer: Option<Vec<u8>>,
}

impl Fork {
    /// The dialog with this side.
    pub(super) fn of(&self, side: Side) -> &Dialog {
        match side {
            Side::A => &self.near,
            Side::B => &self.far,
        }
    }
}

/// What is left of an INVITE that nobody waits for any more: a 2xx of any fork but the one that won is acknowledged and ended.
pub(super) struct Late {
    /// Early dialogs, and last the one before anyone answered.
    pub(super) dialogs: Vec<Dialog>,
    pub(super) way: Way,
    /// Tag of the fork that the call goes on with.
    pub(super) won: Option<String>,
}

/// Whose a dialog is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Owner {
    pub(super) call: CallKey,
    pub(super) side: Side,
}

/// What a request of a peer is to us.
pub(super) enum Served {
    /// An INVITE of this side.
    Invite { call: CallKey, side: Side },
    /// Passed on as that request, once it is.
    Passed { call: CallKey, from: Side, request: Box<Request>, client: Option<ClientId> },
    /// Waits to be admitted.
    Admitting { request: Box<Request>, flow: crate::sip::way::FlowId },
    /// A 2xx of a call that is over: BYE when its ACK has come, or does not.
    Bye { request: Box<Request>, way: Way },
}

/// What a request of ours is for.
pub(super) enum Asked {
    /// The INVITE to the side other than `from`.
    Invite { call: CallKey },
    /// A request of `from`, passed on. Its answer may have a description.
    Passed { call: CallKey, from: Side, server: ServerId },
    /// A refresh of ours toward this side.
    Refresh { call: CallKey, side: Side, refresh: Box<Refresh> },
    /// An INVITE that is over.
    Late(Box<Late>),
}

/// What a refresh said.
pub(super) struct Refresh {
    pub(super) request: Request,
    pub(super) wishes: Wishes,
    /// How often the other side wanted a longer interval.
    pub(super) raised: u8,
}

/// An exchange under way.
pub(super) struct Open {
    pub(super) number: u64,
    pub(super) exchange: Option<Box<Exchange>>,
    pub(super) stage: Stage,
    /// The fork whose INVITE or response has the offer; none if another request has it.
    pub(super) of_invite: Option<usize>,
    /// When what it waits for counts as failed; never while that is the other side.
    pub(super) until: Moment,
}

/// How far it is.
pub(super) enum Stage {
    /// Tokens that stand in a path are looked up; then this goes on.
    LookingUp { from: Side, offer: Vec<u8>, next: Carried },
    /// URIs are made; then this goes on with the offer.
    Preparing { next: Carried, left: usize, failed: Option<crate::relay::AnchorError> },
    /// The other side has the offer.
    Awaiting,
    /// Both legs are told their terms; then this goes on with the answer.
    Concluding { next: Carried, answer: Vec<u8>, left: usize, failed: Option<(Side, crate::relay::AnchorError)> },
}

/// A message on its way from one leg to the other.
#[derive(Debug)]
pub(super) enum Carried {
    /// The INVITE that is under way.
    Invite,
    /// A response to it, of this fork.
    InviteResponse { response: Response, fork: usize, client: ClientId },
    /// The ACK that has the answer to a late offer.
    Ack { headers: Headers },
    /// Another request.
    Request { server: ServerId },
    /// Its response.
    Response { server: ServerId, response: Response },
}

impl Call {
    /// When it must be woken.
    pub(super) fn deadline(&self) -> Moment {
        let failing = self.failing.map(|(at, _)| at);
        let open = self.open.as_ref().map(|open| open.until);
        let routed = self.inviting.as_ref().map(|inviting| inviting.routed_by);
        let due = self.legs.iter().map(|leg| leg.due);
        due.chain(failing).chain(open).chain(routed).min().unwrap_or(Moment::FAR)
    }

    pub(super) fn leg(&self, side: Side) -> &Leg {
        &self.legs[side as usize]
    }

    pub(super) fn leg_mut(&mut self, side: Side) -> &mut Leg {
        &mut self.legs[side as usize]
    }

    /// The dialog of this key, be it early.
    pub(super) fn dialog_mut(&mut self, key: &DialogKey) -> Option<&mut Dialog> {
        let confirmed = self.legs.iter_mut().filter_map(|leg| leg.dialog.as_mut());
        let early = self.inviting.iter_mut().flat_map(|i| i.forks.iter_mut().flat_map(|f| [&mut f.near, &mut f.far]));
        confirmed.chain(early).find(|dialog| dialog.key() == *key)
    }

    /// All dialogs that lead to it.
    pub(super) fn keys(&self) -> Vec<DialogKey> {
        let confirmed = self.legs.iter().filter_map(|leg| leg.dialog.as_ref()).map(Dialog::key);
        let early = self.inviting.iter().flat_map(|i| i.forks.iter().flat_map(|f| [f.far.key(), f.near.key()]));
        confirmed.chain(early).collect()
    }
}

impl Inviting {
    pub(super) fn new(from: Side, server: ServerId, request: Request, offerless: bool, wishes: Wishes) -> Inviting {
        Inviting {
            from,
            server,
            request,
            initial: false,
            offerless,
            client: None,
            reasons: Vec::new(),
            sent: None,
            asking: None,
            targets: VecDeque::new(),
            request_uri: String::new(),
            route: Vec::new(),
            forks: Vec::new(),
            negotiated: None,
            to_acknowledge: None,
            taken: None,
            held: None,
            is_answered: false,
            routed_by: Moment::FAR,
            number: 1,
            wishes,
            raised: 0,
        }
    }

    /// What is left when nobody waits for it.
    pub(super) fn late(&self, way: Way, won: Option<String>) -> Late {
        let dialogs = self.forks.iter().map(|f| &f.far).chain(&self.asking).cloned().collect();
        Late { dialogs, way, won }
    }

    /// The fork whose callee has this tag.
    pub(super) fn fork_of(&self, tag: Option<&str>) -> Option<usize> {
        self.forks.iter().position(|f| f.far.key().remote_tag.as_deref() == tag)
    }
}
