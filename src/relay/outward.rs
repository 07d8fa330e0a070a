//! The way to somebody who is not ours: a link that leads there already, or a connection to make (RFC 4976 section 6.5).

use std::net::{IpAddr, SocketAddr};

use super::Relay;
use super::link::{Dial, LinkId};
use super::refusal::Refusal;
use super::route::Binding;
use super::session::TokenId;
use crate::msrp::{Host, Scheme, Uri};

/// Far sides that an owner may have on one token at a time.
const FAR_SIDES: usize = 64;

impl Relay {
    /// From-owner: a known far side, a link that leads there already, or a connection to make.
    pub(super) fn outward(&mut self, token: TokenId, text: &[u8], next: &Uri<'_>) -> Result<Binding, Refusal> {
        let session = self.sessions.get(&token).ok_or(Refusal::NoSession)?;
        // IOP-19: a URI that a link is bound to is never dialled.
        let known =
            session.far.iter().find(|f| *f.uri == *text || Uri::parse(&f.uri).is_ok_and(|u| u.equivalent(next)));
        if let Some(far) = known {
            if far.link.shard != self.shard {
                return Ok(Binding::Abroad(far.link));
            }
            if self.alive(far.link.link) {
                return Ok(Binding::Link(far.link.link));
            }
        }
        if session.far.len() >= FAR_SIDES {
            return Err(Refusal::Quota);
        }
        let Host::Name(name) = next.host() else {
            return self.outward_to(token, text, next);
        };
        let invalid = name.len() >= 8 && name[name.len() - 8..].eq_ignore_ascii_case(b".invalid");
        if !next.is_tcp() || invalid || name.eq_ignore_ascii_case(b"invalid") {
            return Err(Refusal::NoSession);
        }
        self.outward_to(token, text, next)
    }

    fn outward_to(&mut self, token: TokenId, text: &[u8], next: &Uri<'_>) -> Result<Binding, Refusal> {
        if !next.is_tcp() {
            return Err(Refusal::NoSession);
        }
        let dial = self.dial(next);
        let relay = dial.relay();
        if let Some(name) = &relay
            && self.settings.shares(&dial)
            && let Some(link) = self.relay_link(name)
        {
            self.bind_far(token, self.here(link), relay, text);
            return Ok(Binding::Link(link));
        }
        if let Some(link) = self.next_hops.get(&dial).copied()
            && self.alive(link)
        {
            // RFC 4976 section 6.5. A link that is still being made belongs to the relay it is made to.
            self.bind_far(token, self.here(link), relay, text);
            return Ok(Binding::Link(link));
        }
        self.judge(next)?;
        Ok(Binding::Dial(dial))
    }

    /// Numeric targets are judged at once; names when their addresses are known, by whoever connects.
    pub(super) fn judge(&self, next: &Uri<'_>) -> Result<(), Refusal> {
        let address: Option<IpAddr> = match next.host() {
            Host::V4(a) => Some(a.into()),
            Host::V6(a) => Some(a.into()),
            Host::Name(_) => None,
        };
        if let (Some(address), Some(port)) = (address, next.port()) {
            self.settings.policy.permits(None, SocketAddr::new(address, port)).map_err(|_| Refusal::Policy)?;
        }
        Ok(())
    }

    pub(super) fn dial(&self, uri: &Uri<'_>) -> Dial {
        let host = uri.host_string();
        let peer = self.settings.peers.contains_key(&host);
        let secure = uri.scheme() == Scheme::Msrps;
        Dial { secure, host, port: uri.port(), bulk: false, lane: 0, peer, fingerprints: None }
    }

    /// Any link to this peer relay, never a bulk link.
    pub(super) fn relay_link(&self, name: &str) -> Option<LinkId> {
        let links = self.relays.get(name)?;
        links.iter().copied().find(|l| self.alive(*l) && self.links.get(*l).is_some_and(|l| !l.meta.bulk))
    }
}
