//! What the headers of a body, or of a part, say of it (RFC 3261 sections 20.11, 20.12, 20.15; RFC 2045).

use super::BodyFault;
use crate::sip::message::{Headers, list};

/// A body as its headers describe it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entity {
    pub(super) kind: Kind,
    /// Whether its octets are not what they stand for: compressed, or in an encoding for 7-bit ways.
    pub(super) is_encoded: bool,
    /// Whether who does not understand it may go on without it (RFC 5621 section 8).
    pub(super) may_be_ignored: bool,
}

/// What is done with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// It is the session description.
    Description,
    /// It has parts.
    Multipart { boundary: String, root: Root },
    /// It is left alone.
    Other,
}

/// Which part of a multipart is the one that the others belong to (RFC 2387 section 3.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Root {
    /// Each stands for itself.
    Every,
    /// The first one.
    First,
    /// The one with this Content-ID, written without angle brackets.
    Named(String),
}

impl Entity {
    /// Reads the headers; without Content-Type it is plain text (RFC 2046 section 5.1).
    pub(super) fn read(headers: &Headers) -> Result<Entity, BodyFault> {
        let (kind, params) = split_params(once(headers, "Content-Type")?.unwrap_or("text/plain"));
        let (kind, subtype) = media_type(kind).ok_or(BodyFault::TypeUnreadable)?;
        let (disposition, handling) = match once(headers, "Content-Disposition")? {
            Some(value) => {
                let (disposition, params) = split_params(value);
                (Some(disposition), param(params, "handling").map_err(|()| BodyFault::HeaderTwice)?)
            }
            None => (None, None),
        };
        let is_session = disposition.is_none_or(|named| named.eq_ignore_ascii_case("session"));
        let kind = match (&*kind, &*subtype) {
            ("application", "sdp") if is_session => Kind::Description,
            ("multipart", "signed" | "encrypted") => Kind::Other,
            ("multipart", "related") => Kind::Multipart { boundary: boundary(params)?, root: root(params)? },
            ("multipart", _) => Kind::Multipart { boundary: boundary(params)?, root: Root::Every },
            _ => Kind::Other,
        };
        Ok(Entity {
            kind,
            is_encoded: is_compressed(headers) || is_transfer_encoded(headers)?,
            may_be_ignored: !is_session || handling.is_some_and(|value| value.eq_ignore_ascii_case("optional")),
        })
    }
}

/// A header value before its first semicolon, and its parameters.
fn split_params(value: &str) -> (&str, &str) {
    let (value, params) = value.split_once(';').unwrap_or((value, ""));
    (value.trim(), params)
}

fn media_type(value: &str) -> Option<(String, String)> {
    let (kind, subtype) = value.split_once('/')?;
    let token = |text: &str| {
        let text = text.trim();
        let is_token =
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~$&#^|{}".contains(&b));
        is_token.then(|| text.to_ascii_lowercase())
    };
    Some((token(kind)?, token(subtype)?))
}

fn boundary(params: &str) -> Result<String, BodyFault> {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
    param(params, "boundary")
        .ok()
        .flatten()
        .filter(|text| (1..=70).contains(&text.len()) && text.bytes().all(known) && !text.ends_with(' '))
        .ok_or(BodyFault::Boundary)
}

fn root(params: &str) -> Result<Root, BodyFault> {
    let start = param(params, "start").map_err(|()| BodyFault::RootMissing)?;
    Ok(start.map_or(Root::First, |id| Root::Named(bare_id(&id).to_owned())))
}

/// A Content-ID without its angle brackets (RFC 2045 section 7).
pub(super) fn bare_id(id: &str) -> &str {
    let id = id.trim();
    id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id).trim()
}

fn is_compressed(headers: &Headers) -> bool {
    list::all(headers, "Content-Encoding").any(|coding| !coding.eq_ignore_ascii_case("identity"))
}

/// Not `binary`, `8bit` or `7bit`, which change no octet (RFC 2045 section 6.2).
fn is_transfer_encoded(headers: &Headers) -> Result<bool, BodyFault> {
    let coding = once(headers, "Content-Transfer-Encoding")?;
    Ok(coding.is_some_and(|coding| !["binary", "8bit", "7bit"].iter().any(|known| known.eq_ignore_ascii_case(coding))))
}

fn once<'a>(headers: &'a Headers, name: &'static str) -> Result<Option<&'a str>, BodyFault> {
    let mut all = headers.all(name);
    let first = all.next();
    if all.next().is_some() { Err(BodyFault::HeaderTwice) } else { Ok(first) }
}

/// The value of a parameter without its quotes; an error if it is there twice.
fn param(params: &str, name: &str) -> Result<Option<String>, ()> {
    let mut all = list::split(params, b';')
        .filter_map(|one| one.split_once('='))
        .filter(|(found, _)| found.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| unquoted(value.trim()));
    let first = all.next();
    if all.next().is_some() { Err(()) } else { Ok(first) }
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut escaped = false;
    let keep = |c: &char| {
        escaped = *c == '\\' && !escaped;
        !escaped
    };
    inner.chars().filter(keep).collect()
}
