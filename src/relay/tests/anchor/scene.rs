//! An anchor between Ana and Bo, whose ends are played by the test.

use std::sync::Arc;

use crate::relay::tests::chunk::Request;
use crate::relay::tests::end::{Answer, Frame, text};
use crate::relay::tests::network::Network;
use crate::relay::tests::scene::GATE;
use crate::relay::{
    AnchorError, AnchorId, AnchorNews, AnchorWish, Connect, Event, Expects, LegTerms, Relay, SessionEnd, SessionRecord,
    Settings, Side,
};

pub(super) const ANA: &str = "msrps://ana.west.example:7100/anaQ7tB2mXv9;tcp";
pub(super) const BO: &str = "msrps://bo.east.example:7200/boT5nWq8ZxC1;tcp";
pub(super) const ANA_HOST: (&str, u16) = ("ana.west.example", 7100);
pub(super) const BO_HOST: (&str, u16) = ("bo.east.example", 7200);

/// What an offer or answer with this path agrees on.
pub(super) fn terms(target: &str, connect: Connect) -> LegTerms {
    LegTerms {
        target: target.as_bytes().into(),
        connect,
        expects: Expects::Nothing,
        within: None,
        max_size: None,
        file: false,
    }
}

pub(super) fn to_path(frame: &Frame) -> String {
    text(frame.head.to_path().expect("a path").after(0))
}

pub(super) fn from_path(frame: &Frame) -> String {
    text(frame.head.from_path().expect("a path").after(0))
}

pub(super) struct Meeting {
    pub(super) net: Network,
    pub(super) anchor: AnchorId,
    /// Our URIs on both legs.
    pub(super) uris: [String; 2],
}

impl Meeting {
    pub(super) fn reserved() -> Meeting {
        Meeting::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Settings)) -> Meeting {
        let mut net = Network::new();
        let mut settings = Network::settings(GATE);
        change(&mut settings);
        net.relay(settings);
        let (anchor, uris) = reserve(&mut net).expect("room for an anchor");
        Meeting { net, anchor, uris }
    }

    /// Both legs are answered; both ends connect to us and have made themselves known.
    pub(super) fn joined() -> (Meeting, usize, usize) {
        let mut m = Meeting::reserved();
        m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
        m.set(Side::B, terms(BO, Connect::Them)).expect("good terms");
        let (ana, bo) = (m.come(Side::A), m.come(Side::B));
        m.forget();
        (m, ana, bo)
    }

    /// Both legs have their terms: A comes to us, and we dial B. With `hold_dials` the connection is not made yet.
    pub(super) fn dialling(hold_dials: bool) -> Meeting {
        let mut m = Meeting::reserved();
        listen(&mut m.net, Side::B);
        m.net.hold_dials = hold_dials;
        m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
        m.set(Side::B, terms(BO, Connect::Us)).expect("good terms");
        m
    }

    pub(super) fn relay(&mut self) -> &mut Relay {
        self.net.shard((0, 0))
    }

    pub(super) fn uri(&self, side: Side) -> &str {
        &self.uris[side as usize]
    }

    pub(super) fn set(&mut self, side: Side, terms: LegTerms) -> Result<(), AnchorError> {
        let (now, anchor) = (self.net.now, self.anchor);
        let result = self.relay().set_leg(anchor, side, terms, now);
        self.net.run();
        result
    }

    /// A new URI of ours for a leg.
    pub(super) fn renew(&mut self, side: Side) -> String {
        let (now, anchor) = (self.net.now, self.anchor);
        let uri = self.relay().renew_leg(anchor, side, now).expect("an anchor");
        let uri = text(&uri);
        self.uris[side as usize] = uri.clone();
        uri
    }

    pub(super) fn release(&mut self, end: SessionEnd) {
        let (now, anchor) = (self.net.now, self.anchor);
        assert!(self.relay().release_anchor(anchor, end, now));
        self.net.run();
    }

    /// A SEND from the end of this leg.
    pub(super) fn send(&self, side: Side) -> Request {
        Request::send(&[self.uri(side)], peer(side))
    }

    /// The end of this leg connects by TLS and makes itself known.
    pub(super) fn come(&mut self, side: Side) -> usize {
        let end = self.net.client(0);
        self.hello(end, side);
        end
    }

    /// A bodiless SEND on a connection; its transact-id.
    pub(super) fn hello(&mut self, end: usize, side: Side) -> String {
        let hello = self.send(side).id("hello000").range("1-0/0");
        self.net.write(end, hello.octets());
        hello.tid
    }

    /// Writes a SEND with this text; its transact-id.
    pub(super) fn say(&mut self, end: usize, side: Side, id: &str, words: &str) -> String {
        let send = self.send(side).id(id).body(words);
        self.net.write(end, send.octets());
        send.tid
    }

    /// What has come so far is of no interest.
    pub(super) fn forget(&mut self) {
        for end in &mut self.net.ends {
            end.frames.clear();
            end.raw.clear();
        }
        self.net.events.clear();
    }

    /// What the dialogs were told since the last time, as words.
    pub(super) fn news(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.net.events);
        let word = |news: &AnchorNews| match news {
            AnchorNews::Bound { side, .. }
            | AnchorNews::Unconnected { side }
            | AnchorNews::NotRebuilt { side }
            | AnchorNews::Mismatch { side, .. } => format!("{} {side:?}", news.word()),
            AnchorNews::Unreachable { side, failure } => format!("unreachable {side:?} {failure:?}"),
            AnchorNews::Lost { side, reason } => format!("lost {side:?} {}", reason.word()),
            AnchorNews::Refused { side, status } => format!("refused {side:?} {}", status.code()),
            AnchorNews::Stopped => news.word().to_owned(),
            AnchorNews::Ended(record) => format!("ended {}", record.end.word()),
        };
        let of = |e: &Event| match e {
            Event::Anchor { news, .. } => Some(word(news)),
            _ => None,
        };
        events.iter().filter_map(of).collect()
    }

    /// The record of the anchor, which is over.
    pub(super) fn record(&self) -> Option<SessionRecord> {
        self.net.events.iter().rev().find_map(|e| match e {
            Event::Anchor { news: AnchorNews::Ended(record), .. } => Some((**record).clone()),
            _ => None,
        })
    }

    /// Codes of the responses at an end to this request.
    pub(super) fn codes(&self, end: usize, tid: &str) -> Vec<u16> {
        self.net.ends[end].codes(tid)
    }

    /// After all have gone, nothing is left of it.
    pub(super) fn assert_nothing_left(mut self) {
        let (now, anchor) = (self.net.now, self.anchor);
        self.relay().release_anchor(anchor, SessionEnd::Bye, now);
        self.net.seconds(5);
        self.assert_dead();
    }

    /// The same for an anchor that is over.
    pub(super) fn assert_dead(mut self) {
        for end in 0..self.net.ends.len() {
            self.net.lose(end);
        }
        // Longer than the token of a client.
        self.net.seconds(4000);
        self.relay().assert_empty();
        assert_eq!(self.relay().anchor_count(), 0);
        assert_eq!(self.relay().deadline_count(), 0, "deadlines");
    }
}

pub(super) fn reserve(net: &mut Network) -> Result<(AnchorId, [String; 2]), AnchorError> {
    let at = net.nodes[0].settings.authorities[0].clone();
    let wish = AnchorWish { at: [at.clone(), at], user: Arc::from("ana") };
    let now = net.now;
    let reserved = net.shard((0, 0)).reserve_anchor(wish, now)?;
    Ok((reserved.anchor, reserved.uris.map(|u| text(&u))))
}

pub(super) fn peer(side: Side) -> &'static str {
    match side {
        Side::A => ANA,
        Side::B => BO,
    }
}

/// Somebody listens where the path of this side begins.
pub(super) fn listen(net: &mut Network, side: Side) {
    let (host, port) = host(side);
    net.listen(host, port, Answer::Ok);
}

pub(super) fn host(side: Side) -> (&'static str, u16) {
    match side {
        Side::A => ANA_HOST,
        Side::B => BO_HOST,
    }
}
