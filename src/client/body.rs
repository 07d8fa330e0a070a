//! What a message consists of before it is cut into chunks.

use std::{
    fmt,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

/// Writes the octets at a position of a message.
pub type Fill = Box<dyn FnMut(u64, &mut [u8]) + Send>;

/// The octets of a message to be sent.
pub enum Body {
    /// All of them in memory.
    Whole(Bytes),
    /// Made by position when they are needed: `fill` gets the position of the slice's first octet, counted from 0. It is
    /// called with each position once, in ascending order.
    Generated {
        /// Length of the message in octets.
        length: u64,
        /// Writes the octets at a position.
        fill: Fill,
    },
    /// Received from whoever makes them, until the sender is dropped; the length is unknown until then. Each piece is at
    /// least one chunk.
    Streamed(mpsc::Receiver<Bytes>),
}

impl From<Bytes> for Body {
    fn from(octets: Bytes) -> Body {
        Body::Whole(octets)
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Body {
        Body::Whole(Bytes::from_static(text.as_bytes()))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Body::Whole(text.into())
    }
}

impl From<Vec<u8>> for Body {
    fn from(octets: Vec<u8>) -> Body {
        Body::Whole(octets.into())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Whole(octets) => write!(f, "Whole({} octets)", octets.len()),
            Body::Generated { length, .. } => write!(f, "Generated({length} octets)"),
            Body::Streamed(_) => f.write_str("Streamed"),
        }
    }
}

/// A body from which octets are taken in order.
pub(super) struct Source {
    body: Body,
    /// Octets taken so far.
    taken: u64,
    /// Taken from the body, but not by the caller: what was put back, or the piece of a stream.
    at_hand: Bytes,
    /// The piece of a stream behind `at_hand`: only when it is known to exist or not, the end is known.
    ahead: Ahead,
}

enum Ahead {
    Unknown,
    Piece(Bytes),
    End,
}

impl Source {
    pub(super) fn new(body: Body) -> Source {
        let (body, at_hand) = match body {
            Body::Whole(octets) => (Body::Whole(Bytes::new()), octets),
            other => (other, Bytes::new()),
        };
        let ahead = if matches!(body, Body::Streamed(_)) { Ahead::Unknown } else { Ahead::End };
        Source { body, taken: 0, at_hand, ahead }
    }

    /// Length of the whole message, if it is known from the start.
    pub(super) fn length(&self) -> Option<u64> {
        match &self.body {
            Body::Whole(_) => Some(self.taken + self.at_hand.len() as u64),
            Body::Generated { length, .. } => Some(*length),
            Body::Streamed(_) => None,
        }
    }

    /// Octets taken so far.
    pub(super) fn position(&self) -> u64 {
        self.taken
    }

    /// Ready when it is known how many octets can be taken at once and whether these are the last ones.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Body::Streamed(pieces) = &mut self.body else { return Poll::Ready(()) };
        loop {
            match &mut self.ahead {
                Ahead::End => return Poll::Ready(()),
                Ahead::Piece(_) if !self.at_hand.is_empty() => return Poll::Ready(()),
                Ahead::Piece(piece) => {
                    self.at_hand = std::mem::take(piece);
                    self.ahead = Ahead::Unknown;
                }
                Ahead::Unknown => match pieces.poll_recv(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => self.ahead = Ahead::End,
                    Poll::Ready(Some(piece)) if piece.is_empty() => {}
                    Poll::Ready(Some(piece)) => self.ahead = Ahead::Piece(piece),
                },
            }
        }
    }

    /// After [`Source::poll_ready`]: how many octets, at most `most`, can be taken for a chunk, and whether the message ends with them.
    pub(super) fn plan(&self, most: u64) -> (u64, bool) {
        let available = match &self.body {
            Body::Generated { length, .. } => length - self.taken,
            _ => self.at_hand.len() as u64,
        };
        (available.min(most), available <= most && matches!(self.ahead, Ahead::End))
    }

    /// The next octets, at most `most` of those planned; none only if `most` is 0 or the message is at its end.
    pub(super) fn take_up_to(&mut self, most: u64) -> Bytes {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if self.at_hand.is_empty()
            && let Body::Generated { length, fill } = &mut self.body
        {
            let left = usize::try_from(*length - self.taken).unwrap_or(usize::MAX);
            let mut octets = BytesMut::zeroed(left.min(most));
            fill(self.taken, &mut octets);
            self.at_hand = octets.freeze();
        }
        let taken = self.at_hand.split_to(self.at_hand.len().min(most));
        self.taken += taken.len() as u64;
        taken
    }

    /// Puts back the tail of what was taken last.
    pub(super) fn put_back(&mut self, tail: Bytes) {
        if tail.is_empty() {
            return;
        }
        self.taken -= tail.len() as u64;
        self.at_hand = if self.at_hand.is_empty() {
            tail
        } else {
            let mut joined = BytesMut::from(tail);
            joined.extend_from_slice(&self.at_hand);
            joined.freeze()
        };
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn ready(source: &mut Source) -> bool {
        source.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn whole_body_is_cut_by_the_chunk_size() {
        let mut source = Source::new("0123456789".into());
        assert_eq!((source.length(), source.plan(4), source.plan(10)), (Some(10), (4, false), (10, true)));
        assert_eq!(source.take_up_to(4), "0123");
        source.put_back(Bytes::from_static(b"23"));
        assert_eq!((source.position(), source.length()), (2, Some(10)));
        assert_eq!(source.take_up_to(100), "23456789");
        assert_eq!(source.plan(4), (0, true));
    }

    #[test]
    fn generator_sees_each_position_once_and_in_order() {
        let mut next = 0;
        let fill = move |position: u64, octets: &mut [u8]| {
            assert_eq!(position, next);
            next += octets.len() as u64;
            octets.fill(position as u8);
        };
        let mut source = Source::new(Body::Generated { length: 10, fill: Box::new(fill) });
        assert_eq!(source.plan(6), (6, false));
        assert_eq!(source.take_up_to(4), &[0; 4][..]);
        source.put_back(Bytes::from_static(&[0; 3]));
        assert_eq!((source.plan(9), source.plan(8)), ((9, true), (8, false)));
        assert_eq!((source.take_up_to(8).len(), source.take_up_to(8).len()), (3, 6));
        assert_eq!((source.position(), source.plan(1)), (10, (0, true)));
    }

    #[test]
    fn stream_knows_its_last_piece_only_at_its_end() {
        let (pieces, body) = mpsc::channel(4);
        let mut source = Source::new(Body::Streamed(body));
        assert!(!ready(&mut source));
        pieces.try_send(Bytes::from_static(b"ab")).unwrap();
        assert!(!ready(&mut source), "may be the last one");
        pieces.try_send(Bytes::new()).unwrap();
        pieces.try_send(Bytes::from_static(b"cd")).unwrap();
        assert!(ready(&mut source));
        assert_eq!((source.length(), source.plan(9)), (None, (2, false)));
        assert_eq!(source.take_up_to(9), "ab");
        assert!(!ready(&mut source));
        drop(pieces);
        assert!(ready(&mut source));
        assert_eq!(source.plan(9), (2, true));
    }

    #[test]
    fn stream_without_octets_is_an_empty_message() {
        let (pieces, body) = mpsc::channel(1);
        drop(pieces);
        let mut source = Source::new(Body::Streamed(body));
        assert!(ready(&mut source));
        assert_eq!(source.plan(9), (0, true));
    }
}
