//! After a busy time: what it has stretched is given back, and its deadlines with it.

use std::sync::Arc;

use super::network::Network;
use super::scene::GATE;
use crate::relay::{AnchorWish, SessionEnd};

/// Sessions of a busy time.
const MANY: usize = 2000;

#[test]
fn anchors_that_came_and_went_leave_no_deadlines() {
    let mut net = Network::new();
    net.relay(Network::settings(GATE));
    let now = net.now;
    let at = net.nodes[0].settings.authorities[0].clone();
    let relay = net.shard((0, 0));
    let anchors: Vec<_> = (0..MANY)
        .map(|_| AnchorWish { at: [at.clone(), at.clone()], user: Arc::from("ana") })
        .map(|wish| relay.reserve_anchor(wish, now).expect("room").anchor)
        .collect();
    for anchor in &anchors[1..] {
        assert!(relay.release_anchor(*anchor, SessionEnd::Bye, now));
    }
    assert!(relay.timers.len() >= MANY && relay.sessions.capacity() >= MANY);
    relay.shrink();
    assert!(relay.timers.len() < 4, "{}", relay.timers.len());
    assert!(relay.sessions.capacity() < MANY / 10, "{}", relay.sessions.capacity());
    // The one that is left still has its own.
    net.seconds(3600);
    assert_eq!(net.shard((0, 0)).anchor_count(), 0);
}

#[test]
fn clients_that_came_and_went_leave_no_deadlines() {
    let mut net = Network::new();
    let gate = net.relay(Network::settings(GATE));
    let ends: Vec<usize> = (0..300).map(|_| net.client(gate)).collect();
    for end in &ends {
        net.auth(*end, &format!("msrps://c{end}.north.example:49152/x{end};tcp"), &[]);
    }
    ends[1..].iter().for_each(|end| net.lose(*end));
    assert!(net.shard((0, 0)).timers.len() > 300);
    net.shard((0, 0)).shrink();
    assert!(net.shard((0, 0)).timers.len() < 8, "{}", net.shard((0, 0)).timers.len());
    assert_eq!(net.shard((0, 0)).session_count(), 1);
    net.seconds(24 * 3600);
    assert_eq!(net.shard((0, 0)).session_count(), 0);
}
