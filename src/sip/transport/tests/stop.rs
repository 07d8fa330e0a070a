//! How a transport ends.

use super::*;

#[tokio::test]
async fn stopping_writes_what_waits_and_closes_everything() {
    let mut rig = Rig::new(Settings::default());
    let (tcp, udp) = (rig.address(Protocol::Tcp), rig.address(Protocol::Udp));
    let mut stream = rig.tcp().await;
    stream.write_all(request("OPTIONS", "a").as_bytes()).await.unwrap();
    let flow = rig.arrival().await.flow;
    for _ in 0..3 {
        flow.send("SIP/2.0 200 OK\r\n\r\n".into()).unwrap();
    }
    let (dialer, counts) = (rig.transport.dialer(), rig.transport.counts().clone());
    let ((), read) = within(async {
        tokio::join!(rig.transport.stop(PATIENCE), async {
            let read = read_to_end(&mut stream).await;
            drop(stream);
            read
        })
    })
    .await;
    assert_eq!(read, "SIP/2.0 200 OK\r\n\r\n".repeat(3));
    assert_eq!(counts.sent(), 3);
    assert!(matches!(rig.events.recv().await, Some(Event::Closed(f)) if f.is(&flow)));
    assert_eq!(flow.send("x".into()), Err(SendError::Closed));
    assert!(TcpStream::connect(tcp).await.is_err(), "nobody listens");
    let target = Target { protocol: Protocol::Tcp, address: udp, name: None, from: None };
    assert_eq!(dialer.connect(&target).await.unwrap_err(), SendError::Stopping);
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_peer_that_reads_nothing() {
    let mut rig = Rig::new(Settings::default());
    let mut stream = rig.tcp().await;
    stream.write_all(request("OPTIONS", "a").as_bytes()).await.unwrap();
    let flow = rig.arrival().await.flow;
    for _ in 0..8 {
        flow.send(vec![b'x'; 1 << 20].into()).unwrap();
    }
    let counts = rig.transport.counts().clone();
    within(rig.transport.stop(Duration::from_millis(100))).await;
    assert!(counts.losses(Loss::Stopped) > 0);
    assert!(matches!(rig.events.recv().await, Some(Event::Closed(_))));
    drop(stream);
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_consumer_that_is_gone() {
    let rig = Rig::new(Settings::default());
    let mut stream = rig.tcp().await;
    drop(rig.events);
    stream.write_all(request("OPTIONS", "a").as_bytes()).await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, "");
    within(rig.transport.stop(PATIENCE)).await;
}
