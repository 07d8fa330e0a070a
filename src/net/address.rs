//! Limits per client address, shared by all shards: open connections, new connections and AUTHs per minute.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;

use crate::moment::Moment;

const WINDOW: Duration = Duration::from_secs(60);

/// Addresses that are remembered: more than there may be connections by default. What comes from more is not bounded by its
/// address, only in all, until some have been quiet: refusing everybody new would be what a flood of addresses wants.
const REMEMBERED: usize = 1 << 17;

/// Bounds per address, and in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Open connections of one address.
    pub open: u32,
    /// New connections of one address in a minute.
    pub new: u32,
    /// AUTHs with credentials of one address in a minute.
    pub auths: u32,
    /// Open connections in all.
    pub total: usize,
}

#[derive(Debug, Default)]
struct State {
    open: u32,
    since: Moment,
    new: u32,
    auths: u32,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowded {
    /// This address has or makes too many.
    Address,
    /// There are too many in all.
    Total,
}

/// Who is connected from where.
#[derive(Debug, Default)]
pub struct Addresses {
    states: DashMap<IpAddr, State>,
    total: AtomicUsize,
    /// When a full table was last looked through.
    looked: EachSecond,
}

/// A place among the connections of an address; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    addresses: Arc<Addresses>,
    /// None if the table was full.
    address: Option<IpAddr>,
}

impl Addresses {
    /// Takes a place for a new connection.
    pub fn connect(self: &Arc<Self>, address: IpAddr, bounds: &Bounds, now: Moment) -> Result<Permit, Crowded> {
        if self.total.load(Ordering::Relaxed) >= bounds.total {
            return Err(Crowded::Total);
        }
        let address = one(address);
        if !self.remembers(address, now) {
            self.total.fetch_add(1, Ordering::Relaxed);
            return Ok(Permit { addresses: self.clone(), address: None });
        }
        let mut state = self.states.entry(address).or_default();
        state.renew(now);
        if state.open >= bounds.open || state.new >= bounds.new {
            return Err(Crowded::Address);
        }
        state.open += 1;
        state.new += 1;
        self.total.fetch_add(1, Ordering::Relaxed);
        Ok(Permit { addresses: self.clone(), address: Some(address) })
    }

    /// Counts an AUTH with credentials; false when there were too many.
    pub fn auth(&self, address: IpAddr, bounds: &Bounds, now: Moment) -> bool {
        let address = one(address);
        if !self.remembers(address, now) {
            return true;
        }
        let mut state = self.states.entry(address).or_default();
        state.renew(now);
        state.auths += 1;
        state.auths <= bounds.auths
    }

    /// Whether this address is in the table or has room there. A full table is looked through at most once a second:
    /// whoever fills it must not make that cost more.
    fn remembers(&self, address: IpAddr, now: Moment) -> bool {
        if self.states.len() < REMEMBERED || self.states.contains_key(&address) {
            return true;
        }
        if self.looked.comes(now) {
            self.sweep(now);
        }
        self.states.len() < REMEMBERED
    }

    /// Open connections in all.
    pub fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// Forgets addresses that have nothing open and were quiet for a minute.
    pub fn sweep(&self, now: Moment) {
        self.states.retain(|_, s| s.open > 0 || now.since(s.since) < WINDOW);
    }
}

/// Lets something happen once in each second.
#[derive(Debug, Default)]
pub(super) struct EachSecond(AtomicU64);

impl EachSecond {
    /// Whether it is the first time in this second of the clock.
    pub(super) fn comes(&self, now: Moment) -> bool {
        let second = now.as_nanos() / 1_000_000_000;
        self.0.swap(second, Ordering::Relaxed) != second
    }
}

/// What counts as one address: mapped IPv4 is IPv4, and of IPv6 the /64 that one customer has.
pub(super) fn one(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => std::net::Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX)).into(),
        four => four,
    }
}

impl State {
    fn renew(&mut self, now: Moment) {
        if now.since(self.since) >= WINDOW {
            (self.since, self.new, self.auths) = (now, 0, 0);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.addresses.total.fetch_sub(1, Ordering::Relaxed);
        if let Some(mut state) = self.address.and_then(|address| self.addresses.states.get_mut(&address)) {
            state.open = state.open.saturating_sub(1);
        }
    }
}

/// Tokens per user and dials per user and minute: leases that hold across shards.
#[derive(Debug, Default)]
pub struct Leases {
    tokens: DashMap<Arc<str>, u32>,
    dials: DashMap<Arc<str>, (Moment, u32)>,
}

impl Leases {
    /// Takes a lease for one more token of this user.
    pub fn take_token(&self, user: &str, most: u32) -> bool {
        let mut held = self.tokens.entry(user.into()).or_default();
        if *held >= most {
            return false;
        }
        *held += 1;
        true
    }

    /// Gives a lease back.
    pub fn release_token(&self, user: &str) {
        self.tokens.remove_if_mut(user, |_, held| {
            *held = held.saturating_sub(1);
            *held == 0
        });
    }

    /// Counts a dial; false when the user has made too many in this minute.
    pub fn dial(&self, user: &Arc<str>, most: u32, now: Moment) -> bool {
        let mut dials = self.dials.entry(user.clone()).or_insert((now, 0));
        if now.since(dials.0) >= WINDOW {
            *dials = (now, 0);
        }
        dials.1 += 1;
        dials.1 <= most
    }

    /// Forgets users that have not dialled for a minute.
    pub fn sweep(&self, now: Moment) {
        self.dials.retain(|_, (since, _)| now.since(*since) < WINDOW);
    }

    /// Tokens that are out, in all.
    pub fn tokens(&self) -> u64 {
        self.tokens.iter().map(|held| u64::from(*held.value())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { open: 2, new: 3, auths: 2, total: 10 };

    #[test]
    fn an_address_has_so_many_connections_and_no_more() {
        let addresses = Arc::new(Addresses::default());
        let a: IpAddr = [192, 0, 2, 1].into();
        let now = Moment::from_nanos(1 << 40);
        let one = addresses.connect(a, &BOUNDS, now).expect("first");
        let _two = addresses.connect(a, &BOUNDS, now).expect("second");
        assert_eq!(addresses.connect(a, &BOUNDS, now).err(), Some(Crowded::Address));
        drop(one);
        let _three = addresses.connect(a, &BOUNDS, now).expect("a place was given back");
        drop(_three);
        assert_eq!(addresses.connect(a, &BOUNDS, now).err(), Some(Crowded::Address), "three new ones in this minute");
        assert!(addresses.connect(a, &BOUNDS, now + WINDOW).is_ok());
        assert_eq!(addresses.total(), 1);
    }

    #[test]
    fn a_flood_of_addresses_fills_the_table_and_shuts_nobody_out() {
        let bounds = Bounds { total: usize::MAX, ..BOUNDS };
        let addresses = Arc::new(Addresses::default());
        let nth = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        let now = Moment::from_nanos(1 << 40);
        for n in 0..REMEMBERED as u32 + 1000 {
            assert!(addresses.connect(nth(n), &bounds, now).is_ok());
        }
        assert_eq!((addresses.states.len(), addresses.total()), (REMEMBERED, 0));
        let a: IpAddr = [192, 0, 2, 1].into();
        let permits: Vec<_> = (0..9).map(|_| addresses.connect(a, &bounds, now).expect("a place")).collect();
        assert_eq!(addresses.total(), 9, "and yet they count in all");
        drop(permits);
        assert_eq!(addresses.total(), 0);
        for n in 0..9 {
            assert_eq!(addresses.connect(a, &bounds, now + WINDOW).is_ok(), n < 3, "there is room again");
        }
        assert_eq!(addresses.states.len(), 1);
    }

    #[test]
    fn leases_hold_across_shards_and_come_back() {
        let leases = Leases::default();
        assert!(leases.take_token("ines", 1));
        assert!(!leases.take_token("ines", 1));
        leases.release_token("ines");
        assert_eq!(leases.tokens(), 0);
        assert!(leases.take_token("ines", 1));
    }
}
