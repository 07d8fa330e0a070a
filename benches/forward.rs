//! What the core costs per message: routing alone, the whole way through a relay with both answers, and AUTH.

mod scene;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scene::Scene;

#[allow(clippy::disallowed_methods)] // Only the route is timed, not how the scene comes to rest.
fn route(c: &mut Criterion) {
    let mut scene = Scene::new();
    let frame = scene.message(&[b'x'; 200], "no");
    c.bench_function("route/200 B", |b| {
        b.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                let start = Instant::now();
                scene.route(black_box(&frame));
                spent += start.elapsed();
                scene.rest();
            }
            spent
        });
    });
}

fn forward(c: &mut Criterion) {
    for (name, length) in [("200 B", 200), ("2 KiB", 2 << 10), ("64 KiB", 64 << 10)] {
        for batch in [1, 16] {
            let mut scene = Scene::new();
            let input = bytes::Bytes::from(scene.message(&vec![b'x'; length], "yes").repeat(batch));
            let mut group = c.benchmark_group("forward");
            group.throughput(Throughput::Elements(batch as u64));
            scene.forward(&input);
            assert!(scene.forwarded >= batch && scene.answered > 0);
            group.bench_function(format!("{name} by {batch}"), |b| b.iter(|| scene.forward(black_box(&input))));
            group.finish();
        }
    }
}

fn auth(c: &mut Criterion) {
    let mut scene = Scene::new();
    c.bench_function("auth", |b| b.iter(|| scene.authorize()));
}

criterion_group!(benches, route, forward, auth);
criterion_main!(benches);
