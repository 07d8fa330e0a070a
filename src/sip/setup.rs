//! From the configuration to what the control plane's parts are told.

use std::net::SocketAddr;
use std::time::Duration;

use super::digest;
use super::routing::{Means, Ownership, Routes};
use super::transport::{Listen, Settings, Trusted, client_config, server_config};
use crate::auth::Algorithm;
use crate::config::{self, Config, Media, Protocol, Sip, Untrusted};
use crate::net::address::Bounds;
use crate::net::server::{StartError, TlsFiles, read_tls, server_options};
use crate::net::tls::{Identity, PeerTrust};
use crate::relay::policy::{EgressPolicy, Rule, Target};
use crate::sdp;

/// The listeners, in the order of the file.
pub fn listeners(sip: &Sip) -> Vec<Listen> {
    sip.listen.iter().map(|listen| Listen { protocol: listen.protocol, address: listen.address }).collect()
}

/// Bounds, certificates and trust of the transport. `in_memory` is the certificate that the data plane made, with its CA, for
/// where no files are named; what files hold is read here.
pub fn transport(config: &Config, sip: &Sip, in_memory: Option<&(String, Identity)>) -> Result<Settings, StartError> {
    let default = Settings::default();
    let mut files = read_tls(config)?.unwrap_or(TlsFiles { identity: None, client_ca: None, roots: Vec::new() });
    if let Some((authority, identity)) = in_memory.filter(|_| files.identity.is_none()) {
        files.roots.push(authority.clone().into_bytes());
        files.identity = Some(identity.clone());
    }
    let options = server_options(config);
    let wrong = |error| StartError::Credentials { what: "tls.certificate", error };
    let roots = |error| StartError::Credentials { what: "tls.client_ca or tls.trust", error };
    let listens = sip.listen.iter().any(|listen| listen.protocol == Protocol::Tls);
    let identity = files.identity.as_ref();
    let server = identity.filter(|_| listens).map(|own| server_config(own, options).map_err(wrong)).transpose()?;
    Ok(Settings {
        connections: bounds(sip, default.connections),
        messages_per_second: sip.messages_per_second,
        burst: sip.burst,
        handshake: config.limits.handshake_timeout,
        // A call's connection is said something on at each refresh of its session timer, at half of that time.
        idle: default.idle.max(sip.session_expires + Duration::from_secs(60)),
        server,
        client: Some(client_config(&files.roots, identity, options.key_log).map_err(roots)?),
        trusted: trusted(sip, files.client_ca.as_deref())?,
        ..default
    })
}

/// Who is trusted; `authority` is `tls.client_ca` as PEM text.
fn trusted(sip: &Sip, authority: Option<&[u8]>) -> Result<Trusted, StartError> {
    let wrong = |error| StartError::Credentials { what: "tls.client_ca", error };
    Ok(Trusted {
        networks: sip.trusted.clone(),
        authorities: authority.map(|authority| PeerTrust::from_pem(&[authority]).map_err(wrong)).transpose()?,
        names: sip.trusted_certificates.iter().cloned().collect(),
    })
}

/// An address may fill its places at once, and what it may hold never exceeds what all may.
fn bounds(sip: &Sip, default: Bounds) -> Bounds {
    let open = sip.connections_per_address;
    Bounds { open, new: default.new.max(open.saturating_mul(2)), total: default.total.max(open as usize), ..default }
}

/// What Via and Contact say of each listener that is bound to one of these addresses, in the order of the file: protocol, host
/// (IPv6 without brackets), port.
pub fn names(sip: &Sip, bound: &[(Protocol, SocketAddr)]) -> Vec<(Protocol, String, u16)> {
    let named = |(listen, (protocol, address)): (&crate::config::SipListen, &(Protocol, SocketAddr))| {
        let (host, port) = listen.name(*address);
        (*protocol, host, port)
    };
    sip.listen.iter().zip(bound).map(named).collect()
}

/// Networks where an operator's own servers and telephones are.
const PRIVATE: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/// Where requests may go that neither a route nor the outbound proxy leads: what MSRP may be sent to, private networks, and
/// whoever is trusted. So nobody makes us speak to services of this host or of the network's own making.
pub fn egress(sip: &Sip, own: &[SocketAddr]) -> EgressPolicy {
    let net = |(addr, prefix)| Rule { target: Target::Net { addr, prefix }, ports: None };
    let trusted = sip.trusted.iter().filter(|network| !network.is_everything()).map(|network| net(network.parts()));
    let private = PRIVATE.iter().flat_map(|text| text.parse());
    let allow = sip.allow_targets.iter().cloned().chain(private).chain(trusted).collect();
    EgressPolicy { allow, deny: sip.deny_targets.clone(), own: own.to_vec(), ..EgressPolicy::default() }
}

/// The terms on which strangers are asked who they are; none where they are refused.
pub fn digest(config: &Config, sip: &Sip) -> Option<digest::Terms> {
    (sip.untrusted == Untrusted::Digest).then(|| digest::Terms {
        realm: config.relay.realm.clone(),
        algorithms: config.auth.algorithms.iter().map(|algorithm| algorithm_of(*algorithm)).collect(),
        nonce_lifetime: config.auth.nonce_lifetime,
    })
}

fn algorithm_of(algorithm: config::Algorithm) -> Algorithm {
    match algorithm {
        config::Algorithm::Md5 => Algorithm::Md5,
        config::Algorithm::Sha256 => Algorithm::Sha256,
    }
}

/// Where requests go, with listeners bound to these addresses (in the order of the file).
pub fn routes(sip: &Sip, bound: &[(Protocol, SocketAddr)]) -> Routes {
    let ours = names(sip, bound).into_iter().map(|(_, host, port)| (host, port));
    Routes {
        outbound_proxy: sip.outbound_proxy.clone(),
        routes: sip.routes.clone(),
        resolve: sip.resolve,
        own: Ownership::new(ours, bound.iter().copied()),
    }
}

/// By which protocols requests leave: datagrams by a listener of their family, connections by any way.
pub fn means(bound: &[(Protocol, SocketAddr)]) -> Means {
    let udp = |four| bound.iter().any(|(it, address)| *it == Protocol::Udp && address.is_ipv4() == four);
    Means { udp4: udp(true), udp6: udp(false), tcp: true, tls: true }
}

/// The rules of descriptions of all calls, but for what depends on the call: `anchoring` and `interworking` are its route's,
/// `fingerprints_trusted` is that of its signalling (see [`Media::fingerprints_need_secure_sip`]).
pub fn rules(media: &Media) -> sdp::Rules {
    sdp::Rules {
        tls_required: media.tls_required,
        fingerprint_required: media.fingerprint_required,
        accept_sha1: media.accept_sha1,
        accept_loopback: media.accept_loopback,
        content: sdp::Content { blocked: media.blocked_types.clone(), max_size: media.max_size },
        ..sdp::Rules::default()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustls_pki_types::ServerName;
    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::config::Secret;
    use crate::net::tls::development::in_memory;
    use crate::sip::transport::{Transport, Trust};

    fn config(text: &str) -> (Config, Sip) {
        let text = format!("[[listen]]\naddress = \"127.0.0.1:0\"\n{text}");
        let config = Config::from_str(&text, Path::new("/nonexistent")).unwrap_or_else(|problems| panic!("{problems}"));
        let sip = config.sip.clone().expect("a listener");
        (config, sip)
    }

    #[test]
    fn each_key_reaches_its_setting() {
        let (config, sip) = config(
            "[tls]\n[limits]\nhandshake_timeout = \"3s\"\n[sip]\nmessages_per_second = 7\nburst = 8\n\
             connections_per_address = 9000\n[[sip.listen]]\naddress = \"0.0.0.0:5070\"\nadvertise = \"Sip.Example\"\n\
             [sip.media]\ntls_required = true\nmax_size = 7\nblocked_types = [\"image/*\"]\n",
        );
        let settings = transport(&config, &sip, None).expect("settings");
        assert_eq!((settings.messages_per_second, settings.burst, settings.handshake.as_secs()), (7, 8, 3));
        assert_eq!(
            (settings.connections.open, settings.connections.new, settings.connections.total),
            (9000, 18000, 9000)
        );
        assert!(settings.server.is_none() && settings.client.is_some());
        let bound = (Protocol::Udp, "0.0.0.0:5070".parse().expect("an address"));
        assert_eq!(names(&sip, &[bound]), [(Protocol::Udp, "sip.example".to_owned(), 5070)]);
        let rules = rules(&sip.media);
        assert!(rules.tls_required && rules.content.max_size == Some(7) && rules.content.blocked.len() == 1);
    }

    #[test]
    fn requests_go_where_the_file_says_and_never_to_ourselves() {
        let (_, sip) = config(
            "[tls]\n[sip]\nresolve = false\n[[sip.listen]]\naddress = \"0.0.0.0:5070\"\nadvertise = \"Sip.Example\"\n\
             [[sip.route]]\ndomain = \"*.a.example\"\nto = \"sip:p.example\"\nprotocol = \"tls\"\nanchor = false\n\
             [[sip.route]]\ndomain = \"b.example\"\nto = \"sip:sip.example:5070\"\n",
        );
        let bound = [(Protocol::Udp, "0.0.0.0:5070".parse().expect("an address"))];
        let routes = routes(&sip, &bound);
        let next = |uri| routes.next_hop(uri, &crate::sip::message::Headers::default());
        let hop = next("sip:x@y.a.example").expect("a route");
        assert_eq!((hop.places[0].to_string(), hop.anchor), ("sip:p.example".to_owned(), false));
        assert_eq!(hop.protocol, Some(sdp::Protocol::Tls));
        assert_eq!(next("sip:x@b.example"), Err(crate::sip::routing::NoRoute::Loop));
        assert_eq!(next("sip:x@c.example"), Err(crate::sip::routing::NoRoute::NotFound));
        assert_eq!(means(&bound), Means { udp4: true, udp6: false, tcp: true, tls: true });
    }

    #[test]
    fn nobody_makes_us_speak_to_what_is_no_server_of_sip() {
        let (_, sip) = config(
            "[tls]\n[sip]\ntrusted = [\"203.0.113.0/24\"]\nallow_targets = [\"127.0.0.2:5070\"]\n\
             deny_targets = [\"10.9.0.0/16\"]\n[[sip.listen]]\naddress = \"127.0.0.1:5070\"\n",
        );
        let policy = egress(&sip, &[([10, 1, 1, 1], 5060).into()]);
        let permits = |target: &str| policy.permits(None, target.parse().expect("an address")).is_ok();
        for good in ["8.8.8.8:5060", "10.1.2.3:5060", "[fd00::1]:5061", "203.0.113.7:5060", "127.0.0.2:5070"] {
            assert!(permits(good), "{good}");
        }
        for bad in [
            "127.0.0.1:5060",
            "127.0.0.2:5071",
            "169.254.169.254:5060",
            "10.9.1.1:5060",
            "10.1.2.3:22",
            "[fe80::1]:5060",
            "224.0.1.75:5060",
            "10.1.1.1:5060",
            "192.0.2.1:5060",
        ] {
            assert!(!permits(bad), "{bad}");
        }
    }

    #[test]
    fn strangers_are_asked_only_where_the_file_says_so() {
        let listener = "[[sip.listen]]\naddress = \"127.0.0.1:0\"\n";
        let (refusing, sip) = config(&format!("[tls]\n{listener}"));
        assert_eq!(digest(&refusing, &sip), None);
        let text = "[auth]\nalgorithms = [\"MD5\", \"SHA-256\"]\nnonce_lifetime = 9\n[relay]\nrealm = \"r\"\n";
        let (asking, sip) = config(&format!("[tls]\n{text}[sip]\nuntrusted = \"digest\"\n{listener}"));
        let terms = digest::Terms {
            realm: "r".to_owned(),
            algorithms: Algorithm::STRONGEST_FIRST.into(),
            nonce_lifetime: std::time::Duration::from_secs(9),
        };
        assert_eq!(digest(&asking, &sip), Some(terms));
    }

    #[tokio::test]
    async fn a_secure_listener_without_any_certificate_does_not_start() {
        let (config, sip) = config("[tls]\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tls\"\n");
        let settings = transport(&config, &sip, None).expect("settings");
        let started = Transport::start(settings, &listeners(&sip));
        assert!(matches!(started, Err(crate::sip::transport::StartError::NoCertificate)));
    }

    /// Whether a listener under this `[tls]` serves a client that has only TLS 1.2.
    async fn with_tls12(tls: &str) -> bool {
        let (config, sip) =
            config(&format!("[tls]\n{tls}\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tls\"\n"));
        let made = in_memory("localhost").expect("a certificate");
        let settings = transport(&config, &sip, Some(&made)).expect("settings");
        let (transport, _events) = Transport::start(settings, &listeners(&sip)).expect("a listener");
        let (_, address) = transport.listening()[0];
        let mut roots = rustls::RootCertStore::empty();
        for certificate in rustls_pki_types::pem::PemObject::pem_slice_iter(made.0.as_bytes()) {
            roots.add(certificate.expect("PEM")).expect("an authority");
        }
        let client = rustls::ClientConfig::builder_with_provider(crate::net::tls::provider())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .expect("a version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await.expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(std::sync::Arc::new(client)).connect(name, stream).await.is_ok()
    }

    #[tokio::test]
    async fn tls_is_as_its_section_says() {
        assert!(with_tls12("").await);
        assert!(!with_tls12("min_version = \"1.3\"").await);
    }

    #[tokio::test]
    async fn development_trusts_loopback() {
        let config = Config::development(Secret::from("p"));
        let sip = Sip { listen: Vec::new(), ..config.sip.clone().expect("listeners") };
        let (transport, _events) =
            Transport::start(transport(&config, &sip, None).expect("settings"), &[]).expect("no sockets");
        let trusted = |text: &str| transport.dialer().trusted(text.parse().expect("an address"));
        assert_eq!(trusted("127.9.9.9"), Some(Trust::Address));
        assert_eq!(trusted("::1"), Some(Trust::Address));
        assert_eq!(trusted("192.0.2.1"), None);
    }
}
