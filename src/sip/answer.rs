//! Responses that need no transaction (RFC 3261 sections 8.2.6, 8.2.7).

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use bytes::Bytes;

use super::framing::{Echo, Fault};
use super::gate;

/// Writes responses. The same request gets the same tag each time, as a UAS without state must (RFC 3261 section 8.2.7).
#[derive(Clone, Debug, Default)]
pub struct Answers {
    tags: RandomState,
}

impl Answers {
    /// The response to a request with this fault; none where it must not be answered.
    pub fn refuse(&self, echo: &Echo, fault: Fault) -> Option<Bytes> {
        let (status, phrase) = fault.status()?;
        let allow = gate::allow();
        let headers: &[(&str, &str)] = if fault == Fault::Method { &[("Allow", &allow)] } else { &[] };
        Some(self.write(echo, status, phrase, headers))
    }

    /// A response without a body.
    pub fn write(&self, echo: &Echo, status: u16, phrase: &str, headers: &[(&str, &str)]) -> Bytes {
        use std::fmt::Write;
        let mut out = format!("SIP/2.0 {status} {phrase}\r\n");
        for via in &echo.vias {
            let _ = write!(out, "Via: {via}\r\n");
        }
        let _ = write!(out, "From: {}\r\nTo: {}", echo.from, echo.to);
        if !gate::has_tag(&echo.to) {
            let tag = self.tags.hash_one((&echo.vias, &echo.from, &echo.call_id, &echo.cseq));
            let _ = write!(out, ";tag={tag:016x}");
        }
        let _ = write!(out, "\r\nCall-ID: {}\r\nCSeq: {}\r\n", echo.call_id, echo.cseq);
        for (name, value) in headers {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        out.push_str("Content-Length: 0\r\n\r\n");
        out.into()
    }
}
