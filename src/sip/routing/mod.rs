//! Where requests go (RFC 3261 sections 8.1.2, 12.2.1.1, 16.12; RFC 3263), without a socket and without a question asked.
//!
//! A [`Place`] is what a URI says about where it leads; a [`Hop`] is one that an operator wrote, a [`Domain`] says for whose
//! requests.

mod domain;
mod hop;
mod place;

pub use domain::{Domain, DomainError};
pub use hop::{Hop, HopError};
pub use place::{Place, PlaceError};
