//! SIGTERM: new sessions are refused, those that are there lose nothing.

use chappe::client::ClientError;
use chappe::msrp::Status;

use crate::support::{Authority, Relay, Wish};
use crate::traffic::{Traffic, client};
use crate::{engines, with_engine};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_loses_no_message_of_a_bound_session() {
    for engine in engines() {
        let authority = Authority::new();
        let mut relay = Relay::with_text(&authority, &Wish::default(), &with_engine(engine, &Wish::default()));
        let traffic = Traffic::start(&relay, &authority, 4).await;
        traffic.flow(100).await;
        relay.signal("TERM");
        relay.expect_log("draining");
        let late = client(&relay, &authority).await;
        let refused = late.authenticate(&relay.auth_uri("bob"), "bob", "hunter2", None).await;
        assert!(matches!(refused, Err(ClientError::Refused(status)) if status == Status::new(403)), "{refused:?}");
        traffic.flow(400).await;
        let messages = traffic.end().await;
        assert!(relay.wait().success());
        println!("{engine}: {messages} messages, none lost");
    }
}
