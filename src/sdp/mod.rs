//! MSRP in session descriptions (RFC 4975 section 8, RFC 6135, RFC 6714, RFC 5547), and what an anchor makes of them.
//!
//! Whoever anchors sessions stands between two legs: it reads what one side says, and writes what the other side is
//! told. The way of an offer and its answer:
//!
//! 1. [`Description::parse`] splits octets into lines and m-lines; [`Offer::assess`] reads each m=message section as a
//!    [`MessageSection`], holds it against the [`Rules`] of the leg and gives it a [`Mode`].
//! 2. [`Offer::refusal`] says with which status the offer is refused if nothing of it remains.
//! 3. For each anchored m-line the caller makes an [`OurUri`] for either leg. [`rewrite_offer`] puts those of the far
//!    leg in the places of the peer's, [`Origin::issue`] adds the o= line.
//! 4. [`assess_answer`] compares the answer with the offer that was sent; [`rewrite_answer`] makes of it what the first
//!    side is told. [`Connects`] says who opens each leg's connection, [`Fingerprints`] whom to expect there.
//! 5. A later offer goes through [`update`] and [`Change::of`] first: what stays keeps its URI and its connection.
//!
//! All of it is text to text: no clock, no socket, no randomness. Tokens, addresses and fingerprints come in as
//! arguments, and the same arguments give the same octets.
//!
//! # Why lines, and no model of a description
//!
//! What need not change must come out octet for octet: other media belong to others, and file attributes are compared
//! by their octets. A parser that keeps fields and prints them again does not give that: `sdp-types` writes CRLF where
//! LF stood, prints `r=3600` as `r=1h`, joins runs of spaces, refuses attributes that are not UTF-8, and brings lines
//! that stand elsewhere into the order of the grammar. So a description is kept as its lines, and only lines that
//! change are written.
//!
//! Everything is bounded by [`Limits`], and each step is linear in the octets of the description.

mod address;
mod answer;
mod attribute;
mod capability;
mod cema;
mod description;
mod direction;
mod fault;
mod file;
mod fingerprint;
mod formats;
mod limits;
mod media_line;
mod mode;
mod offer;
mod origin;
mod refusal;
mod rewrite;
mod roles;
mod rules;
mod section;
mod slot;
#[cfg(test)]
mod tests;
mod update;
mod writer;

pub use address::{Address, Family, OurUri};
pub use answer::{Answered, assess_answer};
pub use capability::capability;
pub use cema::{Destination, Tunnel, address_matches_path};
pub use description::Description;
pub use direction::Direction;
pub use fault::{AnswerFault, DescriptionFault, SectionFault};
pub use file::{File, WRAPPER_OVERHEAD};
pub use fingerprint::{Fingerprint, FingerprintFault, Fingerprints, Hash};
pub use formats::{Blocked, Content, Formats};
pub use limits::Limits;
pub use media_line::{MediaLine, Protocol};
pub use mode::Mode;
pub use offer::{Offer, Offered};
pub use origin::{Draft, Origin};
pub use refusal::Refusal;
pub use rewrite::{RewriteError, Toward, rewrite_answer, rewrite_offer};
pub use roles::{Connects, Setup, Side, active_side};
pub use rules::{Ownership, Rules, Tunnels};
pub use section::MessageSection;
pub use slot::Slot;
pub use update::{Change, Transfer, Update, update};
