//! Dialling a next hop for the core: quota, addresses, connection, handshake (RFC 4976 sections 6.4.2 and 8).

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use rustls_pki_types::ServerName;

use super::accept::fingerprints;
use super::connection::{Connection, Parts};
use super::dial::{DialError, connect, permitted};
use super::resolve::Target;
use super::shard::{Shard, bump};
use super::tls::{ALPN_BULK, ALPN_RELAY, Tls};
use crate::observe::throttle::Throttle;
use crate::relay::{Dial, DialFailure, LinkId};
use crate::sdp::Fingerprint;

static NOT_REACHED: Throttle = Throttle::new(20);

struct Dialled {
    connection: Connection,
    relay: Option<crate::relay::RelayIdentity>,
    own_kind: bool,
    fingerprints: Option<Arc<[Fingerprint]>>,
    early: BytesMut,
}

impl Shard {
    pub(super) async fn dial(self: Rc<Self>, link: LinkId, to: Dial, user: Option<Arc<str>>) {
        match self.reach(&to, user.as_ref()).await {
            Ok(d) => {
                bump(&self.io.dials[0]);
                self.add_dialled(link, d.connection, d.relay, d.own_kind, d.fingerprints, d.early);
            }
            Err(error) => {
                bump(&self.io.dials[1]);
                // Users can cause these without end, the quota's own refusals in particular.
                if let Some(held_back) = NOT_REACHED.admit() {
                    tracing::info!(
                        %error, host = %to.host, port = to.port, user = user.as_deref(), held_back,
                        "next hop not reached; what waits for it is reported as failed, the next request dials again"
                    );
                }
                let failure = match error {
                    DialError::Unresolvable | DialError::NameServers => DialFailure::Unresolvable,
                    DialError::Policy(_) => DialFailure::Policy,
                    DialError::Connect(_) => DialFailure::Connect,
                    DialError::Timeout | DialError::NameServersSilent => DialFailure::Timeout,
                    DialError::Tls(_) => DialFailure::Tls,
                    DialError::Quota => DialFailure::Quota,
                };
                self.with(|relay, now| relay.handle_dial_failed(link, failure, now));
            }
        }
    }

    async fn reach(self: &Rc<Self>, to: &Dial, user: Option<&Arc<str>>) -> Result<Dialled, DialError> {
        let rules = **self.shared.rules.load();
        // Peer relays are infrastructure: users' quotas are not for them.
        let leased = |user: &Arc<str>| self.shared.leases.dial(user, rules.dials_per_user, self.shared.clock.now());
        if !to.peer && !user.is_none_or(leased) {
            return Err(DialError::Quota);
        }
        let target = match (to.host.parse::<IpAddr>(), to.port) {
            (Ok(address), Some(port)) => Target::Address((address, port).into()),
            (Ok(_), None) => return Err(DialError::Unresolvable),
            (Err(_), Some(port)) => Target::Name { host: to.host.clone(), port },
            (Err(_), None) => Target::Service { host: to.host.clone() },
        };
        let addresses = self.resolver()?.resolve(&target).await?;
        let settings = self.shared.settings.load_full();
        let name = target.host_name();
        let stream = connect(&addresses, rules.connect, |address| permitted(&settings.policy, name, address)).await?;
        let peer = stream.peer_addr().map_err(|e| DialError::Connect(e.kind()))?;
        let tls = if to.secure {
            let name = ServerName::try_from(to.host.clone()).map_err(|_| DialError::Unresolvable)?;
            // Only a relay that we know can be of our kind, and only such a one is asked.
            let alpn: &[&[u8]] = match (to.peer, to.bulk) {
                (true, true) => &[ALPN_BULK],
                (true, false) => &[ALPN_RELAY],
                (false, _) => &[],
            };
            Some(match &to.fingerprints {
                Some(expected) => Tls::connect_pinned(&self.shared.client, name, expected.clone())?,
                None => Tls::connect(&self.shared.client, name, alpn)?,
            })
        } else {
            None
        };
        let socket = stream.into_std().map_err(|e| DialError::Connect(e.kind()))?;
        let parts = Parts::fresh(socket, tls, peer, None);
        let connection = Connection::new(parts).map_err(|e| DialError::Connect(e.kind()))?;
        let mut early = BytesMut::new();
        let (mut relay, mut own_kind, mut seen) = (None, false, None);
        if to.secure {
            let handshake = tokio::time::timeout(rules.handshake, self.handshake(&connection, &mut early));
            match handshake.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let _ = connection.send_tls_pending(&self.io.calls);
                    self.part(connection.close(), false);
                    return Err(match error {
                        super::accept::HandshakeError::Tls(e) => DialError::Tls(e),
                        super::accept::HandshakeError::Socket(kind) => DialError::Connect(kind),
                        super::accept::HandshakeError::Closed => DialError::Connect(std::io::ErrorKind::UnexpectedEof),
                    });
                }
                Err(_) => {
                    self.part(connection.close(), false);
                    return Err(DialError::Timeout);
                }
            }
            let tls = connection.tls();
            if let Some(tls) = tls.as_ref() {
                seen = fingerprints(tls);
                // Who was verified by fingerprints has proved no name.
                let named = to.fingerprints.is_none();
                relay = named.then(|| self.shared.identify_dialled(&to.host, tls.peer_certificates())).flatten();
                own_kind = tls.alpn().is_some_and(|a| a == ALPN_RELAY || a == ALPN_BULK);
            }
        }
        Ok(Dialled { connection, relay, own_kind, fingerprints: seen, early })
    }
}
