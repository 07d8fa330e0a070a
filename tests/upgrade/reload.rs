//! The configuration is read again, a hundred times, with traffic.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::{Authority, PATIENCE, Relay, Wish};
use crate::traffic::Traffic;
use crate::{engines, with_engine};

/// How often the log says this.
fn count(relay: &mut Relay, what: &str) -> usize {
    relay.read_log().matches(what).count()
}

fn wait_for(relay: &mut Relay, what: &str, times: usize) {
    let deadline = Instant::now() + PATIENCE;
    while count(relay, what) < times {
        assert!(Instant::now() < deadline, "{what:?} {} times, not {times}", count(relay, what));
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_reloads_lose_no_message_and_no_session() {
    for engine in engines() {
        let authority = Authority::new();
        let good = with_engine(engine, &Wish::default());
        let mut relay = Relay::with_text(&authority, &Wish::default(), &good);
        let traffic = Traffic::start(&relay, &authority, 4).await;
        traffic.flow(20).await;
        for round in 1..=100 {
            // Something that concerns what is under way, in turns.
            let text = good
                .replace(
                    "[limits]\n",
                    &format!("[limits]\nhold = \"{}ms\"\nsession_buffer = {}\n", round % 7 + 1, 65536 + round),
                )
                .replace("password = \"hunter2\"", &format!("password = \"hunter{round}\""));
            fs::write(relay.path("chappe.toml"), text).expect("a file");
            if round % 2 == 0 {
                relay.signal("HUP");
            } else {
                let (status, text) = relay.http("POST", "/reload", "");
                assert_eq!(status, 200, "{text}");
            }
            wait_for(&mut relay, "configuration reloaded", round);
        }
        traffic.flow(50).await;
        assert_eq!(relay.metric("chappe_sessions"), 4.0);

        // A bad file: the message names the key, its line and its mend, and what was in force still is.
        let bad = good.replace("shards = 2", "shards = 2\nhold = 3");
        let line = 1 + bad.lines().position(|line| line == "hold = 3").expect("a line");
        fs::write(relay.path("chappe.toml"), bad).expect("a file");
        relay.signal("HUP");
        let said = relay.expect_log("not reloaded");
        assert!(said.contains(&format!("chappe.toml:{line}: relay.hold: unknown key; write")), "{said}");
        let (status, said) = relay.http("POST", "/reload", "");
        assert!(status == 422 && said.contains("relay.hold"), "{status} {said}");
        // And one that is good, but what it names is not.
        fs::write(relay.path("chappe.toml"), &good).expect("a file");
        fs::write(relay.path("server.key"), "garbage").expect("a file");
        let (status, said) = relay.http("POST", "/reload", "");
        assert!(status == 422 && said.contains("tls.certificate"), "{status} {said}");
        let bob = crate::traffic::client(&relay, &authority).await;
        bob.authenticate(&relay.auth_uri("bob"), "bob", "hunter100", None)
            .await
            .expect("the last password that was good");
        traffic.flow(50).await;
        let messages = traffic.end().await;
        println!("{engine}: 100 reloads, {messages} messages, none lost");
    }
}
