//! Reading, writing, pausing, ending.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::task::Poll;

use super::{ENGINES, End, on, pair};
use crate::net::connection::{Connection, Event, Parts};
use crate::net::tls::{ServerOptions, ServerSide, Tls, development};

/// Asks once, and drops the question: what a deadline does to whoever waits.
async fn ask_and_drop(end: &mut End) {
    let asked = poll_fn(|cx| {
        Poll::Ready(matches!(end.connection.poll_event(cx, &mut end.buffer, &end.calls), Poll::Ready(Event::Read(_))))
    });
    assert!(!asked.await, "nothing was written yet");
}

#[test]
fn a_question_that_is_dropped_takes_no_octets_along() {
    for engine in ENGINES {
        let (ours, peer, mut theirs) = pair();
        on(*engine, async {
            let mut end = End::plain(ours, peer);
            for n in 0..100u8 {
                ask_and_drop(&mut end).await;
                // The operation has to be on its way before the octet is.
                tokio::task::yield_now().await;
                theirs.write_all(&[n]).unwrap();
                assert_eq!(end.octets().await, [n]);
            }
        });
    }
}

#[test]
fn much_comes_in_few_reads_and_all_of_it() {
    let sent: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    for engine in ENGINES {
        let (ours, peer, mut theirs) = pair();
        let octets = sent.clone();
        let writer = std::thread::spawn(move || {
            theirs.write_all(&octets).unwrap();
            theirs.shutdown(Shutdown::Write).unwrap();
            theirs
        });
        on(*engine, async {
            let mut end = End::plain(ours, peer);
            let mut got = Vec::new();
            let mut reads = 0;
            loop {
                let octets = end.octets().await;
                if octets.is_empty() {
                    break;
                }
                reads += 1;
                got.extend(octets);
            }
            assert!(got == sent, "octets lost or changed");
            assert!(reads < 250, "{reads} reads of 4000 octets and less");
        });
        writer.join().unwrap();
    }
}

#[test]
fn a_paused_connection_gets_its_octets_later() {
    for engine in ENGINES {
        let (ours, peer, mut theirs) = pair();
        on(*engine, async {
            let mut end = End::plain(ours, peer);
            ask_and_drop(&mut end).await;
            end.connection.set_reading(false);
            theirs.write_all(b"held").unwrap();
            theirs.shutdown(Shutdown::Write).unwrap();
            assert!(matches!(end.event().await, Event::Woken));
            let quiet = std::time::Duration::from_millis(50);
            assert!(tokio::time::timeout(quiet, end.event()).await.is_err(), "it is paused");
            end.connection.set_reading(true);
            assert_eq!(end.octets().await, b"held");
            assert_eq!(end.octets().await, b"");
        });
    }
}

#[test]
fn what_a_full_socket_does_not_take_follows_and_is_counted_once() {
    let sent: Vec<u8> = (0..24_000_000u32).map(|n| (n % 249) as u8).collect();
    for engine in ENGINES {
        let (ours, peer, mut theirs) = pair();
        on(*engine, async {
            let mut end = End::plain(ours, peer);
            end.connection.set_reading(false);
            let mut out = end.send(sent.clone().into());
            assert!(out < sent.len() && end.connection.blocked());
            let expected = sent.clone();
            let reader = std::thread::spawn(move || {
                let mut got = vec![0; expected.len()];
                theirs.read_exact(&mut got).unwrap();
                assert!(got == expected, "octets lost or changed");
                theirs
            });
            while end.connection.blocked() {
                match end.event().await {
                    Event::Writable => out += end.connection.resume(&end.calls).unwrap(),
                    Event::Woken => {}
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(out, sent.len());
            reader.join().unwrap();
        });
    }
}

#[test]
fn last_words_are_heard_and_dropping_ends_a_pending_read() {
    for engine in ENGINES {
        let (ours, peer, mut theirs) = pair();
        on(*engine, async {
            let mut end = End::plain(ours, peer);
            ask_and_drop(&mut end).await;
            end.send(b"farewell".as_slice().into());
            let farewell = end.connection.close().unwrap();
            assert!(end.connection.close().is_none());
            assert!(matches!(end.event().await, Event::Gone));
            farewell.part(false).await;
        });
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"farewell");

        let (ours, peer, mut theirs) = pair();
        on(*engine, async {
            let mut end = End::plain(ours, peer);
            ask_and_drop(&mut end).await;
            drop(end);
            // The runtime still lives: nothing but the drop can have closed it.
            assert_eq!(theirs.read(&mut got).unwrap(), 0);
        });
    }
}

#[test]
fn a_lingering_close_waits_for_the_other_end() {
    for engine in ENGINES {
        let (ours, peer, mut theirs) = pair();
        on(*engine, async {
            let mut end = End::plain(ours, peer);
            ask_and_drop(&mut end).await;
            let farewell = end.connection.close().unwrap();
            let peer = std::thread::spawn(move || {
                let mut got = Vec::new();
                theirs.read_to_end(&mut got).unwrap();
                // A reset would end this with an error.
                theirs.write_all(&[0; 100_000]).unwrap();
                theirs.shutdown(Shutdown::Write).unwrap();
                theirs
            });
            farewell.part(true).await;
            peer.join().unwrap();
        });
    }
}

#[test]
fn an_alert_leaves_before_the_socket_closes() {
    let (_, identity) = development::in_memory("relay.test").unwrap();
    let side = ServerSide::new(&identity, ServerOptions::default()).unwrap();
    for engine in ENGINES {
        let (ours, peer, mut theirs) = pair();
        on(*engine, async {
            let connection = Connection::new(Parts::fresh(ours, Some(Tls::accept(&side)), peer, None)).unwrap();
            let mut plain = bytes::BytesMut::new();
            let opened = connection.tls().as_mut().map(|tls| tls.open(b"GET / HTTP/1.1\r\n\r\n", &mut plain));
            assert!(matches!(opened, Some(Err(_))));
            connection.send_tls_pending(&Default::default()).unwrap();
            if let Some(farewell) = connection.close() {
                farewell.part(false).await;
            }
        });
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).unwrap();
        // RFC 8446 section 6: an alert record, fatal.
        assert_eq!((got.first(), got.get(5)), (Some(&21), Some(&2)), "{got:?}");
    }
}

#[test]
fn worn_out_keys_end_a_connection_and_nothing_else() {
    let (ca, identity) = development::in_memory("relay.test").unwrap();
    let side = ServerSide::new(&identity, ServerOptions::default()).unwrap();
    for engine in ENGINES {
        let (ours, peer, theirs) = pair();
        let ca = ca.clone();
        let client = std::thread::spawn(move || {
            let mut stream = super::tls_client(&ca, theirs, &[&rustls::version::TLS12]);
            stream.write_all(b"x").unwrap();
            let mut got = Vec::new();
            stream.read_to_end(&mut got).unwrap();
            got
        });
        on(*engine, async {
            let mut end = End::new(Parts::fresh(ours, Some(Tls::accept(&side)), peer, None)).unwrap();
            let mut plain = bytes::BytesMut::new();
            while plain.is_empty() {
                let octets = end.octets().await;
                end.connection.tls().as_mut().unwrap().open(&octets, &mut plain).unwrap();
                end.connection.send_tls_pending(&end.calls).unwrap();
            }
            while end.connection.blocked() {
                if matches!(end.event().await, Event::Writable) {
                    end.connection.resume(&end.calls).unwrap();
                }
            }
            // One was used for Finished, and the last one is for the alert.
            end.connection.tls().as_mut().unwrap().wear_out_after(2);
            assert!(end.try_send(b"no".as_slice().into()).is_err());
            end.connection.close().unwrap().part(true).await;
        });
        assert_eq!(client.join().unwrap(), b"");
    }
}

#[cfg(feature = "io-uring")]
#[test]
fn without_a_ring_the_shard_runs_on_epoll() {
    // The kernel makes none of this size (io_uring_setup(2): EINVAL).
    let runtime = super::super::Runtime::ring(1 << 20).unwrap();
    assert!(matches!(runtime, super::super::Runtime::Epoll(_)));
    assert_eq!(runtime.block_on(async { 7 }), 7);
}
