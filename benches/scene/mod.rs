//! A relay between two clients, all in memory: what the benches of the whole core share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chappe::auth::{self, Algorithm, Ha1};
use chappe::moment::Moment;
use chappe::msrp::Scheme;
use chappe::relay::{Account, Authority, LinkId, Meta, Output, Relay, Settings, Transmit};

const HOST: &str = "relay.example.com";
const OWNER: &str = "msrps://alice-laptop.example.com:7965/3jUeYq1bPz7xTgA;tcp";
const FAR: &str = "msrps://bob.example.com:8493/k2Vd8fJmQ5;tcp";
const TID: &str = "aW8dkq3ZpX1m";
/// Octets of one read from a socket.
const READ: usize = 16 << 10;
/// Octets of one write to a socket.
const ROOM: usize = 64 << 10;

/// One relay, the client that owns a token of it, and the far end that the client writes to.
pub(crate) struct Scene {
    relay: Relay,
    now: Moment,
    account: Account,
    owner: LinkId,
    far: Option<LinkId>,
    token: String,
    batch: Transmit,
    /// What the far end will answer, and what the owner was sent last.
    answers: Vec<u8>,
    heard: Vec<u8>,
    /// SENDs that the far end has seen, and answers that the owner has.
    pub(crate) forwarded: usize,
    pub(crate) answered: usize,
}

impl Scene {
    /// The owner has its token, the far end is connected, and the session has carried enough messages to be warm.
    pub(crate) fn new() -> Scene {
        let mut settings = Settings::new(HOST);
        let authority = Authority { scheme: Scheme::Msrps, host: HOST.into(), port: 2855 };
        settings.authorities.push(authority);
        let ha1 = Ha1::from_password("alice", HOST, "secret");
        let mut relay = Relay::new(Arc::new(settings), 0, [7; 32]);
        let now = Moment::from_nanos(1_000_000_000);
        let owner = relay.handle_accepted(client(), now);
        let mut scene = Scene {
            relay,
            now,
            account: Account { ha1, relay: true, lease: true },
            owner,
            far: None,
            token: String::new(),
            batch: Transmit::default(),
            answers: Vec::new(),
            heard: Vec::new(),
            forwarded: 0,
            answered: 0,
        };
        scene.token = scene.obtain_token(owner);
        let first = scene.message(&[b'x'; 200], "yes");
        for _ in 0..200 {
            scene.forward(&first);
        }
        (scene.forwarded, scene.answered) = (0, 0);
        scene
    }

    /// A SEND of the owner as clients of a relay write it: about 450 octets of head.
    pub(crate) fn message(&self, body: &[u8], failure_report: &str) -> Bytes {
        let length = body.len();
        let head = format!(
            "MSRP {TID} SEND\r\n\
             To-Path: {} {FAR}\r\n\
             From-Path: {OWNER}\r\n\
             Message-ID: 8f14e45fceea167a5a36\r\n\
             Byte-Range: 1-{length}/{length}\r\n\
             Success-Report: no\r\n\
             Failure-Report: {failure_report}\r\n\
             X-Client: Example Messenger 14.2 (desktop; en-GB) build 2026.11.03\r\n\
             Content-Type: message/cpim; charset=UTF-8\r\n\r\n",
            self.token
        );
        [head.as_bytes(), body, b"\r\n-------", TID.as_bytes(), b"$\r\n"].concat().into()
    }

    /// One read that holds one frame, and the batch that carries it on: decode, route, encode and nothing else. The
    /// message must ask for no answer.
    pub(crate) fn route(&mut self, frame: &Bytes) {
        self.relay.handle_data(self.owner, frame.clone(), self.now);
        let Some(far) = self.far else { return };
        self.relay.poll_transmit(far, ROOM, self.now, &mut self.batch);
        assert!(self.batch.octets > frame.len() / 2);
    }

    /// Brings the scene to rest after [`Scene::route`].
    pub(crate) fn rest(&mut self) {
        let Some(far) = self.far else { return };
        self.relay.handle_written(far, self.batch.octets, self.now);
        self.drive();
    }

    /// The owner sends `input`, the far end takes what comes and answers each SEND, the relay hears the answers.
    pub(crate) fn forward(&mut self, input: &Bytes) {
        self.now = self.now + Duration::from_micros(100);
        let mut input = input.clone();
        while !input.is_empty() {
            let read = input.split_to(input.len().min(READ));
            self.relay.handle_data(self.owner, read, self.now);
            self.drive();
        }
        if let Some(far) = self.far.filter(|_| !self.answers.is_empty()) {
            let answers = Bytes::copy_from_slice(&self.answers);
            self.answers.clear();
            self.relay.handle_data(far, answers, self.now);
            self.drive();
        }
        self.keep_time();
    }

    /// Lets deadlines that have passed be dealt with.
    fn keep_time(&mut self) {
        if self.relay.poll_timeout().is_some_and(|at| at <= self.now) {
            self.relay.handle_timeout(self.now);
            self.drive();
        }
    }

    /// A client connects, is challenged, gets a token and leaves.
    pub(crate) fn authorize(&mut self) {
        self.now = self.now + Duration::from_millis(1);
        let link = self.relay.handle_accepted(client(), self.now);
        self.obtain_token(link);
        self.relay.handle_lost(link, self.now);
        self.drive();
        self.keep_time();
    }

    fn obtain_token(&mut self, link: LinkId) -> String {
        let ask = |authorization: &str| {
            let paths = format!("To-Path: msrps://{HOST}:2855;tcp\r\nFrom-Path: {OWNER}\r\n");
            Bytes::from(format!("MSRP {TID} AUTH\r\n{paths}{authorization}-------{TID}$\r\n"))
        };
        self.relay.handle_data(link, ask(""), self.now);
        self.drive();
        let challenge = String::from_utf8(std::mem::take(&mut self.heard)).expect("ASCII");
        let nonce = between(&challenge, "nonce=\"", '"');
        let ha1 = self.account.ha1.hex(Algorithm::Md5).expect("an MD5 HA1");
        let uri = format!("msrps://{HOST}:2855;tcp");
        let response = auth::response(Algorithm::Md5, ha1, nonce, "00000001", "c0ffee42", "AUTH", uri.as_bytes());
        let answer = format!(
            "Authorization: Digest username=\"alice\", realm=\"{HOST}\", nonce=\"{nonce}\", cnonce=\"c0ffee42\", \
             response=\"{response}\", qop=auth, nc=00000001\r\n"
        );
        self.relay.handle_data(link, ask(&answer), self.now);
        self.drive();
        let granted = String::from_utf8(std::mem::take(&mut self.heard)).expect("ASCII");
        between(&granted, "Use-Path: ", '\r').to_owned()
    }

    /// Does what the relay asks for until it asks for nothing more.
    fn drive(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.relay.poll_output() {
                quiet = false;
                match output {
                    Output::Dial { link, .. } => {
                        self.far = Some(link);
                        let peer = SocketAddr::from(([192, 0, 2, 1], 8493));
                        self.relay.handle_dialled(link, peer, None, false, None, self.now);
                    }
                    Output::LookUp { link, ticket, .. } => {
                        self.relay.handle_account(link, ticket, Ok(Some(self.account.clone())), self.now);
                    }
                    _ => {}
                }
            }
            while let Some(link) = self.relay.poll_touched(self.now) {
                quiet = false;
                self.relay.poll_transmit(link, ROOM, self.now, &mut self.batch);
                if self.batch.octets == 0 {
                    continue;
                }
                if Some(link) == self.far {
                    self.take_sends();
                } else {
                    self.answered += 1;
                    self.heard.clear();
                    self.heard.extend_from_slice(&self.batch.heads);
                }
                self.relay.handle_written(link, self.batch.octets, self.now);
            }
            if quiet {
                break;
            }
        }
        self.relay.settle(self.now);
    }

    /// The far end prepares a 200 for each SEND of the batch.
    fn take_sends(&mut self) {
        let heads = &self.batch.heads[..];
        for at in memchr::memmem::find_iter(heads, b" SEND\r\n") {
            let tid = &heads[at - 16..at];
            let (to, from) = (self.token.as_bytes(), FAR.as_bytes());
            let parts = [b"MSRP ", tid, b" 200 OK\r\nTo-Path: ", to, b"\r\nFrom-Path: ", from, b"\r\n-------", tid];
            parts.iter().for_each(|part| self.answers.extend_from_slice(part));
            self.answers.extend_from_slice(b"$\r\n");
            self.forwarded += 1;
        }
    }
}

fn client() -> Meta {
    let local = Arc::new(Authority { scheme: Scheme::Msrps, host: HOST.into(), port: 2855 });
    let peer = Some(SocketAddr::from(([192, 0, 2, 7], 40_000)));
    Meta { peer, secure: true, auth: true, local, relay: None, own_kind: false, bulk: false, fingerprints: None }
}

fn between<'a>(text: &'a str, before: &str, end: char) -> &'a str {
    let start = text.find(before).expect("a parameter") + before.len();
    &text[start..start + text[start..].find(end).expect("its end")]
}
