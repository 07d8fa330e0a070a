//! A body on its way through: everything is handed on at once except a tail that may be the beginning of the end.

use bytes::{Buf, Bytes};

use super::{
    flag::Flag,
    terminator::{Found, TERMINATOR_MAX, Terminator},
};

/// The body of one frame.
pub(super) struct Body {
    terminator: Terminator,
    held: Held,
}

/// The tail of earlier input that may be the beginning of the terminator.
struct Held {
    octets: [u8; TERMINATOR_MAX],
    length: usize,
    /// How many of the leading octets are not content: the CRLF of the empty line, which serves as the one before the
    /// end-line when there is nothing between (AMB-31).
    ghost: usize,
}

/// What the body has to say.
pub(super) enum Step {
    /// Content, at least one octet.
    Octets(Bytes),
    /// The last content, maybe none, and the flag of the end-line.
    End(Bytes, Flag),
    /// The input is used up.
    Starved,
}

impl Body {
    /// A body that ends with the end-line of this transact-id; the empty line has just been read.
    pub(super) fn new(tid: &[u8]) -> Body {
        let mut octets = [0; TERMINATOR_MAX];
        octets[..2].copy_from_slice(b"\r\n");
        Body { terminator: Terminator::new(tid), held: Held { octets, length: 2, ghost: 2 } }
    }

    /// Content octets held back.
    pub(super) fn held(&self) -> usize {
        self.held.length - self.held.ghost
    }

    pub(super) fn step(&mut self, input: &mut Bytes) -> Step {
        let Some(&first) = input.first() else { return Step::Starved };
        if self.held() == 0 && first != b'-' {
            self.held.keep(&[], 0);
        }
        if self.held.length > 0
            && let Some(step) = self.join(input)
        {
            return step;
        }
        match self.terminator.find(input) {
            Found::End { at, flag } => {
                let last = input.split_to(at);
                input.advance(self.terminator.len());
                Step::End(last, flag)
            }
            Found::Open { at } => {
                let tail = input.split_off(at);
                self.held.keep(&tail, 0);
                match std::mem::take(input) {
                    octets if octets.is_empty() => Step::Starved,
                    octets => Step::Octets(octets),
                }
            }
        }
    }

    /// Decides about the held octets with the help of `input`. `None` when they were no content and are done with.
    fn join(&mut self, input: &mut Bytes) -> Option<Step> {
        let Held { octets, length: held, ghost } = self.held;
        let fresh = input.len().min(TERMINATOR_MAX - 1);
        let mut window = [0; 2 * TERMINATOR_MAX];
        window[..held].copy_from_slice(&octets[..held]);
        window[held..held + fresh].copy_from_slice(&input[..fresh]);
        let window = &window[..held + fresh];
        let content = |end: usize| Bytes::copy_from_slice(window.get(ghost..end).unwrap_or_default());
        let decided = match self.terminator.find(window) {
            Found::End { at, flag } if at < held => {
                input.advance(at + self.terminator.len() - held);
                self.held.keep(&[], 0);
                return Some(Step::End(content(at), flag));
            }
            // Still open: then the window is all there is.
            Found::Open { at } if at < held => {
                input.clear();
                self.held.keep(&window[at..], if at == 0 { ghost } else { 0 });
                content(at)
            }
            _ => {
                self.held.keep(&[], 0);
                content(held)
            }
        };
        match decided.is_empty() {
            false => Some(Step::Octets(decided)),
            true if self.held.length > 0 => Some(Step::Starved),
            true => None,
        }
    }
}

impl Held {
    fn keep(&mut self, octets: &[u8], ghost: usize) {
        self.octets[..octets.len()].copy_from_slice(octets);
        self.length = octets.len();
        self.ghost = ghost;
    }
}
