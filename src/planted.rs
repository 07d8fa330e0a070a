//! Bugs planted on purpose, so that the simulation (`tests/sim`) can show that it would find them.
//!
//! Without the cargo feature `planted`, which is for that test alone, [`on`] is a constant `false`: the marks in the core
//! are gone from what is compiled. With it one bug at a time is switched on for the calling thread.

/// A bug that can be planted in the core.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(not(feature = "planted"), expect(unreachable_pub, reason = "public where the test plants them"))]
pub enum Bug {
    /// A REPORT of ours is made and never leaves.
    LostReport,
    /// A REPORT of ours leaves twice.
    DoubleReport,
    /// The time of SENDs runs on while the link that their answers come by is not read.
    TimerNotFrozen,
    /// Of a flow that fails the octets are not given back to the account.
    SliceLeak,
    /// A link moves and nobody is told where to.
    MoveWithoutRedirect,
    /// The request that made a link move is lost between move and adoption.
    AdoptionDropsRequest,
    /// What a moving link had read and not looked at is lost.
    AdoptionDropsInput,
    /// Transact-ids are counted instead of drawn.
    PredictableTid,
    /// The second and later parts of a chunk name a first octet that is one too high.
    RangeOffByOne,
    /// The 200 leaves when the head is there, before the octets.
    OkBeforeEnd,
    /// The response to a SEND goes to another link.
    ResponseToWrongLink,
    /// A second link may send with a token whose far side still lives.
    TokenFromWrongLink,
    /// Sessions stay when their owner's connection breaks.
    StaleSession,
    /// A token is good for ever.
    ExpiryIgnored,
    /// Failure-Report `no` is treated as `yes` when it comes to REPORTs.
    ReportForNo,
    /// Failure-Report `no` is treated as `yes` when a SEND is refused.
    ErrorForNo,
    /// A silent next hop is reported for Failure-Report `partial`.
    PartialTimeout,
    /// A silent next hop is not reported at all.
    LostTimeout,
    /// Failure-Report `partial` gets its 200.
    OkForPartial,
    /// SENDs that were unanswered when their next hop was lost are taken as delivered.
    NextHopLossSilent,
    /// Two pieces of a body change places.
    SlicesSwapped,
    /// What a vanished sender leaves ends with `$` instead of `#`.
    AbortFlagLost,
    /// The part on the wire gets no end-line when its flow fails.
    OpenPartNotEnded,
    /// Another shard gives no credit back for what has left.
    CreditKept,
    /// Parcels that were taken out of a mailbox still count.
    MailboxNotEmptied,
    /// A link that was stopped for a full flow is never read again.
    StopKept,
    /// A session keeps the link as long as it has something to send.
    TurnNeverEnds,
    /// A chunk that goes on arriving is held until a full part is there.
    HoldNeverFires,
    /// One token of an anchor outlives its release.
    AnchorLegLeft,
    /// The first octet of each further read of a body is forwarded twice.
    BodyOctetTwice,
    /// A body may hold the end-line of the part that carries it.
    OwnEndLine,
    /// A token's lease is not given back at its end.
    LeaseKept,
    /// Whole frames that wait on a lost link stay in the account.
    UrgentLeak,
    /// An end-to-end response bears our transact-id instead of the asker's.
    ReverseCrossed,
    /// A message that was refused for good is accepted again.
    PoisonForgotten,
    /// A flow changes to its bulk link before its parts have their answers.
    LaneOvertakes,
}

/// Whether this bug is on: never, in anything but the test.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub(crate) const fn on(_: Bug) -> bool {
    false
}

#[cfg(feature = "planted")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    impl Bug {
        /// Every bug there is.
        pub const ALL: [Bug; 36] = [
            Bug::LostReport,
            Bug::DoubleReport,
            Bug::TimerNotFrozen,
            Bug::SliceLeak,
            Bug::MoveWithoutRedirect,
            Bug::AdoptionDropsRequest,
            Bug::AdoptionDropsInput,
            Bug::PredictableTid,
            Bug::RangeOffByOne,
            Bug::OkBeforeEnd,
            Bug::ResponseToWrongLink,
            Bug::TokenFromWrongLink,
            Bug::StaleSession,
            Bug::ExpiryIgnored,
            Bug::ReportForNo,
            Bug::ErrorForNo,
            Bug::PartialTimeout,
            Bug::LostTimeout,
            Bug::OkForPartial,
            Bug::NextHopLossSilent,
            Bug::SlicesSwapped,
            Bug::AbortFlagLost,
            Bug::OpenPartNotEnded,
            Bug::CreditKept,
            Bug::MailboxNotEmptied,
            Bug::StopKept,
            Bug::TurnNeverEnds,
            Bug::HoldNeverFires,
            Bug::AnchorLegLeft,
            Bug::BodyOctetTwice,
            Bug::OwnEndLine,
            Bug::LeaseKept,
            Bug::UrgentLeak,
            Bug::ReverseCrossed,
            Bug::PoisonForgotten,
            Bug::LaneOvertakes,
        ];
    }

    /// Switches this bug on for the calling thread, and any other off.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether this bug is on for the calling thread.
    pub(crate) fn on(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted")]
pub(crate) use switch::on;
#[cfg(feature = "planted")]
pub use switch::plant;
