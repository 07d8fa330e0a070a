//! What the wire format costs per frame: heads, bodies that are plain and bodies made to be slow, forwarding.

use std::hint::black_box;

use bytes::Bytes;
use chappe::msrp::{
    ByteRange, Decoder, EndLineGuard, Event, Head, Limits, PathsOut, RangeOut, Tid, end_line, forward_request,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const TID: &str = "aW8dkq3ZpX1m";

/// A head as clients of a relay send it: about 450 octets, eight lines.
fn head() -> String {
    format!(
        "MSRP {TID} SEND\r\n\
         To-Path: msrps://relay.example.com:2855/Uy7qnC0zT1gkP9sdLw3b;tcp msrps://bob.example.com:8493/k2Vd8fJmQ5;tcp\r\n\
         From-Path: msrps://alice-laptop.example.com:7965/3jUeYq1bPz7xTgA;tcp\r\n\
         Message-ID: 8f14e45fceea167a5a36\r\n\
         Byte-Range: 1-200/200\r\n\
         Success-Report: no\r\n\
         Failure-Report: partial\r\n\
         X-Client: Example Messenger 14.2 (desktop; en-GB) build 2026.11.03; features=cpim,imdn,files,reactions\r\n\
         Content-Type: message/cpim; charset=UTF-8\r\n"
    )
}

fn frame(tid: &str, body: &[u8]) -> Bytes {
    let head = head().replace(TID, tid);
    [head.as_bytes(), b"\r\n", body, b"\r\n-------", tid.as_bytes(), b"$\r\n"].concat().into()
}

fn cycle(unit: &str, length: usize) -> Vec<u8> {
    unit.bytes().cycle().take(length).collect()
}

/// Decodes one frame that arrives in reads of 16 KiB.
fn decode(decoder: &mut Decoder, mut frame: Bytes) {
    while !frame.is_empty() {
        decoder.feed(frame.split_to(frame.len().min(16 * 1024)));
        while let Some(event) = decoder.next().expect("a sound frame") {
            if let Event::Head(head) = &event {
                assert!(head.fault().is_none());
            }
            black_box(&event);
        }
    }
}

fn decoding(c: &mut Criterion) {
    let text = "It was the best of times, it was the worst of times, it was the age of wisdom. ";
    let mut group = c.benchmark_group("decode");
    let mut measure = |name: &str, tid: &str, body: Vec<u8>| {
        let frame = frame(tid, &body);
        let mut decoder = Decoder::new(Limits::default());
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group.bench_function(name, |b| b.iter(|| decode(&mut decoder, black_box(frame.clone()))));
    };
    measure("200 B", TID, cycle(text, 200));
    measure("2 KiB", TID, cycle(text, 2048));
    measure("64 KiB", TID, cycle(text, 65_536));
    let (first, middle, last) = (&TID[1..], TID.replace('q', "_"), &TID[..TID.len() - 1]);
    measure("64 KiB of lines", TID, cycle(&format!("{}\r\n", text.trim_end()), 65_536));
    measure("64 KiB of hyphens", TID, cycle("-", 65_536));
    measure("64 KiB of CRLF", TID, cycle("\r\n", 65_536));
    measure("64 KiB near miss in the last octet", TID, cycle(&format!("\r\n-------{last}_$\r\n"), 65_536));
    measure("64 KiB near miss in the first octet", TID, cycle(&format!("\r\n-------_{first}$\r\n"), 65_536));
    measure("64 KiB near miss in the middle", TID, cycle(&format!("\r\n-------{middle}$\r\n"), 65_536));
    measure("64 KiB near miss in the flag", TID, cycle(&format!("\r\n-------{TID}*\r\n"), 65_536));
    let mixed = (0..TID.len()).map(|at| format!("\r\n-------{}_{}$\r\n", &TID[..at], &TID[at + 1..]));
    measure("64 KiB near misses in turn", TID, cycle(&mixed.collect::<String>(), 65_536));
    measure("64 KiB of beginnings", TID, cycle(&format!("\r\n-------{}", &TID[..1]), 65_536));
    measure("64 KiB of beginnings, short transact-id", "a", cycle("\r\n-------a", 65_536));
    measure("64 KiB near miss, short transact-id", "a", cycle("\r\n-------a$\r_", 65_536));
    measure("64 KiB near miss, transact-id of four", "abcd", cycle("\r\n-------abcd$\r_", 65_536));
    group.finish();
}

fn heads(c: &mut Criterion) {
    let block = Bytes::from(head());
    let limits = Limits::default();
    c.bench_function("head/parse", |b| b.iter(|| Head::parse(black_box(block.clone()), &limits)));
}

fn forwarding(c: &mut Criterion) {
    let head = Head::parse(Bytes::from(head()), &Limits::default()).expect("a sound head");
    let body = [b'x'; 200];
    let tid = Tid::parse(b"0123456789abcdef").expect("a transact-id");
    let range = ByteRange { start: 1, end: Some(200), total: Some(200) };
    c.bench_function("forward/200 B", |b| {
        b.iter_batched_ref(
            || Vec::with_capacity(4096),
            |out| {
                forward_request(out, black_box(&head), tid.as_bytes(), PathsOut::Turn(1), RangeOut::Set(range), true);
                let mut guard = EndLineGuard::new(tid);
                assert_eq!(guard.admit(black_box(&body)), body.len());
                out.extend_from_slice(&body);
                end_line(out, tid.as_bytes(), chappe::msrp::Flag::Complete, true);
            },
            BatchSize::SmallInput,
        );
    });
    let mut group = c.benchmark_group("guard");
    group.throughput(Throughput::Bytes(65_536));
    for (name, unit) in
        [("text", "It was the best of times, "), ("hyphens", "-"), ("near miss", "-------0123456789abcdeX")]
    {
        let body = cycle(unit, 65_536);
        group.bench_function(name, |b| b.iter(|| EndLineGuard::new(tid).admit(black_box(&body))));
    }
    group.finish();
}

criterion_group!(benches, heads, decoding, forwarding);
criterion_main!(benches);
