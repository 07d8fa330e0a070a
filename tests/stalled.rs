//! A control plane that stands still, or fails: sessions that are there go on; if it stood still, it goes on afterwards, too.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod sip;
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{current, park_timeout};
use std::time::{Duration, Instant};

use chappe::client::{Endpoint, EndpointOptions, Listener, SendOptions};
use chappe::config::Config;
use chappe::net::inherited::Inherited;
use chappe::net::server::Server;
use chappe::observe::{Exporter, Observer, RecordWriter};
use chappe::relay::Event;
use chappe::sip::b2bua::AnchorRef;
use chappe::sip::plane::{Newsroom, Plane, THREAD};
use sip::ua::{Agent, Draft, Message, msrp_sdp};
use support::{PATIENCE, next_message};
use tokio::time::timeout;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Whether the plane's thread shall stand still where it says that a call has ended.
static STOP: AtomicBool = AtomicBool::new(false);
/// Whether it does.
static STANDS: AtomicBool = AtomicBool::new(false);
/// Whether it shall panic instead.
static PANIC: AtomicBool = AtomicBool::new(false);

/// Log lines are written by the thread that has something to say: here one of them takes as long as the test wants.
struct Gate;

/// Whether an event says this.
struct Says(&'static str, bool);

impl Visit for Says {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.1 |= field.name() == "message" && format!("{value:?}") == self.0;
    }
}

impl<S: tracing::Subscriber> Layer<S> for Gate {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut says = Says("call ended", false);
        event.record(&mut says);
        if !says.1 || current().name() != Some(THREAD) {
            return;
        }
        assert!(!PANIC.load(Ordering::Acquire), "as the test wants it");
        while STOP.load(Ordering::Acquire) {
            STANDS.store(true, Ordering::Release);
            park_timeout(Duration::from_millis(5));
        }
        STANDS.store(false, Ordering::Release);
    }
}

/// Waits for the thread to stand still, or to go on.
async fn stands(still: bool) {
    let deadline = Instant::now() + PATIENCE;
    while STANDS.load(Ordering::Acquire) != still {
        assert!(Instant::now() < deadline, "the thread stands still: {}", !still);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The parts of the process that matter here, in this one.
struct Process {
    server: Server,
    plane: Plane,
}

impl Process {
    async fn start(proxy: SocketAddr) -> Process {
        let text = format!(
            "[relay]\nshards = 2\npin = false\n[[listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n\
             [policy]\nallow_next_hops = [\"127.0.0.0/8\"]\n[sip]\noutbound_proxy = \"sip:{proxy};lr\"\n\
             [[sip.listen]]\naddress = \"127.0.0.1:0\"\n[sip.media]\naccept_loopback = true\n"
        );
        let config = Config::from_str(&text, std::path::Path::new("/nonexistent"));
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let records = Arc::new(RecordWriter::start(None).expect("no file"));
        let observer = Observer::new(Arc::new(Exporter::new()), records);
        let (newsroom, news) = Newsroom::new();
        let events = Box::new(move |event| {
            if let Event::Anchor { shard, anchor, news } = event {
                let left = newsroom.leave(AnchorRef { shard, anchor }, news);
                assert!(left || PANIC.load(Ordering::Acquire), "room for news");
            }
        });
        let none = &mut Inherited::default();
        let server = Server::start(&config, none, tokio::runtime::Handle::current(), events).expect("a server");
        let plane = Plane::start(&config, none, &server, news, observer).expect("a plane").expect("a listener");
        server.shards.accept().await.expect("the shards accept");
        plane.serve(None);
        Process { server, plane }
    }

    /// Alice calls Bob, and both connect: her 200, his INVITE, and their ends.
    async fn call(alice: &mut Agent, bob: &mut Agent) -> (Message, Message, Endpoint, Endpoint) {
        let desk = Listener::bind_tcp(([127, 0, 0, 1], 0).into()).await.expect("a listener");
        let own = "msrp://127.0.0.1:9/alice7tB2mXv9;tcp";
        let invite = alice.invite("sip:bob@east.example", &msrp_sdp(own, "active")).await;
        let got = bob.expect("INVITE").await;
        bob.answer(&got, &msrp_sdp(desk.uri(), "passive")).await;
        let ok = alice.response(&invite, 200).await;
        alice.ack(&ok).await;
        bob.expect("ACK").await;
        let place = ok.path();
        let place = place.split("://").nth(1).and_then(|rest| rest.split('/').next()).expect("a place");
        let port = place.rsplit_once(':').expect("a port").1.parse().expect("a port");
        let options = || EndpointOptions { collect: 4 << 20, ..EndpointOptions::default() };
        let there = timeout(PATIENCE, desk.accept(options())).await.expect("in time").expect("bob");
        let options = EndpointOptions { uri: Some(own.to_owned()), ..options() };
        let here = Endpoint::connect_tcp_with(([127, 0, 0, 1], port).into(), options).await.expect("the relay");
        (ok, got, here, there)
    }
}

/// Words and a report of their delivery; what bodiless SENDs say is not heard.
async fn carries(from: &Endpoint, to: &str, at: &Endpoint, words: Vec<u8>) {
    let options = SendOptions { success_report: true, ..SendOptions::default() };
    let sending = from.send_message(to, Some("text/plain"), words.clone(), options).await.expect("sent");
    loop {
        let body = next_message(at).await.body.expect("a whole body");
        if !body.is_empty() {
            assert_eq!(body.to_vec(), words);
            break;
        }
    }
    assert!(timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("delivered").reported());
}

#[tokio::test]
async fn a_plane_that_stands_still_or_fails_stops_no_session() {
    let debug = tracing_subscriber::filter::LevelFilter::DEBUG;
    let gate = tracing_subscriber::registry().with(Gate.with_filter(debug));
    tracing::subscriber::set_global_default(gate).expect("the only one");
    let mut bob = Agent::udp("bob").await;
    let Process { server, mut plane } = Process::start(bob.address()).await;
    let mut alice = Agent::udp("alice").await.through(plane.listening[0].1);
    let (ok, got, here, there) = Process::call(&mut alice, &mut bob).await;
    let (other, ..) = Process::call(&mut alice, &mut bob).await;
    // The plane stands still in the middle of the end of another call.
    STOP.store(true, Ordering::Release);
    let bye = alice.within(&other, "BYE", Draft::new()).await;
    stands(true).await;
    let info = alice.within(&ok, "INFO", Draft::new()).await;
    for n in 0..50 {
        carries(&here, &ok.path(), &there, format!("there {n}").into_bytes()).await;
        carries(&there, &got.path(), &here, format!("back {n}").into_bytes()).await;
    }
    let file: Vec<u8> = (0..2u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    carries(&here, &ok.path(), &there, file).await;
    // Who asks is not kept waiting, not even when all room for orders is taken.
    for _ in 0..20 {
        let _ = timeout(Duration::from_millis(10), plane.calls()).await;
    }
    assert_eq!(timeout(PATIENCE, plane.calls()).await, Ok(1), "it may have some");
    assert!(timeout(PATIENCE, plane.room()).await.expect("in time").is_none(), "and a reload is refused");
    timeout(PATIENCE, plane.drain()).await.expect("in time");
    assert!(STANDS.load(Ordering::Acquire), "all the time");
    bob.quiet();
    // It goes on where it was, with what has waited for it.
    STOP.store(false, Ordering::Release);
    stands(false).await;
    alice.response(&bye, 200).await;
    let heard = bob.expect("BYE").await;
    bob.reply(&heard, 200).await;
    let passed = bob.expect("INFO").await;
    bob.reply(&passed, 200).await;
    alice.response(&info, 200).await;
    carries(&here, &ok.path(), &there, b"after".to_vec()).await;
    let (new, _, here, there) = Process::call(&mut alice, &mut bob).await;
    carries(&here, &new.path(), &there, b"a new one".to_vec()).await;
    for call in [&ok, &new] {
        let bye = alice.within(call, "BYE", Draft::new()).await;
        alice.response(&bye, 200).await;
        let heard = bob.expect("BYE").await;
        bob.reply(&heard, 200).await;
    }
    assert_eq!(plane.calls().await, 0);
    // It fails, again in the middle of the end of another call.
    let (last, back, here, there) = Process::call(&mut alice, &mut bob).await;
    let (other, ..) = Process::call(&mut alice, &mut bob).await;
    PANIC.store(true, Ordering::Release);
    alice.within(&other, "BYE", Draft::new()).await;
    timeout(PATIENCE, plane.failed()).await.expect("it fails");
    for n in 0..50 {
        carries(&here, &last.path(), &there, format!("there {n}").into_bytes()).await;
        carries(&there, &back.path(), &here, format!("back {n}").into_bytes()).await;
    }
    assert_eq!(plane.calls().await, 0, "nobody is there to have one");
    server.shards.stop().await.expect("the shards end");
    server.ended().await;
}
