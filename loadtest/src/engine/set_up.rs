//! Sessions are set up and taken down: links, AUTH (RFC 4976 section 5.1), paths.

use super::{
    Engine,
    links::{LinkEnd, LinkId, Side},
    session::{Session, Stage},
};
use crate::{
    digest::{Challenge, parameter},
    faults::Kind,
    names::{Role, Transaction},
    scenario::Callers,
    stream::Stream,
    target::scheme,
    wire::{self, Head, SendHead, Start},
};

/// AUTHs of one set-up: the first, its answer, and one more after a stale nonce.
const ATTEMPTS: u32 = 3;

impl Engine<'_> {
    /// Begins to set up a session in this place.
    pub(super) fn set_up(&mut self, number: u32) {
        let old = std::mem::take(&mut self.sessions[number as usize]);
        self.sessions[number as usize] = Session {
            stage: Stage::CalleeConnects,
            began: self.now,
            next_transaction: old.next_transaction,
            outbox: super::session::Outbox { next: old.outbox.next, ..Default::default() },
            ..Session::default()
        };
        self.setting_up += 1;
        self.alive += 1;
        match self.listen_address() {
            None => self.connect(Side::Callee, number),
            // Its link will be brought by the proxy.
            Some(address) => {
                let name = self.names.session(number, &mut self.random);
                let uri = format!("{}://{address}/{name};tcp", scheme(self.target.server_tls.is_some()));
                self.sessions[number as usize].callee_uri = uri.into_bytes();
                self.connect_caller(number);
            }
        }
    }

    fn connect_caller(&mut self, number: u32) {
        self.sessions[number as usize].stage = Stage::CallerConnects;
        self.connect(Side::Caller, number);
    }

    /// Takes the link that this session shares, or makes one.
    fn connect(&mut self, side: Side, number: u32) {
        let group = (number / self.scenario.sessions.per_link) as usize;
        if let Some(id) = self.shared[side as usize][group]
            && let Some(link) = self.links.find(id)
        {
            link.end.sessions.push(number);
            let open = link.end.open.then(|| link.stream.local_address());
            self.assign(side, number, id);
            if let Some(Ok(address)) = open {
                self.step(number, id, address);
            }
            return;
        }
        match self.dial(side, number) {
            Ok(id) => {
                if self.scenario.sessions.per_link > 1 {
                    self.shared[side as usize][group] = Some(id);
                }
                self.assign(side, number, id);
            }
            Err(error) => self.fail(number, Kind::Connect, || error.to_string()),
        }
    }

    fn assign(&mut self, side: Side, number: u32, id: LinkId) {
        let session = &mut self.sessions[number as usize];
        match side {
            Side::Caller => session.caller = Some(id),
            Side::Callee => session.callee = Some(id),
        }
    }

    /// Both sides of a link may send now.
    pub(super) fn link_opened(&mut self, end: &mut LinkEnd, stream: &Stream) {
        let Ok(address) = stream.local_address() else { return };
        for number in end.sessions.clone() {
            if let Some((role, hop)) = self.enter(number, address) {
                self.ask(number, role, hop, &mut end.out);
            }
        }
    }

    /// The same for a session that has come to an open link.
    fn step(&mut self, number: u32, id: LinkId, address: std::net::SocketAddr) {
        if let Some((role, hop)) = self.enter(number, address) {
            let mut out = Vec::new();
            self.ask(number, role, hop, &mut out);
            if let Some(link) = self.links.find(id) {
                link.end.out.extend_from_slice(&out);
                self.touched.push(id);
            }
        }
    }

    /// A session's link is open: what it asks of which relay, if anything.
    fn enter(&mut self, number: u32, address: std::net::SocketAddr) -> Option<(Role, String)> {
        let tls = self.target.client_tls.is_some();
        let name = self.names.session(number, &mut self.random);
        let uri = format!("{}://{address}/{name};tcp", scheme(tls)).into_bytes();
        let session = &mut self.sessions[number as usize];
        match session.stage {
            Stage::CalleeConnects => {
                session.callee_uri = uri;
                session.stage = Stage::CalleeAuth;
                Some((Role::CalleeAuth, self.target.relay.uri(tls)))
            }
            Stage::CallerConnects => {
                session.caller_uri = uri;
                if self.scenario.sessions.callers == Callers::Authenticated && self.target.listen.is_none() {
                    session.stage = Stage::CallerAuth;
                    session.attempts = 0;
                    session.answer = None;
                    return Some((Role::CallerAuth, self.target.callers_hop().uri(tls)));
                }
                self.is_set_up(number);
                None
            }
            _ => None,
        }
    }

    /// Writes an AUTH.
    fn ask(&mut self, number: u32, role: Role, hop: String, out: &mut Vec<u8>) {
        let session = &mut self.sessions[number as usize];
        let transaction =
            self.names.transaction(Transaction { role, session: number, number: session.next_transaction });
        session.next_transaction = session.next_transaction.wrapping_add(1);
        session.attempts += 1;
        let uri = if role == Role::CallerAuth { &session.caller_uri } else { &session.callee_uri };
        let answer = session.answer.as_ref().map(|answer| answer.authorization.as_str());
        wire::auth(out, &transaction, hop.as_bytes(), uri, answer);
    }

    /// The answer to an AUTH.
    pub(super) fn on_auth(&mut self, end: &mut LinkEnd, head: &Head<'_>, asked: Transaction) {
        let stage = if asked.role == Role::CallerAuth { Stage::CallerAuth } else { Stage::CalleeAuth };
        let Some(session) = self.sessions.get_mut(asked.session as usize) else { return };
        if session.stage != stage || asked.number.wrapping_add(1) != session.next_transaction {
            return self.book.fault(self.now, Kind::UnexpectedResponse, || "to an AUTH".to_owned());
        }
        let number = asked.session;
        let (link, uri) = match asked.role {
            Role::CallerAuth => (session.caller, &session.caller_uri),
            _ => (session.callee, &session.callee_uri),
        };
        if link != Some(end.id) || head.to_path != *uri {
            return self.fail(number, Kind::WrongPath, || "the answer to an AUTH went to somebody else".to_owned());
        }
        match head.start {
            Start::Response(200) => {
                let granted: Option<Vec<Vec<u8>>> =
                    head.all("Use-Path").next().map(|path| wire::uris(path).map(<[u8]>::to_vec).collect());
                let Some(granted) = granted.filter(|uris| !uris.is_empty()) else {
                    return self.fail(number, Kind::Authentication, || "a 200 without a Use-Path".to_owned());
                };
                // Not every relay shows that it knows the password; one that does has to be right.
                let shown = head.all("Authentication-Info").next();
                let shown = shown.and_then(|info| parameter(&String::from_utf8_lossy(info), "rspauth"));
                if let (Some(shown), Some(answer)) = (shown, &session.answer)
                    && shown != answer.rspauth
                {
                    return self.fail(number, Kind::Authentication, || "the relay's rspauth is wrong".to_owned());
                }
                if asked.role == Role::CallerAuth {
                    session.caller_use = granted;
                    self.is_set_up(number);
                } else {
                    session.callee_use = granted;
                    self.connect_caller(number);
                }
            }
            Start::Response(401) if session.attempts < ATTEMPTS => {
                let Some(challenge) = Challenge::choose(head.all("WWW-Authenticate"), self.target.digest) else {
                    return self
                        .fail(number, Kind::Authentication, || "a 401 without a challenge to answer".to_owned());
                };
                let stale = head.all("WWW-Authenticate").any(|value| {
                    parameter(&String::from_utf8_lossy(value), "stale")
                        .is_some_and(|stale| stale.eq_ignore_ascii_case("true"))
                });
                if session.answer.is_some() && !stale {
                    return self.fail(number, Kind::Refused(401), || "AUTH: wrong user or password".to_owned());
                }
                let Some(user) = self.target.users.get(number as usize % self.target.users.len().max(1)) else {
                    return self
                        .fail(number, Kind::Authentication, || "the relay asks for a user: give --user".to_owned());
                };
                let hop = if asked.role == Role::CallerAuth { self.target.callers_hop() } else { &self.target.relay };
                let hop = hop.uri(self.target.client_tls.is_some());
                let cnonce = format!("{:016x}", self.random.u64(..));
                session.answer = Some(challenge.answer(user, &hop, &cnonce));
                self.ask(number, asked.role, hop, &mut end.out);
            }
            Start::Response(status) => self.fail(number, Kind::Refused(status), || "to an AUTH".to_owned()),
            Start::Request(_) => {}
        }
    }

    /// Both sides may send.
    fn is_set_up(&mut self, number: u32) {
        let session = &mut self.sessions[number as usize];
        let relays = || session.caller_use.iter().chain(session.callee_use.iter().rev()).map(Vec::as_slice);
        let path: Vec<&[u8]> = relays().chain([session.callee_uri.as_slice()]).collect();
        let mut from: Vec<&[u8]> = relays().collect();
        from.reverse();
        from.push(&session.caller_uri);
        session.from_path = from.join(&b' ');
        session.first_hop = path[0].to_vec();
        session.head = SendHead::new(&path.join(&b' '), &session.caller_uri);
        session.stage = Stage::Ready;
        self.setting_up -= 1;
        let took = self.now - session.began;
        if self.book.is_in(self.now - took) || !self.is_churn() {
            self.book.latencies.set_up.record(took);
        }
        self.book.count(self.now, |counts| counts.set_up += 1);
        super::sending::queue(&mut self.sessions, &mut self.ready, number);
    }

    /// A session has done all it was made for.
    pub(super) fn take_down(&mut self, number: u32) {
        let session = &mut self.sessions[number as usize];
        if session.stage == Stage::Over {
            return;
        }
        session.stage = Stage::Over;
        let links = [session.caller.take(), session.callee.take()];
        self.alive -= 1;
        self.book.count(self.now, |counts| counts.torn_down += 1);
        self.leaving.extend(links.into_iter().flatten().map(|link| (link, number)));
    }

    /// A session ends by an error, and takes with it what is under way.
    pub(super) fn fail(&mut self, number: u32, kind: Kind, what: impl FnOnce() -> String) {
        let session = &mut self.sessions[number as usize];
        if session.stage == Stage::Over {
            return;
        }
        self.book.fault(self.now, kind, what);
        if session.stage.is_setting_up() {
            self.setting_up -= 1;
        }
        session.stage = Stage::Over;
        self.alive -= 1;
        session.outbox.due.clear();
        session.outbox.cursor = None;
        let under_way = session.outbox.messages.len() as u64;
        let lost = session.outbox.messages.drain(..).filter(|message| !message.arrived).count();
        for _ in 0..lost {
            self.book.fault(self.now, Kind::Lost, || "its session has ended".to_owned());
        }
        self.under_way -= under_way;
        let links = [session.caller.take(), session.callee.take()];
        self.leaving.extend(links.into_iter().flatten().map(|link| (link, number)));
    }
}
