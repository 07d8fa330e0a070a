//! Whatever comes in whatever order: no panic, one final response to each INVITE, and nothing is left in the end.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use super::scene::{ANA, BO, BO_TOO, Scene, cancel_of, sdp, sdp_at};
use crate::relay::{AnchorError, AnchorNews, Side};
use crate::sip::b2bua::{Forks, Output, Refusal};
use crate::sip::message::{Message, NameAddr, Request, Response};

/// What somebody does; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Act {
    /// A whole call, as far as the core does its part.
    Call,
    Invite {
        body: u8,
    },
    Ask {
        bo: bool,
        which: u8,
        method: u8,
        body: u8,
    },
    Acknowledge {
        which: u8,
        body: u8,
    },
    Cancel {
        which: u8,
    },
    Answer {
        bo: bool,
        which: u8,
        status: u8,
        tag: u8,
        body: u8,
        reliable: bool,
    },
    Hold {
        core: bool,
        rules: bool,
    },
    Core {
        which: u8,
        how: u8,
    },
    News {
        which: u8,
        kind: u8,
    },
    Dead {
        is: bool,
    },
    /// Comes by a connection from now on, or loses it.
    Connected {
        bo: bool,
    },
    Pass {
        ms: u32,
    },
}

const METHODS: [&str; 7] = ["INVITE", "UPDATE", "BYE", "PRACK", "INFO", "OPTIONS", "MESSAGE"];
const STATUS: [u16; 12] = [180, 183, 200, 200, 200, 302, 408, 481, 486, 491, 503, 422];

fn act() -> impl Strategy<Value = Act> {
    let small = 0u8..8;
    prop_oneof![
        2 => Just(Act::Call),
        2 => small.clone().prop_map(|body| Act::Invite { body }),
        6 => (any::<bool>(), small.clone(), 0u8..7, small.clone())
            .prop_map(|(bo, which, method, body)| Act::Ask { bo, which, method, body }),
        4 => (small.clone(), small.clone()).prop_map(|(which, body)| Act::Acknowledge { which, body }),
        1 => small.clone().prop_map(|which| Act::Cancel { which }),
        10 => (any::<bool>(), small.clone(), 0u8..12, 0u8..3, small.clone(), any::<bool>())
            .prop_map(|(bo, which, status, tag, body, reliable)| Act::Answer { bo, which, status, tag, body, reliable }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(core, rules)| Act::Hold { core, rules }),
        4 => (small.clone(), 0u8..8).prop_map(|(which, how)| Act::Core { which, how }),
        1 => (small.clone(), small).prop_map(|(which, kind)| Act::News { which, kind }),
        1 => any::<bool>().prop_map(|is| Act::Dead { is }),
        1 => any::<bool>().prop_map(|bo| Act::Connected { bo }),
        3 => prop_oneof![0u32..3000, 3000u32..40_000].prop_map(|ms| Act::Pass { ms }),
    ]
}

struct World {
    scene: Scene,
    /// Ana's INVITEs.
    invites: Vec<Request>,
    /// Responses that made dialogs with Ana.
    ana: Vec<Response>,
    /// Requests of ours to her and to Bo.
    asked: [Vec<Request>; 2],
    /// INVITEs with the tag that Bo answered with.
    bo: Vec<(Request, String)>,
    numbers: u32,
    /// The final response to each request, by branch and method.
    finals: HashMap<(String, String), u16>,
}

fn body(who: &str, n: u8) -> String {
    let second = "m=message 7200 TCP/MSRP *\r\na=accept-types:*\r\na=path:msrp://198.51.100.2:7200/zweite;tcp\r\n";
    match n {
        0 => String::new(),
        1 | 2 => sdp(who, 1, "active"),
        3 => sdp(who, 1, "passive"),
        4 => sdp_at(who, 2, "actpass", "198.51.100.7", "another"),
        5 => sdp(who, 3, "active").replace("m=message 7100", "m=message 0"),
        6 => format!("{}{second}", sdp(who, 4, "active")),
        _ => sdp(who, 5, "active").replace("a=path", "a=nopath"),
    }
}

impl World {
    fn new(forks: Forks) -> World {
        let mut scene = Scene::with(|s| s.forks = forks);
        scene.targets = vec![BO, BO_TOO];
        World {
            scene,
            invites: Vec::new(),
            ana: Vec::new(),
            asked: Default::default(),
            bo: Vec::new(),
            numbers: 1,
            finals: HashMap::new(),
        }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Invite { body: n } if self.invites.len() < 4 => {
                let invite =
                    self.scene.invite_with(&[("Supported", "100rel, timer"), ("Allow", "UPDATE")], &body("ana", n));
                self.invites.push(invite);
            }
            Act::Invite { .. } => {}
            Act::Call if self.invites.len() < 4 => {
                self.act(&Act::Invite { body: 1 });
                self.act(&Act::Answer { bo: true, which: 0, status: 2, tag: 0, body: 3, reliable: false });
                self.act(&Act::Acknowledge { which: 0, body: 0 });
            }
            Act::Call => {}
            Act::Ask { bo, which, method, body } => self.ask(bo, which, METHODS[usize::from(method)], body),
            Act::Acknowledge { which, body: n } => {
                let oks: Vec<Response> = self.ana.iter().filter(|r| r.is_success()).cloned().collect();
                if let Some(ok) = pick(&oks, which) {
                    let text = body("ana", n);
                    self.scene.acknowledge(ok, if n > 4 { &text } else { "" });
                }
            }
            Act::Cancel { which } => {
                if let Some(invite) = pick(&self.invites, which) {
                    let cancel = cancel_of(invite);
                    self.scene.say(ANA, cancel, "");
                }
            }
            Act::Answer { bo, which, status, tag, body, reliable } => {
                self.answer(bo, which, status, tag, body, reliable)
            }
            Act::Hold { core, rules } => (self.scene.hold_core, self.scene.hold_rules) = (core, rules),
            Act::Core { which, how } => self.core(which, how),
            Act::News { which, kind } => self.news(which, kind),
            Act::Dead { is } => self.scene.dead = if is { vec![BO] } else { Vec::new() },
            Act::Connected { bo } => {
                let at = if bo { BO } else { ANA };
                let flow = self.scene.flow_of(at);
                if flow.number == 0 {
                    self.scene.connect(at);
                } else {
                    self.scene.close(flow);
                }
            }
            Act::Pass { ms } => self.scene.pass(Duration::from_millis(u64::from(ms))),
        }
        self.collect();
        self.check();
    }

    fn ask(&mut self, bo: bool, which: u8, method: &str, n: u8) {
        self.numbers += 1;
        let text = if matches!(method, "INVITE" | "UPDATE" | "PRACK" | "OPTIONS") { n } else { 0 };
        let text = body(if bo { "bo" } else { "ana" }, text);
        let mut request = match bo {
            true => {
                let Some((invite, tag)) = pick(&self.bo, which).cloned() else { return };
                let mut request = self.scene.of_bo(&invite, method, self.numbers);
                let from = request.headers.first("From").and_then(NameAddr::read).map(|f| f.with_tag(Some(&tag)));
                request.headers.set("From", from.unwrap());
                request
            }
            false => {
                let Some(response) = pick(&self.ana, which).cloned() else { return };
                self.scene.of_ana(&response, method, self.numbers)
            }
        };
        if method == "PRACK" {
            request.headers.push("RAck", "1 1 INVITE");
        }
        self.scene.say(if bo { BO } else { ANA }, request, &text);
    }

    fn answer(&mut self, bo: bool, which: u8, status: u8, tag: u8, n: u8, reliable: bool) {
        let Some(request) = pick(&self.asked[usize::from(bo)], which).cloned() else { return };
        let status = STATUS[usize::from(status)];
        let tag = format!("bo{tag}");
        let to = request.headers.first("To").and_then(NameAddr::read).unwrap();
        let value =
            if to.tag().is_none() { to.with_tag(Some(&tag)) } else { request.headers.first("To").unwrap().to_owned() };
        let mut headers = vec![("To", value.as_str()), ("Allow", "UPDATE")];
        if reliable && status < 200 {
            headers.extend([("Require", "100rel"), ("RSeq", "1")]);
        }
        if status == 422 {
            headers.push(("Min-SE", "2000"));
        }
        let text = if status < 300 { body(if bo { "bo" } else { "ana" }, n) } else { String::new() };
        if request.method == "INVITE" && status < 300 && bo {
            self.bo.push((request.clone(), tag.clone()));
        }
        self.scene.reply_with(if bo { BO } else { ANA }, &request, status, &headers, &text);
    }

    fn core(&mut self, which: u8, how: u8) {
        if self.scene.held.is_empty() {
            return;
        }
        let output = self.scene.held.remove(usize::from(which) % self.scene.held.len()).unwrap();
        let (b, now) = (&mut self.scene.b2bua, self.scene.now);
        match (how, output) {
            // Never.
            (7, _) => {}
            (6, Output::Reserve { ticket, .. }) => b.reserved(ticket, Err(AnchorError::Full), now),
            (6, Output::Renew { ticket, at, .. }) => b.renewed(ticket, at, Err(AnchorError::Unknown), now),
            (5 | 6, Output::Set { ticket, .. }) => b.set(ticket, Err(AnchorError::Policy), now),
            (6, Output::Admit { server, .. }) => {
                b.admitted(server, Err(Refusal { status: 407, headers: Vec::new() }), now);
            }
            (6, Output::Route { call, .. }) => {
                b.routed(call, Err(Refusal { status: 404, headers: Vec::new() }), now);
            }
            (_, output) => self.scene.perform_now(output),
        }
        self.scene.run();
    }

    fn news(&mut self, which: u8, kind: u8) {
        let Some(at) = pick(&self.scene.reserved, which).copied() else { return };
        let side = Side::BOTH[usize::from(kind % 2)];
        let news = match kind / 2 {
            0 => AnchorNews::Lost { side, reason: crate::relay::CloseReason::Eof },
            1 => AnchorNews::Unconnected { side },
            2 => AnchorNews::NotRebuilt { side },
            _ => AnchorNews::Mismatch { side, peer: None },
        };
        self.scene.news(at, &news);
    }

    /// What has left is remembered by those who got it.
    fn collect(&mut self) {
        while let Some(sent) = self.scene.sent.pop_front() {
            match sent.message {
                Message::Request(request) if matches!(&*request.method, "ACK" | "CANCEL") => {}
                Message::Request(request) => self.asked[usize::from(sent.to != ANA)].push(request),
                Message::Response(response) => self.responded(response),
            }
        }
    }

    fn responded(&mut self, response: Response) {
        let of = |name| response.headers.first(name).unwrap_or_default().to_owned();
        let (branch, number) = (of("Via"), of("CSeq"));
        // A CANCEL may come again when its INVITE is forgotten.
        if response.status >= 200 && !number.ends_with("CANCEL") {
            let before = self.finals.insert((branch, number.clone()), response.status);
            assert!(before.is_none_or(|before| before == response.status), "{number}: {before:?}, then {response:?}");
        }
        if number.ends_with("INVITE") && (101..300).contains(&response.status) {
            self.ana.push(response);
        }
    }

    fn check(&self) {
        let b = &self.scene.b2bua;
        for at in b.calls.values().flat_map(|call| call.media.anchors()) {
            assert!(!self.scene.released.contains(&at), "{at:?} of a living call was released");
        }
    }

    /// Nobody says anything any more.
    fn end(mut self) {
        self.scene.held.clear();
        (self.scene.hold_core, self.scene.hold_rules) = (false, false);
        for _ in 0..60 {
            self.scene.pass(Duration::from_secs(100));
            self.collect();
            self.check();
        }
        self.scene.nothing_left();
        for at in &self.scene.reserved {
            let released = self.scene.released.iter().filter(|r| *r == at).count();
            let ended = self.scene.told.iter().any(|(a, word)| a == at && *word == "ended");
            assert!(released == 1 || (released == 0 && ended), "{at:?} was released {released} times");
        }
        assert_eq!(self.scene.relay.anchor_count(), 0);
        for invite in &self.invites {
            let of = |name| invite.headers.first(name).unwrap_or_default().to_owned();
            assert!(self.finals.contains_key(&(of("Via"), of("CSeq"))), "no final response to {invite:?}");
        }
    }
}

fn pick<T>(all: &[T], which: u8) -> Option<&T> {
    // The newest ones are the most interesting.
    all.len().checked_sub(1 + usize::from(which) % all.len().max(1)).map(|at| &all[at])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_is_left(acts in prop::collection::vec(act(), 1..60), first in any::<bool>()) {
        let mut world = World::new(if first { Forks::First } else { Forks::Each });
        for act in &acts {
            world.act(act);
        }
        world.end();
    }
}
