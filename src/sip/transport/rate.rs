//! Messages of one address in a second: a token bucket for each address that is not trusted.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use dashmap::DashMap;

use crate::moment::Moment;

/// Addresses that are remembered; more are refused until some have been quiet. Sources of datagrams can be forged, so this
/// must not grow with what comes in.
const REMEMBERED: usize = 1 << 16;

/// The buckets.
#[derive(Debug, Default)]
pub(super) struct Rates {
    buckets: DashMap<IpAddr, Bucket>,
}

/// How fast the buckets fill, and how much they hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    interval: Duration,
    burst: u32,
}

/// When the next message would find the bucket empty of debts.
#[derive(Clone, Copy, Debug)]
struct Bucket(Moment);

impl Pace {
    pub(super) fn new(per_second: u32, burst: u32) -> Pace {
        Pace { interval: Duration::from_secs(1) / per_second.max(1), burst: burst.max(1) }
    }
}

impl Rates {
    /// Takes a token, or tells how long to wait for one.
    pub(super) fn take(&self, address: IpAddr, pace: Pace, now: Moment) -> Result<(), Duration> {
        let address = key(address);
        if self.buckets.len() >= REMEMBERED && !self.buckets.contains_key(&address) {
            return Err(pace.interval);
        }
        let mut bucket = self.buckets.entry(address).or_insert(Bucket(now));
        let from = bucket.0.max(now);
        // A debt of `burst - 1` intervals still lets one more pass.
        let ahead = from.since(now);
        let room = pace.interval * (pace.burst - 1);
        if ahead > room {
            return Err(ahead - room);
        }
        bucket.0 = from + pace.interval;
        Ok(())
    }

    /// Forgets addresses whose bucket is full again.
    pub(super) fn sweep(&self, now: Moment) {
        self.buckets.retain(|_, b| b.0 > now);
    }
}

/// Mapped IPv4 is IPv4, and of IPv6 it is the /64 that counts.
fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX)).into(),
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_nanos(1 << 40);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let (rates, pace) = (Rates::default(), Pace::new(10, 3));
        let (ada, bob) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..3 {
            assert_eq!(rates.take(ada, pace, START), Ok(()));
        }
        assert_eq!(rates.take(ada, pace, START), Err(Duration::from_millis(100)));
        assert_eq!(rates.take(bob, pace, START), Ok(()), "another address");
        let later = START + Duration::from_millis(100);
        assert_eq!(rates.take(ada, pace, later), Ok(()));
        assert_eq!(rates.take(ada, pace, later), Err(Duration::from_millis(100)));
    }

    #[test]
    fn addresses_are_forgotten_when_their_bucket_is_full() {
        let (rates, pace) = (Rates::default(), Pace::new(10, 3));
        assert_eq!(rates.take(address("2001:db8::1"), pace, START), Ok(()));
        assert_eq!(rates.take(address("2001:db8::2"), pace, START), Ok(()));
        assert_eq!(rates.buckets.len(), 1, "one /64");
        rates.sweep(START + Duration::from_millis(199));
        assert_eq!(rates.buckets.len(), 1);
        rates.sweep(START + Duration::from_millis(200));
        assert_eq!(rates.buckets.len(), 0);
    }
}
