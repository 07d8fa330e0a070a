//! The memory ceiling: new sessions are refused, stalled receivers are closed, those who read go on.

use std::time::Duration;

use chappe::client::{ClientError, Endpoint, EndpointOptions, SendOptions, Sending};
use chappe::msrp::{FailureReport, Status};
use tokio::time::timeout;

use crate::scene::{Bystanders, labelled, one_shard, until};
use crate::support::{Authority, PATIENCE, Relay};

/// A receiver that stops reading, and who floods it.
struct Stalled {
    _receiver: Endpoint,
    _sender: Endpoint,
    _sendings: Vec<Sending>,
}

async fn connect(relay: &Relay, authority: &Authority, options: EndpointOptions) -> Endpoint {
    Endpoint::connect_tls_with(relay.tls, &relay.name, &authority.pem, None, options).await.expect("a connection")
}

/// None when the relay gives no more tokens.
async fn stalled(relay: &Relay, authority: &Authority) -> Result<Stalled, ClientError> {
    let receiver = connect(relay, authority, EndpointOptions { event_queue: 1, ..EndpointOptions::default() }).await;
    let grant = receiver.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await?;
    let sender = connect(relay, authority, EndpointOptions::default()).await;
    let to = grant.own_path(receiver.uri());
    let mut sendings = Vec::new();
    for _ in 0..400 {
        let options = SendOptions { failure_report: FailureReport::No, window: 1 << 20, ..SendOptions::default() };
        let send = sender.send_message(&to, Some("text/plain"), vec![b'x'; 2000], options);
        match timeout(Duration::from_millis(100), send).await {
            Ok(sending) => sendings.push(sending.expect("sent")),
            Err(_) => break,
        }
    }
    Ok(Stalled { _receiver: receiver, _sender: sender, _sendings: sendings })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configured_ceiling_refuses_and_closes_who_stalls() {
    let authority = Authority::new();
    let ceiling = 1 << 20;
    let mut relay = Relay::start(&authority, &one_shard("memory_ceiling = \"1 MiB\""));
    let mut bystanders = Bystanders::at(&relay, &authority).await;
    bystanders.go_on(5).await;
    let mut floods = Vec::new();
    let refused = loop {
        assert!(floods.len() < 100, "nobody is refused: {} octets", relay.metric("chappe_buffered_octets"));
        match stalled(&relay, &authority).await {
            Ok(flood) => floods.push(flood),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, ClientError::Refused(Status::FORBIDDEN));
    println!("{} stalled receivers, then 403", floods.len());
    // What is there goes on to fill, and the ceiling holds.
    bystanders.go_on(20).await;
    assert!(relay.metric("chappe_buffered_octets") <= f64::from(ceiling), "over the ceiling");
    assert!(labelled(&relay, "chappe_refusals_total", "shortage") > 0.0);
    // Those who stall are closed to keep it, if the refusal alone does not.
    let line = relay.read_log();
    if labelled(&relay, "chappe_links_closed_total", "shortage") > 0.0 {
        assert!(line.contains("link closed in trouble") && line.contains("\"reason\":\"shortage\""), "{line}");
    }
    drop(floods);
    // Memory comes back, and with it service.
    until("memory comes back", || relay.metric("chappe_buffered_octets") < 0.5 * f64::from(ceiling)).await;
    let again = connect(&relay, &authority, EndpointOptions::default()).await;
    again.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a grant");
    bystanders.finish("memory ceiling").await;
}

/// The sessions are there before memory is short: nobody can be refused, so who stalls has to go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_receivers_of_before_are_closed() {
    let authority = Authority::new();
    let ceiling = 2 << 20;
    let wish = one_shard("memory_ceiling = \"2 MiB\"\nsession_buffer = \"512 KiB\"");
    let mut relay = Relay::start(&authority, &wish);
    let mut bystanders = Bystanders::at(&relay, &authority).await;
    let mut receivers = Vec::new();
    for _ in 0..12 {
        let options = EndpointOptions { event_queue: 1, ..EndpointOptions::default() };
        let receiver = connect(&relay, &authority, options).await;
        let grant = receiver.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a grant");
        let sender = connect(&relay, &authority, EndpointOptions::default()).await;
        let to = grant.own_path(receiver.uri());
        receivers.push((receiver, sender, to));
    }
    let mut sendings = Vec::new();
    for (_, sender, to) in &receivers {
        let options = SendOptions { chunk: 10_000, window: 1 << 20, ..SendOptions::default() };
        let file = vec![b'x'; 8 << 20];
        let sending = sender.send_message(to, Some("application/octet-stream"), file, options).await.expect("sent");
        sendings.push(sending);
    }
    let line = tokio::task::block_in_place(|| relay.expect_log("\"reason\":\"shortage\""));
    assert!(line.contains("link closed in trouble") && line.contains("WARN"), "{line}");
    bystanders.go_on(20).await;
    assert!(relay.metric("chappe_buffered_octets") <= f64::from(ceiling), "over the ceiling");
    // Whoever sent to a closed one hears so.
    let told = async {
        loop {
            if sendings.iter().any(|sending| sending.progress().failure.is_some()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, told).await.expect("the senders hear of it");
    bystanders.finish("memory ceiling, nobody to refuse").await;
}

mod root {
    use chappe::client::EndpointOptions;

    use crate::privileged::ControlGroup;
    use crate::scene::{Bystanders, one_shard};
    use crate::support::{Authority, Relay, Wish};

    use super::{connect, stalled};

    /// The limit of the control group is found out, whatever hierarchy it is in, and the kernel never has to end the process.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs root"]
    async fn a_control_groups_limit_is_kept() {
        let limit = 40 << 20;
        let group = ControlGroup::new("memory", limit);
        let authority = Authority::new();
        let through = ["sh", "-c", "echo $$ > \"$0\" && exec \"$@\"", &group.members()];
        let wish = Wish { through: &through, ..one_shard("session_buffer = \"1 MiB\"") };
        let relay = Relay::start(&authority, &wish);
        let mut bystanders = Bystanders::at(&relay, &authority).await;
        let mut floods = Vec::new();
        let mut most = 0.0f64;
        for _ in 0..60 {
            match stalled(&relay, &authority).await {
                Ok(flood) => floods.push(flood),
                Err(_) => break,
            }
            most = most.max(relay.metric("chappe_buffered_octets"));
        }
        println!(
            "{} stalled receivers, {:.1} MB accounted, {:.1} MB resident",
            floods.len(),
            most / 1e6,
            relay.resident() as f64 / 1e6
        );
        assert!(floods.len() < 60, "nobody was refused with {most} octets in buffers");
        assert!(most <= limit as f64 / 2.0, "{most} octets");
        bystanders.go_on(20).await;
        drop(floods);
        crate::scene::until("memory comes back", || relay.metric("chappe_buffered_octets") < 1e6).await;
        let again = connect(&relay, &authority, EndpointOptions::default()).await;
        again.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a grant");
        bystanders.finish("control group's limit").await;
        drop(relay);
    }
}
