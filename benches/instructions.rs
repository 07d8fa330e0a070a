//! Instructions per operation, counted by callgrind: the gate against regressions (`benches/instructions.sh`).
//!
//! Each benchmark does its operation [`TIMES`] times on a warm relay, so that rare work (a table that grows) weighs
//! little.

#![allow(missing_docs)] // The macros make public items without any.

mod scene;

use std::hint::black_box;

use bytes::Bytes;
use chappe::msrp::{Decoder, Event, Limits};
use gungraun::{library_benchmark, library_benchmark_group, main};
use scene::Scene;

/// Operations per benchmark; `instructions.sh` divides by it.
const TIMES: usize = 100;

fn message(length: usize, failure_report: &str) -> (Scene, Bytes) {
    let scene = Scene::new();
    let frame = scene.message(&vec![b'x'; length], failure_report);
    (scene, frame)
}

fn messages(length: usize) -> (Scene, Bytes) {
    let (scene, frame) = message(length, "yes");
    (scene, frame.repeat(16).into())
}

/// A frame and its body made of near misses of its own end-line.
fn near_miss() -> (Scene, Bytes) {
    let scene = Scene::new();
    let body = b"\r\n-------aW8dkq_ZpX1m$\r\n".repeat(65_536 / 24);
    let frame = scene.message(&body, "yes");
    (scene, frame)
}

#[library_benchmark]
#[bench::send_200(args = (200, "yes"), setup = message)]
#[bench::send_64k(args = (65_536, "yes"), setup = message)]
#[bench::near_miss_64k(near_miss())]
fn decode((scene, frame): (Scene, Bytes)) -> Scene {
    let mut decoder = Decoder::new(Limits::default());
    for _ in 0..TIMES {
        let mut frame = black_box(&frame).clone();
        while !frame.is_empty() {
            decoder.feed(frame.split_to(frame.len().min(16 << 10)));
            while let Some(event) = decoder.next().expect("a sound frame") {
                black_box::<&Event>(&event);
            }
        }
    }
    scene
}

#[library_benchmark]
#[bench::send_200(args = (200, "no"), setup = message)]
fn route((mut scene, frame): (Scene, Bytes)) -> Scene {
    for _ in 0..TIMES {
        scene.route(black_box(&frame));
        scene.rest();
    }
    scene
}

#[library_benchmark]
#[bench::send_200(args = (200, "yes"), setup = message)]
#[bench::send_200_by_16(args = (200), setup = messages)]
#[bench::send_2k(args = (2048, "yes"), setup = message)]
#[bench::send_64k(args = (65_536, "yes"), setup = message)]
fn forward((mut scene, frame): (Scene, Bytes)) -> Scene {
    for _ in 0..TIMES {
        scene.forward(black_box(&frame));
    }
    scene
}

#[library_benchmark]
#[bench::with_challenge(Scene::new())]
fn auth(mut scene: Scene) -> Scene {
    for _ in 0..TIMES {
        scene.authorize();
    }
    scene
}

library_benchmark_group!(name = core, benchmarks = [decode, route, forward, auth]);
main!(library_benchmark_groups = core);
