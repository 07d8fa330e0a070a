//! Targets that failed lately: they are tried last (RFC 3263 section 4.3).

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::moment::Moment;
use crate::sip::way::{Protocol, Target};

/// How long a target that failed rests.
pub const REST: Duration = Duration::from_secs(30);
/// Targets that are remembered; of more the first one is forgotten.
pub const MOST_RESTING: usize = 4096;

/// The targets that rest. They are not given up: where all rest, they are tried in their order.
#[derive(Clone, Debug, Default)]
pub struct Resting {
    until: HashMap<Key, Moment>,
    /// In the order of their ends; an entry whose end is not that of `until` was renewed or woken.
    order: VecDeque<(Key, Moment)>,
}

type Key = (Protocol, SocketAddr);

impl Resting {
    /// A target failed: 503, a fault of the transport, or no answer at all (RFC 3263 section 4.3).
    pub fn failed(&mut self, target: &Target, now: Moment) {
        self.forget(now);
        let (key, until) = ((target.protocol, target.address), now + REST);
        if self.until.insert(key, until) == Some(until) {
            return;
        }
        self.order.push_back((key, until));
        while self.order.len() > MOST_RESTING {
            self.drop_first();
        }
    }

    /// A target answered.
    pub fn answered(&mut self, target: &Target) {
        self.until.remove(&(target.protocol, target.address));
    }

    /// Whether a target rests.
    pub fn holds(&self, target: &Target, now: Moment) -> bool {
        self.until.get(&(target.protocol, target.address)).is_some_and(|until| now < *until)
    }

    /// The targets again, those that rest behind the others; the order is kept otherwise.
    pub fn reorder(&self, mut targets: Vec<Target>, now: Moment) -> Vec<Target> {
        targets.sort_by_key(|target| self.holds(target, now));
        targets
    }

    fn forget(&mut self, now: Moment) {
        while self.order.front().is_some_and(|(_, until)| *until <= now) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((key, until)) = self.order.pop_front()
            && self.until.get(&key) == Some(&until)
        {
            self.until.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_nanos(1 << 40);

    fn target(port: u16) -> Target {
        Target { protocol: Protocol::Tcp, address: ([192, 0, 2, 1], port).into(), name: None, from: None }
    }

    fn ports(resting: &Resting, now: Moment) -> Vec<u16> {
        let targets = [1, 2, 3].map(target).into();
        resting.reorder(targets, now).iter().map(|target| target.address.port()).collect()
    }

    #[test]
    fn rfc3263_s4_3_what_failed_is_tried_last_for_30_seconds() {
        let mut resting = Resting::default();
        resting.failed(&target(1), NOW);
        assert_eq!(ports(&resting, NOW), [2, 3, 1]);
        resting.failed(&target(2), NOW + Duration::from_secs(10));
        assert_eq!(ports(&resting, NOW + Duration::from_secs(10)), [3, 1, 2]);
        assert_eq!(ports(&resting, NOW + REST), [1, 3, 2]);
        assert_eq!(ports(&resting, NOW + REST + Duration::from_secs(10)), [1, 2, 3]);
    }

    #[test]
    fn another_protocol_is_another_target() {
        let mut resting = Resting::default();
        resting.failed(&target(1), NOW);
        assert!(!resting.holds(&Target { protocol: Protocol::Udp, ..target(1) }, NOW));
    }

    #[test]
    fn an_answer_ends_the_rest_and_a_failure_renews_it() {
        let mut resting = Resting::default();
        resting.failed(&target(1), NOW);
        resting.answered(&target(1));
        assert!(!resting.holds(&target(1), NOW));
        let later = NOW + Duration::from_secs(20);
        resting.failed(&target(1), later);
        // The end of the first rest forgets nothing of the second.
        resting.failed(&target(2), NOW + REST);
        assert!(resting.holds(&target(1), later + REST - Duration::from_nanos(1)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut resting = Resting::default();
        for port in 0..=MOST_RESTING {
            resting.failed(&target(port as u16), NOW);
            resting.failed(&target(7), NOW);
            assert!(resting.until.len() <= MOST_RESTING && resting.order.len() <= MOST_RESTING);
        }
        assert!(!resting.holds(&target(0), NOW), "the first one was forgotten");
        assert!(resting.holds(&target(7), NOW));
        resting.failed(&target(9), NOW + REST);
        assert_eq!((resting.until.len(), resting.order.len()), (1, 1), "and all whose time is over");
    }
}
