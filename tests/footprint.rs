//! Memory: it follows what the quotas account for, never the size of a message. Meaningful only at full speed.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod support;

use std::time::{Duration, Instant};

use chappe::client::{Body, Endpoint, EndpointOptions, Event, SendOptions};
use support::{Authority, PATIENCE, Relay, Wish};
use tokio::time::timeout;

const MIB: u64 = 1 << 20;

async fn connect(relay: &Relay, authority: &Authority, options: EndpointOptions) -> Endpoint {
    Endpoint::connect_tls_with(relay.tls, &relay.name, &authority.pem, None, options).await.expect("a connection")
}

/// CORE-49, RLY-81, RLY-82
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(debug_assertions, ignore = "needs a release build")]
async fn a_message_of_1_gib_keeps_memory_within_16_mib_of_idle() {
    let authority = Authority::new();
    let relay = Relay::start(&authority, &Wish::default());
    let owner = connect(&relay, &authority, EndpointOptions::default()).await;
    let grant = owner.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a grant");
    let far = connect(&relay, &authority, EndpointOptions::default()).await;
    let to = grant.own_path(owner.uri());
    far.send_message(&to, Some("text/plain"), "warm", SendOptions::default()).await.expect("sent");
    assert!(matches!(timeout(PATIENCE, owner.event()).await, Ok(Some(Event::Message(_)))));
    let idle = relay.resident();
    let length = 1024 * MIB;
    let fill = |position: u64, out: &mut [u8]| {
        for (i, o) in out.iter_mut().enumerate() {
            *o = ((position + i as u64) % 251) as u8;
        }
    };
    // One single chunk of 1 GiB: the relay cuts it.
    let options = SendOptions { chunk: length, ..SendOptions::default() };
    let body = Body::Generated { length, fill: Box::new(fill) };
    let started = Instant::now();
    let sending = far.send_message(&to, Some("application/octet-stream"), body, options).await.expect("sent");
    let mut got = 0u64;
    let mut peak = idle;
    let mut looked = 0u64;
    loop {
        match timeout(PATIENCE, owner.event()).await.expect("goes on").expect("connected") {
            Event::Octets { offset, octets, .. } => {
                assert_eq!(offset, got, "in order");
                assert!(octets.iter().enumerate().step_by(997).all(|(i, o)| *o == ((offset + i as u64) % 251) as u8));
                got += octets.len() as u64;
                if got >= looked + 16 * MIB {
                    looked = got;
                    peak = peak.max(relay.resident());
                }
            }
            Event::Message(_) => break,
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(got, length);
    timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("answered");
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "1 GiB in {seconds:.1} s ({:.0} MB/s); resident {} KiB idle, {} KiB at peak",
        length as f64 / 1e6 / seconds,
        idle >> 10,
        peak >> 10
    );
    assert!(peak - idle < 16 * MIB, "grew by {} KiB", (peak - idle) >> 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(debug_assertions, ignore = "needs a release build")]
async fn a_thousand_stalled_receivers_cost_what_the_quotas_say() {
    const RECEIVERS: usize = 1000;
    let authority = Authority::new();
    let relay = Relay::start(&authority, &Wish { relay: "", ..Wish::default() });
    let mut pairs = Vec::new();
    for _ in 0..RECEIVERS {
        // Nobody takes its events: it stops reading after one.
        let options = EndpointOptions { event_queue: 1, ..EndpointOptions::default() };
        let owner = connect(&relay, &authority, options).await;
        let grant = owner.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a grant");
        let far = connect(&relay, &authority, EndpointOptions::default()).await;
        let to = grant.own_path(owner.uri());
        pairs.push((owner, far, to));
    }
    let idle = relay.resident();
    let text = vec![b'x'; 200];
    for (_, far, to) in &pairs {
        // Without answers nothing but full buffers stops the sender.
        let options = || SendOptions {
            failure_report: chappe::msrp::FailureReport::No,
            window: 1 << 20,
            ..SendOptions::default()
        };
        for _ in 0..1500 {
            let send = far.send_message(to, Some("text/plain"), text.clone(), options());
            if timeout(Duration::from_millis(20), send).await.is_err() {
                break;
            }
        }
    }
    // It has come to rest when the account does not move any more.
    let mut account = relay.metric("chappe_buffered_octets");
    let deadline = Instant::now() + 3 * PATIENCE;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = relay.metric("chappe_buffered_octets");
        if now == account || Instant::now() > deadline {
            break;
        }
        account = now;
    }
    let grown = relay.resident().saturating_sub(idle) as f64;
    println!(
        "{RECEIVERS} stalled receivers: the quotas account for {:.1} MB, resident memory grew by {:.1} MB ({:.2} x)",
        account / 1e6,
        grown / 1e6,
        grown / account
    );
    assert!(account > 50e6, "the buffers have filled: {account}");
    assert!(grown <= 1.5 * account, "grew by {grown}, accounted for {account}");
}
