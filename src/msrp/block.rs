//! Collects one header block: in place while it lies in one input, in a buffer of its own once it spans several.

use bytes::{Buf, Bytes};

use super::{
    fault::Fatal,
    flag::Flag,
    head::Head,
    limits::Limits,
    scan::{Mark, Scan},
};

const BEGINNING: &[u8] = b"MSRP ";

/// A header block that has begun.
pub(super) struct Block {
    scan: Scan,
    /// The block's octets from earlier inputs; as long as there are none, the block begins where the input does.
    begun: Vec<u8>,
    /// Where in the block the current line begins.
    line: usize,
}

impl Block {
    pub(super) fn new() -> Block {
        Block { scan: Scan::new(), begun: Vec::new(), line: 0 }
    }

    /// Octets kept from earlier inputs.
    pub(super) fn held(&self) -> usize {
        self.begun.len()
    }

    /// Takes lines from `input` until the head is complete: then the head, and the flag if there is no body.
    pub(super) fn step(&mut self, input: &mut Bytes, limits: &Limits) -> Result<Option<(Head, Option<Flag>)>, Fatal> {
        loop {
            let (limit, too_long) = self.scan.line_limit(self.line, limits);
            let (carried, fresh) = match self.begun.get(self.line..) {
                Some(carried) if !self.begun.is_empty() => (carried, &input[..]),
                _ => (&[][..], &input[self.line..]),
            };
            if self.scan.kind.is_none() {
                check_beginning(carried, fresh)?;
            }
            let room = limit.saturating_sub(carried.len());
            let Some(lf) = memchr::memchr(b'\n', &fresh[..fresh.len().min(room)]) else {
                if fresh.len() >= room {
                    return Err(too_long);
                }
                self.begun.extend_from_slice(input);
                input.clear();
                return Ok(None);
            };
            let (mark, end) = if self.begun.is_empty() {
                let end = self.line + lf + 1;
                (self.scan.line(input, self.line, end, limits)?, end)
            } else {
                self.begun.extend_from_slice(&input[..=lf]);
                input.advance(lf + 1);
                let end = self.begun.len();
                (self.scan.line(&self.begun, self.line, end, limits)?, end)
            };
            let flag = match mark {
                Mark::Line => {
                    self.line = end;
                    continue;
                }
                Mark::Empty => None,
                Mark::End(flag) => Some(flag),
            };
            let bytes = self.take(input, end);
            return Head::new(bytes, self.scan).map(|head| Some((head, flag)));
        }
    }

    /// The block up to the current line, which ends at `end` and is dropped.
    fn take(&mut self, input: &mut Bytes, end: usize) -> Bytes {
        if self.begun.is_empty() {
            let bytes = input.split_to(self.line);
            input.advance(end - self.line);
            bytes
        } else {
            self.begun.truncate(self.line);
            Bytes::from(std::mem::take(&mut self.begun))
        }
    }
}

/// Refuses a start line at the first octet that cannot be right, complete or not.
fn check_beginning(carried: &[u8], fresh: &[u8]) -> Result<(), Fatal> {
    let right = carried.iter().chain(fresh).zip(BEGINNING).all(|(octet, expected)| octet == expected);
    if right { Ok(()) } else { Err(Fatal::NotMsrp) }
}
