//! TLS, and who is known by a certificate.

use super::*;
use crate::net::tls::development::in_memory;
use crate::net::tls::{Identity, PeerTrust, ServerOptions};
use rustls_pki_types::ServerName;
use tokio_rustls::{TlsConnector, client::TlsStream};

struct Secure {
    rig: Rig,
    authority: String,
    proxy: Identity,
}

fn secure() -> Secure {
    let (authority, server) = in_memory("localhost").unwrap();
    let (vouching, proxy) = in_memory("proxy.example").unwrap();
    let trusted = Trusted {
        authorities: Some(PeerTrust::from_pem(&[vouching]).unwrap()),
        names: ["proxy.example".to_owned()].into(),
        ..Trusted::default()
    };
    let settings = Settings {
        server: Some(server_config(&server, ServerOptions::default()).unwrap()),
        client: Some(client_config(&[&authority], None, false).unwrap()),
        handshake: Duration::from_millis(500),
        trusted,
        ..Settings::default()
    };
    Secure { rig: Rig::new(settings), authority, proxy }
}

impl Secure {
    async fn connect(&self, own: Option<&Identity>) -> TlsStream<TcpStream> {
        let config = client_config(&[&self.authority], own, false).unwrap();
        let stream = TcpStream::connect(self.rig.address(Protocol::Tls)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        within(TlsConnector::from(config).connect(name, stream)).await.unwrap()
    }

    async fn trust(&mut self, own: Option<&Identity>) -> Option<Trust> {
        let mut stream = self.connect(own).await;
        stream.write_all(request("OPTIONS", "a").as_bytes()).await.unwrap();
        let flow = self.rig.arrival().await.flow;
        flow.send("SIP/2.0 200 OK\r\n\r\n".into()).unwrap();
        assert_eq!(read(&mut stream).await, "SIP/2.0 200 OK\r\n\r\n");
        assert_eq!(flow.protocol(), Protocol::Tls);
        flow.trust().cloned()
    }
}

#[tokio::test]
async fn a_proxy_is_known_by_its_certificate_and_nobody_else_is() {
    let mut secure = secure();
    let (proxy, (_, stranger)) = (secure.proxy.clone(), in_memory("proxy.example").unwrap());
    assert_eq!(secure.trust(Some(&proxy)).await, Some(Trust::Certificate("proxy.example".into())));
    assert_eq!(secure.trust(None).await, None, "no certificate");
    assert_eq!(secure.trust(Some(&stranger)).await, None, "the same name, but nobody vouches for it");
}

#[tokio::test]
async fn targets_are_verified_by_name() {
    let secure = secure();
    let address = secure.rig.address(Protocol::Tls);
    let to = |name: Option<&str>| Target { protocol: Protocol::Tls, address, name: name.map(Into::into), from: None };
    let named = secure.rig.transport.connect(&to(Some("localhost"))).await.unwrap();
    let by_address = secure.rig.transport.connect(&to(None)).await.unwrap();
    assert!(!named.is(&by_address), "a connection is good only for the name it was verified for");
    let wrong = secure.rig.transport.connect(&to(Some("other.example"))).await;
    assert_eq!(wrong.unwrap_err(), SendError::Handshake);
}

#[tokio::test]
async fn another_certificate_is_shown_at_once_and_what_is_open_stays() {
    let mut secure = secure();
    let mut open = secure.connect(None).await;
    let (authority, server) = in_memory("localhost").unwrap();
    let settings = Settings {
        server: Some(server_config(&server, ServerOptions::default()).unwrap()),
        client: Some(client_config(&[&authority], None, false).unwrap()),
        ..Settings::default()
    };
    secure.rig.transport.dialer().reconfigure(&settings);
    secure.authority = authority;
    assert_eq!(secure.trust(None).await, None, "the client believes only the new one");
    let address = secure.rig.address(Protocol::Tls);
    let target = Target { protocol: Protocol::Tls, address, name: Some("localhost".into()), from: None };
    assert!(secure.rig.transport.connect(&target).await.is_ok(), "and so do we");
    open.write_all(request("OPTIONS", "b").as_bytes()).await.unwrap();
    assert_eq!(secure.rig.arrival().await.message.head.call_id, "b");
    // A listener never loses what it needs.
    secure.rig.transport.dialer().reconfigure(&Settings { server: None, ..settings });
    assert_eq!(secure.trust(None).await, None);
}

#[tokio::test]
async fn noise_and_silence_on_a_tls_listener_are_counted() {
    let secure = secure();
    let mut noise = TcpStream::connect(secure.rig.address(Protocol::Tls)).await.unwrap();
    noise.write_all(request("OPTIONS", "a").as_bytes()).await.unwrap();
    read_to_end(&mut noise).await;
    let mut silence = TcpStream::connect(secure.rig.address(Protocol::Tls)).await.unwrap();
    assert_eq!(read_to_end(&mut silence).await, "");
    assert_eq!(secure.rig.transport.counts().losses(Loss::Handshake), 2);
}

#[tokio::test]
async fn a_tls_listener_needs_a_certificate() {
    let listen = [Listen { protocol: Protocol::Tls, address: "127.0.0.1:0".parse().unwrap() }];
    assert!(matches!(Transport::start(Settings::default(), &listen), Err(StartError::NoCertificate)));
}
