//! Chat and file between two clients that are connected directly; the relay is shown by an end-to-end test of the program.

use super::*;
use crate::client::{Endpoint, EndpointOptions, Grant, Listener, SendOptions};

async fn parties() -> (Party, Party) {
    let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let options = || EndpointOptions { collect: 64 * 1024, ..EndpointOptions::default() };
    let (near, far) =
        tokio::join!(Endpoint::connect_tcp_with(listener.local_addr(), options()), listener.accept(options()));
    let party = |endpoint| Party { endpoint, grant: Grant { use_path: Vec::new(), expires: 60 } };
    (party(near.unwrap()), party(far.unwrap()))
}

#[tokio::test]
async fn chat_counts_every_message_and_report() {
    let (alice, bob) = parties().await;
    let chat = chat::exchange(&alice, &bob, 301).await.unwrap();
    assert_eq!((chat.messages, chat.reports), (301, 301));
    assert!(chat.octets > 301 * 14);
}

#[tokio::test]
async fn file_arrives_whole_at_any_length() {
    let (alice, bob) = parties().await;
    for file_size in [0, 1, 65_536, 300_001] {
        let options = DemoOptions { file_size, chunk: 9999, window: 3, progress: false, ..DemoOptions::default() };
        let file = file::transfer(&alice, &bob, &options).await.unwrap();
        assert_eq!((file.octets, file.reports), (file_size, 1));
        assert_eq!((file.chunks_sent, file.chunks_received), (file_size.div_ceil(9999).max(1), file.chunks_sent));
    }
}

#[tokio::test]
async fn outcome_of_a_message_that_is_through_comes_at_once() {
    let (alice, bob) = parties().await;
    let options = SendOptions { success_report: true, ..SendOptions::default() };
    let mut sending = alice.endpoint.send_message(bob.endpoint.uri(), Some("x/y"), "abc", options).await.unwrap();
    sending.until(|progress| progress.accepted && progress.reported()).await.unwrap();
    assert_eq!(party::outcome(sending).await.unwrap().octets, 3);
}

#[tokio::test]
async fn peer_that_leaves_ends_the_demonstration() {
    let (alice, bob) = parties().await;
    bob.leave().await;
    assert!(matches!(chat::exchange(&alice, &alice, 10).await, Err(DemoError::Client(_) | DemoError::Message(_))));
}
