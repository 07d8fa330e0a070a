//! How many system calls the relay makes for a message, by its own counter: one read for what is there, one write for each
//! link that got something.

mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use chappe_load::{
    digest::{Challenge, Credentials},
    wire::{self, Event, Flag, Head, Scanner, SendHead, Start},
};
use support::Relay;

/// Links on either side.
const SESSIONS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(20);

/// One end of a session, over plain TCP.
struct End {
    socket: TcpStream,
    scanner: Scanner,
    uri: String,
}

impl End {
    fn connect(relay: &Relay, name: &str) -> End {
        let socket = TcpStream::connect(("127.0.0.1", relay.tcp)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let uri = format!("msrp://{}/{name};tcp", socket.local_addr().unwrap());
        End { socket, scanner: Scanner::default(), uri }
    }

    fn write(&mut self, octets: &[u8]) {
        self.socket.write_all(octets).unwrap();
    }

    /// Reads until so many whole frames have come, and tells of each head.
    fn read(&mut self, frames: usize, mut each: impl FnMut(&Head<'_>)) {
        let mut room = vec![0; 65536];
        let mut ended = 0;
        while ended < frames {
            let length = self.socket.read(&mut room).unwrap();
            assert!(length > 0, "the relay has closed the link");
            let told = self.scanner.feed(&room[..length], |event| match event {
                Event::Head(head) => each(head),
                Event::End(_) => ended += 1,
                Event::Body(_) => {}
            });
            told.unwrap();
        }
        assert_eq!(ended, frames);
    }

    /// AUTH; the token's URI.
    fn authenticate(&mut self, relay: &Relay) -> String {
        let hop = format!("msrp://localhost:{};tcp", relay.tcp);
        let mut out = Vec::new();
        wire::auth(&mut out, b"auth0001", hop.as_bytes(), self.uri.as_bytes(), None);
        self.write(&out);
        let mut challenge = None;
        self.read(1, |head| challenge = Challenge::choose(head.all("WWW-Authenticate"), None));
        let user = Credentials { user: "alice".to_owned(), password: "secret".to_owned() };
        let answer = challenge.unwrap().answer(&user, &hop, "cnonce");
        out.clear();
        wire::auth(&mut out, b"auth0002", hop.as_bytes(), self.uri.as_bytes(), Some(&answer.authorization));
        self.write(&out);
        let mut granted = String::new();
        self.read(1, |head| granted = String::from_utf8_lossy(head.all("Use-Path").next().unwrap()).into_owned());
        granted
    }
}

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
        let before = self.relay.metric("chappe_system_calls_total", "read");
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
        let read = before + 2.0 * SESSIONS as f64;
        let until = Instant::now() + PATIENCE;
        while self.relay.metric("chappe_system_calls_total", "read") < read {
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
fn a_message_costs_two_reads_and_two_writes_and_hardly_a_wait() {
    let mut sessions = Sessions::new();
    let calls = sessions.calls(1);
    println!("{calls:.2} system calls a message, one in flight");
    assert!((4.0..=4.2).contains(&calls), "{calls}");
    let calls = sessions.calls(16);
    println!("{calls:.2} system calls a message, sixteen in flight");
    assert!(calls < 1.0, "{calls}");
}
