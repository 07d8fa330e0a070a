//! Calls by SIPp, Kamailio and baresip through a real Chappe. Debian's packages: `tests/sip/install.sh`.
//!
//! * [`scene`] is Chappe between SIPp and SIPp, and MSRP endpoints on either side of its anchor.
//! * [`calls`] is how calls begin and end, [`changes`] what happens within them, [`content`] what is in their messages.
//! * [`kamailio`] and [`domains`] run the configurations that are shipped, [`phones`] has baresip.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod calls;
mod changes;
mod content;
mod domains;
mod kamailio;
mod phones;
mod scene;
#[path = "../sip/mod.rs"]
mod sip;
#[path = "../support/mod.rs"]
mod support;
