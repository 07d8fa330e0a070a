//! Where requests go (RFC 3261 sections 8.1.2, 12.2.1.1, 16.12; RFC 3263), without a socket and without a question asked.
//!
//! ```text
//!   Request-URI, Route ── Routes ──> NextHop ── places ──> Search ──> targets ── Resting ──> the order to try them in
//!                                                          │    ▲
//!                                                       Question Answer      (somebody else asks the DNS)
//! ```
//!
//! * A [`Place`] is what a URI says about where it leads. A [`Hop`] is one that the operator wrote, a [`Domain`] says for whose
//!   requests; [`Routes`] hold both, and [`Ownership`], which knows ourselves.
//! * [`lay`] writes Request-URI and Route for a route set, in a dialog and outside.
//! * A [`Search`] is RFC 3263: from a place to [`Target`](super::way::Target)s, one [`Question`] after the other, all of them
//!   bounded. [`Means`] say what we speak at all.
//! * [`Resting`] remembers which targets failed lately.

mod domain;
mod hop;
mod means;
mod ownership;
mod place;
mod pointers;
mod resting;
mod route_set;
mod search;
mod table;

#[cfg(test)]
mod tests;

pub use domain::{Domain, DomainError};
pub use hop::{Hop, HopError};
pub use means::Means;
pub use ownership::Ownership;
pub use place::{Place, PlaceError};
pub use resting::{MOST_RESTING, REST, Resting};
pub use route_set::{Laid, lay};
pub use search::{Answer, MOST_HOSTS, MOST_SERVICES, MOST_TARGETS, Question, Search, Unresolved};
pub use table::{By, NextHop, NoRoute, Route, Routes};
