//! What a record costs: our record layer and rustls' own connection, side by side, TLS 1.3 with AES-128-GCM as most peers
//! agree on it.

use std::hint::black_box;
use std::io::{BufRead, IoSlice, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use chappe::net::tls::{ServerOptions, ServerSide, Tls, development};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

const NAME: &str = "relay.example";

const SIZES: [(&str, usize); 3] = [("200 B", 200), ("2 KiB", 2 << 10), ("16 KiB", 16 << 10)];

/// Our server and rustls' client after their handshake.
struct Ends {
    ours: Tls,
    theirs: ClientConnection,
    plain: BytesMut,
}

/// rustls as a client of the server whose authority this is.
fn client(ca: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).expect("PEM")).expect("a root");
    let suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let provider = CryptoProvider { cipher_suites: suites, ..aws_lc_rs::default_provider() };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

impl Ends {
    fn new() -> Self {
        let (ca, identity) = development::in_memory(NAME).expect("a certificate");
        let server = ServerSide::new(&identity, ServerOptions::default()).expect("a server");
        Self::joined(&server, &client(&ca))
    }

    fn joined(server: &ServerSide, config: &Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from(NAME).expect("a name");
        let theirs = ClientConnection::new(Arc::clone(config), name).expect("a client");
        let mut ends = Self { ours: Tls::accept(server), theirs, plain: BytesMut::with_capacity(64 << 10) };
        ends.theirs.set_buffer_limit(None);
        while ends.ours.handshaking() || ends.ours.wants_write() || ends.theirs.wants_write() {
            let mut wire = Vec::new();
            ends.they_write(&mut wire);
            ends.ours.open(&wire, &mut ends.plain).expect("a handshake");
            wire.clear();
            ends.ours.seal_pending(&mut wire);
            ends.they_open(&wire);
        }
        ends
    }

    fn they_write(&mut self, wire: &mut Vec<u8>) {
        while self.theirs.wants_write() {
            self.theirs.write_tls(wire).expect("memory");
        }
    }

    /// As the relay sealed with rustls before it had a record layer.
    fn they_seal(&mut self, parts: &[IoSlice<'_>], wire: &mut Vec<u8>) {
        let _ = self.theirs.writer().write_vectored(parts).expect("sealed");
        self.they_write(wire);
    }

    /// As the relay opened with rustls before it had a record layer.
    fn they_open(&mut self, mut wire: &[u8]) {
        while !wire.is_empty() {
            self.theirs.read_tls(&mut wire).expect("room");
            self.theirs.process_new_packets().expect("a record");
            let mut reader = self.theirs.reader();
            while let Ok(chunk) = reader.fill_buf() {
                let length = chunk.len();
                if length == 0 {
                    break;
                }
                self.plain.put_slice(chunk);
                reader.consume(length);
            }
        }
    }
}

fn group<'a>(c: &'a mut Criterion, what: &str, size: &str, length: usize) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(format!("{what}/{size}"));
    group.throughput(Throughput::Bytes(length as u64));
    group
}

fn seal(c: &mut Criterion) {
    for (size, length) in SIZES {
        let mut ends = Ends::new();
        let (head, body) = (vec![b'h'; length / 8], vec![b'b'; length - length / 8]);
        let parts = [IoSlice::new(&head), IoSlice::new(&body)];
        let mut wire = Vec::new();
        let mut group = group(c, "seal", size, length);
        group.bench_function("ours", |b| {
            b.iter(|| {
                wire.clear();
                ends.ours.seal(black_box(&parts), &mut wire).expect("sealed");
            });
        });
        group.bench_function("rustls", |b| {
            b.iter(|| {
                wire.clear();
                ends.they_seal(black_box(&parts), &mut wire);
            });
        });
        group.finish();
    }
}

/// Records can be opened once and in their order only, so some are sealed, and then the time for opening those is taken.
#[allow(clippy::disallowed_methods)]
fn time(
    ends: &mut Ends,
    times: u64,
    seal: impl Fn(&mut Ends, &mut Vec<u8>),
    open: impl Fn(&mut Ends, &[u8]),
) -> Duration {
    let (mut spent, mut left) = (Duration::ZERO, times);
    let mut wires = vec![Vec::new(); 32];
    while left > 0 {
        let some = left.min(wires.len() as u64) as usize;
        left -= some as u64;
        wires[..some].iter_mut().for_each(|wire| {
            wire.clear();
            seal(ends, wire);
        });
        let start = Instant::now();
        for wire in &wires[..some] {
            ends.plain.clear();
            open(ends, black_box(wire));
        }
        spent += start.elapsed();
    }
    spent
}

fn open(c: &mut Criterion) {
    for (size, length) in SIZES {
        let content = vec![b'x'; length];
        let parts = [IoSlice::new(&content)];
        let mut group = group(c, "open", size, length);
        let mut ends = Ends::new();
        let seal = |ends: &mut Ends, wire: &mut Vec<u8>| ends.they_seal(&parts, wire);
        let open = |ends: &mut Ends, wire: &[u8]| {
            ends.ours.open(wire, &mut ends.plain).expect("opened");
        };
        group.bench_function("ours", |b| b.iter_custom(|times| time(&mut ends, times, seal, open)));
        let mut ends = Ends::new();
        let seal = |ends: &mut Ends, wire: &mut Vec<u8>| ends.ours.seal(&parts, wire).expect("sealed");
        let open = |ends: &mut Ends, wire: &[u8]| ends.they_open(wire);
        group.bench_function("rustls", |b| b.iter_custom(|times| time(&mut ends, times, seal, open)));
        group.finish();
    }
}

/// Both ends of a full handshake; compare it with the same at an earlier commit.
fn handshake(c: &mut Criterion) {
    let (ca, identity) = development::in_memory(NAME).expect("a certificate");
    let server = ServerSide::new(&identity, ServerOptions::default()).expect("a server");
    let config = client(&ca);
    c.bench_function("handshake", |b| b.iter(|| Ends::joined(&server, &config)));
}

criterion_group!(benches, seal, open, handshake);
criterion_main!(benches);
