//! Random networks: whatever clients, far ends and peer relays do, the books stay right, and nothing is left when all
//! have gone.

use std::time::Duration;

use proptest::prelude::*;

use super::chunk::{Request, pattern};
use super::end::Answer;
use super::network::Network;
use super::scene::{GATE, HUB};
use crate::relay::{DialFailure, Peer};

/// One thing that somebody does.
#[derive(Clone, Debug)]
enum Step {
    /// A whole SEND from one to another, with this body, flag and Failure-Report.
    Send {
        from: u8,
        to: u8,
        message: u8,
        len: usize,
        flag: char,
        wish: u8,
        ranged: bool,
    },
    /// The beginning of a SEND, and later octets of it, and its end.
    Begin {
        from: u8,
        to: u8,
        message: u8,
        len: usize,
        wish: u8,
    },
    More {
        from: u8,
        len: usize,
    },
    End {
        from: u8,
        flag: char,
    },
    /// Other requests.
    Whole {
        from: u8,
        to: u8,
        method: u8,
    },
    /// An answer to the latest SEND.
    Answer {
        by: u8,
        code: u16,
    },
    Policy {
        by: u8,
        answer: u8,
    },
    Reading {
        who: u8,
        reading: bool,
    },
    Lose {
        who: u8,
    },
    Finish {
        who: u8,
    },
    /// A new connection with AUTH, at one of the relays.
    Auth {
        who: u8,
        relay: u8,
        named: bool,
    },
    HoldDials(bool),
    FailDials,
    Pass {
        millis: u64,
    },
    Junk {
        from: u8,
        len: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..6u8;
    let flag = prop::sample::select(vec!['$', '$', '+', '#']);
    let len = prop_oneof![Just(0usize), 1..300usize, 2000..12_000usize, Just(70_000), Just(300_000)];
    prop_oneof![
        6 => (who.clone(), 0..9u8, 0..4u8, len.clone(), flag.clone(), 0..3u8, any::<bool>())
            .prop_map(|(from, to, message, len, flag, wish, ranged)| Step::Send { from, to, message, len, flag, wish, ranged }),
        3 => (who.clone(), 0..9u8, 0..4u8, len.clone(), 0..3u8)
            .prop_map(|(from, to, message, len, wish)| Step::Begin { from, to, message, len, wish }),
        3 => (who.clone(), len).prop_map(|(from, len)| Step::More { from, len }),
        3 => (who.clone(), flag).prop_map(|(from, flag)| Step::End { from, flag }),
        1 => (who.clone(), 0..9u8, 0..4u8).prop_map(|(from, to, method)| Step::Whole { from, to, method }),
        2 => (0..12u8, prop::sample::select(vec![200u16, 200, 413, 481, 408, 400, 699]))
            .prop_map(|(by, code)| Step::Answer { by, code }),
        1 => (0..12u8, 0..4u8).prop_map(|(by, answer)| Step::Policy { by, answer }),
        2 => (0..12u8, any::<bool>()).prop_map(|(who, reading)| Step::Reading { who, reading }),
        1 => (0..12u8).prop_map(|who| Step::Lose { who }),
        1 => (0..12u8).prop_map(|who| Step::Finish { who }),
        1 => (who.clone(), 0..2u8, any::<bool>()).prop_map(|(who, relay, named)| Step::Auth { who, relay, named }),
        1 => any::<bool>().prop_map(Step::HoldDials),
        1 => Just(Step::FailDials),
        3 => prop::sample::select(vec![1u64, 9, 11, 55, 1000, 5_100, 31_000, 61_000, 125_000])
            .prop_map(|millis| Step::Pass { millis }),
        1 => (who, 1..40usize).prop_map(|(from, len)| Step::Junk { from, len }),
    ]
}

/// Six clients, each with a token; a chunk may be under way at each.
struct World {
    net: Network,
    clients: Vec<(usize, String, Option<Request>)>,
    sent: Vec<Sent>,
}

/// A SEND that a client has written, at least its head.
struct Sent {
    end: usize,
    tid: String,
    message: String,
    wish: &'static str,
    /// Leaves every relay in one piece.
    small: bool,
}

fn uri(n: usize) -> String {
    format!("msrps://client{n}.example:4{n:04}/s{n};tcp")
}

impl World {
    fn new(session_buffer: usize) -> World {
        let mut net = Network::new();
        net.window = 20_000;
        for (host, other) in [(GATE, HUB), (HUB, GATE)] {
            let mut settings = Network::settings(host);
            settings.peers.insert(other.to_owned(), Peer { max_chunk: None, multiplex: true, bulk: false });
            settings.limits.session_buffer = session_buffer;
            settings.limits.transactions_per_session = 20;
            settings.limits.reports_per_second = 5;
            net.relay(settings);
        }
        for n in 0..2 {
            net.listen(&format!("far{n}.example"), 5000, Answer::Ok);
        }
        let clients = (0..6)
            .map(|n| {
                let end = net.client(n % 2);
                let token = net.auth(end, &uri(n), &[]);
                (end, token, None)
            })
            .collect();
        World { net, clients, sent: Vec::new() }
    }

    /// To-Path of client `from` toward `to`: clients by their tokens, two far ends, and nobody.
    fn path(&self, from: usize, to: usize) -> Vec<String> {
        let own = self.clients[from].1.clone();
        match to {
            0..6 => vec![own, self.clients[to].1.clone(), uri(to)],
            6 | 7 => vec![own, format!("msrp://far{}.example:5000/f;tcp", to - 6)],
            _ => vec![own, "msrps://nowhere.example:5000/f;tcp".to_owned()],
        }
    }

    fn request(&self, method: &'static str, from: u8, to: u8) -> Request {
        let (from, to) = (usize::from(from), usize::from(to));
        let path = self.path(from, to);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        Request::new(method, &path, &uri(from))
    }

    fn remember(&mut self, from: u8, message: u8, wish: &'static str, tid: &str, small: bool) {
        let end = self.clients[usize::from(from)].0;
        self.sent.push(Sent { end, tid: tid.to_owned(), message: format!("m{from}{message}"), wish, small });
    }

    /// Each SEND has at most one answer, and the REPORTs on a message are no more than its accepted chunks (RLY-54);
    /// where a chunk is cut by one relay, the next may tell of each piece.
    fn check_signals(&self) {
        let mut accepted = std::collections::HashMap::new();
        for s in &self.sent {
            let codes = self.net.ends[s.end].codes(&s.tid);
            match (s.wish, &codes[..]) {
                ("yes", []) | ("partial" | "no", []) | ("yes", [_]) => {}
                ("partial", [code]) if *code != 200 => {}
                other => panic!("answers to {}: {other:?}", s.tid),
            }
            let refused = codes.first().is_some_and(|code| *code != 200);
            if s.wish != "no" && !refused {
                *accepted.entry((s.end, s.message.clone())).or_insert(0) += 1;
            }
        }
        for (end, e) in self.net.ends.iter().enumerate() {
            let mut told = std::collections::HashMap::new();
            for r in e.reports().into_iter().filter(|r| r.reported() != Some(200) && !r.message().is_empty()) {
                *told.entry((end, r.message())).or_insert(0) += 1;
            }
            for (of, n) in told {
                let whole = self.sent.iter().all(|s| (s.end, &s.message) != (of.0, &of.1) || s.small);
                assert!(!whole || n <= accepted.get(&of).copied().unwrap_or(0), "{n} reports on {of:?}");
            }
        }
    }

    /// Ends what is under way at a client, so that another frame may begin.
    fn conclude(&mut self, from: u8, flag: char) {
        let (end, _, running) = &mut self.clients[usize::from(from)];
        let end = *end;
        if let Some(request) = running.take() {
            let octets = request.flag(flag).end();
            self.net.write(end, octets);
        }
    }

    fn act(&mut self, step: Step) {
        const WISHES: [&str; 3] = ["yes", "partial", "no"];
        match step {
            Step::Send { from, to, message, len, flag, wish, ranged } => {
                self.conclude(from, '+');
                let r = self.request("SEND", from, to).id(&format!("m{from}{message}"));
                let r = r.failure_report(WISHES[usize::from(wish)]).flag(flag);
                let r = if ranged { r.range(&format!("1-{len}/{len}")) } else { r };
                self.remember(from, message, WISHES[usize::from(wish)], &r.tid, len <= 2048);
                self.net.write(self.clients[usize::from(from)].0, r.body(pattern(len)).octets());
            }
            Step::Begin { from, to, message, len, wish } => {
                self.conclude(from, '$');
                let r = self.request("SEND", from, to).id(&format!("m{from}{message}"));
                let r = r.failure_report(WISHES[usize::from(wish)]).body("");
                let end = self.clients[usize::from(from)].0;
                self.remember(from, message, WISHES[usize::from(wish)], &r.tid, false);
                self.net.write(end, [r.head(), pattern(len)].concat());
                self.clients[usize::from(from)].2 = Some(r);
            }
            Step::More { from, len } => {
                if self.clients[usize::from(from)].2.is_some() {
                    self.net.write(self.clients[usize::from(from)].0, pattern(len));
                }
            }
            Step::End { from, flag } => self.conclude(from, flag),
            Step::Whole { from, to, method } => {
                self.conclude(from, '$');
                let method = ["REPORT", "NICKNAME", "FROB", "SEND"][usize::from(method)];
                let r = self.request(method, from, to).line("Status: 000 200 OK");
                self.net.write(self.clients[usize::from(from)].0, r.octets());
            }
            Step::Answer { by, code } => {
                let by = usize::from(by) % self.net.ends.len();
                if let Some(frame) = self.net.ends[by].sends().last().copied().cloned() {
                    self.net.ends[by].answer_to(&frame, code);
                    self.net.run();
                }
            }
            Step::Policy { by, answer } => {
                let by = usize::from(by) % self.net.ends.len();
                let answers = [Answer::Ok, Answer::Nothing, Answer::Code(413), Answer::Code(481)];
                self.net.ends[by].answer = answers[usize::from(answer)];
            }
            Step::Reading { who, reading } => self.net.read(usize::from(who) % self.net.ends.len(), reading),
            Step::Lose { who } => self.net.lose(usize::from(who) % self.net.ends.len()),
            Step::Finish { who } => self.net.finish(usize::from(who) % self.net.ends.len()),
            Step::Auth { who, relay, named } => {
                let who = usize::from(who);
                let end = self.net.client(usize::from(relay));
                let lines: &[&str] = if named { &["Expires: 60"] } else { &[] };
                let token = self.net.auth(end, &uri(who), lines);
                self.clients[who] = (end, token, None);
            }
            Step::HoldDials(hold) => {
                self.net.hold_dials = hold;
                if !hold {
                    self.net.answer_dials();
                }
                self.net.run();
            }
            Step::FailDials => {
                for (at, link, _) in std::mem::take(&mut self.net.dials) {
                    self.net.fail_dial(at, link, DialFailure::Connect);
                }
                self.net.run();
            }
            Step::Pass { millis } => self.net.advance(Duration::from_millis(millis)),
            Step::Junk { from, len } => self.net.write(self.clients[usize::from(from)].0, pattern(len)),
        }
    }

    /// Everybody leaves; after a while nothing is left.
    fn part(mut self) {
        self.net.hold_dials = false;
        self.net.answer_dials();
        self.net.run();
        for end in 0..self.net.ends.len() {
            self.net.lose(end);
        }
        // The relays leave each other when their links have been idle for an hour.
        self.net.seconds(4000);
        for node in &self.net.nodes {
            node.shards[0].assert_empty();
        }
        self.check_signals();
        assert_eq!(self.net.leases, 0, "each lease is given back");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    /// RLY-54
    #[test]
    fn nothing_is_left_whatever_happens(small in any::<bool>(), steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(if small { 8_000 } else { 256 << 10 });
        for step in steps {
            world.act(step);
        }
        world.part();
    }
}
