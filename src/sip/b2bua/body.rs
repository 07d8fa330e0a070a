//! Where the session description stands in a body, and the same body with another one in its place (RFC 3261 section 7.4,
//! RFC 5621).
//!
//! A body is a description, or a multipart with a description somewhere in it. It is never taken apart and written again:
//! [`find`] says where the description stands, [`replace`] cuts there, and every octet around it stays what it was. Each level
//! of nesting is read once, and levels have a bound.

mod entity;
mod fault;
mod multipart;
#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

pub use fault::BodyFault;

use crate::sip::message::Headers;
use entity::{Entity, Kind, Root};
use multipart::Part;

/// What [`find`] reads, as it stands in Accept of a 415 (RFC 3261 section 21.4.13).
pub const ACCEPT: &str = "application/sdp, multipart/mixed, multipart/related, multipart/alternative";

/// How much of a multipart is read before it is refused (ADV-S13).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Multiparts inside of each other, the outermost counted.
    pub depth: usize,
    /// Parts of all multiparts together.
    pub parts: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { depth: 3, parts: 64 }
    }
}

/// Where a session description stands in a body, good for that body alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    octets: Range<usize>,
    /// The digits of each Content-Length that counts the description, outermost first; all before it.
    lengths: Vec<Range<usize>>,
}

/// Finds the one session description of a body: itself, or in a part of it; none where it has none (RFC 3261 section 7.4,
/// RFC 5621, RFC 2387).
///
/// Description is what has the type application/sdp and the disposition `session`, which is its default (RFC 3261 section
/// 20.11). Any multipart, whatever its own disposition (RFC 5621 section 8.2), is read as multipart/mixed if its subtype says
/// nothing else (RFC 2046 section 5.1.3); but those that are signed or encrypted are not read, for a change would break them.
pub fn find(headers: &Headers, body: &Bytes, limits: &Limits) -> Result<Option<Place>, BodyFault> {
    if body.is_empty() {
        return Ok(None);
    }
    if !headers.has("Content-Type") {
        return Err(BodyFault::TypeMissing);
    }
    let entity = Entity::read(headers)?;
    if entity.kind == Kind::Other {
        return if entity.may_be_ignored { Ok(None) } else { Err(BodyFault::Type) };
    }
    let mut search = Search { body, limits, parts: 0, lengths: Vec::new(), found: None };
    search.entity(&entity, 0..body.len(), 0, true)?;
    Ok(search.found)
}

/// The body with other octets in the place of the description, and with the lengths that count it put right; the same octets
/// give the same body. The new ones end with a line end and have no line that begins with a hyphen, as descriptions do.
pub fn replace(body: &Bytes, place: &Place, description: &[u8]) -> Bytes {
    let before = octets(body, place).len();
    if before == description.len() {
        return splice(body, [(&place.octets, description)]);
    }
    let lengths: Vec<Vec<u8>> = place
        .lengths
        .iter()
        .map(|digits| {
            let old = body.get(digits.clone()).unwrap_or_default();
            multipart::digits(old)
                .and_then(|length| length.checked_add(description.len())?.checked_sub(before))
                .map_or_else(|| old.to_vec(), |length| length.to_string().into_bytes())
        })
        .collect();
    let lengths = place.lengths.iter().zip(lengths.iter().map(Vec::as_slice));
    splice(body, lengths.chain([(&place.octets, description)]))
}

/// The description itself.
pub fn octets<'a>(body: &'a Bytes, place: &Place) -> &'a [u8] {
    body.get(place.octets.clone()).unwrap_or_default()
}

/// The octets with some ranges, in their order, replaced.
fn splice<'a>(octets: &[u8], changes: impl IntoIterator<Item = (&'a Range<usize>, &'a [u8])>) -> Bytes {
    let mut out = BytesMut::with_capacity(octets.len());
    let mut at = 0;
    for (range, new) in changes {
        out.put_slice(octets.get(at..range.start).unwrap_or_default());
        out.put_slice(new);
        at = range.end;
    }
    out.put_slice(octets.get(at..).unwrap_or_default());
    out.freeze()
}

/// The way through a body.
struct Search<'a> {
    body: &'a Bytes,
    limits: &'a Limits,
    /// Read so far.
    parts: usize,
    /// Of the parts that are open.
    lengths: Vec<Range<usize>>,
    found: Option<Place>,
}

impl Search<'_> {
    /// Reads what has this head and stands in this range, inside of `depth` multiparts; `is_root` unless it is only an
    /// attachment of a multipart/related.
    fn entity(&mut self, entity: &Entity, within: Range<usize>, depth: usize, is_root: bool) -> Result<(), BodyFault> {
        if entity.kind == Kind::Other {
            return Ok(());
        }
        if entity.is_encoded {
            return Err(BodyFault::Encoding);
        }
        match &entity.kind {
            Kind::Multipart { boundary, root } => self.multipart(boundary, root, within, depth, is_root),
            _ if !is_root => Err(BodyFault::Beside),
            _ if self.found.is_some() => Err(BodyFault::Twice),
            _ => {
                self.found = Some(Place { octets: within, lengths: self.lengths.clone() });
                Ok(())
            }
        }
    }

    fn multipart(
        &mut self,
        boundary: &str,
        root: &Root,
        within: Range<usize>,
        depth: usize,
        is_root: bool,
    ) -> Result<(), BodyFault> {
        if depth >= self.limits.depth {
            return Err(BodyFault::TooDeep);
        }
        let ranges = multipart::split(self.body, within, boundary, self.limits.parts - self.parts)?;
        self.parts += ranges.len();
        let mut parts = Vec::with_capacity(ranges.len());
        for range in ranges {
            parts.push(Part::read(self.body, range)?);
        }
        let first = match root {
            Root::Every => None,
            Root::First => Some(0),
            Root::Named(id) => Some(parts.iter().position(|part| part.has_id(id)).ok_or(BodyFault::RootMissing)?),
        };
        for (index, part) in parts.into_iter().enumerate() {
            let open = self.lengths.len();
            self.lengths.extend(part.length);
            let is_root = is_root && first.is_none_or(|first| first == index);
            self.entity(&Entity::read(&part.headers)?, part.content, depth + 1, is_root)?;
            self.lengths.truncate(open);
        }
        Ok(())
    }
}
