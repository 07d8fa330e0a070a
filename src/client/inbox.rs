//! Messages on their way in: chunks to octets by position, octets to messages (RFC 4975 section 7.3.1).

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};

use super::{
    event::{Event, Message, path_text, text},
    ranges::Ranges,
};
use crate::msrp::{ByteRange, Flag, Head, Status};

/// Who a message belongs to: a Message-ID is unique only for its sender.
type Key = (String, String);

pub(super) struct Inbox {
    /// Octets up to which a message is kept whole.
    collect: usize,
    most: usize,
    open: HashMap<Key, Partial>,
}

/// A message of which something has arrived.
struct Partial {
    head: Head,
    received: Ranges,
    total: Option<u64>,
    chunks: u64,
    longest_chunk: u64,
    /// Pieces with their offsets in order of arrival; `None` once there were too many octets.
    kept: Option<Vec<(u64, Bytes)>>,
    octets_kept: usize,
}

/// A chunk that is arriving.
pub(super) struct Arriving {
    key: Key,
    range: ByteRange,
    octets: u64,
}

/// A message that is complete.
pub(super) struct Complete {
    pub(super) message: Message,
    pub(super) success_report: bool,
}

impl Inbox {
    pub(super) fn new(collect: usize, most: usize) -> Inbox {
        Inbox { collect, most, open: HashMap::new() }
    }

    /// A chunk begins. The error is the code it is to be refused with.
    pub(super) fn begin(&mut self, head: &Head) -> Result<Arriving, Status> {
        let range = head.byte_range().unwrap_or(ByteRange::UNKNOWN);
        let key = (path_text(head.from_path()), text(head.message_id().unwrap_or_default()));
        if !self.open.contains_key(&key) && self.open.len() >= self.most {
            return Err(Status::TOO_LARGE);
        }
        self.open.entry(key.clone()).or_insert_with(|| {
            let mut head = head.clone();
            head.detach();
            Partial {
                head,
                received: Ranges::default(),
                total: None,
                chunks: 0,
                longest_chunk: 0,
                kept: Some(Vec::new()),
                octets_kept: 0,
            }
        });
        Ok(Arriving { key, range, octets: 0 })
    }

    /// Octets of a chunk; the events tell what of them is to be handed out now. The error is the code for the chunk.
    pub(super) fn octets(&mut self, chunk: &mut Arriving, octets: Bytes, out: &mut Vec<Event>) -> Result<(), Status> {
        let Some(partial) = self.open.get_mut(&chunk.key) else { return Ok(()) };
        let offset = (chunk.range.start - 1).checked_add(chunk.octets).ok_or(Status::BAD_REQUEST)?;
        let end = offset.checked_add(octets.len() as u64).ok_or(Status::BAD_REQUEST)?;
        if !partial.received.add(offset + 1, end) {
            return Err(Status::TOO_LARGE);
        }
        chunk.octets += octets.len() as u64;
        let Some(kept) = &mut partial.kept else {
            out.push(Event::Octets { message_id: chunk.key.1.clone(), offset, octets });
            return Ok(());
        };
        partial.octets_kept += octets.len();
        // A copy, so that a short message does not pin the buffer it was read into.
        let long = partial.octets_kept > self.collect;
        kept.push((offset, if long { octets } else { Bytes::copy_from_slice(&octets) }));
        if long {
            let message_id = &chunk.key.1;
            let spilled =
                kept.drain(..).map(|(offset, octets)| Event::Octets { message_id: message_id.clone(), offset, octets });
            out.extend(spilled);
            partial.kept = None;
        }
        Ok(())
    }

    /// A chunk has ended.
    pub(super) fn end(&mut self, chunk: Arriving, flag: Flag, out: &mut Vec<Event>) -> Option<Complete> {
        let partial = self.open.get_mut(&chunk.key)?;
        partial.chunks += 1;
        partial.longest_chunk = partial.longest_chunk.max(chunk.octets);
        match flag {
            Flag::Complete => partial.total = Some(chunk.range.start - 1 + chunk.octets),
            Flag::More => {}
            Flag::Abort => {
                out.push(Event::Aborted { message_id: chunk.key.1.clone() });
                self.open.remove(&chunk.key);
                return None;
            }
        }
        let total = partial.total.filter(|total| partial.received.cover(*total))?;
        let partial = self.open.remove(&chunk.key)?;
        let (from_path, message_id) = chunk.key;
        let message = Message {
            message_id,
            content_type: partial.head.content_type().map(text),
            from_path,
            length: total,
            body: partial.kept.map(|kept| assemble(kept, total)),
            chunks: partial.chunks,
            longest_chunk: partial.longest_chunk,
            head: partial.head,
        };
        Some(Complete { success_report: message.head.success_report(), message })
    }

    /// A chunk has been refused while it arrived: its message can never be complete.
    pub(super) fn refuse(&mut self, chunk: &Arriving) {
        self.open.remove(&chunk.key);
    }
}

/// The body from its pieces; where they overlap, the later arrival wins (CORE-69).
fn assemble(mut pieces: Vec<(u64, Bytes)>, total: u64) -> Bytes {
    if pieces.len() == 1
        && let Some((0, whole)) = pieces.pop_if(|(offset, octets)| *offset == 0 && octets.len() as u64 == total)
    {
        return whole;
    }
    // All of it is covered by pieces, so it is no longer than they are together.
    let mut body = BytesMut::zeroed(total as usize);
    for (offset, octets) in pieces {
        // Octets behind the end that the last chunk has fixed do not belong to the message.
        let start = offset.min(total) as usize;
        let length = octets.len().min(body.len() - start);
        body[start..start + length].copy_from_slice(&octets[..length]);
    }
    body.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msrp::Limits;

    fn head(range: &str) -> Head {
        let text = format!(
            "MSRP abcd1234 SEND\r\nTo-Path: msrp://b.invalid:1/b;tcp\r\nFrom-Path: msrp://a.invalid:1/a;tcp\r\n\
             Message-ID: 1234\r\nByte-Range: {range}\r\nSuccess-Report: yes\r\nContent-Type: text/plain\r\n"
        );
        Head::parse(Bytes::from(text), &Limits::default()).unwrap()
    }

    fn chunk(
        inbox: &mut Inbox,
        range: &str,
        body: &'static str,
        flag: Flag,
    ) -> Result<(Option<Message>, Vec<Event>), Status> {
        let mut events = Vec::new();
        let mut arriving = inbox.begin(&head(range))?;
        for octet in body.as_bytes().chunks(3) {
            inbox.octets(&mut arriving, Bytes::from_static(octet), &mut events)?;
        }
        Ok((inbox.end(arriving, flag, &mut events).map(|complete| complete.message), events))
    }

    /// CORE-68
    #[test]
    fn core_68_chunk_with_the_end_may_come_first() {
        let mut inbox = Inbox::new(100, 4);
        assert!(chunk(&mut inbox, "6-10/10", "fghij", Flag::Complete).unwrap().0.is_none());
        let message = chunk(&mut inbox, "1-5/10", "abcde", Flag::More).unwrap().0.unwrap();
        assert_eq!(message.body.as_deref(), Some(&b"abcdefghij"[..]));
        assert_eq!((message.length, message.chunks, message.longest_chunk), (10, 2, 5));
        assert!(inbox.open.is_empty());
    }

    /// CORE-69
    #[test]
    fn core_69_later_arrival_wins_where_chunks_overlap() {
        let mut inbox = Inbox::new(100, 4);
        assert!(chunk(&mut inbox, "1-6/8", "abcdef", Flag::More).unwrap().0.is_none());
        let message = chunk(&mut inbox, "5-8/8", "EFGH", Flag::Complete).unwrap().0.unwrap();
        assert_eq!(message.body.as_deref(), Some(&b"abcdEFGH"[..]));
    }

    /// CORE-67
    #[test]
    fn core_67_length_counts_and_not_the_announced_end() {
        let mut inbox = Inbox::new(100, 4);
        let message = chunk(&mut inbox, "1-100/100", "abc", Flag::Complete).unwrap().0.unwrap();
        assert_eq!((message.length, message.body.as_deref()), (3, Some(&b"abc"[..])));
    }

    #[test]
    fn long_message_is_handed_out_piece_by_piece() {
        let mut inbox = Inbox::new(4, 4);
        let (message, events) = chunk(&mut inbox, "1-*/*", "abcdefgh", Flag::Complete).unwrap();
        let pieces: Vec<_> = events
            .iter()
            .map(|event| match event {
                Event::Octets { offset, octets, .. } => (*offset, octets.as_ref()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(pieces, [(0, &b"abc"[..]), (3, b"def"), (6, b"gh")]);
        let message = message.unwrap();
        assert_eq!((message.length, message.body), (8, None));
    }

    #[test]
    fn empty_message_is_complete_at_once() {
        let mut inbox = Inbox::new(4, 4);
        let message = chunk(&mut inbox, "1-0/0", "", Flag::Complete).unwrap().0.unwrap();
        assert_eq!((message.length, message.body.as_deref()), (0, Some(&b""[..])));
    }

    #[test]
    fn abort_forgets_the_message() {
        let mut inbox = Inbox::new(4, 1);
        chunk(&mut inbox, "1-*/10", "ab", Flag::More).unwrap();
        let (message, events) = chunk(&mut inbox, "3-*/10", "c", Flag::Abort).unwrap();
        assert!(message.is_none() && matches!(&events[..], [Event::Aborted { message_id }] if message_id == "1234"));
        assert!(inbox.open.is_empty());
    }

    /// ADV-C08
    #[test]
    fn adv_c08_position_beyond_64_bits_is_refused() {
        let mut inbox = Inbox::new(4, 4);
        let refused = chunk(&mut inbox, "18446744073709551615-*/*", "abc", Flag::More).unwrap_err();
        assert_eq!(refused, Status::BAD_REQUEST);
    }

    /// CORE-96
    #[test]
    fn core_96_far_position_costs_no_memory() {
        let mut inbox = Inbox::new(100, 4);
        assert!(chunk(&mut inbox, "9000000000000000-*/*", "abc", Flag::Complete).unwrap().0.is_none());
        let short = chunk(&mut inbox, "1-*/*", "ab", Flag::Complete).unwrap().0.unwrap();
        assert_eq!(short.body.as_deref(), Some(&b"ab"[..]));
    }

    #[test]
    fn incomplete_messages_are_bounded() {
        let mut inbox = Inbox::new(4, 0);
        assert_eq!(chunk(&mut inbox, "1-1/1", "a", Flag::Complete).unwrap_err(), Status::TOO_LARGE);
    }
}
