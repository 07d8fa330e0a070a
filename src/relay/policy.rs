//! Where the relay may connect to when a client's path asks for it (RLY-91).
//!
//! A To-Path names any host and port, so without a policy the relay would scan the operator's own network for whoever
//! can log in. The rule is: the public Internet, unprivileged ports, and never ourselves. The decision is made on the
//! address that is really connected to, not on the name (ADV-R27).
//!
//! In order of strength: own listeners are refused, whatever the rules say; then a deny rule refuses; then an allow rule
//! permits; then the address and the port must be public. An allow rule lifts the limit on ports only for ports that it
//! names.

mod rule;

pub use rule::{Rule, RuleError, Target};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

/// Why a target may not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A listener of this relay, under whatever name.
    #[error("own listener")]
    OwnListener,
    /// A deny rule of the configuration.
    #[error("denied by rule")]
    Rule,
    /// 127.0.0.0/8, ::1.
    #[error("loopback address")]
    Loopback,
    /// 169.254.0.0/16, fe80::/10.
    #[error("link-local address")]
    LinkLocal,
    /// 224.0.0.0/4, ff00::/8.
    #[error("multicast address")]
    Multicast,
    /// 0.0.0.0/8, ::.
    #[error("unspecified address")]
    Unspecified,
    /// RFC 1918, fc00::/7 (RFC 4193), fec0::/10.
    #[error("private address")]
    Private,
    /// 100.64.0.0/10 (RFC 6598).
    #[error("shared address of a provider's NAT")]
    Shared,
    /// RFC 5737, 2001:db8::/32 (RFC 3849), 3fff::/20 (RFC 9637).
    #[error("documentation address")]
    Documentation,
    /// 255.255.255.255.
    #[error("broadcast address")]
    Broadcast,
    /// Other addresses that are never on the public Internet: 240.0.0.0/4, 192.0.0.0/24, 198.18.0.0/15, 100::/64.
    #[error("reserved address")]
    Reserved,
    /// A port below 1024 that no rule names.
    #[error("privileged port")]
    Port,
}

/// The operator's decision about outgoing connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Targets permitted though the defaults refuse them.
    pub allow: Vec<Rule>,
    /// Targets refused though the defaults or `allow` permit them.
    pub deny: Vec<Rule>,
    /// Addresses of this relay's listeners, also the advertised ones. An unspecified address means all of this host's,
    /// of which only the loopback ones are known here: see [`EgressPolicy::listens_everywhere_on`].
    pub own: Vec<SocketAddr>,
    /// Ports that need no rule which names them.
    pub ports: Vec<RangeInclusive<u16>>,
}

impl Default for EgressPolicy {
    fn default() -> Self {
        EgressPolicy { allow: Vec::new(), deny: Vec::new(), own: Vec::new(), ports: vec![1024..=u16::MAX] }
    }
}

impl EgressPolicy {
    /// Whether a path that names `host_name` (none for a numeric host) may lead to `addr`.
    pub fn permits(&self, host_name: Option<&str>, addr: SocketAddr) -> Result<(), Refused> {
        let (host, port) = (addr.ip().to_canonical(), addr.port());
        if self.own.iter().any(|own| is_listener(*own, host, port)) {
            return Err(Refused::OwnListener);
        }
        let inner = embedded(host);
        let denies = |rule: &Rule| {
            rule.matches(host_name, host, port) || inner.is_some_and(|inner| rule.matches(None, inner.into(), port))
        };
        if self.deny.iter().any(denies) {
            return Err(Refused::Rule);
        }
        let mut allowed = self.allow.iter().filter(|rule| rule.matches(host_name, host, port)).peekable();
        if allowed.peek().is_none() {
            refuse_special(host)?;
        }
        let open = self.ports.iter().any(|range| range.contains(&port));
        if !open && allowed.all(|rule| rule.ports.is_none()) {
            return Err(Refused::Port);
        }
        Ok(())
    }

    /// Whether a listener of ours takes connections to this port on every address of this host. Who knows the host's
    /// addresses must then refuse them.
    pub fn listens_everywhere_on(&self, port: u16) -> bool {
        self.own.iter().any(|own| own.ip().is_unspecified() && own.port() == port)
    }
}

fn is_listener(own: SocketAddr, host: IpAddr, port: u16) -> bool {
    let everywhere = own.ip().is_unspecified() && (host.is_loopback() || host.is_unspecified());
    own.port() == port && (everywhere || own.ip().to_canonical() == host)
}

/// The IPv4 address that a translator would take out of this one: NAT64 (RFC 6052), 6to4 (RFC 3056), and the
/// IPv4-compatible form (RFC 4291 section 2.5.5.1).
fn embedded(host: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(host) = host else { return None };
    let octets = host.octets();
    let tail = |at: usize| Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]);
    match host.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(tail(12)),
        [0x2002, ..] => Some(tail(2)),
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) > (0, 1) => Some(tail(12)),
        _ => None,
    }
}

fn refuse_special(host: IpAddr) -> Result<(), Refused> {
    let verdict = match host {
        IpAddr::V4(host) => special_v4(host),
        IpAddr::V6(v6) => special_v6(v6).or_else(|| embedded(host).and_then(special_v4)),
    };
    verdict.map_or(Ok(()), Err)
}

fn special_v4(host: Ipv4Addr) -> Option<Refused> {
    Some(match host.octets() {
        [127, ..] => Refused::Loopback,
        [169, 254, ..] => Refused::LinkLocal,
        [224..240, ..] => Refused::Multicast,
        [0, ..] => Refused::Unspecified,
        [10, ..] | [172, 16..32, ..] | [192, 168, ..] => Refused::Private,
        [100, 64..128, ..] => Refused::Shared,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Refused::Documentation,
        [255, 255, 255, 255] => Refused::Broadcast,
        [240..=255, ..] | [192, 0, 0, _] | [198, 18..20, ..] => Refused::Reserved,
        _ => return None,
    })
}

fn special_v6(host: Ipv6Addr) -> Option<Refused> {
    Some(match host.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Refused::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] => Refused::Unspecified,
        [0xfe80..0xfec0, ..] => Refused::LinkLocal,
        [0xff00..=0xffff, ..] => Refused::Multicast,
        [0xfc00..0xfe00, ..] | [0xfec0..0xff00, ..] => Refused::Private,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..0x1000, ..] => Refused::Documentation,
        [0x100, 0, 0, 0, ..] => Refused::Reserved,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn policy(allow: &[&str], deny: &[&str], own: &[&str]) -> EgressPolicy {
        let rules = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let own = own.iter().map(|text| text.parse().unwrap()).collect();
        EgressPolicy { allow: rules(allow), deny: rules(deny), own, ..EgressPolicy::default() }
    }

    fn verdict(policy: &EgressPolicy, name: Option<&str>, addr: &str) -> Result<(), Refused> {
        policy.permits(name, addr.parse().unwrap())
    }

    /// ADV-S04, RLY-91, ADV-R02
    #[rstest]
    #[case("127.0.0.1:2855", Refused::Loopback)]
    #[case("127.255.0.9:2855", Refused::Loopback)]
    #[case("[::1]:2855", Refused::Loopback)]
    #[case("[::ffff:127.0.0.1]:2855", Refused::Loopback)]
    #[case("[64:ff9b::127.0.0.1]:2855", Refused::Loopback)]
    #[case("[2002:7f00:1::]:2855", Refused::Loopback)]
    #[case("[::127.0.0.1]:2855", Refused::Loopback)]
    #[case("169.254.169.254:2855", Refused::LinkLocal)]
    #[case("[fe80::1]:2855", Refused::LinkLocal)]
    #[case("224.0.0.1:2855", Refused::Multicast)]
    #[case("[ff02::1]:2855", Refused::Multicast)]
    #[case("0.0.0.0:2855", Refused::Unspecified)]
    #[case("[::]:2855", Refused::Unspecified)]
    #[case("10.1.2.3:2855", Refused::Private)]
    #[case("172.31.0.1:2855", Refused::Private)]
    #[case("192.168.0.1:2855", Refused::Private)]
    #[case("[::ffff:192.168.0.1]:2855", Refused::Private)]
    #[case("[fd00::1]:2855", Refused::Private)]
    #[case("[fec0::1]:2855", Refused::Private)]
    #[case("100.64.0.1:2855", Refused::Shared)]
    #[case("192.0.2.1:2855", Refused::Documentation)]
    #[case("198.51.100.1:2855", Refused::Documentation)]
    #[case("203.0.113.1:2855", Refused::Documentation)]
    #[case("[2001:db8::1]:2855", Refused::Documentation)]
    #[case("[3fff:fff::1]:2855", Refused::Documentation)]
    #[case("255.255.255.255:2855", Refused::Broadcast)]
    #[case("240.0.0.1:2855", Refused::Reserved)]
    #[case("198.19.0.1:2855", Refused::Reserved)]
    #[case("192.0.0.8:2855", Refused::Reserved)]
    #[case("[100::1]:2855", Refused::Reserved)]
    #[case("9.9.9.9:1023", Refused::Port)]
    fn rly91_refused_by_default(#[case] addr: &str, #[case] why: Refused) {
        assert_eq!(verdict(&EgressPolicy::default(), Some("far.example"), addr), Err(why));
    }

    /// RLY-91
    #[rstest]
    #[case("9.9.9.9:1024")]
    #[case("172.32.0.1:2855")]
    #[case("100.128.0.1:2855")]
    #[case("[2620:fe::fe]:2855")]
    #[case("[64:ff9b::9.9.9.9]:2855")]
    fn rly91_public_addresses_are_permitted(#[case] addr: &str) {
        assert_eq!(verdict(&EgressPolicy::default(), None, addr), Ok(()));
    }

    /// ADV-R02
    #[test]
    fn own_listeners_are_refused_whatever_the_rules_say() {
        let policy = policy(&["0.0.0.0/0", "::/0", "relay.example"], &[], &["9.9.9.9:2855", "[::]:2856"]);
        for addr in ["9.9.9.9:2855", "[::ffff:9.9.9.9]:2855", "127.0.0.1:2856", "[::1]:2856", "0.0.0.0:2856"] {
            assert_eq!(verdict(&policy, Some("relay.example"), addr), Err(Refused::OwnListener), "{addr}");
        }
        assert_eq!(verdict(&policy, None, "9.9.9.9:2857"), Ok(()));
        assert!(policy.listens_everywhere_on(2856) && !policy.listens_everywhere_on(2855));
    }

    #[test]
    fn deny_beats_allow_beats_the_defaults() {
        let policy = policy(&["10.0.0.0/8", "fd00::/8"], &["10.9.0.0/16", "9.9.9.9", "bad.example"], &[]);
        assert_eq!(verdict(&policy, None, "10.1.2.3:2855"), Ok(()));
        assert_eq!(verdict(&policy, None, "[::ffff:10.1.2.3]:2855"), Ok(()));
        assert_eq!(verdict(&policy, None, "[fd12::1]:2855"), Ok(()));
        assert_eq!(verdict(&policy, None, "10.9.2.3:2855"), Err(Refused::Rule));
        assert_eq!(verdict(&policy, None, "[64:ff9b::9.9.9.9]:2855"), Err(Refused::Rule));
        assert_eq!(verdict(&policy, Some("Bad.Example."), "8.8.8.8:2855"), Err(Refused::Rule));
        assert_eq!(verdict(&policy, None, "192.168.0.1:2855"), Err(Refused::Private));
    }

    #[test]
    fn a_name_rule_speaks_of_the_name_asked_for_not_of_its_address() {
        let policy = policy(&["inner.example:2855"], &[], &[]);
        assert_eq!(verdict(&policy, Some("INNER.example"), "10.0.0.1:2855"), Ok(()));
        assert_eq!(verdict(&policy, Some("inner.example"), "10.0.0.1:2856"), Err(Refused::Private));
        assert_eq!(verdict(&policy, Some("other.example"), "10.0.0.1:2855"), Err(Refused::Private));
        assert_eq!(verdict(&policy, None, "10.0.0.1:2855"), Err(Refused::Private));
    }

    #[test]
    fn privileged_ports_need_a_rule_that_names_them() {
        let policy = policy(&["10.0.0.0/8", "9.9.9.0/24:443-444"], &[], &[]);
        assert_eq!(verdict(&policy, None, "10.0.0.1:443"), Err(Refused::Port));
        assert_eq!(verdict(&policy, None, "9.9.9.9:443"), Ok(()));
        assert_eq!(verdict(&policy, None, "9.9.9.9:445"), Err(Refused::Port));
    }
}
