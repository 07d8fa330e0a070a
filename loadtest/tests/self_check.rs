//! The generator notices what a relay can do wrong: a proxy between caller and callee does each of these wrongs once, and the
//! run must tell of it by its name; and of nothing else. There is no relay here, so that nobody else's care helps.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use chappe_load::{
    book::{Book, Time},
    engine::{Engine, Watcher},
    scenario::Scenario,
    target::{Hop, Target},
};
use rstest::rstest;

/// Which frame is chosen: the so-manieth of its kind.
const CHOSEN: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Misdeed {
    None,
    FlipBit { body_octet: usize, bit: u8 },
    Drop(&'static str),
    Duplicate(&'static str),
    SwapWithNext,
    Replace(&'static str, &'static str, &'static str),
    Shorten,
    CloseLink,
    ForgeReport,
}

use Misdeed::{CloseLink, Drop, Duplicate, FlipBit, ForgeReport, Replace, Shorten, SwapWithNext};

impl Misdeed {
    /// The begin of the frames among which one is chosen.
    fn kind(self) -> &'static str {
        match self {
            Drop(kind) | Duplicate(kind) | Replace(kind, ..) => kind,
            _ => "SEND",
        }
    }

    /// What becomes of the chosen frame; what is held back leaves after the next frame.
    fn commit(self, frame: Vec<u8>, held: &mut Vec<u8>) -> Option<Vec<u8>> {
        let body = find(&frame, b"\r\n\r\n").map_or(frame.len(), |at| at + 4);
        match self {
            Misdeed::None => Some(frame),
            FlipBit { body_octet, bit } => {
                let mut frame = frame;
                frame[body + body_octet] ^= 1 << bit;
                Some(frame)
            }
            Drop(_) => Some(Vec::new()),
            Duplicate(_) => Some([frame.clone(), frame].concat()),
            SwapWithNext => {
                *held = frame;
                Some(Vec::new())
            }
            Replace(_, from, to) => {
                let at = find(&frame, from.as_bytes()).unwrap_or_else(|| panic!("no {from} in the frame"));
                Some([&frame[..at], to.as_bytes(), &frame[at + from.len()..]].concat())
            }
            Shorten => Some([&frame[..body + 10], &frame[body + 11..]].concat()),
            CloseLink => None,
            ForgeReport => Some(frame),
        }
    }
}

fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}

/// The length of the first frame, if it is whole.
fn frame_length(octets: &[u8]) -> Option<usize> {
    let transaction = octets.get(5..)?.split(|&octet| octet == b' ').next()?;
    let end = find(octets, &[b"-------", transaction].concat())? + 7 + transaction.len() + 3;
    (octets.len() >= end).then_some(end)
}

/// A receipt for a SEND that its receiver has not seen.
fn forged_report(send: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(send);
    let value = |name: &str| text.split("\r\n").find_map(|line| line.strip_prefix(name)).unwrap();
    let (to, from, id) = (value("From-Path: "), value("To-Path: "), value("Message-ID: "));
    format!(
        "MSRP forged01 REPORT\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: {id}\r\nByte-Range: 1-200/200\r\n\
         Status: 000 200 OK\r\n-------forged01$\r\n"
    )
    .into_bytes()
}

/// Passes frames on in one direction.
fn pass(mut from: TcpStream, mut to: TcpStream, misdeed: Misdeed, seen: &AtomicUsize) -> std::io::Result<()> {
    let (mut octets, mut room, mut held) = (Vec::new(), vec![0; 65536], Vec::new());
    loop {
        let length = from.read(&mut room)?;
        if length == 0 {
            return to.shutdown(std::net::Shutdown::Write);
        }
        octets.extend_from_slice(&room[..length]);
        while let Some(length) = frame_length(&octets) {
            let mut frame: Vec<u8> = octets.drain(..length).collect();
            let kind = frame.split(|&octet| octet == b' ').nth(2).unwrap_or_default();
            if kind.starts_with(misdeed.kind().as_bytes()) && seen.fetch_add(1, Ordering::Relaxed) == CHOSEN {
                if misdeed == ForgeReport {
                    from.write_all(&forged_report(&frame))?;
                }
                match misdeed.commit(frame, &mut held) {
                    Some(changed) => frame = changed,
                    None => return to.shutdown(std::net::Shutdown::Both),
                }
            } else {
                frame.append(&mut held);
            }
            to.write_all(&frame)?;
        }
    }
}

/// A proxy in front of `upstream`, which is told later.
fn proxy(listener: TcpListener, upstream: SocketAddr, misdeed: Misdeed) {
    thread::spawn(move || {
        let seen = Arc::new(AtomicUsize::new(0));
        for caller in listener.incoming() {
            let (caller, callee) = (caller.unwrap(), TcpStream::connect(upstream).unwrap());
            for (from, to) in [(&caller, &callee), (&callee, &caller)] {
                let (from, to, seen) = (from.try_clone().unwrap(), to.try_clone().unwrap(), seen.clone());
                // An error means that one of the links has gone, and then so does this direction.
                thread::spawn(move || pass(from, to, misdeed, &seen));
            }
        }
    });
}

struct Nobody;

impl Watcher for Nobody {
    fn set_up(&mut self) {}
    fn begin(&mut self) {}
    fn tick(&mut self, _: Time, _: &str, _: &mut Book) -> bool {
        true
    }
    fn end(&mut self) {}
}

/// The kinds of errors that a run has told of, with their numbers, and how many messages went well.
fn run(misdeed: Misdeed, message: &str) -> (Vec<(String, u64)>, u64) {
    let text = format!(
        "about = \"a\"\n[sessions]\ncount = 1\n[load]\nwindow = 4\nwarm_up = \"0s\"\nduration = \"300ms\"\npatience = \"1s\"\n\
         [[messages]]\n{message}\n"
    );
    let scenario = Scenario::parse(&text, "self-check", &[]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target {
        relay: Hop { address: listener.local_addr().unwrap(), name: "localhost".to_owned() },
        caller_relay: None,
        listen: Some("127.0.0.1:0".parse().unwrap()),
        client_tls: None,
        server_tls: None,
        users: Vec::new(),
        digest: None,
        sources: Vec::new(),
    };
    let engine = Engine::new(&scenario, &target, 7).unwrap();
    proxy(listener, engine.listen_address().unwrap(), misdeed);
    let measured = engine.run(&mut Nobody).unwrap();
    let faults = measured.book.faults.by_kind();
    (faults.into_iter().map(|(kind, fault)| (kind, fault.count)).collect(), measured.book.delivered.0)
}

const PLAIN: &str = "size = \"200B\"";
const REPORTED: &str = "size = \"200B\"\nsuccess_report = true";
const REFUSED: &str = "size = \"200B\"\nrefuse = 1.0";
const CHUNKED: &str = "size = \"500B\"\nchunk = \"100B\"";

#[rstest]
#[case::plain(PLAIN)]
#[case::reported(REPORTED)]
#[case::chunked(CHUNKED)]
#[case::empty("size = \"0B\"\nsuccess_report = true")]
#[case::large("size = \"1MiB\"\nchunk = \"64KiB\"\ncontent_type = \"application/octet-stream\"")]
#[case::silent("size = \"200B\"\nfailure_report = \"no\"")]
#[case::partial("size = \"200B\"\nfailure_report = \"partial\"")]
#[case::partial_in_many_chunks("size = \"1MiB\"\nchunk = \"10000B\"\nfailure_report = \"partial\"")]
#[case::aborted("size = \"5000B\"\nchunk = \"1000B\"\nabort = 0.5")]
fn an_honest_proxy_is_not_blamed(#[case] message: &str) {
    let (faults, delivered) = run(Misdeed::None, message);
    assert_eq!(faults, []);
    assert!(delivered > 3, "{delivered} messages");
}

#[test]
fn messages_that_are_refused_on_purpose_are_no_errors() {
    assert_eq!(run(Misdeed::None, REFUSED), (vec![], 0));
}

#[rstest]
#[case::first_bit(FlipBit { body_octet: 0, bit: 0 }, PLAIN, &[("body-mismatch", 1)])]
#[case::last_bit(FlipBit { body_octet: 199, bit: 7 }, PLAIN, &[("body-mismatch", 1)])]
#[case::lost_octet(Shorten, PLAIN, &[("body-mismatch", 1), ("lost", 1), ("wrong-flag", 1), ("wrong-range", 1)])]
#[case::dropped(Drop("SEND"), PLAIN, &[("lost", 1), ("no-response", 1)])]
#[case::dropped_chunk(Drop("SEND"), CHUNKED, &[("lost", 1), ("no-response", 1), ("reordered", 1)])]
#[case::duplicated(Duplicate("SEND"), PLAIN, &[("duplicate", 1), ("unexpected-response", 1)])]
#[case::duplicated_chunk(Duplicate("SEND"), CHUNKED, &[("duplicate", 1), ("unexpected-response", 1)])]
#[case::swapped(SwapWithNext, PLAIN, &[("reordered", 1)])]
#[case::swapped_chunks(SwapWithNext, CHUNKED, &[("reordered", 2)])]
#[case::range_begin(Replace("SEND", "Byte-Range: 1-200/", "Byte-Range: 2-201/"), PLAIN,
    &[("body-mismatch", 1), ("lost", 1), ("reordered", 1), ("wrong-flag", 1)])]
#[case::range_end(Replace("SEND", "-200/", "-199/"), PLAIN, &[("wrong-range", 1)])]
#[case::range_total(Replace("SEND", "/200", "/201"), PLAIN, &[("wrong-range", 1)])]
#[case::no_range(Replace("SEND", "Byte-Range", "Byte-Rango"), PLAIN, &[("wrong-range", 1)])]
#[case::flag(Replace("SEND", "$\r\n", "#\r\n"), PLAIN, &[("wrong-flag", 1)])]
#[case::no_end(Replace("SEND", "$\r\n", "+\r\n"), PLAIN, &[("lost", 1)])]
#[case::type_of_content(Replace("SEND", "text/plain", "text/plane"), PLAIN, &[("wrong-header", 1)])]
#[case::report_not_wanted(Replace("SEND", "Success-Report: yes", "Success-Report: no"), REPORTED, &[("wrong-header", 1)])]
#[case::from_path(Replace("SEND", "From-Path: msrp:", "From-Path: msrx:"), PLAIN, &[("wrong-path", 1)])]
#[case::no_report(Drop("REPORT"), REPORTED, &[("missing-report", 1)])]
#[case::two_reports(Duplicate("REPORT"), REPORTED, &[("unexpected-report", 1)])]
#[case::report_of_failure(Replace("REPORT", "000 200 OK", "000 408 No"), REPORTED, &[("failed-408", 1)])]
#[case::report_of_less(Replace("REPORT", "1-200/", "1-100/"), REPORTED, &[("wrong-report", 1)])]
#[case::forged_report(ForgeReport, REPORTED, &[("unexpected-report", 1)])]
#[case::report_of_another(Replace("REPORT", "From-Path: msrp:", "From-Path: msrx:"), REPORTED, &[("wrong-path", 1)])]
#[case::report_unfinished(Replace("REPORT", "$\r\n", "+\r\n"), REPORTED, &[("wrong-flag", 1)])]
#[case::answer_unfinished(Replace("200", "$\r\n", "#\r\n"), PLAIN, &[("wrong-flag", 1)])]
#[case::no_answer(Drop("200"), PLAIN, &[("no-response", 1)])]
#[case::two_answers(Duplicate("200"), PLAIN, &[("unexpected-response", 1)])]
#[case::refusal(Replace("200", "200 OK", "501 No"), PLAIN, &[("refused-501", 1)])]
#[case::refusal_lost(Drop("413"), REFUSED, &[("missing-failure", 1), ("no-response", 1)])]
#[case::refusal_hidden(Replace("413", "413 Stop", "200 OK"), REFUSED, &[("missing-failure", 1)])]
#[case::answer_of_another(Replace("200", "From-Path: msrp:", "From-Path: msrx:"), PLAIN, &[("wrong-path", 1)])]
fn a_misdeed_is_noticed(#[case] misdeed: Misdeed, #[case] message: &str, #[case] expected: &[(&str, u64)]) {
    let (faults, delivered) = run(misdeed, message);
    let faults: Vec<(&str, u64)> = faults.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(faults, expected, "after {delivered} messages");
}

#[rstest]
#[case::closed(CloseLink, "link-closed")]
#[case::no_msrp(Replace("SEND", "MSRP ", "MSRX "), "malformed")]
fn the_end_of_a_link_is_noticed_and_all_that_is_lost_with_it(#[case] misdeed: Misdeed, #[case] expected: &str) {
    let (faults, _) = run(misdeed, PLAIN);
    let (lost, others): (Vec<_>, Vec<_>) = faults.into_iter().partition(|(kind, _)| kind == "lost");
    assert_eq!(others, [(expected.to_owned(), 1)]);
    assert!(matches!(lost[..], [(_, 1..=4)]), "{lost:?}");
}
