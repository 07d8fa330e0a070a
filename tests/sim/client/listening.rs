//! What a person does with what comes in.

use super::{Awaited, World};
use crate::frame::{Head, Kind, Wish, answer, end_line, head};
use crate::plan::Temper;
use crate::stats::Count;

const SECOND: u64 = 1_000_000_000;
/// Codes that mean failure, and one of those that do not.
const CODES: [u16; 8] = [400, 403, 408, 413, 415, 481, 699, 299];

/// How a SEND is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manners {
    Well,
    With(u16),
    Never,
    Late,
    Twice,
}

impl World {
    /// The head of a frame.
    pub(super) fn hear_head(&mut self, conn: usize, head: &Head) {
        if let Kind::Request(_) = head.kind {
            let seen = &mut self.conns[conn].seen;
            seen.push(head.tid.clone());
            if seen.len() > 8 {
                seen.remove(0);
            }
        }
        if head.is("SEND") && self.model.book.spies.contains_key(head.message()) {
            self.spy_tells(head.message(), &head.tid);
        }
    }

    /// A whole frame.
    pub(super) fn hear(&mut self, conn: usize, head: &Head, body: &[u8], flag: char) {
        match &head.kind {
            Kind::Response(code) => match self.conns[conn].awaited.remove(&head.tid) {
                Some(Awaited::Auth) => self.auth_answered(conn, *code, head),
                Some(Awaited::Chunk(message)) => self.model.book.answered(&message, &head.tid, *code),
                Some(Awaited::Other) | None => {}
            },
            Kind::Request(method) if method == "SEND" => self.hear_send(conn, head, body, flag),
            Kind::Request(method) if method == "REPORT" => {
                let code = head.status().unwrap_or(0);
                self.model.book.reported(head.message(), code);
                if code == 200 {
                    self.stats.add(Count::SuccessReport);
                }
            }
            Kind::Request(_) => self.say_octets(conn, answer(head, 200)),
        }
    }

    /// Session and side of a URI of ours.
    fn mine(&self, conn: usize, uri: &str) -> Option<(usize, usize)> {
        let name = uri.rsplit_once('/')?.1.strip_suffix(";tcp")?.strip_prefix('s')?;
        let (talk, side) = name.split_once('x')?;
        let (talk, side) = (talk.parse::<usize>().ok()?, side.parse::<usize>().ok()?);
        let known = self.talks.get(talk)?.uris.get(side)? == uri;
        (known && self.talks[talk].persons[side] == self.conns[conn].person).then_some((talk, side))
    }

    fn hear_send(&mut self, conn: usize, head: &Head, body: &[u8], flag: char) {
        let mine = head.to.first().and_then(|uri| self.mine(conn, uri)).filter(|_| head.to.len() == 1);
        let Some((talk, side)) = mine else {
            if head.failure_report() != Wish::No {
                self.say_octets(conn, answer(head, 481));
            }
            return;
        };
        self.talks[talk].conns[side] = Some(conn);
        let range = head.range();
        let whole = self.model.deliver(conn, head, range, body, flag);
        if flag == '#' {
            self.stats.add(Count::Abort);
        }
        if whole {
            self.stats.add(Count::Message);
        }
        if self.calm {
            return self.answer_well(conn, head);
        }
        let manners = self.manners(conn);
        let awaited = head.failure_report();
        match manners {
            Manners::Well => self.answer_well(conn, head),
            Manners::With(code) if awaited != Wish::No || self.people[self.conns[conn].person].dice.one_in(4) => {
                self.say_octets(conn, answer(head, code));
            }
            Manners::Late if awaited == Wish::Yes => self.say_later(conn, answer(head, 200), 31 * SECOND),
            Manners::Twice if awaited == Wish::Yes => {
                self.say_octets(conn, answer(head, 200));
                self.say_octets(conn, answer(head, 413));
            }
            _ => {}
        }
        if whole && head.line("Success-Report") == Some("yes") && matches!(manners, Manners::Well | Manners::Twice) {
            self.report(conn, head, body.len());
        }
    }

    fn answer_well(&mut self, conn: usize, head: &Head) {
        let tolerated = head.failure_report() == Wish::Partial && self.people[self.conns[conn].person].dice.one_in(5);
        if head.failure_report() == Wish::Yes || tolerated {
            self.say_octets(conn, answer(head, 200));
        }
    }

    fn manners(&mut self, conn: usize) -> Manners {
        let person = &mut self.people[self.conns[conn].person];
        let often = if person.temper == Temper::Lying { 4 } else { 60 };
        if !person.dice.one_in(often) {
            return Manners::Well;
        }
        match person.dice.below(6) {
            0 | 1 => Manners::With(person.dice.pick(&CODES)),
            2 | 3 => Manners::Never,
            4 => Manners::Late,
            _ => Manners::Twice,
        }
    }

    /// A success REPORT on the last chunk of a message (RFC 4975 section 7.1.3).
    fn report(&mut self, conn: usize, of: &Head, len: usize) {
        let tid = self.people[self.conns[conn].person].dice.ident(12);
        let start = of.range().map_or(1, |r| r.start);
        let end = start + len as u64 - 1;
        let lines = [
            format!("Message-ID: {}", of.message()),
            format!("Byte-Range: {start}-{end}/{end}"),
            "Status: 000 200 OK".to_owned(),
        ];
        let mut octets = head(&tid, "REPORT", &of.from.join(" "), &of.to[0], &lines, false);
        octets.extend(end_line(&tid, '$', false));
        self.say_octets(conn, octets);
    }
}
