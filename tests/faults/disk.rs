//! A disk that is full: session records are lost and counted, and nothing else is.

use std::fs;
use std::path::Path;

use crate::scene::labelled;
use crate::support::Relay;

/// The records of a file, each a JSON line; a torn one is no record.
fn records(path: &Path) -> (usize, usize) {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = |line: &&str| serde_json::from_str::<serde_json::Value>(line).is_ok();
    (text.lines().filter(whole).count(), text.lines().filter(|line| !whole(line)).count())
}

fn lost(relay: &Relay) -> f64 {
    labelled(relay, "chappe_lines_lost_total", "sink=\"records\"")
}

mod root {
    use crate::privileged::Disk;
    use crate::scene::{Bystanders, one_shard, owner, until};
    use crate::support::{Authority, Relay, Wish};

    use super::{lost, records};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs root"]
    async fn records_are_lost_counted_and_written_again() {
        let disk = Disk::new(64);
        let path = disk.path().join("records.jsonl");
        let extra = format!("[records]\npath = {path:?}\n");
        let authority = Authority::new();
        let mut relay = Relay::start(&authority, &Wish { extra: &extra, ..one_shard("") });
        let mut bystanders = Bystanders::at(&relay, &authority).await;
        let come_and_go = async |n: usize| {
            for _ in 0..n {
                let (alice, _) = owner(&relay, &authority, "alice").await;
                alice.close().await;
            }
        };
        come_and_go(3).await;
        until("records", || records(&path).0 == 3).await;
        disk.fill();
        // What is left of the last page takes some more.
        let mut written = 3;
        while lost(&relay) == 0.0 {
            come_and_go(5).await;
            written += 5;
            assert!(written < 500, "the disk does not fill");
        }
        bystanders.go_on(10).await;
        // A reload opens the file again, which a full disk allows.
        assert_eq!(relay.http("POST", "/reload", "").0, 200);
        let line = relay.expect_log("session records are lost");
        assert!(line.contains("ERROR") && line.contains("free the disk"), "{line}");
        disk.free();
        let (before, _) = records(&path);
        let (alice, _) = owner(&relay, &authority, "alice").await;
        alice.close().await;
        until("a record again", || records(&path).0 == before + 1).await;
        let (whole, torn) = records(&path);
        assert!(torn <= 1, "a line that broke off stands alone");
        until("every record is there or counted", || whole as f64 + lost(&relay) == written as f64 + 1.0).await;
        // One complaint for all of them: a full disk must not fill the next one with log lines.
        let log = relay.read_log();
        assert_eq!(log.matches("session records are lost").count(), 1, "{log}");
        bystanders.finish("full disk").await;
    }
}
