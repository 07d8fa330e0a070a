//! What each operation does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chappe::auth::{Algorithm, Ha1, response as digest};
use chappe::msrp::{FailureReport, Flag, Status, end_line, response};
use chappe::relay::{
    AnchorWish, Authority, Connect, DialFailure, Expects, LegTerms, Meta, RelayIdentity, SessionEnd, Side,
};

use super::plug::Sent;
use super::script::Script;
use super::world::{PEER, World};

/// Connections that one run may have.
const PLUGS: usize = 12;
const ANCHORS: usize = 4;
/// Octets that may wait in a socket.
const SOCKET: usize = 128 << 10;
const LENGTHS: [usize; 8] = [0, 1, 30, 700, 2048, 5000, 12_000, 40_000];
const PAUSES_MS: [u64; 10] = [1, 10, 50, 1000, 2000, 5000, 31_000, 61_000, 125_000, 1_900_000];

impl World {
    pub fn act(&mut self, operation: u8, script: &mut Script<'_>) {
        match operation % 20 {
            0 => self.accept(script),
            1 => self.bind(script),
            2 => self.send(script),
            3 => self.go_on(script),
            4 => self.raw(script),
            5 => self.answer(script),
            6 => self.authorize(script),
            7 => self.whole(script),
            8 => self.plug_of(script, |w, p| w.plugs[p].reading ^= true),
            9 => self.trickle(script),
            10 => self.pass(Duration::from_millis(*script.pick(&PAUSES_MS).unwrap_or(&1))),
            11 => self.dialled(script),
            12 => {
                let kind = script.below(7);
                self.answer_look_up(kind);
            }
            13 => self.held_mail ^= true,
            14 => {
                let at = script.below(self.mailboxes());
                self.deliver(at);
            }
            15 => self.plug_of(script, World::lose),
            16 => self.finish_plug(script),
            17 => self.anchor(script),
            18 => self.operator(script),
            _ => self.rest(script),
        }
    }

    fn plug_of(&mut self, script: &mut Script<'_>, act: impl FnOnce(&mut World, usize)) {
        if !self.plugs.is_empty() {
            let plug = script.below(self.plugs.len());
            act(self, plug);
        }
    }

    fn authority(&self, secure: bool) -> Authority {
        self.settings.authorities[usize::from(!secure)].clone()
    }

    fn accept(&mut self, script: &mut Script<'_>) {
        let (shape, shard) = (script.octet(), script.below(self.shards.len()) as u16);
        if self.plugs.len() >= PLUGS {
            return;
        }
        let (secure, relay) = (shape & 1 == 0, shape & 6 == 6);
        let identity = RelayIdentity { name: PEER.into(), dns_names: vec![PEER.to_owned()] };
        let meta = Meta {
            peer: Some(SocketAddr::from(([192, 0, 2, 7], 40_000))),
            secure,
            auth: secure,
            local: Arc::new(self.authority(secure)),
            relay: (relay && secure).then(|| Arc::new(identity)),
            own_kind: shape & 8 != 0,
            bulk: relay && secure && shape & 16 != 0,
            fingerprints: None,
        };
        let (relay, now) = (meta.relay.is_some(), self.now);
        let id = if shape & 0xe0 == 0xe0 {
            self.shard(shard).handle_local_endpoint(now)
        } else {
            self.shard(shard).handle_accepted(meta, now)
        };
        self.plug(shard, id, relay && shape & 0xe0 != 0xe0);
        self.drain(shard);
    }

    /// A token without the ceremony of AUTH.
    fn bind(&mut self, script: &mut Script<'_>) {
        self.plug_of(script, |w, plug| {
            let Some((shard, id)) = w.link(plug) else { return };
            let now = w.now;
            if w.plugs[plug].relay || w.tokens.len() > 64 {
                return;
            }
            if let Some(token) = w.shard(shard).bind_local(id, "user", now) {
                w.remember(token.to_vec());
                w.lend();
            }
            w.drain(shard);
        });
    }

    /// To-Path of a request: one or two tokens of ours, and somebody behind them.
    fn path(&self, script: &mut Script<'_>) -> String {
        let shape = script.octet();
        let mut path: Vec<String> = Vec::new();
        for _ in 0..usize::from(shape & 3).min(2) {
            path.extend(script.pick(&self.tokens).map(|t| String::from_utf8_lossy(t).into_owned()));
        }
        match shape >> 2 & 7 {
            0 => {}
            1 => path.push(format!("msrps://{PEER}:2855/x{};tcp", shape >> 5)),
            2 => path.push("msrps://198.51.100.9:9000/far;tcp".to_owned()),
            3 => path.push(format!("msrp://far{}.example:5000/far;tcp", shape >> 5)),
            4 => path.push("msrps://relay.example:2855/nothing;tcp".to_owned()),
            _ => path.extend(script.pick(&self.plugs).map(|p| p.uri.clone())),
        }
        if path.is_empty() { "msrps://relay.example:2855/none;tcp".to_owned() } else { path.join(" ") }
    }

    fn tid(&mut self) -> String {
        self.serial += 1;
        format!("t{:08x}", self.serial.wrapping_mul(0x9e37_79b1))
    }

    fn say(&mut self, plug: usize, octets: &[u8]) {
        let socket = &mut self.plugs[plug].socket;
        if socket.len() + octets.len() <= SOCKET {
            socket.extend(octets);
        } else {
            // What it has begun cannot go on as it should.
            self.plugs[plug].wild = true;
        }
    }

    /// A SEND, whole or only begun.
    fn send(&mut self, script: &mut Script<'_>) {
        if self.plugs.is_empty() {
            return;
        }
        let plug = script.below(self.plugs.len());
        if self.plugs[plug].open.is_some() || self.plugs[plug].wild {
            return;
        }
        let (to, shape, kind, tid) = (self.path(script), script.octet(), script.octet(), self.tid());
        let len = LENGTHS[usize::from(shape >> 5)];
        let wish = [FailureReport::Yes, FailureReport::Yes, FailureReport::Partial, FailureReport::No];
        let wish = wish[usize::from(shape & 3)];
        let message = format!("m{}", kind & 7);
        let range = match kind >> 3 & 7 {
            0 => String::new(),
            1 => format!("Byte-Range: 1-{len}/{len}\r\n"),
            2 => "Byte-Range: 1-*/*\r\n".to_owned(),
            3 => format!("Byte-Range: {}-*/{}\r\n", 1 + len, 2 * len),
            4 => "Byte-Range: 1-10/1000000\r\n".to_owned(),
            5 => "Byte-Range: 4000000000-*/*\r\n".to_owned(),
            _ => format!("Byte-Range: 1-*/{}\r\n", len + 100),
        };
        let word = match wish {
            FailureReport::Yes => "yes",
            FailureReport::Partial => "partial",
            FailureReport::No => "no",
        };
        let from = self.plugs[plug].uri.clone();
        let body = if shape & 4 != 0 || len > 0 { "Content-Type: text/plain\r\n\r\n" } else { "" };
        let head = format!(
            "MSRP {tid} SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: {message}\r\n{range}\
             Failure-Report: {word}\r\n{body}"
        );
        let p = &mut self.plugs[plug];
        p.sent.insert(tid.clone().into_bytes(), Sent { wish, answers: 0 });
        p.reportable.entry(message.into_bytes()).or_default().0 += usize::from(wish != FailureReport::No);
        self.say(plug, head.as_bytes());
        let octets = self.body(len, script);
        self.say(plug, &octets);
        if shape & 24 == 24 && !body.is_empty() {
            self.plugs[plug].open = Some(tid);
        } else {
            let flag = [Flag::Complete, Flag::More, Flag::Abort][usize::from(kind >> 6) % 3];
            self.end(plug, &tid, flag, !body.is_empty());
        }
    }

    /// Octets of a body, sometimes with the end-line of a frame that the relay is writing or has written.
    fn body(&self, len: usize, script: &mut Script<'_>) -> Vec<u8> {
        let mut octets: Vec<u8> = (0..len).map(|i| b'a' + (i % 23) as u8).collect();
        let line = self.requests.last().filter(|_| len > 100 && script.flag());
        if let Some((_, head)) = line {
            let line = [b"\r\n-------", head.transact_id(), b"$\r\n"].concat();
            let at = octets.len() / 2;
            octets.splice(at..at, line);
        }
        octets
    }

    fn end(&mut self, plug: usize, tid: &str, flag: Flag, after_body: bool) {
        let mut line = Vec::new();
        end_line(&mut line, tid.as_bytes(), flag, after_body);
        self.say(plug, &line);
    }

    /// More of a SEND that was begun, or its end.
    fn go_on(&mut self, script: &mut Script<'_>) {
        if self.plugs.is_empty() {
            return;
        }
        let (plug, shape) = (script.below(self.plugs.len()), script.octet());
        let Some(tid) = self.plugs[plug].open.clone() else { return };
        let octets = self.body(LENGTHS[usize::from(shape >> 5)], script);
        self.say(plug, &octets);
        if shape & 1 == 1 {
            self.plugs[plug].open = None;
            self.end(plug, &tid, [Flag::Complete, Flag::More, Flag::Abort][usize::from(shape >> 1) % 3], true);
        }
    }

    /// Octets of the script as they stand.
    fn raw(&mut self, script: &mut Script<'_>) {
        self.plug_of(script, |w, plug| {
            w.plugs[plug].wild = true;
        });
        let plug = self.plugs.iter().rposition(|p| p.wild);
        let octets = script.raw();
        if let Some(plug) = plug {
            self.say(plug, octets);
        }
    }

    /// An answer to a request that the relay has passed on.
    fn answer(&mut self, script: &mut Script<'_>) {
        let (at, shape) = (script.below(self.requests.len()), script.octet());
        if at >= self.requests.len() {
            return;
        }
        let (plug, head) = if shape & 0x80 == 0 { self.requests.remove(at) } else { self.requests[at].clone() };
        let codes = [Status::OK, Status::OK, Status::OK, Status::TOO_LARGE, Status::NO_SESSION, Status::BAD_REQUEST];
        let status = codes[usize::from(shape & 0x7f) % codes.len()];
        let (Some(to), Some(from)) = (head.to_path(), head.from_path()) else { return };
        if self.plugs[plug].open.is_some() {
            return;
        }
        let mut frame = Vec::new();
        let back = if shape & 0x40 == 0 { from.first().unwrap_or_default() } else { from.after(0) };
        response(&mut frame, head.transact_id(), status, back, to.first().unwrap_or_default(), &[]);
        self.say(plug, &frame);
    }

    fn authorize(&mut self, script: &mut Script<'_>) {
        if self.plugs.is_empty() {
            return;
        }
        let (plug, shape, tid) = (script.below(self.plugs.len()), script.octet(), self.tid());
        if self.plugs[plug].open.is_some() {
            return;
        }
        let target = "msrps://relay.example;tcp";
        let credentials = self.plugs[plug].challenge.clone().filter(|_| shape & 1 == 0).and_then(|c| {
            let password = if shape & 6 == 6 { "guess" } else { "secret" };
            let ha1 = Ha1::from_password("user", &c.realm, password);
            let answer = digest(Algorithm::Md5, ha1.hex(Algorithm::Md5)?, &c.nonce, "00000001", "c0", "AUTH", target.as_bytes());
            Some(format!(
                "Authorization: Digest username=\"user\", realm=\"{}\", nonce=\"{}\", qop=auth, nc=00000001, cnonce=\"c0\", \
                 response=\"{answer}\", opaque=\"{}\"\r\n",
                c.realm, c.nonce, c.opaque
            ))
        });
        let expires = ["", "Expires: 60\r\n", "Expires: 1\r\n", "Expires: 99999\r\n"][usize::from(shape >> 3) % 4];
        let from = match self.plugs[plug].relay {
            true => format!("msrps://{PEER}:2855;tcp msrps://client.example:4000/a;tcp"),
            false => self.plugs[plug].uri.clone(),
        };
        let frame = format!(
            "MSRP {tid} AUTH\r\nTo-Path: {target}\r\nFrom-Path: {from}\r\n{}{expires}-------{tid}$\r\n",
            credentials.unwrap_or_default()
        );
        self.say(plug, frame.as_bytes());
    }

    /// A request that passes whole.
    fn whole(&mut self, script: &mut Script<'_>) {
        if self.plugs.is_empty() {
            return;
        }
        let (plug, kind) = (script.below(self.plugs.len()), script.octet());
        let (to, tid) = (self.path(script), self.tid());
        if self.plugs[plug].open.is_some() {
            return;
        }
        let from = self.plugs[plug].uri.clone();
        let (method, more) = match kind % 4 {
            0 => ("REPORT", "Message-ID: x1\r\nByte-Range: 1-10/10\r\nStatus: 000 200 OK\r\n"),
            1 => ("NICKNAME", "Use-Nickname: \"me\"\r\n"),
            2 => ("REPORT", "Message-ID: x1\r\n"),
            _ => ("AUTH", ""),
        };
        let frame = format!("MSRP {tid} {method}\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n{more}-------{tid}$\r\n");
        self.say(plug, frame.as_bytes());
    }

    /// A socket takes a few octets of what is to be written.
    fn trickle(&mut self, script: &mut Script<'_>) {
        let n = usize::from(script.octet()) * 8;
        self.plug_of(script, |w, plug| {
            w.fill(plug);
            w.take(plug, n);
        });
    }

    fn dialled(&mut self, script: &mut Script<'_>) {
        let shape = script.octet();
        if shape & 3 == 3 || self.plugs.len() >= PLUGS {
            let failures = [DialFailure::Connect, DialFailure::Policy, DialFailure::Timeout, DialFailure::Quota];
            return self.fail_dial(failures[usize::from(shape >> 2) % 4]);
        }
        if self.dials.is_empty() {
            return;
        }
        let (shard, id, to) = self.dials.remove(0);
        let identity =
            (to.peer && to.secure).then(|| RelayIdentity { name: PEER.into(), dns_names: vec![PEER.to_owned()] });
        self.plug(shard, id, identity.is_some());
        let now = self.now;
        let peer = ([198, 51, 100, 9], 2855).into();
        self.shard(shard).handle_dialled(id, peer, identity, shape & 4 != 0, None, now);
        self.drain(shard);
    }

    /// An end says that it will send no more.
    fn finish_plug(&mut self, script: &mut Script<'_>) {
        self.plug_of(script, |w, plug| {
            let Some((shard, id)) = w.link(plug) else { return };
            w.plugs[plug].wild = true;
            w.plugs[plug].socket.clear();
            let now = w.now;
            w.shard(shard).handle_eof(id, now);
            w.drain(shard);
        });
    }

    fn anchor(&mut self, script: &mut Script<'_>) {
        let (shape, now) = (script.octet(), self.now);
        if shape % 5 == 0 {
            let shard = script.below(self.shards.len()) as u16;
            let wish = AnchorWish { at: [self.authority(true), self.authority(shape & 8 == 0)], user: "call".into() };
            if self.anchors.len() < ANCHORS
                && let Ok(reserved) = self.shard(shard).reserve_anchor(wish, now)
            {
                reserved.uris.iter().for_each(|uri| self.remember(uri.to_vec()));
                self.anchors.push((shard, reserved.anchor));
            }
            return self.drain(shard);
        }
        let Some((shard, id)) = script.pick(&self.anchors).copied() else { return };
        let side = Side::BOTH[usize::from(shape >> 3) % 2];
        match shape % 5 {
            1 => {
                let target =
                    script.pick(&self.plugs).map_or("msrps://far.example:4000/s;tcp".into(), |p| p.uri.clone());
                let connect = if shape & 16 == 0 { Connect::Them } else { Connect::Us };
                let max_size = (shape & 32 != 0).then_some(3000);
                let expects = if shape & 64 == 0 { Expects::Nothing } else { Expects::Name(PEER.into()) };
                let terms = LegTerms {
                    target: target.into_bytes().into(),
                    connect,
                    expects,
                    within: None,
                    max_size,
                    file: shape & 128 != 0,
                };
                let _ = self.shard(shard).set_leg(id, side, terms, now);
            }
            2 => {
                if let Ok(uri) = self.shard(shard).renew_leg(id, side, now) {
                    self.remember(uri.to_vec());
                }
            }
            3 => self.shard(shard).withdraw_renewal(id, side, now),
            _ => {
                let end = if shape & 16 == 0 { SessionEnd::Bye } else { SessionEnd::Cancelled };
                self.shard(shard).release_anchor(id, end, now);
            }
        }
        self.drain(shard);
    }

    /// What an operator may do.
    fn operator(&mut self, script: &mut Script<'_>) {
        let (shape, shard, now) = (script.octet(), script.below(self.shards.len()) as u16, self.now);
        match shape % 8 {
            0 => drop(self.shard(shard).shed(usize::from(shape >> 4), now)),
            1 | 2 => {
                let names = self.shard(shard).sessions(256, now);
                if let Some(view) = script.pick(&names) {
                    self.shard(shard).end_by_name(&view.id, now);
                }
            }
            3 => {
                let mut settings = self.settings.clone();
                if shape & 16 == 0 {
                    settings.peers.clear();
                }
                settings.require_signed = shape & 32 != 0;
                settings.limits.max_message = (shape & 64 != 0).then_some(10_000);
                let settings = Arc::new(settings);
                for at in 0..self.settings.shards {
                    self.shard(at).reconfigure(settings.clone(), now);
                    self.drain(at);
                }
            }
            4 if shape & 0x70 == 0 => {
                self.shard(shard).drain();
                self.shard(shard).shut_down(now);
            }
            5 if shape & 0x70 == 0 => self.shard(shard).drain(),
            _ => drop(self.shard(shard).drained()),
        }
        self.drain(shard);
    }

    /// A link has been silent.
    fn rest(&mut self, script: &mut Script<'_>) {
        self.plug_of(script, |w, plug| {
            let Some((shard, id)) = w.link(plug) else { return };
            w.shard(shard).handle_rest(id);
            w.shard(shard).shrink();
            w.drain(shard);
        });
    }
}
