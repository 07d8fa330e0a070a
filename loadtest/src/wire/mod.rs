//! MSRP on the wire (RFC 4975 section 9), as a tester reads and writes it: no code of any relay is in here.

mod head;
mod range;
mod scanner;
mod write;

pub use head::{Head, Start};
pub use range::ByteRange;
pub use scanner::{Event, Flag, Malformed, Scanner};
pub use write::{Report, SendHead, auth, report, response};

/// The URIs of a To-Path, From-Path or Use-Path in their order.
pub fn uris(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&octet| octet == b' ').filter(|uri| !uri.is_empty())
}

/// The first URI of a path.
pub fn first(path: &[u8]) -> &[u8] {
    uris(path).next().unwrap_or_default()
}

/// The last URI of a path.
pub fn last(path: &[u8]) -> &[u8] {
    uris(path).next_back().unwrap_or_default()
}
