//! In the steady state the core allocates nothing per chunk (no heap on the path between two links of one shard).
//!
//! Owner and far side exchange small messages and their answers; allocations are counted inside calls of the core only.
//! The buffers that octets are read into belong to whoever reads.

use std::alloc::System;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chappe::auth::{Algorithm, Ha1, response};
use chappe::moment::Moment;
use chappe::msrp::{Scheme, Status};
use chappe::relay::{Account, Authority, LinkId, Meta, Output, Relay, Settings, Span, Transmit};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const INES: &str = "msrps://ines.example:4000/i;tcp";
const FAR: &str = "msrps://far.example:5000/f;tcp";
const US: &str = "msrps://gate.example;tcp";

/// One relay whose calls are watched.
struct Watched {
    relay: Relay,
    now: Moment,
    transmit: Transmit,
    ines: LinkId,
    far: LinkId,
    /// What each of them was sent at last.
    to_ines: Vec<u8>,
    to_far: Vec<u8>,
    allocations: usize,
    buffer: BytesMut,
}

impl Watched {
    fn new() -> Watched {
        let mut settings = Settings::new("gate.example");
        let local = Authority { scheme: Scheme::Msrps, host: "gate.example".into(), port: 2855 };
        settings.authorities.push(local.clone());
        let mut relay = Relay::new(Arc::new(settings), 0, [7; 32]);
        let now = Moment::from_nanos(1_000_000_000_000);
        let meta = |port| Meta {
            peer: Some(SocketAddr::from(([192, 0, 2, 1], port))),
            secure: true,
            auth: true,
            local: Arc::new(local.clone()),
            relay: None,
            own_kind: false,
            bulk: false,
            fingerprints: None,
        };
        let (ines, far) = (relay.handle_accepted(meta(1), now), relay.handle_accepted(meta(2), now));
        let (to_ines, to_far) = (Vec::with_capacity(1 << 16), Vec::with_capacity(1 << 16));
        let (transmit, buffer) = (Transmit::default(), BytesMut::new());
        Watched { relay, now, transmit, ines, far, to_ines, to_far, allocations: 0, buffer }
    }

    /// Feeds octets and drains what follows, as a shard does.
    fn feed(&mut self, link: LinkId, octets: &[u8]) {
        self.to_ines.clear();
        self.to_far.clear();
        self.buffer.reserve(64 << 10);
        self.buffer.extend_from_slice(octets);
        let input: Bytes = self.buffer.split().freeze();
        let region = Region::new(ALLOCATOR);
        self.relay.handle_data(link, input, self.now);
        while let Some(touched) = self.relay.poll_touched(self.now) {
            self.relay.poll_transmit(touched, 64 << 10, self.now, &mut self.transmit);
            let out = if touched == self.ines { &mut self.to_ines } else { &mut self.to_far };
            for span in &self.transmit.spans {
                match span {
                    Span::Head(range) => out.extend_from_slice(&self.transmit.heads[range.clone()]),
                    Span::Body(body) => out.extend_from_slice(body),
                    Span::Cut => {}
                }
            }
            self.relay.handle_written(touched, self.transmit.octets, self.now);
        }
        self.relay.settle(self.now);
        self.count(&region);
    }

    /// Lets time pass; the core's clocks are part of the steady state.
    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        let region = Region::new(ALLOCATOR);
        while self.relay.poll_timeout().is_some_and(|at| at <= self.now) {
            self.relay.handle_timeout(self.now);
        }
        self.count(&region);
    }

    fn count(&mut self, region: &Region<'_, System>) {
        let change = region.change();
        self.allocations += change.allocations + change.reallocations;
    }

    /// AUTH of Ines; her token.
    fn auth(&mut self) -> String {
        let request = |line: &str| {
            format!("MSRP auth0001 AUTH\r\nTo-Path: {US}\r\nFrom-Path: {INES}\r\n{line}-------auth0001$\r\n")
        };
        self.feed(self.ines, request("").as_bytes());
        let challenge = String::from_utf8_lossy(&self.to_ines).into_owned();
        let nonce = challenge.split("nonce=\"").nth(1).and_then(|n| n.split('"').next()).expect("a nonce");
        let ha1 = Ha1::from_password("ines", "gate.example", "secret");
        let hex = ha1.hex(Algorithm::Md5).expect("MD5");
        let digest = response(Algorithm::Md5, hex, nonce, "00000001", "c", "AUTH", US.as_bytes());
        let line = format!(
            "Authorization: Digest username=\"ines\", realm=\"gate.example\", nonce=\"{nonce}\", qop=auth, \
             nc=00000001, cnonce=\"c\", response=\"{}\"\r\n",
            digest.as_str()
        );
        self.feed(self.ines, request(&line).as_bytes());
        while let Some(output) = self.relay.poll_output() {
            if let Output::LookUp { link, ticket, .. } = output {
                let account = Account { ha1: ha1.clone(), relay: true, lease: true };
                self.relay.handle_account(link, ticket, Ok(Some(account)), self.now);
            }
        }
        self.feed(self.ines, b"");
        let granted = String::from_utf8_lossy(&self.to_ines).into_owned();
        granted.split("Use-Path: ").nth(1).and_then(|p| p.split("\r\n").next()).expect("a token").to_owned()
    }
}

fn send(token: &str, to: &str, from: &str, tid: &str, body: &[u8]) -> Vec<u8> {
    let n = body.len();
    let head = format!(
        "MSRP {tid} SEND\r\nTo-Path: {token} {to}\r\nFrom-Path: {from}\r\nMessage-ID: m{tid}\r\n\
         Byte-Range: 1-{n}/{n}\r\nContent-Type: text/plain\r\n\r\n"
    );
    [head.as_bytes(), body, format!("\r\n-------{tid}$\r\n").as_bytes()].concat()
}

/// The 200 to the SEND in `frames`.
fn answer(frames: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(frames).expect("text");
    let at = text.find(" SEND").expect("a SEND");
    let tid = text[..at].rsplit("MSRP ").next().expect("a transact-id");
    let first = |name: &str| {
        let value = text[at..].split(name).nth(1).expect("a path");
        value.split(['\r', ' ']).next().expect("a URI").to_owned()
    };
    let (to, from) = (first("From-Path: "), first("To-Path: "));
    let mut out = Vec::new();
    chappe::msrp::response(&mut out, tid.as_bytes(), Status::OK, to.as_bytes(), from.as_bytes(), &[]);
    out
}

#[test]
fn no_allocation_per_chunk_in_the_steady_state() {
    let mut w = Watched::new();
    let token = w.auth();
    let body = [b'x'; 200];
    let (ines, far) = (w.ines, w.far);
    // The far side introduces itself, so that Ines' messages have where to go.
    w.feed(far, &send(&token, INES, FAR, "hello001", &body));
    let back = answer(&w.to_ines);
    w.feed(ines, &back);
    let one = send(&token, FAR, INES, "abcd1234", &body);
    let round = |w: &mut Watched| {
        w.feed(ines, &one);
        assert!(w.to_ines.starts_with(b"MSRP abcd1234 200"));
        let back = answer(&w.to_far);
        w.feed(far, &back);
        w.pass(Duration::from_millis(5));
    };
    for _ in 0..20_000 {
        round(&mut w);
    }
    w.allocations = 0;
    for _ in 0..10_000 {
        round(&mut w);
    }
    assert_eq!(w.relay.pending_count(), 0);
    println!("{} allocations for 10000 messages and their answers", w.allocations);
    assert_eq!(w.allocations, 0);
}
