//! A bad network between two relays: far, lossy, blocked for a while, cut.

use std::time::Duration;

use chappe::client::{Event, SendOptions};
use chappe::msrp::Status;
use tokio::time::timeout;

use crate::proxy::{Proxy, Road, Weather};
use crate::scene::{Bystanders, PEER, Pair, one_shard, reported, reports_made, send};
use crate::support::{Authority, PATIENCE, Relay, Wish, next_message};

/// Two relays with a network between them.
struct Distance {
    proxy: Proxy,
    north: Relay,
    south: Relay,
}

impl Distance {
    async fn new(authority: &Authority, weather: Weather, limits: &'static str) -> Distance {
        let proxy = Proxy::new(weather).await;
        let north = Relay::start(authority, &Wish { extra: PEER, ..one_shard(limits) });
        // What the southern relay hands out leads through the proxy.
        let listen = format!("advertise = \"localhost:{}\"", proxy.address.port());
        let south = Relay::start(authority, &Wish { extra: PEER, listen: &listen, ..one_shard(limits) });
        proxy.lead_to(south.tls);
        Distance { proxy, north, south }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delay_and_loss_cost_time_and_nothing_else() {
    let authority = Authority::new();
    let weather = Weather { delay: Duration::from_millis(40), loss: 25 };
    let d = Distance::new(&authority, weather, "").await;
    let bystanders = Bystanders::at(&d.north, &authority).await;
    let pair = Pair::new(&d.north, &d.south, &authority).await;
    for n in 0..10 {
        pair.talk(&format!("far away {n}")).await;
    }
    // A file one way and chat the other way and beside it.
    let octet = |i: u64| (i * 31 % 251) as u8;
    let file: Vec<u8> = (0..1_500_000).map(octet).collect();
    let options = SendOptions { chunk: 20_000, window: 32, success_report: true, ..SendOptions::default() };
    let sending = pair.alice.send_message(&pair.to_bob, Some("application/octet-stream"), file, options).await;
    let receive = async {
        let mut got = 0;
        loop {
            match pair.bob.event().await.expect("an event") {
                Event::Octets { offset, octets, .. } => {
                    assert_eq!(offset, got, "in order");
                    assert!(octets.iter().zip(offset..).all(|(o, i)| *o == octet(i)));
                    got += octets.len() as u64;
                }
                Event::Message(_) => return got,
                _ => {}
            }
        }
    };
    let back = async {
        for n in 0..10 {
            let sending = send(&pair.bob, &pair.to_alice, &format!("back {n}")).await;
            assert_eq!(next_message(&pair.alice).await.body.as_deref(), Some(format!("back {n}").as_bytes()));
            timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("accepted");
        }
    };
    let (got, ()) = tokio::join!(timeout(3 * PATIENCE, receive), back);
    assert_eq!(got.expect("in time"), 1_500_000);
    let progress = timeout(PATIENCE, sending.expect("sent").outcome()).await.expect("in time").expect("delivered");
    assert!(progress.reported());
    assert_eq!(reports_made(&d.north) + reports_made(&d.south), 0.0, "nothing has failed");
    bystanders.finish("delay and loss").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_shorter_than_the_answer_timer_is_no_failure() {
    let authority = Authority::new();
    let d = Distance::new(&authority, Weather::default(), "").await;
    let bystanders = Bystanders::at(&d.north, &authority).await;
    let pair = Pair::new(&d.north, &d.south, &authority).await;
    pair.talk("before").await;
    d.proxy.set(Road::Blocked);
    let options = || SendOptions { success_report: true, ..SendOptions::default() };
    let mut waiting = Vec::new();
    for n in 0..10 {
        let line = format!("held up {n}");
        waiting.push(pair.alice.send_message(&pair.to_bob, Some("text/plain"), line, options()).await.expect("sent"));
    }
    // The gap itself, not a wait for anything.
    tokio::time::sleep(Duration::from_secs(4)).await;
    d.proxy.set(Road::Open);
    for n in 0..10 {
        assert_eq!(next_message(&pair.bob).await.body.as_deref(), Some(format!("held up {n}").as_bytes()));
    }
    for sending in waiting {
        assert!(timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("delivered").reported());
    }
    pair.talk("after").await;
    bystanders.finish("a gap of 4 s").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_road_and_then_a_reset() {
    let authority = Authority::new();
    let mut d = Distance::new(&authority, Weather::default(), "transaction_timeout = \"2s\"").await;
    let bystanders = Bystanders::at(&d.north, &authority).await;
    let pair = Pair::new(&d.north, &d.south, &authority).await;
    pair.talk("before").await;
    d.proxy.set(Road::Blocked);
    let mut lost = Vec::new();
    for n in 0..5 {
        lost.push(send(&pair.alice, &pair.to_bob, &format!("lost {n}")).await);
    }
    for sending in &mut lost {
        reported(sending, Status::TIMEOUT, Duration::from_secs(8)).await;
    }
    d.proxy.set(Road::Cut);
    d.north.expect_log("link closed in trouble");
    // Whoever was told is not told again by the end of the link.
    assert_eq!(reports_made(&d.north), 5.0);
    d.proxy.set(Road::Open);
    // The sessions are those of before; the relays make themselves a new link.
    pair.talk("after").await;
    bystanders.finish("silence and reset").await;
}
