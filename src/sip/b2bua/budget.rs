//! Connections that nobody took: who lets us knock at closed doors again and again may not call for a while (ADV-S10).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::moment::Moment;
use crate::slack::Slack;

/// The time in which failures count together.
const WINDOW: Duration = Duration::from_secs(60);
/// Callers that are remembered; failures of more do not count until some are a minute old.
const MOST: usize = 65_536;

/// Failed connections by caller.
#[derive(Debug, Default)]
pub(super) struct Budget {
    spent: HashMap<Arc<str>, (Moment, u32)>,
}

impl Budget {
    /// A connection in the name of this caller failed.
    pub(super) fn spend(&mut self, caller: &Arc<str>, now: Moment) {
        if self.spent.len() >= MOST {
            self.spent.retain(|_, (since, _)| now.since(*since) < WINDOW);
        }
        if self.spent.len() >= MOST {
            return;
        }
        let (since, failures) = self.spent.entry(caller.clone()).or_insert((now, 0));
        if now.since(*since) >= WINDOW {
            (*since, *failures) = (now, 0);
        }
        *failures = failures.saturating_add(1);
    }

    /// Gives back the room that a busy time has needed.
    pub(super) fn slim(&mut self) {
        self.spent.give_back();
    }

    /// How long this caller has to wait, if it has spent all of `most`.
    pub(super) fn wait(&self, caller: &str, most: u32, now: Moment) -> Option<Duration> {
        let (since, failures) = self.spent.get(caller)?;
        let left = WINDOW.checked_sub(now.since(*since))?;
        (*failures >= most && !left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_spent_all_waits_for_the_end_of_the_minute() {
        let mut budget = Budget::default();
        let (ana, start) = (Arc::from("sip:ana@west.example"), Moment::from_nanos(1 << 40));
        for _ in 0..3 {
            assert_eq!(budget.wait(&ana, 3, start), None);
            budget.spend(&ana, start);
        }
        assert_eq!(budget.wait(&ana, 3, start + Duration::from_secs(20)), Some(Duration::from_secs(40)));
        assert_eq!(budget.wait("sip:bo@east.example", 3, start), None);
        let later = start + WINDOW;
        assert_eq!(budget.wait(&ana, 3, later), None);
        budget.spend(&ana, later);
        assert_eq!(budget.wait(&ana, 2, later), None);
    }
}
