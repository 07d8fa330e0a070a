//! The admin interface in bad hands, or in too many: messages do not notice, and the operator gets in again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::scene::{Bystanders, one_shard};
use crate::support::{Authority, PATIENCE, Relay, Wish};

/// What comes back for this text; empty if it is closed without a word.
fn exchange(address: SocketAddr, text: &[u8], patience: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience))?;
    // The rest of what is too long may meet a closed connection.
    let _ = stream.write_all(text);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if answer.is_empty() && error.kind() != std::io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

fn get(address: SocketAddr, path: &str, more: &str, patience: Duration) -> std::io::Result<u16> {
    let text = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{more}\r\n");
    let answer = exchange(address, text.as_bytes(), patience)?;
    Ok(answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_ones_take_all_seats_and_lose_them() {
    let authority = Authority::new();
    let relay = Relay::start(&authority, &one_shard(""));
    let mut bystanders = Bystanders::at(&relay, &authority).await;
    let admin = relay.admin;
    // Twice as many as there are seats, each with the beginning of a request.
    let mut slow: Vec<TcpStream> = (0..64).map(|_| TcpStream::connect(admin).expect("the kernel takes it")).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: local").expect("written");
    }
    bystanders.go_on(10).await;
    // The operator has to wait for those in front of it: two turns of 10 s.
    let started = Instant::now();
    let waiting = tokio::task::spawn_blocking(move || {
        // They go on trickling, which does not help them.
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let mut answer = None;
        let ask = move || tell.send(get(admin, "/healthz", "", Duration::from_secs(90)));
        let asked = std::thread::spawn(ask);
        while answer.is_none() {
            for stream in &mut slow {
                let _ = stream.write_all(b"h");
            }
            answer = told.recv_timeout(Duration::from_millis(500)).ok();
        }
        let _ = asked.join();
        answer.expect("an answer")
    });
    let status = waiting.await.expect("a thread").expect("served in the end");
    println!("the operator was served after {:?}", started.elapsed());
    assert_eq!(status, 200);
    assert!(started.elapsed() < Duration::from_secs(30), "after {:?}", started.elapsed());
    bystanders.go_on(10).await;
    bystanders.finish("slow admin clients").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_for_everything() {
    let authority = Authority::new();
    let relay = Relay::start(&authority, &one_shard(""));
    let bystanders = Bystanders::at(&relay, &authority).await;
    let admin = relay.admin;
    let deadline = Instant::now() + Duration::from_secs(3);
    let hammer = move |path: &'static str| {
        move || {
            let mut served = 0;
            while Instant::now() < deadline {
                // A seat may have to be waited for, but everybody gets one.
                assert_eq!(get(admin, path, "", PATIENCE).expect("an answer"), 200);
                served += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
            served
        }
    };
    let paths = ["/metrics", "/sessions?limit=1000", "/healthz", "/log-level"];
    let threads: Vec<_> = (0..16).map(|n| tokio::task::spawn_blocking(hammer(paths[n % 4]))).collect();
    let mut served = 0;
    for thread in threads {
        served += thread.await.expect("a thread");
    }
    println!("{served} admin requests in 3 s");
    bystanders.finish("many admin clients").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn big_and_senseless_requests() {
    let authority = Authority::new();
    let relay = Relay::start(&authority, &one_shard(""));
    let bystanders = Bystanders::at(&relay, &authority).await;
    let before = relay.resident();
    let host = relay.admin;
    let ask = |text: Vec<u8>| {
        let answer = exchange(host, &text, PATIENCE).expect("an end");
        answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok())
    };
    let request = |head: &str, body: &[u8]| [format!("{head}\r\nHost: {host}\r\n").as_bytes(), body].concat();
    tokio::task::block_in_place(|| {
        let long = format!("PUT /log-level HTTP/1.1\r\nContent-Length: {}", 64 << 20);
        assert_eq!(ask(request(&long, &[b"\r\n", &vec![b'x'; 1 << 20][..]].concat())), Some(413));
        let chunked = "PUT /log-level HTTP/1.1\r\nTransfer-Encoding: chunked";
        let body = [b"\r\n".to_vec(), format!("100000\r\n{}\r\n0\r\n\r\n", "x".repeat(1 << 20)).into_bytes()].concat();
        assert_eq!(ask(request(chunked, &body)), Some(413));
        let headers = format!("X: {}\r\n\r\n", "y".repeat(4 << 20));
        assert!(matches!(ask(request("GET /metrics HTTP/1.1", headers.as_bytes())), Some(431) | None));
        let path = format!("GET /{} HTTP/1.1", "z".repeat(1 << 20));
        assert!(matches!(ask(request(&path, b"\r\n")), Some(414 | 431 | 404) | None));
        assert!(matches!(ask(b"MSRP abcd SEND\r\nTo-Path: x\r\n\r\n".to_vec()), Some(400) | None));
        assert!(matches!(ask(vec![0xff; 100_000]), Some(400 | 431) | None));
        let bad = b"Connection: close\r\nContent-Length: 17\r\n\r\n{\"level\": \"loud!\"";
        assert_eq!(ask(request("PUT /log-level HTTP/1.1", bad)), Some(400));
        let nobody = b"Connection: close\r\n\r\n";
        assert_eq!(ask(request("DELETE /sessions/0123456789abcdef HTTP/1.1", nobody)), Some(404));
        assert_eq!(ask(request("DELETE /metrics HTTP/1.1", nobody)), Some(405));
    });
    let grown = relay.resident().saturating_sub(before);
    assert!(grown < 16 << 20, "grew by {grown} octets");
    assert_eq!(relay.http("GET", "/healthz", "").0, 200);
    bystanders.finish("senseless admin requests").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_not_guessed_and_guesses_do_not_fill_the_log() {
    let authority = Authority::new();
    let wish = Wish { admin: "token = \"the one and only token\"", ..one_shard("") };
    let mut relay = Relay::start(&authority, &wish);
    let bystanders = Bystanders::at(&relay, &authority).await;
    let (admin, refused) = (relay.admin, AtomicU64::new(0));
    let started = Instant::now();
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            for n in 0..4 {
                let refused = &refused;
                scope.spawn(move || {
                    for guess in 0..100 {
                        let header = format!("Authorization: Bearer guess-{n}-{guess}\r\n");
                        let path = ["/metrics", "/sessions", "/log-level", "/nothing"][guess % 4];
                        assert_eq!(get(admin, path, &header, PATIENCE).expect("an answer"), 401);
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
    });
    let seconds = started.elapsed().as_secs() + 2;
    assert_eq!(refused.load(Ordering::Relaxed), 400);
    // Probes need no token; the operator has one.
    assert_eq!(get(admin, "/healthz", "", PATIENCE).expect("an answer"), 200);
    let good = "Authorization: Bearer the one and only token\r\n";
    assert_eq!(get(admin, "/metrics", good, PATIENCE).expect("an answer"), 200);
    let line = relay.expect_log("admin request refused");
    assert!(line.contains("\"peer\":\"127.0.0.1\"") && line.contains("held_back"), "{line}");
    let log = relay.read_log();
    let lines = log.matches("admin request refused").count() as u64;
    assert!(lines <= 10 * seconds, "{lines} lines in {seconds} s");
    assert!(!log.contains("guess-") && !log.contains("one and only"), "{log}");
    bystanders.finish("guessed admin tokens").await;
}
