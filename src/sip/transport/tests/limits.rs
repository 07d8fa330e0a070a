//! Bounds: connections, messages, time.

use super::*;
use crate::sip::framing::{Fault, Limits};

#[tokio::test]
async fn connections_of_one_address_and_in_all() {
    for (open, total, why) in [(2, 9, Loss::Address), (9, 2, Loss::Total)] {
        let mut settings = Settings::default();
        (settings.connections.open, settings.connections.total) = (open, total);
        let mut rig = Rig::new(settings);
        let (mut first, _second, mut third) = (rig.tcp().await, rig.tcp().await, rig.tcp().await);
        assert_eq!(read_to_end(&mut third).await, "");
        assert_eq!(rig.transport.counts().losses(why), 1);
        first.write_all(request("OPTIONS", "a").as_bytes()).await.unwrap();
        rig.arrival().await.flow.send("SIP/2.0 200 OK\r\n\r\n".into()).unwrap();
        drop(first);
        rig.closed().await;
        let mut fourth = rig.tcp().await;
        fourth.write_all(request("OPTIONS", "d").as_bytes()).await.unwrap();
        assert_eq!(rig.arrival().await.message.head.call_id, "d", "the place is free again");
    }
}

#[tokio::test]
async fn datagrams_over_the_rate_are_dropped_and_counted() {
    let mut rig = Rig::new(Settings { messages_per_second: 1, burst: 3, ..Settings::default() });
    let socket = rig.udp().await;
    for id in ["1", "2", "3", "4", "5"] {
        socket.send(request("OPTIONS", id).as_bytes()).await.unwrap();
    }
    for id in ["1", "2", "3"] {
        assert_eq!(rig.arrival().await.message.head.call_id, id);
    }
    within(async {
        while rig.transport.counts().losses(Loss::Rate) < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn streams_over_the_rate_are_read_slowly_and_lose_nothing() {
    let mut rig = Rig::new(Settings { messages_per_second: 100, burst: 1, ..Settings::default() });
    let mut stream = rig.tcp().await;
    let text: String = (0..8).map(|id| request("OPTIONS", &id.to_string())).collect();
    stream.write_all(text.as_bytes()).await.unwrap();
    for id in 0..8 {
        assert_eq!(rig.arrival().await.message.head.call_id, id.to_string());
    }
}

#[tokio::test]
async fn a_trusted_network_has_no_rate_and_no_limit_of_its_own() {
    let mut settings = Settings { messages_per_second: 1, burst: 1, ..Settings::default() };
    settings.connections.open = 1;
    settings.trusted.networks.push("127.0.0.0/8".parse().unwrap());
    let mut rig = Rig::new(settings);
    let (mut one, mut two, socket) = (rig.tcp().await, rig.tcp().await, rig.udp().await);
    for _ in 0..4 {
        one.write_all(request("OPTIONS", "a").as_bytes()).await.unwrap();
        two.write_all(request("OPTIONS", "a").as_bytes()).await.unwrap();
        socket.send(request("OPTIONS", "a").as_bytes()).await.unwrap();
    }
    for _ in 0..12 {
        assert_eq!(rig.arrival().await.flow.trust(), Some(&Trust::Address));
    }
}

#[tokio::test]
async fn other_trust_and_another_pace_are_in_force_at_once() {
    let mut rig = Rig::new(Settings { messages_per_second: 1, burst: 2, ..Settings::default() });
    let socket = rig.udp().await;
    let ask = async |count: usize| {
        for _ in 0..count {
            socket.send(request("OPTIONS", "a").as_bytes()).await.unwrap();
        }
    };
    ask(3).await;
    for _ in 0..2 {
        assert_eq!(rig.arrival().await.flow.trust(), None);
    }
    within(async {
        while rig.transport.counts().losses(Loss::Rate) < 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut settings = Settings { messages_per_second: 1, burst: 100, ..Settings::default() };
    rig.transport.dialer().reconfigure(&settings);
    ask(3).await;
    for _ in 0..3 {
        assert_eq!(rig.arrival().await.flow.trust(), None);
    }
    settings.trusted.networks.push("127.0.0.0/8".parse().unwrap());
    rig.transport.dialer().reconfigure(&settings);
    ask(1).await;
    assert_eq!(rig.arrival().await.flow.trust(), Some(&Trust::Address));
}

#[tokio::test]
async fn a_full_inbox_drops_datagrams_and_stops_reading_streams() {
    let mut rig = Rig::new(Settings { inbox: 1, ..Settings::default() });
    let socket = rig.udp().await;
    for id in ["1", "2", "3"] {
        socket.send(request("OPTIONS", id).as_bytes()).await.unwrap();
    }
    within(async {
        while rig.transport.counts().losses(Loss::InboxFull) < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut stream = rig.tcp().await;
    let text: String = (0..8).map(|id| request("OPTIONS", &format!("t{id}"))).collect();
    stream.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(rig.arrival().await.message.head.call_id, "1");
    for id in 0..8 {
        assert_eq!(rig.arrival().await.message.head.call_id, format!("t{id}"));
    }
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let mut rig = Rig::new(Settings { idle: Duration::from_millis(20), ..Settings::default() });
    let mut stream = rig.tcp().await;
    assert_eq!(read_to_end(&mut stream).await, "");
    drop(stream);
    rig.closed().await;
    assert_eq!(rig.transport.counts().losses(Loss::Idle), 1);
}

#[tokio::test]
async fn a_slow_message_is_answered_and_closed() {
    let limits = Limits { time: Duration::from_millis(20), ..Limits::default() };
    let rig = Rig::new(Settings { limits, ..Settings::default() });
    let mut stream = rig.tcp().await;
    let text = request("OPTIONS", "a").replace("Length: 0", "Length: 9") + "half";
    stream.write_all(text.as_bytes()).await.unwrap();
    assert!(read_to_end(&mut stream).await.starts_with("SIP/2.0 408 Request Timeout\r\n"));
    assert_eq!(rig.transport.counts().faults(Fault::Slow), 1);
}
