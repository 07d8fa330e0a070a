//! Shards: what one says to another, and links that move between them.
//!
//! Any pair of links can be served over mailboxes: the asking shard keeps the [`Source`](super::source::Source), the
//! shard of the other link the [`Flow`](super::flow::Flow), and parcels carry octets one way, credit and outcomes the
//! other. Mailboxes are FIFO per ordered pair of shards. Parcels that carry traffic count against a bound and a full
//! mailbox stops the link that posts; answers, credit and reports always pass, so that two full mailboxes cannot wait for
//! each other.
//!
//! A link at rest moves instead: a far side to the home of the first token it names, and of two clients that both own
//! tokens the one with fewer sessions.

mod admission;
mod asking;
mod moving;
mod post;
mod whole;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::anchor::Attach;
use super::flow::FlowId;
use super::link::{CloseReason, LinkId};
use super::refusal::Refusal;
use super::route::{Asker, Place};
use super::session::{FarLink, TokenId};
use super::short::Short;
use super::source::{Failure, SourceId};
use super::transit::Whole;
use super::turn::{LegPaths, Turn};
use super::{Relay, feed};
use crate::moment::Moment;
use crate::msrp::{Flag, Head, Status};

use asking::Granted;
pub use moving::MovedLink;
pub(super) use moving::Redirect;
pub(super) use post::{Lost, Mailbox};

/// What one shard says to another.
pub struct Parcel(Content);

impl std::fmt::Debug for Parcel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.word())
    }
}

/// Where an asker wants to go.
enum Wanted {
    /// To the owner of this token, or outwards with it; so many leading URIs are dealt with.
    Token { skip: usize },
    /// To this link of yours, which is a far side here.
    Link(LinkId),
    /// To this link of yours, which a leg of an anchor is bound to here.
    Leg { link: LinkId, paths: Arc<LegPaths> },
}

impl Wanted {
    /// It asks for a token before this one.
    fn precedes(&self, other: usize) -> bool {
        matches!(self, Wanted::Token { skip } if *skip < other)
    }

    /// What becomes of the paths on a way to a link.
    fn turn(&self) -> Turn {
        match self {
            Wanted::Leg { paths, .. } => Turn::Leg(paths.clone()),
            Wanted::Token { .. } | Wanted::Link(_) => Turn::Hops(1),
        }
    }
}

/// A way to a link that is bound to a session elsewhere.
fn wanted_link(link: LinkId, place: &Place) -> Wanted {
    place.leg.clone().map_or(Wanted::Link(link), |paths| Wanted::Leg { link, paths })
}

/// A way to a next hop that one shard asks another for.
struct Ask {
    asker: Asker,
    source: SourceId,
    wanted: Wanted,
    head: Head,
    /// The asker's link is at rest.
    may_move: bool,
    /// Shards that knew of a better one to ask.
    passed: u16,
}

enum Content {
    // A way: asked for, granted or not.
    Admit(Ask),
    Admitted(Granted),
    NotAdmitted {
        source: SourceId,
        refusal: Refusal,
    },
    MoveHere {
        source: SourceId,
    },
    AskAgain {
        source: SourceId,
    },
    // Along a way, from its source; the poster's `source` is named for what finds no flow any more.
    Start {
        flow: FlowId,
        source: SourceId,
        start: feed::Start,
    },
    Body {
        flow: FlowId,
        source: SourceId,
        octets: Bytes,
    },
    End {
        flow: FlowId,
        source: SourceId,
        flag: Flag,
    },
    Abort {
        flow: FlowId,
        source: SourceId,
        message: Option<Short>,
        status: Status,
    },
    SourceGone {
        flow: FlowId,
    },
    // Along a way, back to its source.
    Credit {
        source: SourceId,
        octets: u64,
    },
    Refused {
        source: SourceId,
        serial: u32,
        message: Option<Short>,
        status: Status,
    },
    Failed {
        source: SourceId,
        failure: Failure,
    },
    FlowClosed {
        source: SourceId,
    },
    SessionOver {
        source: SourceId,
    },
    // Goes to the shard of a flow's source and back: all that was posted before has come by then.
    Barrier {
        flow: FlowId,
    },
    Passed {
        flow: FlowId,
    },
    CutFlow {
        flow: FlowId,
    },
    // A leg of an anchor whose end has a token here: its link is asked for, and told.
    Attach(Attach),
    Attached {
        leg: TokenId,
        link: FarLink,
        relay: Option<Arc<str>>,
        peer: Option<SocketAddr>,
    },
    NotAttached {
        leg: TokenId,
    },
    // An anchor: a request may be tried again, what is under way of it ends, its links with it.
    Resume {
        link: LinkId,
    },
    Cut {
        link: LinkId,
        tokens: Arc<[TokenId]>,
    },
    CloseUnused {
        link: LinkId,
    },
    Tally {
        token: TokenId,
        octets: u64,
        message: bool,
    },
    // Requests that pass whole, and their answers.
    Whole {
        asker: Asker,
        wanted: Wanted,
        whole: Whole,
        bound: bool,
        passed: u16,
    },
    Reply {
        link: LinkId,
        frame: Vec<u8>,
        auth_failed: bool,
    },
    // Who is bound to what.
    Bound {
        link: LinkId,
        token: TokenId,
    },
    FarGone {
        token: TokenId,
        link: FarLink,
        reason: CloseReason,
    },
    TokenOver {
        token: TokenId,
        link: LinkId,
    },
    TokenGone {
        token: TokenId,
    },
    Rehomed {
        token: TokenId,
        to: u16,
        moves: u32,
    },
    /// Traffic parcels taken out of the mailbox.
    Received {
        parcels: usize,
    },
}

impl Content {
    /// Counts against the mailbox's bound.
    fn traffic(&self) -> bool {
        matches!(
            self,
            Content::Admit(_)
                | Content::Start { .. }
                | Content::Body { .. }
                | Content::End { .. }
                | Content::Whole { .. }
        )
    }

    fn word(&self) -> &'static str {
        match self {
            Content::Admit(_) => "admit",
            Content::Admitted(_) => "admitted",
            Content::NotAdmitted { .. } => "not admitted",
            Content::MoveHere { .. } => "move here",
            Content::AskAgain { .. } => "ask again",
            Content::Start { .. } => "start",
            Content::Body { .. } => "body",
            Content::End { .. } => "end",
            Content::Abort { .. } => "abort",
            Content::SourceGone { .. } => "source gone",
            Content::Credit { .. } => "credit",
            Content::Refused { .. } => "refused",
            Content::Failed { .. } => "failed",
            Content::FlowClosed { .. } => "flow closed",
            Content::SessionOver { .. } => "session over",
            Content::CutFlow { .. } => "cut flow",
            Content::Barrier { .. } => "barrier",
            Content::Passed { .. } => "passed",
            Content::Attach(_) => "attach",
            Content::Attached { .. } => "attached",
            Content::NotAttached { .. } => "not attached",
            Content::Resume { .. } => "resume",
            Content::Cut { .. } => "cut",
            Content::CloseUnused { .. } => "close unused",
            Content::Tally { .. } => "tally",
            Content::Whole { .. } => "whole",
            Content::Reply { .. } => "reply",
            Content::Bound { .. } => "bound",
            Content::FarGone { .. } => "far gone",
            Content::TokenOver { .. } => "token over",
            Content::TokenGone { .. } => "token gone",
            Content::Rehomed { .. } => "rehomed",
            Content::Received { .. } => "received",
        }
    }
}

impl Relay {
    /// A parcel of another shard.
    pub fn handle_parcel(&mut self, from: u16, parcel: Parcel, now: Moment) {
        if parcel.0.traffic() {
            self.acknowledge(from);
        }
        match parcel.0 {
            Content::Admit(ask) => self.take_admit(ask, now),
            Content::Admitted(granted) => self.take_admitted(from, granted, now),
            Content::NotAdmitted { source, refusal } => self.take_not_admitted(source, refusal, now),
            Content::MoveHere { source } => self.take_move_here(from, source, now),
            Content::AskAgain { source } => self.take_ask_again(source, now),
            Content::Start { flow, source, start } => self.take_start(from, flow, source, start, now),
            Content::Body { flow, source, octets } => self.take_posted_body(from, flow, source, octets, now),
            Content::End { flow, source, flag } => self.take_posted_end(from, flow, source, flag, now),
            Content::Abort { flow, source, message, status } => {
                self.take_abort(from, flow, source, message, status, now);
            }
            Content::SourceGone { flow } => self.orphan(flow),
            Content::Credit { source, octets } => self.take_credit(source, octets, now),
            Content::Refused { source, serial, message, status } => {
                self.take_refused(source, serial, message, status, now)
            }
            Content::Failed { source, failure } => self.take_failed(source, failure, now),
            Content::FlowClosed { source } => self.take_flow_closed(source),
            Content::SessionOver { source } => self.take_session_over(source),
            Content::Barrier { flow } => self.post(from, Content::Passed { flow }),
            Content::Passed { flow } => self.take_passed(flow),
            Content::CutFlow { flow } => self.take_cut_flow(flow, now),
            Content::Attach(attach) => self.take_attach(attach, now),
            Content::Attached { leg, link, relay, peer } => self.take_attached(leg, link, relay, peer),
            Content::NotAttached { leg } => self.take_not_attached(leg),
            Content::Resume { link } => self.take_resume(link),
            Content::Cut { link, tokens } => self.cut_link(link, &tokens, now),
            Content::CloseUnused { link } => self.close_unused(link, now),
            Content::Tally { token, octets, message } => self.take_tally(&token, octets, message),
            Content::Whole { asker, wanted, whole, bound, passed } => {
                self.take_posted_whole(asker, wanted, whole, bound, passed, now);
            }
            Content::Reply { link, frame, auth_failed } => self.take_reply(link, &frame, auth_failed, now),
            Content::Bound { link, token } => self.take_bound(from, link, token),
            Content::FarGone { token, link, reason } => self.pass_far_gone(token, link, reason, now),
            Content::TokenOver { token, link } => self.take_token_over(token, link),
            Content::TokenGone { token } => self.take_token_gone(&token),
            Content::Rehomed { token, to, moves } => self.take_rehomed(&token, to, moves),
            Content::Received { parcels } => self.take_received(from, parcels),
        }
    }
}

fn session_token(text: &[u8]) -> Option<TokenId> {
    crate::msrp::Uri::parse(text).ok()?.session_id().and_then(TokenId::parse)
}
