//! A batch: what a link has to send, as pieces that nobody has copied together.

use std::ops::Range;

use bytes::Bytes;

/// A piece of a batch.
#[derive(Clone, Debug)]
pub enum Span {
    /// Octets in [`Transmit::heads`].
    Head(Range<usize>),
    /// Body octets.
    Body(Bytes),
    /// Between two pieces: a record may end here, and nowhere else unless a frame is larger than a record.
    Cut,
}

/// A batch of octets for one link, reused from batch to batch.
#[derive(Default, Debug)]
pub struct Transmit {
    /// Start lines, headers, end-lines and whole small frames.
    pub heads: Vec<u8>,
    /// The pieces in order.
    pub spans: Vec<Span>,
    /// Octets in all.
    pub octets: usize,
}

impl Transmit {
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.heads.clear();
        self.spans.clear();
        self.octets = 0;
    }

    /// All octets in one piece, for tests and local endpoints.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.octets);
        for span in &self.spans {
            match span {
                Span::Head(range) => out.extend_from_slice(&self.heads[range.clone()]),
                Span::Body(octets) => out.extend_from_slice(octets),
                Span::Cut => {}
            }
        }
        out
    }

    pub(super) fn head(&mut self, from: usize) {
        let range = from..self.heads.len();
        self.octets += range.len();
        match self.spans.last_mut() {
            Some(Span::Head(last)) if last.end == range.start => last.end = range.end,
            _ => self.spans.push(Span::Head(range)),
        }
    }

    pub(super) fn body(&mut self, octets: Bytes) {
        self.octets += octets.len();
        self.spans.push(Span::Body(octets));
    }

    pub(super) fn cut(&mut self) {
        if !matches!(self.spans.last(), Some(Span::Cut) | None) {
            self.spans.push(Span::Cut);
        }
    }
}
