//! What tells users apart cannot be read: nothing changes, those who are known come in, and the operator reads why.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use chappe::client::{ClientError, Endpoint};
use chappe::msrp::Status;

use crate::scene::{Bystanders, one_shard};
use crate::support::{Authority, Relay, Wish};

const FILE: &str = "[auth]\nhtdigest = \"users.htdigest\"\n";

/// What is done to the file, by its path.
type Damage = fn(&std::path::Path);

/// A relay whose third user, Carol, stands in a file.
fn start(authority: &Authority) -> Relay {
    let wish = Wish { extra: FILE, ..one_shard("") };
    let text = crate::support::configuration(&wish);
    // The file has to be there before the relay is; it is named by where it will be found.
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("users.htdigest");
    fs::write(&path, carol("first")).expect("file");
    let relay = Relay::with_text(authority, &wish, &text.replace("users.htdigest", path.to_str().expect("UTF-8")));
    // From now on it lies in the relay's own directory.
    fs::copy(&path, relay.path("users.htdigest")).expect("file");
    fs::write(relay.path("chappe.toml"), text).expect("file");
    assert_eq!(reload(&relay).0, 200);
    relay
}

fn carol(password: &str) -> String {
    let line = chappe::accounts::htdigest_line("carol", "relay.test", password, chappe::auth::Algorithm::Md5);
    format!("{}\n", line.expect("a line"))
}

fn reload(relay: &Relay) -> (u16, String) {
    relay.http("POST", "/reload", "")
}

async fn log_in(relay: &Relay, authority: &Authority, user: &str, password: &str) -> Result<(), ClientError> {
    let endpoint = Endpoint::connect_tls(relay.tls, &relay.name, &authority.pem, None).await.expect("a connection");
    endpoint.authenticate(&relay.auth_uri(user), user, password, None).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_users_file_that_is_gone_unreadable_or_broken() {
    let authority = Authority::new();
    let mut relay = start(&authority);
    let mut bystanders = Bystanders::at(&relay, &authority).await;
    log_in(&relay, &authority, "carol", "first").await.expect("a grant");
    let path = relay.path("users.htdigest");
    let faults: [(&str, Damage); 3] = [
        ("No such file", |path| fs::remove_file(path).expect("file")),
        // For root no permission is missing, but a directory is no file for anybody.
        ("directory", |path| fs::create_dir(path).expect("directory")),
        ("users.htdigest:2: ", |path| {
            fs::remove_dir(path).expect("directory");
            fs::write(path, format!("{}rubbish\n", carol("second"))).expect("file");
        }),
    ];
    for (what, fault) in faults {
        fault(&path);
        let (status, text) = reload(&relay);
        assert_eq!(status, 422, "{text}");
        assert!(text.contains(what) && text.contains("users.htdigest"), "{text}");
        // The old configuration is in force, whole: users of the file, and users of the configuration.
        log_in(&relay, &authority, "carol", "first").await.expect("a grant");
        log_in(&relay, &authority, "alice", "secret").await.expect("a grant");
        bystanders.go_on(3).await;
    }
    let log = relay.read_log();
    assert!(log.contains("configuration not reloaded") && !log.contains(carol("first").trim()), "{log}");
    // Mended, it is taken, and the old password is good no more.
    fs::write(&path, carol("second")).expect("file");
    assert_eq!(reload(&relay).0, 200);
    log_in(&relay, &authority, "carol", "second").await.expect("a grant");
    let old = log_in(&relay, &authority, "carol", "first").await;
    assert_eq!(old, Err(ClientError::Refused(Status::UNAUTHORIZED)));
    bystanders.finish("users' file").await;
}

/// A file on a disk that does not answer, as a dead network disk: a FIFO without a writer is read as long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_users_file_that_never_comes_does_not_hold_the_process() {
    let authority = Authority::new();
    let mut relay = start(&authority);
    let bystanders = Bystanders::at(&relay, &authority).await;
    let path = relay.path("users.htdigest");
    fs::remove_file(&path).expect("file");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    let started = Instant::now();
    let (status, text) = tokio::task::block_in_place(|| reload(&relay));
    let after = started.elapsed();
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("did not come") && after < Duration::from_secs(12), "{text} after {after:?}");
    log_in(&relay, &authority, "carol", "first").await.expect("a grant");
    // As long as the first attempt still hangs another one would only hang beside it.
    let (status, text) = tokio::task::block_in_place(|| reload(&relay));
    assert!(status == 422 && text.contains("earlier reload"), "{text}");
    relay.expect_log("configuration not reloaded");
    assert_eq!(relay.http("GET", "/readyz", "").0, 200);
    // It comes after all, and so does the next reload.
    fs::write(&path, carol("late")).expect("the reader that hangs takes it");
    fs::remove_file(&path).expect("file");
    fs::write(&path, carol("second")).expect("file");
    crate::scene::until("a reload again", || reload(&relay).0 == 200).await;
    log_in(&relay, &authority, "carol", "second").await.expect("a grant");
    bystanders.finish("users' file on a dead disk").await;
    // And a reload that hangs keeps nobody from ending the process.
    fs::remove_file(&path).expect("file");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    relay.signal("HUP");
    relay.signal("INT");
    assert!(tokio::task::block_in_place(|| relay.wait()).success());
}
