//! What people do who mean ill, or know no better.

use super::{Awaited, World};
use crate::dice::Dice;
use crate::frame::{Wish, end_line, head};
use crate::model::Message;
use crate::stats::Count;

impl World {
    /// One lie of this kind; false when it cannot be told now.
    pub fn lie(&mut self, person: usize, kind: usize, dice: &mut Dice) -> bool {
        let Some(conn) = self.people[person].conn.filter(|c| !self.conns[*c].closed && !self.conns[*c].finished) else {
            return false;
        };
        let mine: Vec<(usize, usize)> = (0..self.talks.len())
            .flat_map(|t| [(t, 0), (t, 1)])
            .filter(|(t, s)| self.talks[*t].persons[*s] == person && self.talks[*t].path(*s).is_some())
            .collect();
        let victims: Vec<String> = self
            .talks
            .iter()
            .flat_map(|t| t.tokens.iter().zip(t.persons))
            .filter(|(tokens, p)| *p != person && !tokens.is_empty())
            .map(|(tokens, _)| tokens[0].clone())
            .collect();
        if mine.is_empty() || victims.is_empty() {
            return false;
        }
        self.stats.add(Count::Lie);
        let (talk, side) = mine[dice.below(mine.len())];
        let path = self.talks[talk].path(side).unwrap_or_default();
        let own = self.talks[talk].uris[side].clone();
        let victim = victims[dice.below(victims.len())].clone();
        let tid = dice.ident(12);
        let to = path.join(" ");
        match kind {
            // Answers to what was asked elsewhere, by a transact-id that was seen or guessed (RLY-73, ADV-R11).
            0 => {
                let seen: Vec<String> = self.conns.iter().flat_map(|c| c.seen.iter().cloned()).collect();
                let tid = if seen.is_empty() { tid } else { seen[dice.below(seen.len())].clone() };
                let elsewhere = !self.conns[conn].seen.contains(&tid);
                if elsewhere {
                    let mut octets = head(&tid, "481 none", &path[0], &own, &[], false);
                    octets.extend(end_line(&tid, '$', false));
                    self.say_octets(conn, octets);
                }
            }
            // Somebody else's token, to go where one likes (ADV-R01).
            1 => self.false_send(conn, &[victim.as_str(), "msrps://c0.example:5000/evil;tcp"], &own, dice, None, '$'),
            2 => {
                let unknown = victim.replace(|c: char| c.is_ascii_uppercase(), "Q");
                self.false_send(conn, &[&unknown, "msrps://c0.example:5000/s0x0;tcp"], &own, dice, None, '$');
            }
            3 => self.false_send(conn, &["msrps://other.example:2855/x;tcp", &own], &own, dice, None, '$'),
            4 => {
                let relay = &path[0][..path[0].rfind('/').unwrap_or(0)];
                let lines = ["Authorization: Digest username=\"a\", realm=\"b\"".to_owned()];
                let mut octets = head(&tid, "AUTH", &format!("{relay};tcp"), &own, &lines, false);
                octets.extend(end_line(&tid, '$', false));
                self.conns[conn].awaited.insert(tid, Awaited::Other);
                self.say_octets(conn, octets);
            }
            5 => {
                let wrong = dice.pick(&["5-3/10", "0-3/3", "1-9/8", "-1-5/5", "1-*/99999999999999999999999"]);
                self.false_send(
                    conn,
                    &path.iter().map(String::as_str).collect::<Vec<_>>(),
                    &own,
                    dice,
                    Some(wrong),
                    '$',
                );
            }
            // A REPORT that nobody asked for is passed on like any other.
            6 => {
                let lines = [
                    format!("Message-ID: {}", dice.ident(10)),
                    "Byte-Range: 1-5/5".to_owned(),
                    "Status: 000 413 no".to_owned(),
                ];
                let mut octets = head(&tid, "REPORT", &to, &own, &lines, false);
                octets.extend(end_line(&tid, '$', false));
                self.say_octets(conn, octets);
            }
            7 if dice.one_in(4) => self.say_octets(conn, b"GET / HTTP/1.1\r\n\r\n".to_vec()),
            7 | 8 => {
                let lines = ["Content-Type: text/plain".to_owned()];
                let mut octets = head(&tid, "FROB", &to, &own, &lines, true);
                octets.extend(vec![b'x'; 10_300]);
                octets.extend(end_line(&tid, '$', true));
                self.conns[conn].awaited.insert(tid, Awaited::Other);
                self.say_octets(conn, octets);
            }
            // The end of the range is not what comes.
            9 => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                self.false_send(conn, &path, &own, dice, Some("1-900/900"), '+');
            }
            // A token alone: is it alive?
            10 => {
                let mut octets = head(&tid, "SEND", &path[0], &own, &[format!("Message-ID: alive{tid}")], false);
                octets.extend(end_line(&tid, '$', false));
                self.conns[conn].awaited.insert(tid, Awaited::Other);
                self.say_octets(conn, octets);
            }
            // Its own token over and over (ADV-R03).
            11 => self.false_send(conn, &[path[0].as_str(); 6], &own, dice, None, '$'),
            // A REPORT that says of a success or a failure what is not so, to the victim.
            12 => {
                let lines = ["Message-ID: nothing".to_owned(), "Status: 000 20".to_owned()];
                let mut octets = head(&tid, "REPORT", &format!("{victim} {own}"), &own, &lines, false);
                octets.extend(end_line(&tid, '$', false));
                self.say_octets(conn, octets);
            }
            // Speaks in the name of the victim.
            _ => {
                self.false_send(conn, &[victim.as_str(), "msrps://c1.example:5000/s0x0;tcp"], &victim, dice, None, '+')
            }
        }
        true
    }

    fn false_send(&mut self, conn: usize, to: &[&str], from: &str, dice: &mut Dice, range: Option<&str>, flag: char) {
        let (tid, id) = (dice.ident(12), dice.ident(14));
        let body = b"not what it seems".to_vec();
        let wish = dice.pick(&[Wish::Yes, Wish::Partial, Wish::No]);
        let report = match wish {
            Wish::Yes => "yes",
            Wish::Partial => "partial",
            Wish::No => "no",
        };
        let lines = [
            format!("Message-ID: {id}"),
            format!("Byte-Range: {}", range.unwrap_or("1-17/17")),
            format!("Failure-Report: {report}"),
            format!("X-Sim: of {id}"),
            "Content-Type: text/plain".to_owned(),
        ];
        self.model.book.say(id.clone(), Message::false_one(conn, wish, body.clone()));
        self.model.book.chunk(&id, &tid, 0, body.len() as u64, flag);
        self.stats.add(Count::Send);
        let mut octets = head(&tid, "SEND", &to.join(" "), from, &lines, true);
        octets.extend(body);
        octets.extend(end_line(&tid, flag, true));
        self.conns[conn].awaited.insert(tid, Awaited::Chunk(id));
        self.say_octets(conn, octets);
    }
}
