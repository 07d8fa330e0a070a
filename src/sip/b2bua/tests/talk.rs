//! An answered call, and what its ends say in it.

use std::net::SocketAddr;
use std::time::Duration;

use super::scene::{ANA, BO, Scene, sdp};
use crate::relay::Side;
use crate::sip::b2bua::{CallEvent, Settings};
use crate::sip::message::{Request, Response, cseq};

pub(super) struct Talk {
    pub(super) scene: Scene,
    /// Our INVITE to Bo.
    pub(super) invite: Request,
    /// Our 2xx to Ana.
    pub(super) ok: Response,
    /// Numbers of requests, the same for both ends.
    number: u32,
}

pub(super) fn at(side: Side) -> SocketAddr {
    if side == Side::A { ANA } else { BO }
}

/// What an end says first, and once more where nothing changes.
pub(super) fn known(side: Side) -> String {
    if side == Side::A { sdp("ana", 1, "active") } else { sdp("bo", 1, "passive") }
}

impl Talk {
    pub(super) fn begin() -> Talk {
        Talk::with(|_| {}, &[], &[])
    }

    /// Their media never have to connect.
    pub(super) fn lasting() -> Talk {
        Talk::with(|s| s.media.within = Duration::from_secs(1 << 20), &[], &[])
    }

    pub(super) fn with(change: impl FnOnce(&mut Settings), ana: &[(&str, &str)], bo: &[(&str, &str)]) -> Talk {
        Talk::of(Scene::with(change), ana, bo, [&known(Side::A), &known(Side::B)])
    }

    pub(super) fn of(mut scene: Scene, ana: &[(&str, &str)], bo: &[(&str, &str)], said: [&str; 2]) -> Talk {
        scene.invite_with(ana, said[0]);
        let invite = scene.request(BO, "INVITE");
        scene.reply_with(BO, &invite, 200, bo, said[1]);
        let ok = scene.response(ANA, 200);
        scene.request(BO, "ACK");
        scene.acknowledge(&ok, "");
        scene.silence();
        Talk { scene, invite, ok, number: 1 }
    }

    /// A request of this side in the call, not sent yet.
    pub(super) fn request_of(&mut self, side: Side, method: &str) -> Request {
        self.number += 1;
        match side {
            Side::A => self.scene.of_ana(&self.ok, method, self.number),
            Side::B => self.scene.of_bo(&self.invite, method, self.number),
        }
    }

    pub(super) fn say(&mut self, side: Side, method: &str, body: &str) -> Request {
        let request = self.request_of(side, method);
        self.scene.say(at(side), request, body)
    }

    /// The ACK of this side for a 2xx to its re-INVITE.
    pub(super) fn acknowledge(&mut self, side: Side, asked: &Request, body: &str) {
        let number = cseq(&asked.headers).unwrap().number;
        let ack = match side {
            Side::A => self.scene.of_ana(&self.ok, "ACK", number),
            Side::B => self.scene.of_bo(&self.invite, "ACK", number),
        };
        self.scene.say(at(side), ack, body);
    }

    /// An offer and its answer: what the other side got, and what came back.
    #[track_caller]
    pub(super) fn exchange(&mut self, from: Side, method: &str, offer: &str, answer: &str) -> (Request, Response) {
        let asked = self.say(from, method, offer);
        let passed = self.scene.request(at(from.other()), method);
        self.scene.reply(at(from.other()), &passed, 200, answer);
        let back = self.scene.response(at(from), 200);
        self.finish(from, &asked);
        self.scene.silence();
        (passed, back)
    }

    /// ACKs, where it was an INVITE.
    #[track_caller]
    pub(super) fn finish(&mut self, from: Side, asked: &Request) {
        if asked.method == "INVITE" {
            self.scene.request(at(from.other()), "ACK");
            self.acknowledge(from, asked, "");
        }
    }

    /// An offer that we answer.
    #[track_caller]
    pub(super) fn answered_here(&mut self, from: Side, method: &str, offer: &str) -> Response {
        let asked = self.say(from, method, offer);
        let back = self.scene.response(at(from), 200);
        if method == "INVITE" {
            self.acknowledge(from, &asked, "");
        }
        self.scene.silence();
        back
    }

    /// An offer that is refused at once.
    #[track_caller]
    pub(super) fn refused_here(&mut self, from: Side, method: &str, offer: &str, status: u16) -> Response {
        self.say(from, method, offer);
        self.scene.response(at(from), status)
    }

    /// Both sides get a BYE of ours for this reason.
    #[track_caller]
    pub(super) fn both_hear_goodbye(&mut self, reason: Option<&str>) {
        for side in Side::BOTH {
            let bye = self.scene.request(at(side), "BYE");
            assert_eq!(bye.headers.first("Reason"), reason);
            self.scene.reply(at(side), &bye, 200, "");
        }
        self.over();
    }

    /// Ana says BYE.
    #[track_caller]
    pub(super) fn hang_up(mut self) {
        self.say(Side::A, "BYE", "");
        self.scene.response(ANA, 200);
        let bye = self.scene.request(BO, "BYE");
        self.scene.reply(BO, &bye, 200, "");
        self.over();
    }

    /// The call is over, and nothing of it is left.
    #[track_caller]
    pub(super) fn over(&mut self) {
        self.scene.silence();
        assert_eq!(self.scene.b2bua.calls(), 0);
        let ends = self.scene.events.iter().filter(|e| matches!(e, CallEvent::Ended(_))).count();
        assert_eq!(ends, 1);
        let mut released = self.scene.released.clone();
        released.dedup();
        assert_eq!(released.len(), self.scene.released.len(), "released once");
        self.scene.nothing_left();
    }

    /// Word of the cause that the call ended with.
    pub(super) fn cause(&self) -> &'static str {
        match self.scene.events.last() {
            Some(CallEvent::Ended(record)) => record.cause.word(),
            other => panic!("{other:?}"),
        }
    }
}
