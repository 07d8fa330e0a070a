//! The other end of a link: what it has to say, what it hears, and what it knows of the SENDs it has made.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use chappe::msrp::{Decoder, Event, FailureReport, Head, Kind, Limits, Method};

/// The challenge of a 401.
#[derive(Clone, Default)]
pub struct Challenge {
    pub realm: String,
    pub nonce: String,
    pub opaque: String,
}

/// Something heard that later operations may use.
pub enum Heard {
    /// A request that may be answered: its head.
    Request(Head),
    /// A token of ours.
    Token(Vec<u8>),
}

/// A SEND that was made here.
pub struct Sent {
    pub wish: FailureReport,
    pub answers: usize,
}

/// One end outside of the relay.
pub struct Plug {
    /// Shard and key of its link; none while that moves, and when it is gone.
    pub at: Option<(u16, u64)>,
    pub gone: bool,
    pub uri: String,
    /// A peer relay, of which others may be links too.
    pub relay: bool,
    /// It has sent octets that are nobody's frame: what it gets is not judged.
    pub wild: bool,
    /// Octets that the relay has not read.
    pub socket: VecDeque<u8>,
    /// It takes what the relay writes.
    pub reading: bool,
    /// The relay may have something to write.
    pub active: bool,
    /// A batch that is not yet taken.
    pub batch: VecDeque<u8>,
    /// The SEND that it has begun: its transact-id.
    pub open: Option<String>,
    pub sent: HashMap<Vec<u8>, Sent>,
    /// SENDs by Message-ID that may be reported, and REPORTs.
    pub reportable: HashMap<Vec<u8>, (usize, usize)>,
    pub challenge: Option<Challenge>,
    decoder: Decoder,
}

impl Plug {
    pub fn new(at: (u16, u64), uri: String, relay: bool) -> Plug {
        Plug {
            at: Some(at),
            gone: false,
            uri,
            relay,
            wild: false,
            socket: VecDeque::new(),
            reading: true,
            active: true,
            batch: VecDeque::new(),
            open: None,
            sent: HashMap::new(),
            reportable: HashMap::new(),
            challenge: None,
            decoder: Decoder::new(Limits {
                header_line: 1 << 16,
                header_block: 1 << 16,
                path_uris: 64,
                ..Limits::default()
            }),
        }
    }

    /// Octets that the relay has written: they are frames, and no SEND gets two answers.
    pub fn hear(&mut self, octets: Vec<u8>) -> Vec<Heard> {
        let mut heard = Vec::new();
        self.decoder.feed(Bytes::from(octets));
        while let Some(event) = self.decoder.next().expect("the relay writes MSRP") {
            let Event::Head(head) = event else { continue };
            match head.kind() {
                Kind::Response(status) => {
                    self.answered(&head, status.code());
                    self.challenge = challenge(&head).or(self.challenge.take());
                    let path = head.header("Use-Path").and_then(|p| p.rsplit(|c| *c == b' ').next());
                    heard.extend(path.map(|own| Heard::Token(own.to_vec())));
                }
                Kind::Request(method) => {
                    if method == Method::Report {
                        self.reported(&head);
                    }
                    heard.push(Heard::Request(head));
                }
            }
        }
        heard
    }

    fn answered(&mut self, head: &Head, code: u16) {
        let Some(sent) = self.sent.get_mut(head.transact_id()) else { return };
        sent.answers += 1;
        assert!(sent.answers <= 1 || self.wild, "two answers to one SEND");
        match sent.wish {
            FailureReport::Yes => {}
            FailureReport::Partial => assert!(code != 200 || self.wild, "200 for `partial`"),
            FailureReport::No => assert!(self.wild, "{code} for `no`"),
        }
    }

    fn reported(&mut self, head: &Head) {
        let message = head.message_id().unwrap_or_default();
        let Some((sends, reports)) = self.reportable.get_mut(message) else { return };
        *reports += 1;
        // A REPORT for one link of a peer relay may come by another.
        assert!(*reports <= *sends || self.wild || self.relay, "more REPORTs than SENDs that may be reported");
    }
}

fn challenge(head: &Head) -> Option<Challenge> {
    let value = std::str::from_utf8(head.header("WWW-Authenticate")?).ok()?;
    let part = |name: &str| {
        let from = value.find(&format!("{name}=\""))? + name.len() + 2;
        value[from..].split('"').next().map(str::to_owned)
    };
    Some(Challenge { realm: part("realm")?, nonce: part("nonce")?, opaque: part("opaque")? })
}
