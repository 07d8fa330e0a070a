//! The MSRP wire format (RFC 4975, with the RFC 4976 additions) as pure values.
//!
//! Octets from a connection go into a [`Decoder`], which hands out one [`Head`] per frame as soon as the header block is
//! complete, then the body in slices of the very buffers it was fed with, then the end flag. Nothing here knows a socket,
//! a clock or a session: the relay decides what a frame means, and writes what leaves with the functions of `encoder`,
//! which only ever append to a buffer. An [`EndLineGuard`] watches outgoing bodies for the end-line of their own chunk.
//!
//! Three classes of defect are kept apart. [`Fatal`] says that the framing is lost and the connection must go;
//! [`HeadFault`] says that one header is wrong while the frame can still be answered and skipped; a path that is absent
//! is `None`, because then there is nobody to answer.

mod block;
mod body;
mod byte_range;
mod decoder;
mod encoder;
mod fault;
mod flag;
mod guard;
mod head;
mod header;
mod ident;
mod limits;
mod path;
mod scan;
mod status;
mod terminator;
mod uri;

pub use byte_range::{ByteRange, ByteRangeError};
pub use decoder::{Decoder, Event};
pub use encoder::{PathsOut, RangeOut, end_line, forward_request, forward_response, report, request_head, response};
pub use fault::{Fatal, HeadFault};
pub use flag::Flag;
pub use guard::EndLineGuard;
pub use head::{FailureReport, Head, Kind, Method};
pub use ident::{Tid, is_message_id, is_transact_id, random_base62};
pub use limits::{Limits, MAX_NON_SEND_BODY};
pub use path::{Path, PathError};
pub use status::Status;
pub use uri::{Host, Scheme, Uri, UriError};
