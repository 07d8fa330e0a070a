//! Scenes that many tests begin with: names, clients that have AUTHed, a far end.

use super::chunk::{Request, authorization, parameter};
use super::end::{Answer, Frame, text};
use super::network::Network;
use crate::relay::Settings;

pub(super) const GATE: &str = "gate.north.example";
pub(super) const HUB: &str = "hub.south.example";
pub(super) const INES: &str = "msrps://ines-mob.north.example:49152/Qm4tK9xZ2vB7hL0sWd;tcp";
pub(super) const TOMAS: &str = "msrps://tomas-pc.south.example:50990/pT8wE1rY5uI2oA7dGk;tcp";
const TOMAS_HOST: (&str, u16) = ("tomas-pc.south.example", 50990);

impl Network {
    /// Both rounds of AUTH; the last answer.
    pub(super) fn try_auth(&mut self, end: usize, to: &[&str], from: &str, user: &str, lines: &[&str]) -> Frame {
        let request = lines.iter().fold(Request::new("AUTH", to, from), |r, l| r.line(l));
        self.write(end, request.octets());
        let challenge = self.last(end);
        assert_eq!(challenge.code(), Some(401), "{challenge:?}");
        let header = challenge.header("WWW-Authenticate");
        let (nonce, realm) = (parameter(&header, "nonce"), parameter(&header, "realm"));
        let uri = to.last().copied().unwrap_or_default();
        let credentials = authorization(user, &realm, "kelp-anchor-41", &nonce, 1, uri);
        let request = lines.iter().fold(Request::new("AUTH", to, from), |r, l| r.line(l)).line(&credentials);
        self.write(end, request.octets());
        self.last(end)
    }

    /// AUTH at the relay that the end is connected to. The token URI.
    pub(super) fn auth(&mut self, end: usize, from: &str, lines: &[&str]) -> String {
        let (at, _) = self.link_of(end).expect("connected");
        let host = self.nodes[at.0].settings.hostname.clone();
        let user = format!("user{end}");
        self.account(&user, &host, "kelp-anchor-41");
        let answer = self.try_auth(end, &[&format!("msrps://{host};tcp")], from, &user, lines);
        assert_eq!(answer.code(), Some(200), "{answer:?}");
        answer.header("Use-Path")
    }

    /// The latest frame of an end.
    pub(super) fn last(&self, end: usize) -> Frame {
        self.ends[end].frames.last().cloned().expect("a frame has come")
    }
}

/// One relay, its client Ines, and Tomas who uses no relay.
pub(super) struct Scene {
    pub(super) net: Network,
    pub(super) ines: usize,
    pub(super) token: String,
}

impl Scene {
    pub(super) fn new() -> Scene {
        Scene::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Settings)) -> Scene {
        let mut net = Network::new();
        let mut settings = Network::settings(GATE);
        change(&mut settings);
        let gate = net.relay(settings);
        net.listen(TOMAS_HOST.0, TOMAS_HOST.1, Answer::Ok);
        let ines = net.client(gate);
        let token = net.auth(ines, INES, &[]);
        Scene { net, ines, token }
    }

    /// Tomas listens and answers in this way.
    pub(super) fn tomas_answers(mut self, answer: Answer) -> Scene {
        self.net.listen(TOMAS_HOST.0, TOMAS_HOST.1, answer);
        self
    }

    /// A SEND of Ines to Tomas.
    pub(super) fn send(&self) -> Request {
        Request::send(&[&self.token, TOMAS], INES)
    }

    /// A SEND of Tomas to Ines.
    pub(super) fn back(&self) -> Request {
        Request::send(&[&self.token, INES], TOMAS)
    }

    /// Ines writes a request; its transact-id.
    pub(super) fn ines_writes(&mut self, request: &Request) -> String {
        self.net.write(self.ines, request.octets());
        request.tid.clone()
    }

    /// Tomas, once the relay has connected to him.
    pub(super) fn tomas(&self) -> usize {
        *self.net.accepted(TOMAS_HOST.0, TOMAS_HOST.1).last().expect("the relay has connected")
    }

    /// Makes the relay connect to Tomas.
    pub(super) fn introduced(mut self) -> Scene {
        let hello = self.send().id("hello0").body("hi");
        self.ines_writes(&hello);
        let tomas = self.tomas();
        self.net.ends[tomas].frames.clear();
        self.net.ends[tomas].raw.clear();
        self.net.ends[self.ines].frames.clear();
        self.net.ends[self.ines].raw.clear();
        self
    }

    pub(super) fn relay(&mut self) -> &mut crate::relay::Relay {
        self.net.shard((0, 0))
    }

    /// Codes of responses to this request at Ines.
    pub(super) fn codes(&self, tid: &str) -> Vec<u16> {
        self.net.ends[self.ines].codes(tid)
    }

    /// Code and Byte-Range of each REPORT at Ines.
    pub(super) fn reports(&self) -> Vec<(u16, String)> {
        self.net.ends[self.ines].reports().iter().map(|f| (f.reported().unwrap_or(0), f.range())).collect()
    }

    /// The SENDs at Tomas as `range flag`.
    pub(super) fn ranges(&self) -> Vec<String> {
        let flag = |f: &Frame| text(&[f.flag.octet()]);
        self.net.ends[self.tomas()].sends().iter().map(|f| format!("{} {}", f.range(), flag(f))).collect()
    }
}
