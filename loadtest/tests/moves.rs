//! Links that move to another shard while they speak.

mod support;

use std::{
    io::Read,
    net::Shutdown,
    sync::atomic::{AtomicUsize, Ordering},
};

use chappe_load::wire::{self, Event, Flag, SendHead, Start};
use support::{Relay, end::End};

const MOVES: f64 = 10_000.0;
/// Each has a callee, and one caller after the other.
const THREADS: usize = 4;
/// A caller's messages, written in a few pieces, none of them at a frame's end.
const MESSAGES: usize = 6;
const SIZE: usize = 300;

fn octet(message: usize, at: usize) -> u8 {
    b'a' + ((message * 7 + at) % 26) as u8
}

/// What a caller writes, and where it takes breath.
fn messages(to: &str, caller: &End, random: &mut fastrand::Rng) -> (Vec<u8>, Vec<usize>) {
    let head = SendHead::new(to.as_bytes(), caller.uri.as_bytes());
    let mut out = Vec::new();
    for number in 0..MESSAGES {
        let transaction = format!("move{number:04}");
        let headers = b"Content-Type: text/plain\r\n";
        let all = Some(SIZE as u64);
        head.write(&mut out, transaction.as_bytes(), transaction.as_bytes(), (1, all, SIZE as u64), headers);
        out.extend((0..SIZE).map(|at| octet(number, at)));
        SendHead::end(&mut out, transaction.as_bytes(), Flag::Complete);
    }
    let mut cuts: Vec<usize> = (0..3).map(|_| random.usize(1..out.len())).collect();
    cuts.push(out.len());
    cuts.sort_unstable();
    (out, cuts)
}

/// One caller's life: all its messages arrive, in order, and are answered.
fn call(relay: &Relay, callee: &mut End, token: &str, random: &mut fastrand::Rng) {
    let mut caller = End::connect(relay, "caller");
    caller.socket.set_nodelay(true).unwrap();
    let (octets, cuts) = messages(&format!("{token} {}", callee.uri), &caller, random);
    let mut at = 0;
    for cut in cuts {
        caller.write(&octets[at..cut]);
        at = cut;
        for _ in 0..random.usize(0..3) {
            std::thread::yield_now();
        }
    }
    let (mut answers, mut got) = (Vec::new(), Vec::new());
    let own = callee.uri.clone();
    callee.read_all(MESSAGES, |event| match event {
        Event::Head(head) => {
            assert_eq!(head.start, Start::Request(b"SEND"));
            wire::response(&mut answers, head.transaction, b"200 OK", wire::first(head.from_path), own.as_bytes());
        }
        Event::Body(octets) => got.extend_from_slice(octets),
        Event::End(_) => {}
    });
    let sent: Vec<u8> = (0..MESSAGES).flat_map(|number| (0..SIZE).map(move |at| octet(number, at))).collect();
    assert!(got == sent, "octets lost, changed or out of order");
    callee.write(&answers);
    let mut answered = Vec::new();
    caller.read(MESSAGES, |head| {
        assert_eq!(head.start, Start::Response(200));
        answered.push(head.transaction.to_vec());
    });
    assert!(answered.iter().enumerate().all(|(n, transaction)| *transaction == format!("move{n:04}").into_bytes()));
    // The next caller would be refused with 506 if it came while this one still has the session.
    caller.socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(caller.socket.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn ten_thousand_links_move_while_they_speak_and_nothing_is_lost() {
    let relay = Relay::with("\"MD5\"", 2);
    let (calls, moved) = (AtomicUsize::new(0), || relay.metric("chappe_links_moved_total", ""));
    std::thread::scope(|threads| {
        for number in 0..THREADS {
            let (relay, calls, moved) = (&relay, &calls, &moved);
            threads.spawn(move || {
                let mut random = fastrand::Rng::with_seed(number as u64);
                let mut callee = End::connect(relay, &format!("callee{number}"));
                let token = callee.authenticate(relay);
                // The kernel deals callers out to both shards; half of them have to move.
                for _ in 0..100 {
                    for _ in 0..100 {
                        call(relay, &mut callee, &token, &mut random);
                        calls.fetch_add(1, Ordering::Relaxed);
                    }
                    if moved() >= MOVES {
                        break;
                    }
                }
            });
        }
    });
    println!("{}: {} callers, {} moves", support::engine(), calls.load(Ordering::Relaxed), moved());
    assert!(moved() >= MOVES, "{} moves", moved());
    // What is not answered is not pending either.
    assert_eq!(relay.metric("chappe_pending_sends", ""), 0.0);
}
