//! AUTH as a client does it (RFC 4976 section 5.1), with a digest computed here (RFC 7616 section 3.4.1).

use md5::{Digest, Md5};

use super::{Awaited, World};
use crate::frame::{Head, end_line, head};
use crate::node::{PASSWORD, host};
use crate::plan::{Temper, Way};
use crate::stats::Count;

/// Attempts at one token.
const ATTEMPTS: u32 = 4;

/// A token that is wanted: for one side of a session, behind the tokens that are there.
pub struct Job {
    talk: usize,
    side: usize,
    /// Tokens on the way to the relay that is asked.
    before: Vec<String>,
    target: usize,
}

/// The AUTH that has no answer yet.
pub struct Asking {
    job: Job,
    attempts: u32,
    target: String,
    user: String,
    password: &'static str,
    expires: Option<u64>,
}

fn hash(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let at = value.find(&format!("{name}=\""))? + name.len() + 2;
    value[at..].split('"').next()
}

impl World {
    /// All that a person's new connection needs.
    pub fn ask_for_tokens(&mut self, conn: usize) {
        let person = self.conns[conn].person;
        for talk in 0..self.talks.len() {
            for side in 0..2 {
                if self.talks[talk].persons[side] == person {
                    self.ask_for_token(conn, talk, side);
                }
            }
        }
    }

    /// A new token for one side of a session.
    pub fn reauth(&mut self, talk: usize, side: usize) -> bool {
        let person = self.talks[talk].persons[side];
        let Some(conn) = self.people[person].conn.filter(|c| !self.conns[*c].closed) else { return false };
        self.ask_for_token(conn, talk, side)
    }

    fn ask_for_token(&mut self, conn: usize, talk: usize, side: usize) -> bool {
        if !matches!(self.talks[talk].ways[side], Way::Home | Way::Outer(_)) {
            return false;
        }
        let target = self.people[self.conns[conn].person].home;
        self.conns[conn].jobs.push_back(Job { talk, side, before: Vec::new(), target });
        self.next_job(conn);
        true
    }

    fn next_job(&mut self, conn: usize) {
        let c = &mut self.conns[conn];
        if c.asking.is_some() {
            return;
        }
        let Some(job) = c.jobs.pop_front() else { return };
        let (person, outer) = (c.person, !job.before.is_empty());
        let p = &mut self.people[person];
        let lies = p.temper == Temper::Lying;
        let user = if lies && p.dice.one_in(8) { "nobody".to_owned() } else { format!("user{person}") };
        let password = if lies && p.dice.one_in(6) { "guess" } else { PASSWORD };
        let expires = p.dice.one_in(6).then(|| p.dice.between(20, 40));
        let name = host(job.target);
        let target =
            if p.dice.one_in(3) { format!("msrps://{user}@{name};tcp") } else { format!("msrps://{name};tcp") };
        let nonce = if outer { None } else { self.conns[conn].nonce.take().filter(|_| p.dice.one_in(2)) };
        self.conns[conn].asking = Some(Asking { job, attempts: 0, target, user, password, expires });
        self.auth(conn, nonce);
    }

    /// Sends the AUTH, with credentials if there is a nonce.
    fn auth(&mut self, conn: usize, nonce: Option<String>) {
        self.stats.add(Count::Auth);
        let c = &mut self.conns[conn];
        let p = &mut self.people[c.person];
        let Some(asking) = &mut c.asking else { return };
        asking.attempts += 1;
        let tid = p.dice.ident(12);
        let mut lines = Vec::new();
        if let Some(seconds) = asking.expires {
            lines.push(format!("Expires: {seconds}"));
        }
        if let Some(nonce) = nonce {
            let (realm, cnonce, user) = (host(asking.job.target), p.dice.ident(8), &asking.user);
            let a1 = hash(&format!("{user}:{realm}:{}", asking.password));
            let a2 = hash(&format!("AUTH:{}", asking.target));
            let response = hash(&format!("{a1}:{nonce}:00000001:{cnonce}:auth:{a2}"));
            lines.push(format!(
                "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", qop=auth, \
                 nc=00000001, cnonce=\"{cnonce}\", response=\"{response}\""
            ));
        }
        let to: Vec<&str> = asking.job.before.iter().map(String::as_str).chain([asking.target.as_str()]).collect();
        let from = &self.talks[asking.job.talk].uris[asking.job.side];
        let mut octets = head(&tid, "AUTH", &to.join(" "), from, &lines, false);
        octets.extend(end_line(&tid, '$', false));
        c.awaited.insert(tid, Awaited::Auth);
        self.say_octets(conn, octets);
    }

    /// The answer to an AUTH.
    pub(super) fn auth_answered(&mut self, conn: usize, code: u16, answer: &Head) {
        let c = &mut self.conns[conn];
        let Some(asking) = &c.asking else { return };
        let challenge = answer.line("WWW-Authenticate").and_then(|v| parameter(v, "nonce")).map(str::to_owned);
        match (code, challenge) {
            (401, Some(nonce)) if asking.attempts < ATTEMPTS => return self.auth(conn, Some(nonce)),
            (200, _) => {
                self.stats.add(Count::Token);
                let tokens: Vec<String> =
                    answer.line("Use-Path").unwrap_or_default().split(' ').map(str::to_owned).collect();
                let next = answer.line("Authentication-Info").and_then(|v| parameter(v, "nextnonce"));
                if asking.job.before.is_empty() {
                    c.nonce = next.map(str::to_owned);
                }
                let (talk, side) = (asking.job.talk, asking.job.side);
                match self.talks[talk].ways[side] {
                    Way::Outer(outer) if asking.job.before.is_empty() => {
                        c.jobs.push_front(Job { talk, side, before: tokens, target: outer });
                    }
                    _ => self.talks[talk].tokens[side] = tokens,
                }
            }
            _ => {}
        }
        self.conns[conn].asking = None;
        self.next_job(conn);
    }
}
