//! A look at sessions from outside, for operators.

use std::net::SocketAddr;
use std::time::Duration;

use super::session::{Owner, Tally};
use super::{Relay, SessionEnd};
use crate::moment::Moment;

/// One session as `GET /sessions` shows it: nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Public name.
    pub id: String,
    /// Who authenticated.
    pub user: String,
    /// Address of a direct owner.
    pub owner: Option<SocketAddr>,
    /// Name of the peer relay that acts for the owner.
    pub relay: Option<String>,
    /// Far sides that are bound.
    pub far_sides: usize,
    /// Time since the 200 to AUTH.
    pub age: Duration,
    /// Time to the token's expiry; none where a command ends it.
    pub expires_in: Option<Duration>,
    /// Messages and octets; what a leg's other end sends counts as from the owner.
    pub tally: Tally,
    /// The anchor of which it is a leg.
    pub anchor: Option<String>,
}

impl Relay {
    /// Up to `most` sessions.
    pub fn sessions(&self, most: usize, now: Moment) -> Vec<SessionView> {
        let view = |(token, s): (&super::TokenId, &super::session::Session)| {
            let (owner, relay) = match &s.owner {
                Owner::Link(link) => (self.links.get(*link).and_then(|l| l.meta.peer), None),
                Owner::Relay(name) => (None, Some(name.to_string())),
                Owner::Leg(anchor, side) => (self.leg_peer(*anchor, *side), None),
            };
            let leg = match s.owner {
                Owner::Leg(anchor, side) => self.leg_view(anchor, side),
                _ => None,
            };
            let (anchor, tally) = leg.map_or((None, s.tally), |(name, tally)| (Some(name), tally));
            SessionView {
                id: token.public(),
                user: s.user.to_string(),
                owner,
                relay,
                far_sides: s.far.len(),
                age: now.since(s.created),
                expires_in: (s.expires != Moment::FAR).then(|| s.expires.since(now)),
                tally,
                anchor,
            }
        };
        self.sessions.iter().take(most).map(view).collect()
    }

    /// Ends all sessions of users who may not use the relay any more. Returns how many.
    pub fn end_sessions_of(&mut self, gone: impl Fn(&str) -> bool, now: Moment) -> usize {
        let tokens: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, s)| !matches!(s.owner, Owner::Leg(..)) && gone(&s.user))
            .map(|(t, _)| *t)
            .collect();
        for token in &tokens {
            self.end_session(token, SessionEnd::Operator, now);
        }
        tokens.len()
    }
}
