//! How many system calls the relay makes for a message, by its own counter: one read for what is there, one write for each
//! link that got something. A ring takes them all in one.

mod support;

use std::time::Instant;

use chappe_load::wire::{self, Flag, SendHead, Start};
use support::{
    Relay,
    end::{End, PATIENCE},
};

/// Links on either side.
const SESSIONS: usize = 100;

struct Sessions {
    relay: Relay,
    callers: Vec<End>,
    callees: Vec<End>,
    heads: Vec<SendHead>,
}

impl Sessions {
    fn new() -> Sessions {
        let relay = Relay::with("\"MD5\"", 1);
        let mut sessions = Sessions { relay, callers: Vec::new(), callees: Vec::new(), heads: Vec::new() };
        for number in 0..SESSIONS {
            let mut callee = End::connect(&sessions.relay, &format!("callee{number}"));
            let token = callee.authenticate(&sessions.relay);
            let caller = End::connect(&sessions.relay, &format!("caller{number}"));
            let to = format!("{token} {}", callee.uri);
            sessions.heads.push(SendHead::new(to.as_bytes(), caller.uri.as_bytes()));
            sessions.callers.push(caller);
            sessions.callees.push(callee);
        }
        // The first message of a session is let in and finds its way; what is measured are the later ones.
        sessions.exchange(1);
        sessions
    }

    /// Each caller sends so many messages, all of which lie there before the relay may look; then the same with the answers.
    fn exchange(&mut self, messages: usize) {
        let before = self.relay.metric("chappe_responses_total", "received");
        self.relay.signal("STOP");
        for (caller, head) in self.callers.iter_mut().zip(&self.heads) {
            let mut out = Vec::new();
            for number in 0..messages {
                let transaction = format!("send{number:04}");
                let headers = b"Content-Type: text/plain\r\n";
                head.write(&mut out, transaction.as_bytes(), transaction.as_bytes(), (1, Some(200), 200), headers);
                out.extend_from_slice(&[b'x'; 200]);
                SendHead::end(&mut out, transaction.as_bytes(), Flag::Complete);
            }
            caller.write(&out);
        }
        self.relay.signal("CONT");
        let mut answers = Vec::new();
        for callee in &mut self.callees {
            let mut out = Vec::new();
            let own = callee.uri.clone();
            callee.read(messages, |head| {
                assert_eq!(head.start, Start::Request(b"SEND"));
                wire::response(&mut out, head.transaction, b"200 OK", wire::first(head.from_path), own.as_bytes());
            });
            answers.push(out);
        }
        for caller in &mut self.callers {
            caller.read(messages, |head| assert_eq!(head.start, Start::Response(200)));
        }
        self.relay.signal("STOP");
        for (callee, answers) in self.callees.iter_mut().zip(answers) {
            callee.write(&answers);
        }
        self.relay.signal("CONT");
        let answered = before + (messages * SESSIONS) as f64;
        let until = Instant::now() + PATIENCE;
        while self.relay.metric("chappe_responses_total", "received") < answered {
            assert!(Instant::now() < until, "the relay does not read the answers");
        }
    }

    /// System calls per message, if each caller sends so many at once.
    fn calls(&mut self, messages: usize) -> f64 {
        let calls = |relay: &Relay| relay.metric("chappe_system_calls_total", "");
        let before = calls(&self.relay);
        self.exchange(messages);
        (calls(&self.relay) - before) / (SESSIONS * messages) as f64
    }
}

#[test]
fn a_message_costs_two_reads_and_two_writes_at_most_and_hardly_a_wait() {
    let mut sessions = Sessions::new();
    let calls = sessions.calls(1);
    println!("{calls:.2} system calls a message, one in flight");
    let least = if support::engine() == "io-uring" { 0.0 } else { 4.0 };
    assert!(calls > least && calls <= 4.2, "{calls}");
    let calls = sessions.calls(16);
    println!("{calls:.2} system calls a message, sixteen in flight");
    assert!(calls < 1.0, "{calls}");
}
