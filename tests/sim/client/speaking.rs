//! Messages, cut in chunks and written as their manner is.

use super::{Awaited, OUTBOX, Out, World};
use crate::dice::Dice;
use crate::frame::{Wish, end_line, head};
use crate::model::Message;
use crate::plan::{Manner, Say, Way};
use crate::stats::Count;
use crate::world::{Task, What};

/// A spy has so long to tell the transact-id, in nanoseconds.
const PATIENCE: u64 = 4_000_000_000;
/// Octets of a spied message that are written at first.
const BEFORE: usize = 4000;

impl World {
    /// The connection on which this side of a session writes.
    pub fn speaks_on(&self, talk: usize, side: usize) -> Option<usize> {
        let t = &self.talks[talk];
        let conn = match t.ways[side] {
            Way::Called | Way::Leg(_, true) => t.conns[side],
            _ => self.people[t.persons[side]].conn,
        };
        conn.filter(|c| !self.conns[*c].closed && !self.conns[*c].finished)
    }

    /// Says something; false when that is not possible now.
    pub fn say(&mut self, say: Say, dice: &mut Dice) -> bool {
        let Some(to) = self.talks[say.session].path(say.side) else { return false };
        let Some(conn) = self.speaks_on(say.session, say.side) else { return false };
        if self.conns[conn].outbox_len > OUTBOX {
            return false;
        }
        let id = dice.ident(14);
        let body = body(dice, say.len);
        let message = Message::new(say.session, say.side, conn, say.wish, body.clone());
        self.model.book.say(id.clone(), message);
        let from = self.talks[say.session].uris[say.side].clone();
        let to = to.join(" ");
        let total = body.len();
        let mut cuts: Vec<usize> = (1..say.chunks).map(|_| dice.below(total)).collect();
        cuts.extend([0, total]);
        cuts.sort_unstable();
        cuts.dedup();
        if cuts.len() == 1 {
            cuts.push(0);
        }
        let open = dice.one_in(3);
        let last = cuts.len() - 2;
        for (n, ends) in cuts.windows(2).enumerate() {
            let (first, behind) = (ends[0], ends[1]);
            let flag = match say.manner {
                _ if n < last => '+',
                Manner::Abort => '#',
                Manner::Unfinished => '+',
                _ => '$',
            };
            // Who breaks off has not written all.
            let behind = if flag == '#' { first + (behind - first) / 2 } else { behind };
            let streamed = open || behind - first > 2048 || flag == '#' || say.manner == Manner::Spy;
            let end = if streamed { "*".to_owned() } else { behind.to_string() };
            let known = if dice.one_in(5) { "*".to_owned() } else { total.to_string() };
            let mut lines = vec![format!("Message-ID: {id}")];
            if first > 0 || !dice.one_in(6) {
                lines.push(format!("Byte-Range: {}-{end}/{known}", first + 1));
            }
            match say.wish {
                Wish::Yes if dice.one_in(2) => {}
                Wish::Yes => lines.push("Failure-Report: yes".to_owned()),
                Wish::Partial => lines.push("Failure-Report: partial".to_owned()),
                Wish::No => lines.push("Failure-Report: no".to_owned()),
            }
            if say.success {
                lines.push("Success-Report: yes".to_owned());
            }
            lines.push(format!("X-Sim: of {id}"));
            let has_body = say.manner != Manner::Bodiless;
            if has_body {
                lines.push("Content-Type: application/octet-stream".to_owned());
            }
            let tid = dice.ident(12);
            self.stats.add(Count::Send);
            self.model.book.chunk(&id, &tid, first as u64, (behind - first) as u64, flag);
            let c = &mut self.conns[conn];
            c.awaited.insert(tid.clone(), Awaited::Chunk(id.clone()));
            let mut octets = head(&tid, "SEND", &to, &from, &lines, has_body);
            let middle = match say.manner {
                Manner::Pause(_) => first + (behind - first) / 2,
                Manner::Spy => (first + BEFORE).min(behind),
                _ => behind,
            };
            octets.extend(&body[first..middle]);
            self.put(conn, Out::Octets(octets, 0));
            match say.manner {
                Manner::Pause(time) if n == 0 => self.put(conn, Out::Pause(time * 1_000_000)),
                Manner::Spy => {
                    self.put(conn, Out::Spy(id.clone()));
                    self.at(PATIENCE, What::SpyGivesUp(conn));
                    self.model.book.spies.insert(id.clone(), conn);
                }
                _ => {}
            }
            let mut octets = body[middle..behind].to_vec();
            octets.extend(end_line(&tid, flag, has_body));
            self.put(conn, Out::Octets(octets, 0));
        }
        true
    }

    fn put(&mut self, conn: usize, out: Out) {
        let c = &mut self.conns[conn];
        if let Out::Octets(octets, _) = &out {
            c.outbox_len += octets.len();
        }
        c.outbox.push_back(out);
        let end = c.end;
        self.ready(Task::Write(end));
    }

    /// The receiver of a message has told its sender under which transact-id it comes (RLY-84): the rest of the body is now an
    /// end-line with it, and a request that nobody has sent.
    pub(super) fn spy_tells(&mut self, message: &str, seen: &str) {
        let Some(conn) = self.model.book.spies.remove(message) else { return };
        let forged = format!(
            "\r\n-------{seen}$\r\nMSRP forged00 SEND\r\nTo-Path: msrps://evil.example:1/x;tcp\r\n\
             From-Path: msrps://evil.example:1/y;tcp\r\n-------forged00$\r\n-------{seen}+\r\n"
        );
        let c = &mut self.conns[conn];
        let Some(at) = c.outbox.iter().position(|o| matches!(o, Out::Spy(m) if m == message)) else { return };
        c.outbox.remove(at);
        // The octets that follow are replaced from their beginning: as many as before.
        let Some(Out::Octets(rest, _)) = c.outbox.get_mut(at) else { return };
        let room = rest.len().saturating_sub(64);
        let n = forged.len().min(room);
        rest[..n].copy_from_slice(&forged.as_bytes()[..n]);
        self.model.book.rewrite(message, BEFORE, &forged.as_bytes()[..n]);
        self.stats.add(Count::Spy);
        self.ready(Task::Write(self.conns[conn].end));
    }

    /// The rest is sent as it was.
    pub fn spy_gives_up(&mut self, conn: usize) {
        let c = &mut self.conns[conn];
        if c.end == usize::MAX {
            return;
        }
        c.outbox.retain(|o| !matches!(o, Out::Spy(_)));
        self.model.book.spies.retain(|_, c| *c != conn);
        let end = c.end;
        self.ready(Task::Write(end));
    }
}

/// Octets that tempt a reader: noise, with line ends and hyphens in it.
fn body(dice: &mut Dice, len: usize) -> Vec<u8> {
    let mut body = vec![0; len];
    dice.octets(&mut body);
    for _ in 0..len / 300 + usize::from(len > 20) {
        let tempting: &[u8] =
            dice.pick(&[b"\r\n", b"\r\n-------", b"-------", b"\r\n--------abcd$\r\n", b"\r", b"\r\n\r\n"]);
        let at = dice.below(len.saturating_sub(tempting.len()));
        if at + tempting.len() <= len {
            body[at..at + tempting.len()].copy_from_slice(tempting);
        }
    }
    body
}
