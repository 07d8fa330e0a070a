//! The session timer of one leg: how long its session lives without a word, and who says it (RFC 4028).
//!
//! Each INVITE and UPDATE agrees anew. Where we send it, [`propose`] writes what we want and [`agreed`] reads what the 2xx says
//! of it, with [`raised`] for a 422; where it comes to us, [`accept`] does both. What is agreed is a [`SessionTimer`], which
//! takes over the past of the one before it by [`SessionTimer::following`] and runs from [`SessionTimer::begin`].
//!
//! Session-Expires and Min-SE that cannot be read are as good as absent (RFC 3261 section 8.2).

mod headers;
#[cfg(test)]
mod tests;

use std::time::Duration;

use thiserror::Error;

use crate::moment::Moment;
use crate::sip::message::{Headers, list};
use headers::{Role, SessionExpires, largest_min_se, seconds};

/// Nobody may ask for less (RFC 4028 section 4).
pub const SHORTEST: Duration = Duration::from_secs(90);

/// We do not ask for more, whatever a 422 wants: a session that lives a day without a word is not watched.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Who does not refresh ends the session this long before it would expire, or a third of its interval (RFC 4028 section 10).
const MARGIN: Duration = Duration::from_secs(32);

/// What we want of each leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wishes {
    /// The interval that we ask for, 1800 s by RFC 4028 section 4; zero: we ask for none, and keep what others ask for.
    pub interval: Duration,
    /// The smallest interval that we take, not below [`SHORTEST`].
    pub minimum: Duration,
}

/// Who refreshes a session (RFC 4028 section 7.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refresher {
    /// We do.
    Us,
    /// The other side does.
    Them,
}

/// What happens when a timer is due (RFC 4028 section 10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// We send an UPDATE or an INVITE.
    Refresh,
    /// We send a BYE: the other side did not refresh.
    End,
}

/// The timer of one dialog, as the last 2xx to an INVITE or UPDATE set it (RFC 4028 section 7.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionTimer {
    /// From one 2xx to the end of the session, if no other comes.
    pub interval: Duration,
    /// Who sees to the other.
    pub refresher: Refresher,
    /// The largest Min-SE that the other side sent in this dialog (RFC 4028 section 7.4).
    min_se: Duration,
    /// When the 2xx was sent or came.
    begun: Option<Moment>,
}

/// A request asks for an interval below the smallest that is allowed: a 422 says which that is (RFC 4028 section 9).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("session interval too small")]
pub struct TooSmall {
    /// The smallest, not below [`SHORTEST`].
    pub minimum: Duration,
}

impl TooSmall {
    /// Status code and phrase (RFC 4028 section 6).
    pub const STATUS: (u16, &'static str) = (422, "Session Interval Too Small");

    /// Min-SE, which the response must have (RFC 4028 section 6).
    pub fn min_se(&self) -> String {
        seconds(self.minimum)
    }
}

/// Writes Session-Expires and Min-SE into an INVITE or UPDATE of ours; `Supported: timer` has to be there too (RFC 4028
/// sections 7.1, 7.4).
///
/// In a session that has a timer its interval is kept, and so is who refreshes it. In a new one that is left to the other
/// side, as section 7.1 recommends.
pub fn propose(wishes: &Wishes, current: Option<&SessionTimer>, headers: &mut Headers) {
    let minimum = wishes.minimum().max(current.map_or(SHORTEST, |timer| timer.min_se));
    let expires = match current {
        Some(timer) => SessionExpires {
            interval: timer.interval.max(minimum),
            refresher: Some(if timer.refresher == Refresher::Us { Role::Uac } else { Role::Uas }),
        },
        None if wishes.interval.is_zero() => return,
        None => SessionExpires { interval: wishes.interval.max(minimum), refresher: None },
    };
    headers.set("Session-Expires", expires.to_string());
    headers.set("Min-SE", seconds(minimum));
}

/// Reads an INVITE or UPDATE and writes into its 2xx what is agreed; none if nobody wants a timer (RFC 4028 section 9).
///
/// An interval is kept or lowered to the one that we wish for, but not below Min-SE. It is raised in one case: a caller
/// without support for the timer cannot be refused, and whatever stood for it in the request, nothing below Min-SE or
/// [`SHORTEST`] is valid in the response.
pub fn accept(wishes: &Wishes, request: &Headers, response: &mut Headers) -> Result<Option<SessionTimer>, TooSmall> {
    let is_supported = list::contains(request, "Supported", "timer");
    let min_se = largest_min_se(request).unwrap_or(SHORTEST);
    let minimum = wishes.minimum().max(min_se);
    let ours = wishes.interval.max(minimum);
    let (interval, asked) = match SessionExpires::read(request) {
        Some(asked) if is_supported && asked.interval < minimum => return Err(TooSmall { minimum }),
        Some(asked) if wishes.interval.is_zero() => (asked.interval.max(min_se), asked.refresher),
        Some(asked) => (asked.interval.min(ours).max(min_se), asked.refresher),
        None if wishes.interval.is_zero() => return Ok(None),
        None => (ours, None),
    };
    // Table 2: the choice is the caller's, and who does not know the timer can make none.
    let refresher = if is_supported { asked.unwrap_or(Role::Uac) } else { Role::Uas };
    response.set("Session-Expires", SessionExpires { interval, refresher: Some(refresher) }.to_string());
    // A must for a caller that is to refresh, and a should for one that is to see refreshes come.
    if is_supported && !list::contains(response, "Require", "timer") {
        response.push("Require", "timer");
    }
    let refresher = if refresher == Role::Uac { Refresher::Them } else { Refresher::Us };
    Ok(Some(SessionTimer { interval, refresher, min_se, begun: None }))
}

/// Reads what a 2xx says of the INVITE or UPDATE that we sent (RFC 4028 section 7.2).
///
/// Where it says nothing although we asked, the other side does not know the timer. We then refresh on our own, with the
/// interval we asked for: the timer is there to find sessions whose other end is gone, and an end that answers refreshes
/// shows that it is not, whether it knows the timer or no. Where we did not ask, there is none.
pub fn agreed(request: &Headers, response: &Headers) -> Option<SessionTimer> {
    let expires = SessionExpires::read(response).map_or_else(
        || SessionExpires::read(request).map(|asked| SessionExpires { refresher: Some(Role::Uac), ..asked }),
        Some,
    )?;
    // The parameter must be there; without it the side that is sure to refresh is ours.
    let refresher = if expires.refresher == Some(Role::Uas) { Refresher::Them } else { Refresher::Us };
    Some(SessionTimer { interval: expires.interval.max(SHORTEST), refresher, min_se: SHORTEST, begun: None })
}

/// What to ask with after a 422; none if it wants no more than we asked for, or more than [`LONGEST`] (RFC 4028 sections 7.3,
/// 7.4). The other side may want a little more each time: who asks again counts how often.
pub fn raised(wishes: &Wishes, response: &Headers) -> Option<Wishes> {
    let minimum = largest_min_se(response)?;
    (minimum > wishes.minimum() && minimum <= LONGEST).then_some(Wishes { minimum, ..*wishes })
}

/// How long to wait after a 491 to a refresh of ours, by a random number: 2.1 to 4 s if the Call-ID is ours, else up to 2 s,
/// in steps of 10 ms (RFC 3261 section 14.1).
pub fn wait_after_491(owns_call_id: bool, random: u32) -> Duration {
    let steps = if owns_call_id { 210 + random % 191 } else { random % 201 };
    Duration::from_millis(10) * steps
}

impl Wishes {
    fn minimum(&self) -> Duration {
        self.minimum.max(SHORTEST)
    }
}

impl SessionTimer {
    /// The same timer, which knows what the one before it in the dialog was told (RFC 4028 section 7.4).
    pub fn following(self, previous: Option<&SessionTimer>) -> SessionTimer {
        let min_se = previous.map_or(self.min_se, |previous| previous.min_se.max(self.min_se));
        SessionTimer { min_se, ..self }
    }

    /// Starts it: the 2xx that agreed on it was sent or came (RFC 4028 sections 7.2, 9).
    pub fn begin(&mut self, now: Moment) {
        self.begun = Some(now);
    }

    /// When there is something to do: half the interval if we refresh, else its end; never before it began (RFC 4028 section
    /// 10).
    pub fn due(&self) -> Moment {
        match self.refresher {
            Refresher::Us => self.after(self.interval / 2),
            Refresher::Them => self.end(),
        }
    }

    /// What there is to do then.
    pub fn kind(&self) -> Due {
        match self.refresher {
            Refresher::Us => Due::Refresh,
            Refresher::Them => Due::End,
        }
    }

    /// When a BYE is sent if no 2xx came before: the end of the session where we refresh, a little earlier where the other
    /// side does (RFC 4028 section 10).
    pub fn end(&self) -> Moment {
        match self.refresher {
            Refresher::Us => self.after(self.interval),
            Refresher::Them => self.after(self.interval - MARGIN.min(self.interval / 3)),
        }
    }

    fn after(&self, time: Duration) -> Moment {
        self.begun.map_or(Moment::FAR, |begun| begun + time)
    }
}
