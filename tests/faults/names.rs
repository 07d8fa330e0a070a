//! Name servers that are dead, silent, slow or broken: messages to names fail with 408 in time, those to addresses pass, and
//! nobody else waits.

mod root {
    use std::collections::HashMap;
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use chappe::client::{Endpoint, EndpointOptions, Grant, Listener};
    use chappe::msrp::Status;
    use tokio::net::UdpSocket;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use crate::descriptors::{leave, limit};
    use crate::scene::{Bystanders, one_shard, owner, reported, send};
    use crate::support::{Authority, PATIENCE, Relay, Wish, next_message};

    /// What a name server does when it is asked for the addresses of a name.
    #[derive(Clone, Copy)]
    enum Manner {
        /// It says 127.0.0.1 after this time.
        After(Duration),
        /// It says nothing.
        Silent,
        /// It says that it has failed.
        Broken,
    }

    /// A name server on an address of loopback of its own, since a resolv.conf names no port.
    struct NameServer {
        address: SocketAddr,
        task: JoinHandle<()>,
    }

    impl NameServer {
        async fn new(last: u8, manners: &Arc<Mutex<HashMap<&'static str, Manner>>>) -> NameServer {
            let address = SocketAddr::from(([127, 0, 53, last], 53));
            let socket = Arc::new(UdpSocket::bind(address).await.expect("port 53 (these tests need root)"));
            let manners = manners.clone();
            let task = tokio::spawn(async move {
                let mut question = [0; 512];
                while let Ok((length, from)) = socket.recv_from(&mut question).await {
                    let (name, answers) = read(&question[..length]);
                    let manner = manners.lock().expect("no panic").get(name.as_str()).copied();
                    let (wait, code) = match manner {
                        Some(Manner::After(wait)) => (wait, 0),
                        Some(Manner::Silent) => continue,
                        Some(Manner::Broken) => (Duration::ZERO, 2),
                        None => (Duration::ZERO, 3),
                    };
                    let answer = answer(&question[..length], code, answers && code == 0);
                    let socket = socket.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(wait).await;
                        let _ = socket.send_to(&answer, from).await;
                    });
                }
            });
            NameServer { address, task }
        }

        /// Nobody listens at its port any more, and the kernel says so.
        async fn die(self) {
            self.task.abort();
            let _ = self.task.await;
        }
    }

    /// The name of a question, and whether it asks for IPv4 addresses (RFC 1035 section 4.1).
    fn read(question: &[u8]) -> (String, bool) {
        let (mut at, mut labels) = (12, Vec::new());
        while question[at] != 0 {
            let end = at + 1 + usize::from(question[at]);
            labels.push(String::from_utf8_lossy(&question[at + 1..end]).to_lowercase());
            at = end;
        }
        (labels.join("."), question[at + 1..at + 3] == [0, 1])
    }

    fn answer(question: &[u8], code: u8, address: bool) -> Vec<u8> {
        let name_end = 12 + question[12..].iter().position(|octet| *octet == 0).expect("a name") + 1;
        let mut text = question[..name_end + 4].to_vec();
        // A response, recursion available; one question, perhaps one answer, nothing more (EDNS is left out).
        (text[2], text[3]) = (0x81, 0x80 | code);
        text[4..12].copy_from_slice(&[0, 1, 0, u8::from(address), 0, 0, 0, 0]);
        if address {
            // Not to be remembered: the next question is asked anew.
            text.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
        }
        text
    }

    /// A relay whose system names that server, and Alice, who writes to far sides by name.
    struct Scene {
        manners: Arc<Mutex<HashMap<&'static str, Manner>>>,
        server: NameServer,
        relay: Relay,
        alice: Endpoint,
        grant: Grant,
        far: Listener,
        bystanders: Bystanders,
        resolv: tempfile::NamedTempFile,
    }

    impl Scene {
        async fn new(last: u8) -> Scene {
            let manners = Arc::default();
            let server = NameServer::new(last, &manners).await;
            let resolv = tempfile::NamedTempFile::new().expect("file");
            std::fs::write(resolv.path(), format!("nameserver {}\n", server.address.ip())).expect("file");
            let path = resolv.path().to_str().expect("UTF-8").to_owned();
            // Only the relay sees this resolv.conf.
            let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
            let through = ["unshare", "--mount", "sh", "-c", script, &path];
            let authority = Authority::new();
            let relay = Relay::start(&authority, &Wish { through: &through, ..one_shard("connect_timeout = \"2s\"") });
            let bystanders = Bystanders::at(&relay, &authority).await;
            let (alice, grant) = owner(&relay, &authority, "alice").await;
            let far = Listener::bind_tcp(([127, 0, 0, 1], 0).into()).await.expect("a listener");
            Scene { manners, server, relay, alice, grant, far, bystanders, resolv }
        }

        fn set(&self, name: &'static str, manner: Manner) {
            self.manners.lock().expect("no panic").insert(name, manner);
        }

        /// The path to the far side by this name.
        fn to(&self, name: &str) -> String {
            self.grant.to_path(&format!("msrp://{name}:{}/far;tcp", self.far.local_addr().port()))
        }

        /// A line to this name arrives.
        async fn arrives(&self, name: &str) {
            let options = || EndpointOptions { any_session: true, ..EndpointOptions::default() };
            let to = self.to(name);
            let (sending, far) =
                tokio::join!(send(&self.alice, &to, name), timeout(PATIENCE, self.far.accept(options())));
            let far = far.expect("in time").expect("a connection");
            assert_eq!(next_message(&far).await.body.as_deref(), Some(name.as_bytes()));
            timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("accepted");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs root"]
    async fn silent_slow_and_broken() {
        let mut s = Scene::new(1).await;
        s.set("good.test", Manner::After(Duration::ZERO));
        s.set("slow.test", Manner::After(Duration::from_millis(1500)));
        s.set("silent.test", Manner::Silent);
        s.set("broken.test", Manner::Broken);
        s.arrives("good.test").await;
        // All of them at once; a look-up may take 5 s.
        let mut silent = send(&s.alice, &s.to("silent.test"), "x").await;
        let mut broken = send(&s.alice, &s.to("broken.test"), "x").await;
        let mut unknown = send(&s.alice, &s.to("unknown.test"), "x").await;
        let soon = Duration::from_secs(8);
        let (after_broken, after_unknown, after_silent, ()) = tokio::join!(
            reported(&mut broken, Status::TIMEOUT, soon),
            reported(&mut unknown, Status::TIMEOUT, soon),
            reported(&mut silent, Status::TIMEOUT, soon),
            s.arrives("slow.test")
        );
        println!("told after: broken {after_broken:?}, unknown {after_unknown:?}, silent {after_silent:?}");
        assert!(after_silent > Duration::from_millis(1500), "it was waited for: {after_silent:?}");
        // Who is on call can tell a name that does not exist from servers that fail.
        let line = |relay: &mut Relay, host: &str| relay.expect_log(&format!("\"host\":\"{host}\""));
        let log = line(&mut s.relay, "broken.test");
        assert!(log.contains("the name servers failed"), "{log}");
        let log = line(&mut s.relay, "silent.test");
        assert!(log.contains("the name servers did not answer"), "{log}");
        let log = line(&mut s.relay, "unknown.test");
        assert!(log.contains("does not resolve"), "{log}");
        s.bystanders.go_on(10).await;
        s.bystanders.finish("silent, slow and broken name servers").await;
        s.server.die().await;
    }

    /// The system's configuration is read when a name is first asked for; that it could not be read then is not for ever.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs root"]
    async fn first_asked_without_a_descriptor() {
        let s = Scene::new(3).await;
        s.set("good.test", Manner::After(Duration::ZERO));
        let before = leave(&s.relay, 0);
        let mut early = send(&s.alice, &s.to("good.test"), "x").await;
        reported(&mut early, Status::TIMEOUT, Duration::from_secs(8)).await;
        limit(&s.relay, before.current.expect("a limit"));
        s.arrives("good.test").await;
        s.bystanders.finish("first asked without a descriptor").await;
        s.server.die().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs root"]
    async fn dead_and_alive_again() {
        let s = Scene::new(2).await;
        s.set("good.test", Manner::After(Duration::ZERO));
        s.arrives("good.test").await;
        s.server.die().await;
        let manners = s.manners.clone();
        let to = |name: &str| s.grant.to_path(&format!("msrp://{name}:{}/far;tcp", s.far.local_addr().port()));
        let mut dead = send(&s.alice, &to("other.test"), "x").await;
        let after = reported(&mut dead, Status::TIMEOUT, Duration::from_secs(8)).await;
        println!("a dead name server was told after {after:?}");
        // Addresses need no name server.
        let by_address = s.grant.to_path(s.far.uri());
        let (sending, far) =
            tokio::join!(send(&s.alice, &by_address, "by address"), s.far.accept(EndpointOptions::default()));
        assert_eq!(next_message(&far.expect("a connection")).await.body.as_deref(), Some(&b"by address"[..]));
        timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("accepted");
        // Back at its place: it is asked again.
        let again = NameServer::new(2, &manners).await;
        manners.lock().expect("no panic").insert("back.test", Manner::After(Duration::ZERO));
        let options = || EndpointOptions { any_session: true, ..EndpointOptions::default() };
        let path = to("back.test");
        let (sending, far) = tokio::join!(send(&s.alice, &path, "back"), timeout(PATIENCE, s.far.accept(options())));
        let far = far.expect("the relay asks again").expect("a connection");
        assert_eq!(next_message(&far).await.body.as_deref(), Some(&b"back"[..]));
        timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("accepted");
        again.die().await;
        // Or at another place, which the operator writes into resolv.conf: a reload takes it up, and sessions go on.
        let elsewhere = NameServer::new(4, &manners).await;
        std::fs::write(s.resolv.path(), format!("nameserver {}\n", elsewhere.address.ip())).expect("file");
        assert_eq!(s.relay.http("POST", "/reload", "").0, 200);
        manners.lock().expect("no panic").insert("moved.test", Manner::After(Duration::ZERO));
        let path = to("moved.test");
        let (_sending, far) = tokio::join!(send(&s.alice, &path, "moved"), timeout(PATIENCE, s.far.accept(options())));
        let far = far.expect("the other server is asked").expect("a connection");
        assert_eq!(next_message(&far).await.body.as_deref(), Some(&b"moved"[..]));
        s.bystanders.finish("dead name server").await;
        elsewhere.die().await;
    }
}
