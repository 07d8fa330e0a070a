//! Addresses that guess passwords are shut out for a while (RFC 4976 section 9.1), whichever shard they come to.
//!
//! What counts as one address is said by [`one`]: of IPv6 the /64 that one customer has. Only what cannot be forged counts:
//! failures over connections, and none of a peer relay, which brings the users of many addresses.

use std::net::IpAddr;
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;

use super::address::{EachSecond, one};
use crate::config::Network;
use crate::moment::Moment;

/// Addresses that are remembered; the failures of more are not counted until some have been quiet.
const REMEMBERED: usize = 1 << 16;

/// When an address is banned, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanRules {
    /// Wrong credentials within the window that begin a ban; zero bans nobody.
    pub after: u32,
    /// How long a failure counts.
    pub window: Duration,
    /// How long a ban lasts.
    pub time: Duration,
    /// Networks that are never banned.
    pub exempt: Vec<Network>,
}

/// The beginning of a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Failures that led to it.
    pub failures: u32,
    /// How long it lasts.
    pub time: Duration,
}

/// Who has failed, and who is banned.
#[derive(Debug)]
pub struct Bans {
    rules: ArcSwap<BanRules>,
    suspects: DashMap<IpAddr, Suspect>,
    /// When a full table was last looked through.
    looked: EachSecond,
}

#[derive(Debug)]
struct Suspect {
    since: Moment,
    failures: u32,
    until: Option<Moment>,
}

impl Suspect {
    fn banned(&self, now: Moment) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Neither banned nor with a failure that still counts.
    fn cleared(&self, window: Duration, now: Moment) -> bool {
        !self.banned(now) && (self.until.is_some() || now.since(self.since) >= window)
    }
}

impl Bans {
    /// Nobody is suspected yet.
    pub fn new(rules: BanRules) -> Bans {
        Bans { rules: ArcSwap::from_pointee(rules), suspects: DashMap::new(), looked: EachSecond::default() }
    }

    /// Puts other rules in force. Bans that have begun keep their time, unless the address is exempt now.
    pub fn reconfigure(&self, rules: BanRules) {
        self.rules.store(rules.into());
    }

    /// Counts wrong credentials; tells of the ban that begins with them.
    pub fn failed(&self, address: IpAddr, now: Moment) -> Option<Ban> {
        let rules = self.rules.load();
        if rules.after == 0 || rules.exempt.iter().any(|network| network.holds(address)) {
            return None;
        }
        let address = one(address);
        if self.suspects.len() >= REMEMBERED && !self.suspects.contains_key(&address) && !self.make_room(now) {
            return None;
        }
        let fresh = || Suspect { since: now, failures: 0, until: None };
        let mut suspect = self.suspects.entry(address).or_insert_with(fresh);
        if suspect.banned(now) {
            // It had connections before the ban; they end by themselves.
            return None;
        }
        if suspect.cleared(rules.window, now) {
            *suspect = fresh();
        }
        suspect.failures += 1;
        if suspect.failures < rules.after {
            return None;
        }
        suspect.until = Some(now + rules.time);
        Some(Ban { failures: suspect.failures, time: rules.time })
    }

    /// Whether this address is shut out now.
    pub fn holds(&self, address: IpAddr, now: Moment) -> bool {
        let banned = self.suspects.get(&one(address)).is_some_and(|suspect| suspect.banned(now));
        banned && !self.rules.load().exempt.iter().any(|network| network.holds(address))
    }

    /// Forgets who is neither banned nor suspected any more.
    pub fn sweep(&self, now: Moment) {
        let window = self.rules.load().window;
        self.suspects.retain(|_, suspect| !suspect.cleared(window, now));
    }

    /// Looks through a full table, at most once a second: whoever fills it must not make that cost more.
    fn make_room(&self, now: Moment) -> bool {
        if self.looked.comes(now) {
            self.sweep(now);
        }
        self.suspects.len() < REMEMBERED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const START: Moment = Moment::from_nanos(1 << 40);

    fn rules(exempt: &[&str]) -> BanRules {
        let exempt = exempt.iter().map(|text| text.parse().expect("a network")).collect();
        BanRules { after: 3, window: MINUTE, time: 5 * MINUTE, exempt }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn fail(bans: &Bans, who: &str, times: usize, now: Moment) -> usize {
        (0..times).filter_map(|_| bans.failed(address(who), now)).count()
    }

    #[test]
    fn three_failures_shut_an_address_out_for_its_time_and_nobody_else() {
        let bans = Bans::new(rules(&[]));
        assert_eq!(fail(&bans, "192.0.2.1", 2, START), 0);
        assert!(!bans.holds(address("192.0.2.1"), START));
        assert_eq!(bans.failed(address("192.0.2.1"), START), Some(Ban { failures: 3, time: 5 * MINUTE }));
        assert!(bans.holds(address("192.0.2.1"), START) && bans.holds(address("::ffff:192.0.2.1"), START));
        assert!(!bans.holds(address("192.0.2.2"), START));
        assert_eq!(fail(&bans, "192.0.2.1", 10, START + MINUTE), 0, "one ban is told once and is not prolonged");
        let end = START + 5 * MINUTE;
        assert!(bans.holds(address("192.0.2.1"), Moment::from_nanos(end.as_nanos() - 1)));
        assert!(!bans.holds(address("192.0.2.1"), end));
        assert_eq!(fail(&bans, "192.0.2.1", 2, end), 0, "it begins anew");
        assert_eq!(fail(&bans, "192.0.2.1", 1, end), 1);
    }

    #[test]
    fn failures_that_are_far_between_are_slips() {
        let bans = Bans::new(rules(&[]));
        for minute in 0..30 {
            assert_eq!(fail(&bans, "192.0.2.1", 2, START + minute * MINUTE), 0);
        }
    }

    #[test]
    fn of_ipv6_the_customer_is_banned() {
        let bans = Bans::new(rules(&[]));
        for host in 1..4 {
            fail(&bans, &format!("2001:db8:0:7::{host}"), 1, START);
        }
        assert!(bans.holds(address("2001:db8:0:7:ffff::1"), START));
        assert!(!bans.holds(address("2001:db8:0:8::1"), START));
    }

    #[test]
    fn exempt_networks_are_never_banned_and_a_reload_lifts_a_ban() {
        let bans = Bans::new(rules(&["10.0.0.0/8"]));
        assert_eq!(fail(&bans, "10.1.2.3", 100, START), 0);
        assert!(bans.suspects.is_empty());
        assert_eq!(fail(&bans, "192.0.2.1", 3, START), 1);
        bans.reconfigure(rules(&["192.0.2.0/24"]));
        assert!(!bans.holds(address("192.0.2.1"), START));
        bans.reconfigure(BanRules { after: 0, ..rules(&[]) });
        assert_eq!(fail(&bans, "192.0.2.9", 100, START), 0, "switched off");
    }

    #[test]
    fn memory_is_bounded_and_quiet_addresses_make_room() {
        let bans = Bans::new(rules(&[]));
        let nth = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        for n in 0..REMEMBERED as u32 + 1000 {
            bans.failed(nth(n), START);
        }
        assert_eq!(bans.suspects.len(), REMEMBERED);
        assert_eq!(fail(&bans, "192.0.2.1", 3, START), 0, "the table is full");
        let later = START + MINUTE;
        assert_eq!(fail(&bans, "192.0.2.1", 3, later), 1, "those who were quiet are forgotten");
        assert_eq!(bans.suspects.len(), 1);
        bans.sweep(later + 5 * MINUTE);
        assert!(bans.suspects.is_empty());
    }
}
