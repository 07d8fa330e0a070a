//! Where a SIP message ends, and what the transport must know of it (RFC 3261 sections 7, 18.3, 20.14).
//!
//! [`datagram`] reads one datagram as one message, [`Stream`] finds messages in a stream, however it is split. Both give
//! [`Message`]s in one written form: CRLF, no folding, full header names, `received` and `rport` in the top Via, one exact
//! Content-Length at the end of the head. Neither reads a clock, and both are linear in what comes in.
//!
//! A [`Fault`] says which rule a message broke. What a response to it would have to repeat is in [`Echo`], read leniently, so
//! that a request with one bad header can still be refused by name.

mod datagram;
mod echo;
mod fault;
mod head;
mod limits;
mod lines;
mod message;
mod stream;
mod via;

#[cfg(test)]
mod tests;

pub use datagram::datagram;
pub use echo::Echo;
pub use fault::Fault;
pub use head::{CSeq, Head, Start};
pub use limits::Limits;
pub use message::{Broken, Message};
pub use stream::{Framed, Stream};
pub use via::Via;
