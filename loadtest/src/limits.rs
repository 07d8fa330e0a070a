//! What the system lets one process do.

use anyhow::{Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::scenario::Scenario;

/// Descriptors that are no links: standard streams, epoll, files of /proc.
const OTHERS: u64 = 64;

/// Makes room for the links of a scenario, beyond the hard limit if we may, or says how it can be made.
pub fn raise_descriptors(scenario: &Scenario) -> Result<()> {
    let sessions = u64::from(scenario.sessions.count);
    let needed = 2 * sessions.div_ceil(u64::from(scenario.sessions.per_link)) + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    if enough(limit.current) {
        return Ok(());
    }
    let maximum = if enough(limit.maximum) { limit.maximum } else { Some(needed) };
    if setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum }).is_err() {
        let hard = limit.maximum.unwrap_or(u64::MAX);
        bail!(
            "{sessions} sessions need {needed} descriptors and the hard limit is {hard}: raise it (`ulimit -Hn {needed}` as root, \
             LimitNOFILE= of systemd), or take --processes, each of which has its own limit"
        );
    }
    Ok(())
}

/// Lets timers of this thread expire when they are due, not 50 µs later.
pub fn sharpen_timers() {
    // Without it the lag of open loads is larger, and is reported as what it is.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}
