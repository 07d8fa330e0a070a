//! Both sides against each other, and against others.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::net::inherited::Named;

const PATIENCE: Duration = Duration::from_secs(10);

fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("handover.sock");
    (directory, path)
}

fn sockets(number: usize) -> Vec<Named> {
    let one = |n| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        (format!("listen[{n}]"), listener.into())
    };
    (0..number).map(one).collect()
}

/// A process that offers so many sockets.
fn offering(path: &std::path::Path, number: usize) -> (Place, mpsc::Receiver<Successor>, tokio::task::JoinHandle<()>) {
    let (ready, successors) = mpsc::channel(1);
    let (place, offer) = Offer::prepare(path).expect("a socket").publish(sockets(number), ready).expect("a name");
    (place, successors, tokio::spawn(offer))
}

#[tokio::test]
async fn sockets_come_by_their_names_and_one_who_is_ready_is_told_to_go() {
    let (_directory, path) = place();
    assert!(take_over(&path).await.expect("nobody is no error").is_none());
    // More than fit into one message of the system.
    let (place, mut successors, task) = offering(&path, 300);
    assert_eq!(std::fs::metadata(&path).expect("a socket").permissions().mode() & 0o777, 0o600);
    let (predecessor, taken) = take_over(&path).await.expect("sockets").expect("a process");
    assert_eq!(taken.len(), 300);
    assert_eq!(taken[299].0, "listen[299]");
    let listener = TcpListener::from(taken.into_iter().nth(7).expect("a socket").1);
    let _client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    listener.accept().expect("that connection");
    let ready = tokio::spawn(predecessor.ready());
    let successor = timeout(PATIENCE, successors.recv()).await.expect("in time").expect("one");
    successor.go().await.expect("it lives");
    ready.await.expect("no panic").expect("go");
    // Nobody else is served, and a name that is still ours goes.
    timeout(PATIENCE, task).await.expect("in time").expect("an end");
    drop(place);
    assert!(!path.exists());
}

#[tokio::test]
async fn one_who_fails_leaves_the_offer_as_it_was() {
    let (_directory, path) = place();
    let (_place, mut successors, _task) = offering(&path, 2);
    // It ends with the sockets in its hands.
    let (predecessor, taken) = take_over(&path).await.expect("sockets").expect("a process");
    drop((predecessor, taken));
    // It ends before it has heard that it may go.
    let (predecessor, _taken) = take_over(&path).await.expect("sockets").expect("a process");
    let waiting = tokio::spawn(predecessor.ready());
    let successor = timeout(PATIENCE, successors.recv()).await.expect("in time").expect("one");
    waiting.abort();
    assert!(waiting.await.is_err_and(|e| e.is_cancelled()));
    assert!(matches!(successor.go().await, Err(HandoverError::Gone(_))));
    // The process does not let it go.
    let (predecessor, _taken) = take_over(&path).await.expect("sockets").expect("a process");
    let waiting = tokio::spawn(predecessor.ready());
    drop(timeout(PATIENCE, successors.recv()).await.expect("in time").expect("one"));
    assert!(matches!(waiting.await.expect("no panic"), Err(HandoverError::Gone(_))));
    let (_, taken) = take_over(&path).await.expect("sockets").expect("a process");
    assert_eq!(taken.len(), 2);
}

#[tokio::test]
async fn strange_words_are_refused() {
    let (_directory, path) = place();
    let (_place, _successors, _task) = offering(&path, 1);
    for words in [&b"CHAPPE>\x02"[..], b"GET / HT", b"CHAPPE>\x01x"] {
        let mut stream = UnixStream::connect(&path).await.expect("a connection");
        stream.write_all(words).await.expect("written");
        // Greeting, and for the last one number and name; then the end.
        let mut heard = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("in time").ok();
        assert!(heard.len() == 8 || (words.len() == 9 && heard.len() == 8 + 2 + 32), "{heard:?}");
    }
    let other = path.with_extension("other");
    let listener = tokio::net::UnixListener::bind(&other).expect("a socket");
    for words in [&b"CHAPPE>\x02\x00\x00"[..], b"CHAPPE>\x01\x00\x01listen[0]                       "] {
        let (taken, ()) = tokio::join!(take_over(&other), async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.write_all(words).await.expect("written");
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        assert!(matches!(taken, Err(HandoverError::Version | HandoverError::NoSocket)), "{taken:?}");
    }
}

#[tokio::test]
async fn the_name_of_the_next_one_stays() {
    let (_directory, path) = place();
    let (first, _successors, _task) = offering(&path, 1);
    let prepared = Offer::prepare(&path).expect("a socket");
    let (ready, _other) = mpsc::channel(1);
    let (second, _offer) = prepared.publish(sockets(1), ready).expect("a name");
    drop(first);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
    Offer::prepare(&path).expect("a socket").withdraw();
    let left = std::fs::read_dir(path.parent().expect("a directory")).expect("readable").count();
    assert_eq!(left, 0, "nothing is left behind");
}
