//! Dialogs that ended lately, so that a BYE that crosses ours is answered 200 (SDP-78).

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::dialog::DialogKey;
use crate::moment::Moment;
use crate::slack::Slack;

/// A BYE that crosses ours comes within 64 times T1.
const REMEMBERED: Duration = Duration::from_secs(32);

/// Dialogs that are remembered at once; more push the oldest out.
const MOST: usize = 16_384;

/// Keys in the order of their end.
#[derive(Debug, Default)]
pub(super) struct Ended {
    keys: HashSet<DialogKey>,
    order: VecDeque<(Moment, DialogKey)>,
}

impl Ended {
    /// A dialog has ended.
    pub(super) fn remember(&mut self, key: DialogKey, now: Moment) {
        if self.keys.insert(key.clone()) {
            self.order.push_back((now + REMEMBERED, key));
        }
        if self.order.len() > MOST {
            self.forget_first();
        }
    }

    /// Whether it ended lately.
    pub(super) fn knows(&self, key: &DialogKey) -> bool {
        self.keys.contains(key)
    }

    /// Forgets what ended long ago.
    pub(super) fn expire(&mut self, now: Moment) {
        while self.next().is_some_and(|at| at <= now) {
            self.forget_first();
        }
    }

    /// Gives back the room that a busy time has needed.
    pub(super) fn slim(&mut self) {
        self.keys.give_back();
        self.order.give_back();
    }

    /// When there is something to forget.
    pub(super) fn next(&self) -> Option<Moment> {
        self.order.front().map(|(at, _)| *at)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.order.is_empty()
    }

    fn forget_first(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.keys.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> DialogKey {
        DialogKey { call_id: n.to_string(), local_tag: String::new(), remote_tag: None }
    }

    #[test]
    fn the_oldest_goes_first_by_time_and_by_number() {
        let (mut ended, now) = (Ended::default(), Moment::from_nanos(0));
        (0..=MOST).for_each(|n| ended.remember(key(n), now));
        ended.remember(key(1), now);
        assert_eq!((ended.keys.len(), ended.order.len()), (MOST, MOST));
        assert!(!ended.knows(&key(0)) && ended.knows(&key(1)) && ended.knows(&key(MOST)));
        assert_eq!(ended.next(), Some(now + REMEMBERED));
        ended.expire(now + REMEMBERED);
        assert!(ended.is_empty());
    }
}
