//! A host that swallows everything: packets dropped by its firewall, no FIN, no RST, no ICMP.

mod root {
    use std::time::{Duration, Instant};

    use chappe::client::Failure;
    use chappe::msrp::Status;

    use crate::privileged::Host;
    use crate::scene::{Bystanders, Pair, failure, one_shard, reported, reports_made, send};
    use crate::support::{Authority, Relay, Wish};

    const LIMITS: &str = "transaction_timeout = \"2s\"\nconnect_timeout = \"2s\"";
    const TOLD: Duration = Duration::from_secs(8);

    /// A relay on the other host, under its address.
    fn south(host: &Host, authority: &Authority) -> Relay {
        let wish = Wish { name: &host.address, address: &host.address, namespace: Some(&host.name), ..one_shard("") };
        Relay::start(authority, &wish)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs root, and what tests/faults/install.sh installs"]
    async fn swallowed_messages_are_told_and_the_link_is_used_again() {
        let host = Host::new(1);
        let authority = Authority::new();
        let (north, south) = (Relay::start(&authority, &one_shard(LIMITS)), south(&host, &authority));
        let mut bystanders = Bystanders::at(&north, &authority).await;
        let pair = Pair::new(&north, &south, &authority).await;
        pair.talk("before").await;
        host.drop_everything();
        let mut lost = Vec::new();
        for n in 0..5 {
            lost.push(send(&pair.alice, &pair.to_bob, &format!("swallowed {n}")).await);
        }
        for sending in &mut lost {
            let after = reported(sending, Status::TIMEOUT, TOLD).await;
            println!("swallowed: told after {after:?}");
        }
        bystanders.go_on(20).await;
        assert_eq!(reports_made(&north), 5.0);
        host.drop_nothing();
        // The same TCP connection: it has only been silent. Lines that were given up may still arrive, and are answered in vain.
        let mut heard = Vec::new();
        let _again = send(&pair.alice, &pair.to_bob, "again").await;
        while heard.last().is_none_or(|line: &Vec<u8>| line != b"again") {
            heard.push(crate::support::next_message(&pair.bob).await.body.expect("a body").to_vec());
        }
        pair.talk("after").await;
        assert_eq!(reports_made(&north), 5.0, "nobody was told twice");
        bystanders.finish("swallowed for a while").await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs root, and what tests/faults/install.sh installs"]
    async fn a_dial_into_nothing_ends_with_the_connect_timeout() {
        let host = Host::new(2);
        let authority = Authority::new();
        let (mut north, south) = (Relay::start(&authority, &one_shard(LIMITS)), south(&host, &authority));
        let bystanders = Bystanders::at(&north, &authority).await;
        let pair = Pair::new(&north, &south, &authority).await;
        host.drop_everything();
        let started = Instant::now();
        let mut first = send(&pair.alice, &pair.to_bob, "into nothing").await;
        let (why, _) = failure(&mut first, TOLD).await;
        let after = started.elapsed();
        assert!(matches!(why, Failure::Report { status: Status::TIMEOUT, .. }), "{why:?}");
        assert!(after > Duration::from_millis(1900), "given up after {after:?}");
        let line = north.expect_log("next hop not reached");
        assert!(line.contains("timed out") && line.contains(&host.address), "{line}");
        host.drop_nothing();
        pair.talk("after").await;
        bystanders.finish("dial into nothing").await;
    }
}

mod long {
    use std::time::{Duration, Instant};

    use chappe::client::Failure;
    use chappe::msrp::Status;

    use crate::privileged::Host;
    use crate::scene::{Bystanders, Pair, failure, one_shard, send};
    use crate::support::{Authority, PATIENCE, Relay, Wish, next_message};

    /// Octets that nobody acknowledges end the connection after 30 s, and only then a new one is made.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs root, and what tests/faults/install.sh installs; takes a minute"]
    async fn a_link_into_a_blackhole_is_given_up() {
        let host = Host::new(3);
        let authority = Authority::new();
        let mut north = Relay::start(&authority, &Wish { log: "debug", ..one_shard("transaction_timeout = \"2s\"") });
        let wish = Wish { name: &host.address, address: &host.address, namespace: Some(&host.name), ..one_shard("") };
        let south = Relay::start(&authority, &wish);
        let bystanders = Bystanders::at(&north, &authority).await;
        let pair = Pair::new(&north, &south, &authority).await;
        pair.talk("before").await;
        let links = north.metric("chappe_links");
        host.drop_everything();
        let _lost = send(&pair.alice, &pair.to_bob, "swallowed").await;
        let gone = Instant::now();
        while north.metric("chappe_links") == links {
            assert!(gone.elapsed() < Duration::from_secs(60), "the link is still there");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        println!("the link was given up after {:.0} s", gone.elapsed().as_secs_f64());
        assert!(gone.elapsed() > Duration::from_secs(20), "after {:?}", gone.elapsed());
        host.drop_nothing();
        // The next line dials anew. But the other relay has sent nothing, so it has noticed nothing: for it the session is in
        // use on the old link, and a stranger gets 506, until a keep-alive of TCP finds nobody there.
        let healed = Instant::now();
        loop {
            let mut sending = send(&pair.alice, &pair.to_bob, "anybody there?").await;
            let told = tokio::select! {
                _ = next_message(&pair.bob) => break,
                (why, _) = failure(&mut sending, PATIENCE) => why,
            };
            assert!(matches!(told, Failure::Report { status, .. } if status == Status::new(506)), "{told:?}");
            assert!(healed.elapsed() < Duration::from_secs(90), "still 506");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        println!("messages pass again after {:.0} s", healed.elapsed().as_secs_f64());
        pair.talk("after").await;
        north.expect_log("link lost");
        bystanders.finish("blackhole of half a minute").await;
    }
}
