//! The incremental decoder: octets in, events out, the same ones however the input is cut (msrp-core.md 2).

use bytes::{Buf, Bytes, BytesMut};

use super::{
    block::Block,
    body::{Body, Step},
    fault::Fatal,
    flag::Flag,
    head::Head,
    limits::Limits,
};

/// What the decoder sees. A frame is `Head`, then any number of `Body`, then `End`.
#[derive(Clone, Debug)]
pub enum Event {
    /// The header block is complete; the body, if any, is still to come.
    Head(Head),
    /// Some octets of the body, never none.
    Body(Bytes),
    /// The end-line has been seen.
    End(Flag),
}

/// Decodes the octets of one direction of one connection. Heads and bodies are slices of the inputs wherever they lie in
/// one input. Memory is bounded by the header block limit, whatever is fed.
pub struct Decoder {
    limits: Limits,
    input: Bytes,
    state: State,
    has_body: bool,
}

// The large variants are the usual ones: a box would cost an allocation per frame.
#[allow(clippy::large_enum_variant)]
enum State {
    /// Between frames.
    Gap(Gap),
    /// In start line or headers.
    Head(Block),
    /// Behind the empty line.
    Body(Body),
    /// The end has been seen and is still to be told.
    End(Flag),
    Failed(Fatal),
}

/// Bare CRLFs between frames: how many have passed, and whether a CR waits for its LF.
#[derive(Default)]
struct Gap {
    passed: usize,
    cr: bool,
}

impl Decoder {
    /// A decoder at the start of a connection.
    pub fn new(limits: Limits) -> Decoder {
        Decoder { limits, input: Bytes::new(), state: State::Gap(Gap::default()), has_body: false }
    }

    /// Gives the next input. Should earlier input not be used up, both are joined, at the cost of a copy.
    pub fn feed(&mut self, input: Bytes) {
        if self.input.is_empty() {
            self.input = input;
        } else {
            let mut joined = BytesMut::with_capacity(self.input.len() + input.len());
            joined.extend_from_slice(&self.input);
            joined.extend_from_slice(&input);
            self.input = joined.freeze();
        }
    }

    /// The next event, or `None` when the input is used up. An error stays for ever.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Event>, Fatal> {
        let result = self.step();
        if let Err(fatal) = result {
            self.state = State::Failed(fatal);
            self.input = Bytes::new();
        }
        result
    }

    /// Whether a frame's `Head` has been handed out and its `End` has not.
    pub fn in_frame(&self) -> bool {
        matches!(self.state, State::Body(_) | State::End(_))
    }

    /// Whether a start line or header block has begun and is not complete.
    pub fn in_head(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Whether the current frame has an empty line after its headers, and so a body, be it of no octets. Valid from
    /// `Head` to `End`.
    pub fn frame_has_body(&self) -> bool {
        self.has_body
    }

    /// Octets fed and not consumed, those that are held back included.
    pub fn unread(&self) -> usize {
        let held = match &self.state {
            State::Head(block) => block.held(),
            State::Body(body) => body.held(),
            _ => 0,
        };
        self.input.len() + held
    }

    fn step(&mut self) -> Result<Option<Event>, Fatal> {
        loop {
            match &mut self.state {
                State::Gap(gap) => {
                    if !gap.skip(&mut self.input, self.limits.gap_crlf)? {
                        return Ok(None);
                    }
                    self.state = State::Head(Block::new());
                }
                State::Head(block) => {
                    let Some((head, end)) = block.step(&mut self.input, &self.limits)? else { return Ok(None) };
                    self.has_body = end.is_none();
                    self.state = end.map_or_else(|| State::Body(Body::new(head.transact_id())), State::End);
                    return Ok(Some(Event::Head(head)));
                }
                State::Body(body) => match body.step(&mut self.input) {
                    Step::Octets(octets) => return Ok(Some(Event::Body(octets))),
                    Step::End(last, flag) => {
                        self.state = State::End(flag);
                        if !last.is_empty() {
                            return Ok(Some(Event::Body(last)));
                        }
                    }
                    Step::Starved => return Ok(None),
                },
                State::End(flag) => {
                    let flag = *flag;
                    self.state = State::Gap(Gap::default());
                    return Ok(Some(Event::End(flag)));
                }
                State::Failed(fatal) => return Err(*fatal),
            }
        }
    }
}

impl Gap {
    /// Skips CRLFs; true when a frame begins.
    fn skip(&mut self, input: &mut Bytes, limit: usize) -> Result<bool, Fatal> {
        while let Some(&octet) = input.first() {
            match octet {
                b'\n' if self.cr => {
                    self.cr = false;
                    self.passed += 1;
                }
                _ if self.cr => return Err(Fatal::NotMsrp),
                b'\r' if self.passed >= limit => return Err(Fatal::GapTooLong),
                b'\r' => self.cr = true,
                b'M' => return Ok(true),
                _ => return Err(Fatal::NotMsrp),
            }
            input.advance(1);
        }
        Ok(false)
    }
}
