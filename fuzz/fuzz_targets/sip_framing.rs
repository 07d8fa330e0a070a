//! Octets from a SIP socket: nothing panics, a stream gives the same however it is split, and what is handed on is in a form
//! that reads as itself.
#![no_main]

use std::net::SocketAddr;

use chappe::moment::Moment;
use chappe::sip::answer::Answers;
use chappe::sip::framing::{Broken, Fault, Framed, Limits, Stream, datagram};
use chappe::sip::gate;
use libfuzzer_sys::fuzz_target;

const NOW: Moment = Moment::from_nanos(1);

fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>, source: SocketAddr, limits: Limits) -> Vec<Framed> {
    let mut stream = Stream::new(source, limits);
    let mut found = Vec::new();
    for piece in pieces {
        stream.push(piece, NOW);
        while let Some(framed) = stream.next(NOW) {
            found.push(framed);
        }
    }
    found
}

fn answered(broken: &Broken) {
    let Some(echo) = &broken.echo else { return };
    let Some(answer) = Answers::default().refuse(echo, broken.fault) else { return };
    assert!(answer.starts_with(b"SIP/2.0 ") && answer.ends_with(b"\r\nContent-Length: 0\r\n\r\n"));
    assert!(!answer.windows(4).rev().skip(1).any(|w| w == b"\r\n\r\n"), "nothing ends the response early");
}

fuzz_target!(|data: &[u8]| {
    let [cut, octets @ ..] = data else { return };
    let source: SocketAddr = ([192, 0, 2, 1], 5061).into();
    let limits = Limits { start_line: 200, headers: 20, head: 1000, body: 200, ..Limits::default() };

    match datagram(octets, source, &limits) {
        Some(Ok(message)) => {
            let again = datagram(&message.octets, source, &Limits::default()).unwrap().unwrap();
            assert_eq!(again, message);
            if let Err(fault) = gate::check(&message) {
                answered(&Broken { fault, echo: message.echo });
            }
        }
        Some(Err(broken)) => answered(&broken),
        None => assert!(octets.iter().all(|b| b"\r\n".contains(b))),
    }

    let whole = frames(std::iter::once(octets), source, limits);
    assert_eq!(frames(octets.chunks(usize::from(*cut).max(1)), source, limits), whole);
    for framed in whole {
        match framed {
            Framed::Message(message) => {
                let again = frames(std::iter::once(&*message.octets), source, Limits::default());
                assert_eq!(again, [Framed::Message(message)]);
            }
            Framed::Broken(broken) | Framed::Lost(broken) => {
                assert_ne!(broken.fault, Fault::HeadOpen);
                answered(&broken);
            }
            Framed::Ping => {}
        }
    }
});
