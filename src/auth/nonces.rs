//! Nonces that need no memory until they are used (RFC 4976 section 10.3, RFC 7616 section 3.3).
//!
//! A nonce says when it expires and which shard made it, and proves it with a MAC under a key of this process. So a
//! flood of challenges costs nothing (ADV-R05); only nonces answered with a right response are remembered, to refuse
//! replays (RLY-20).

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use rand_chacha::rand_core::RngCore;
use sha2::Sha256;

use crate::moment::Moment;

/// How long a nonce may be used unless configured otherwise.
pub const NONCE_LIFETIME: Duration = Duration::from_secs(60);

/// Whether a nonce and its count may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NonceState {
    /// Ours, not expired, and the count is above every one seen before.
    Good,
    /// Anything else: to be answered by 401 with a fresh nonce and `stale=true`, if the response is right.
    Stale,
}

/// The nonces of one shard: makes them, knows them again, and remembers the counts used.
pub struct Nonces {
    mac: Hmac<Sha256>,
    shard: [u8; 2],
    capacity: usize,
    /// The highest count of every nonce used, the first to expire first.
    used: BTreeMap<Serial, u32>,
    /// The latest expiry of an entry that had to leave `used` early. A nonce up to here that is not in `used` may have
    /// been used, so it counts as stale.
    forgotten: Moment,
}

/// Expiry and random number: what tells nonces of one key and shard apart.
type Serial = (Moment, [u8; 8]);

impl Nonces {
    /// `key` is random and of this process, `shard_label` tells its shards apart; `capacity` is the number of used
    /// nonces that are remembered.
    pub fn new(key: [u8; 32], shard_label: u16, capacity: usize) -> Nonces {
        Nonces {
            mac: Hmac::new_from_slice(&key).expect("HMAC takes a key of any length"),
            shard: shard_label.to_be_bytes(),
            capacity,
            used: BTreeMap::new(),
            forgotten: Moment::ZERO,
        }
    }

    /// A fresh nonce: base64url of expiry, 64 random bits, shard label and MAC. Nothing is stored.
    pub fn issue(&self, now: Moment, rng: &mut impl RngCore) -> String {
        self.issue_until(now + NONCE_LIFETIME, rng)
    }

    /// As [`Nonces::issue`], good until `expiry`.
    pub fn issue_until(&self, expiry: Moment, rng: &mut impl RngCore) -> String {
        let mut octets = [0; LEN];
        octets[..8].copy_from_slice(&expiry.as_nanos().to_be_bytes());
        rng.fill_bytes(&mut octets[8..16]);
        octets[16..18].copy_from_slice(&self.shard);
        let mac = self.mac.clone().chain_update(&octets[..SIGNED]).finalize().into_bytes();
        octets[SIGNED..].copy_from_slice(&mac[..LEN - SIGNED]);
        URL_SAFE_NO_PAD.encode(octets)
    }

    /// Whether `nonce` may be used with the count `nc` at this time.
    pub fn check(&self, nonce: &[u8], nc: u32, now: Moment) -> NonceState {
        match self.serial(nonce) {
            Some(serial) if self.is_fresh(&serial, nc, now) => NonceState::Good,
            _ => NonceState::Stale,
        }
    }

    /// As [`Nonces::check`], and uses up all counts to `nc` if they are good. Call it only when the response is right.
    pub fn accept(&mut self, nonce: &[u8], nc: u32, now: Moment) -> NonceState {
        let Some(serial) = self.serial(nonce).filter(|s| self.is_fresh(s, nc, now)) else {
            return NonceState::Stale;
        };
        self.used.insert(serial, nc);
        self.forget(now);
        NonceState::Good
    }

    fn is_fresh(&self, serial: &Serial, nc: u32, now: Moment) -> bool {
        let unused = match self.used.get(serial) {
            Some(&highest) => nc > highest,
            None => nc > 0 && serial.0 > self.forgotten,
        };
        unused && now < serial.0
    }

    /// Drops entries that have expired, then the oldest ones above the capacity.
    fn forget(&mut self, now: Moment) {
        while let Some(entry) = self.used.first_entry() {
            let (expiry, _) = *entry.key();
            if expiry > now && self.used.len() <= self.capacity {
                break;
            }
            self.used.pop_first();
            self.forgotten = self.forgotten.max(expiry);
        }
    }

    /// The serial of a nonce with our MAC and label.
    fn serial(&self, nonce: &[u8]) -> Option<Serial> {
        if nonce.len() != TEXT_LEN {
            return None;
        }
        let mut buffer = [0; TEXT_LEN];
        let octets: [u8; LEN] = match URL_SAFE_NO_PAD.decode_slice(nonce, &mut buffer) {
            Ok(len) => buffer[..len].try_into().ok()?,
            Err(_) => return None,
        };
        let (signed, mac) = octets.split_at(SIGNED);
        self.mac.clone().chain_update(signed).verify_truncated_left(mac).ok()?;
        let (expiry, rest) = signed.split_first_chunk::<8>()?;
        let (random, shard) = rest.split_first_chunk::<8>()?;
        (*shard == self.shard).then_some((Moment::from_nanos(u64::from_be_bytes(*expiry)), *random))
    }
}

/// Octets under the MAC: expiry, random number, shard label.
const SIGNED: usize = 8 + 8 + 2;
/// Octets of a nonce: the signed ones and 16 of the MAC.
const LEN: usize = SIGNED + 16;
/// Characters of a nonce.
const TEXT_LEN: usize = (LEN * 4).div_ceil(3);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::NonceState::{Good, Stale};
    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const NOW: Moment = Moment::from_nanos(5_000_000_000);

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(1)
    }

    fn at(seconds: u64) -> Moment {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn rly_10_nonces_differ_and_need_no_quoting() {
        let (nonces, mut rng) = (Nonces::new(KEY, 0, 8), rng());
        let (a, b) = (nonces.issue(NOW, &mut rng), nonces.issue(NOW, &mut rng));
        assert_ne!(a, b);
        assert_eq!(a.len(), TEXT_LEN);
        assert!(a.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'));
    }

    /// RLY-21
    #[test]
    fn rly_21_nonce_lives_60_seconds() {
        let nonces = Nonces::new(KEY, 0, 8);
        let nonce = nonces.issue(NOW, &mut rng());
        assert_eq!(nonces.check(nonce.as_bytes(), 1, at(60) - Duration::from_nanos(1)), Good);
        assert_eq!(nonces.check(nonce.as_bytes(), 1, at(60)), Stale);
    }

    /// RLY-20
    #[test]
    fn rly_20_count_must_rise() {
        let mut nonces = Nonces::new(KEY, 0, 8);
        let nonce = nonces.issue(NOW, &mut rng());
        let steps = [(0, Stale), (1, Good), (1, Stale), (2, Good), (9, Good), (9, Stale), (8, Stale), (u32::MAX, Good)];
        for (nc, state) in steps {
            assert_eq!(nonces.check(nonce.as_bytes(), nc, NOW), state, "check {nc}");
            assert_eq!(nonces.accept(nonce.as_bytes(), nc, NOW), state, "accept {nc}");
        }
    }

    #[test]
    fn check_uses_nothing_up() {
        let nonces = Nonces::new(KEY, 0, 8);
        let nonce = nonces.issue(NOW, &mut rng());
        for _ in 0..2 {
            assert_eq!(nonces.check(nonce.as_bytes(), 1, NOW), Good);
        }
    }

    /// RLY-21
    #[test]
    fn rly_21_nonce_of_another_process_or_shard_is_stale() {
        let nonce = Nonces::new(KEY, 0, 8).issue(NOW, &mut rng());
        assert_eq!(Nonces::new(KEY, 1, 8).check(nonce.as_bytes(), 1, NOW), Stale);
        assert_eq!(Nonces::new([8; 32], 0, 8).check(nonce.as_bytes(), 1, NOW), Stale);
        assert_eq!(Nonces::new(KEY, 0, 8).check(nonce.as_bytes(), 1, NOW), Good);
    }

    /// RLY-20
    #[test]
    fn rly_20_full_table_never_forgets_a_use() {
        let (mut nonces, mut rng) = (Nonces::new(KEY, 0, 2), rng());
        let issued: Vec<_> = (0..4).map(|s| nonces.issue(at(s), &mut rng)).collect();
        for nonce in &issued[..3] {
            assert_eq!(nonces.accept(nonce.as_bytes(), 1, at(4)), Good);
        }
        assert_eq!(nonces.used.len(), 2);
        assert_eq!(nonces.check(issued[0].as_bytes(), 1, at(4)), Stale);
        assert_eq!(nonces.check(issued[0].as_bytes(), 2, at(4)), Stale, "its counts are not known any more");
        assert_eq!(nonces.check(issued[1].as_bytes(), 1, at(4)), Stale);
        assert_eq!(nonces.check(issued[1].as_bytes(), 2, at(4)), Good, "still remembered");
        assert_eq!(nonces.check(issued[3].as_bytes(), 1, at(4)), Good, "younger than all that were dropped");
    }

    #[test]
    fn without_capacity_nonces_are_for_one_use() {
        let (mut nonces, mut rng) = (Nonces::new(KEY, 0, 0), rng());
        let (first, second) = (nonces.issue(NOW, &mut rng), nonces.issue(at(1), &mut rng));
        assert_eq!(nonces.accept(first.as_bytes(), 1, at(1)), Good);
        assert_eq!(nonces.accept(first.as_bytes(), 2, at(1)), Stale);
        assert_eq!(nonces.accept(second.as_bytes(), 1, at(1)), Good);
    }

    #[test]
    fn expired_entries_leave_the_table() {
        let (mut nonces, mut rng) = (Nonces::new(KEY, 0, 100), rng());
        for second in 0..200 {
            let nonce = nonces.issue(at(second), &mut rng);
            assert_eq!(nonces.accept(nonce.as_bytes(), 1, at(second)), Good);
        }
        assert_eq!(nonces.used.len(), 60);
    }

    proptest! {
        #[test]
        fn tampering_is_always_stale(at in 0..TEXT_LEN, to in any::<u8>()) {
            let nonces = Nonces::new(KEY, 0, 8);
            let mut nonce = nonces.issue(NOW, &mut rng()).into_bytes();
            prop_assume!(nonce[at] != to);
            nonce[at] = to;
            prop_assert_eq!(nonces.check(&nonce, 1, NOW), Stale);
        }

        #[test]
        fn invented_nonces_are_always_stale(nonce in proptest::collection::vec(any::<u8>(), 0..80), nc in any::<u32>()) {
            prop_assert_eq!(Nonces::new(KEY, 0, 8).accept(&nonce, nc, NOW), Stale);
        }

        /// RLY-20
        #[test]
        fn no_count_is_accepted_twice(
            capacity in 0usize..4,
            uses in proptest::collection::vec((0usize..6, 1u32..4, 0u64..20), 0..40),
        ) {
            let (mut nonces, mut rng) = (Nonces::new(KEY, 0, capacity), rng());
            let issued: Vec<_> = (0..6).map(|i| nonces.issue(at(i * 7), &mut rng)).collect();
            let mut seen = std::collections::HashMap::new();
            let mut now = NOW;
            for (which, nc, pause) in uses {
                now = now + Duration::from_secs(pause);
                if nonces.accept(issued[which].as_bytes(), nc, now) == Good {
                    let before = seen.insert(which, nc);
                    prop_assert!(before.is_none_or(|b| nc > b));
                }
                prop_assert!(nonces.used.len() <= capacity);
            }
        }
    }
}
