//! What was said, and what became of it at both ends.

use std::collections::{BTreeMap, HashMap};

use super::Rule;
use crate::frame::{Range, Wish};

/// A chunk that its sender has written.
pub struct SentChunk {
    tid: String,
    first: u64,
    len: u64,
    flag: char,
    answer: Option<u16>,
}

/// A message.
pub struct Message {
    /// Session and side; none for one that goes nowhere.
    pub session: Option<(usize, usize)>,
    /// Connection on which it was written.
    pub conn: usize,
    pub wish: Wish,
    pub body: Vec<u8>,
    chunks: Vec<SentChunk>,
    /// Failure REPORTs that its sender has got.
    reports: Vec<u16>,
    /// Where it arrives, and how many octets are there.
    heard: Option<(usize, u64)>,
    over: Option<char>,
    conn_gone: bool,
}

impl Message {
    pub fn new(session: usize, side: usize, conn: usize, wish: Wish, body: Vec<u8>) -> Message {
        Message { session: Some((session, side)), ..Message::false_one(conn, wish, body) }
    }

    /// One that nobody should get.
    pub fn false_one(conn: usize, wish: Wish, body: Vec<u8>) -> Message {
        Message {
            session: None,
            conn,
            wish,
            body,
            chunks: Vec::new(),
            reports: Vec::new(),
            heard: None,
            over: None,
            conn_gone: false,
        }
    }
}

/// All messages of a run.
#[derive(Default)]
pub struct Book {
    messages: BTreeMap<String, Message>,
    /// A link between relays broke: what it had brought may be read after what came another way.
    pub links_broke: bool,
    /// Messages whose sender waits for a transact-id, and his connection.
    pub spies: HashMap<String, usize>,
}

impl Book {
    pub fn say(&mut self, id: String, message: Message) {
        self.messages.insert(id, message);
    }

    pub fn chunk(&mut self, id: &str, tid: &str, first: u64, len: u64, flag: char) {
        if let Some(m) = self.messages.get_mut(id) {
            m.chunks.push(SentChunk { tid: tid.to_owned(), first, len, flag, answer: None });
        }
    }

    /// The sender writes something else than he meant to.
    pub fn rewrite(&mut self, id: &str, at: usize, octets: &[u8]) {
        if let Some(m) = self.messages.get_mut(id) {
            m.body[at..at + octets.len()].copy_from_slice(octets);
        }
    }

    /// The octets from this position on (the first is 1).
    pub fn octets(&self, id: &str, start: u64, len: usize) -> Option<&[u8]> {
        let from = usize::try_from(start.checked_sub(1)?).ok()?;
        self.messages.get(id)?.body.get(from..from + len)
    }

    pub fn answered(&mut self, id: &str, tid: &str, code: u16) {
        if let Some(c) = self.messages.get_mut(id).and_then(|m| m.chunks.iter_mut().find(|c| c.tid == tid)) {
            c.answer = Some(code);
        }
    }

    pub fn reported(&mut self, id: &str, code: u16) {
        if let Some(m) = self.messages.get_mut(id).filter(|_| code != 200) {
            m.reports.push(code);
        }
    }

    pub fn conn_gone(&mut self, conn: usize) {
        let of = |m: &&mut Message| m.conn == conn || m.heard.is_some_and(|(c, _)| c == conn);
        self.messages.values_mut().filter(of).for_each(|m| m.conn_gone = true);
    }

    /// A chunk has come to whom it was for.
    pub fn deliver(
        &mut self,
        conn: usize,
        id: &str,
        range: Range,
        body: &[u8],
        flag: char,
    ) -> Result<bool, (Rule, String)> {
        // A relay makes itself known on a leg with a SEND of its own.
        let Some(m) = self.messages.get_mut(id) else {
            return if body.is_empty() { Ok(false) } else { Err((Rule::Octets, "nobody has sent this".into())) };
        };
        let (heard, there) = *m.heard.get_or_insert((conn, 0));
        let from = range.start - 1;
        let right = m.body.get(from as usize..from as usize + body.len()).is_some_and(|b| b == body);
        if !right {
            return Err((Rule::Octets, format!("octets {} and so on are not what was sent", range.start)));
        }
        let gap = from > there && m.wish != Wish::No && m.reports.is_empty();
        let told = m.chunks.iter().any(|c| c.answer.is_some_and(|a| a != 200));
        if heard == conn && from < there && !self.links_broke {
            return Err((Rule::Order, format!("octet {} comes again, or late", range.start)));
        }
        m.heard = Some((conn, from + body.len() as u64));
        let whole = flag == '$' && from + body.len() as u64 == m.body.len() as u64 && (from == there || !gap || told);
        if flag == '$' && from + body.len() as u64 != m.body.len() as u64 && !m.chunks.iter().any(|c| c.flag != '+') {
            return Err((Rule::Octets, "it is said to be complete".into()));
        }
        m.over = (flag != '+').then_some(flag).or(m.over);
        Ok(whole && there == from)
    }

    /// End to end: what was accepted between two who have not lost their connections, and of which nothing was told, has
    /// arrived whole.
    pub fn conclude(&self, lasting: impl Fn(&str) -> bool) -> Option<(String, String)> {
        for (id, m) in &self.messages {
            let sent = m.chunks.last().is_some_and(|c| c.flag == '$');
            let accepted = m.chunks.iter().all(|c| c.answer == Some(200));
            if m.wish != Wish::Yes || m.session.is_none() || m.conn_gone || !sent || !accepted || !m.reports.is_empty()
            {
                continue;
            }
            let len = m.chunks.iter().map(|c| c.first + c.len).max().unwrap_or(0);
            let whole = m.over == Some('$') && m.heard.is_some_and(|(_, n)| n == len);
            // Of a message without octets nobody can say whether it has arrived.
            if len > 0 && !whole && lasting(id) {
                return Some((id.clone(), format!("accepted, nothing told, and {:?} of {len} octets there", m.heard)));
            }
        }
        None
    }
}
