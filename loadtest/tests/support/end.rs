//! An end of a session that a test moves by hand.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use chappe_load::{
    digest::{Challenge, Credentials},
    wire::{self, Event, Head, Scanner},
};

use super::Relay;

pub const PATIENCE: Duration = Duration::from_secs(20);

/// One end of a session, over plain TCP.
pub struct End {
    pub socket: TcpStream,
    scanner: Scanner,
    pub uri: String,
}

impl End {
    pub fn connect(relay: &Relay, name: &str) -> End {
        let socket = TcpStream::connect(("127.0.0.1", relay.tcp)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let uri = format!("msrp://{}/{name};tcp", socket.local_addr().unwrap());
        End { socket, scanner: Scanner::default(), uri }
    }

    pub fn write(&mut self, octets: &[u8]) {
        self.socket.write_all(octets).unwrap();
    }

    /// Reads until so many whole frames have come, and tells of each head.
    pub fn read(&mut self, frames: usize, mut each: impl FnMut(&Head<'_>)) {
        self.read_all(frames, |event| {
            if let Event::Head(head) = event {
                each(head);
            }
        });
    }

    /// The same with all that is in them.
    pub fn read_all(&mut self, frames: usize, mut each: impl FnMut(&Event<'_>)) {
        let mut room = vec![0; 65536];
        let mut ended = 0;
        while ended < frames {
            let length = self.socket.read(&mut room).unwrap();
            assert!(length > 0, "the relay has closed the link");
            let told = self.scanner.feed(&room[..length], |event| {
                each(&event);
                ended += usize::from(matches!(event, Event::End(_)));
            });
            told.unwrap();
        }
        assert_eq!(ended, frames);
    }

    /// AUTH; the token's URI.
    pub fn authenticate(&mut self, relay: &Relay) -> String {
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
