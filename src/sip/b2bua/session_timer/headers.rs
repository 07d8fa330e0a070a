//! Session-Expires and Min-SE as text and as values (RFC 4028 sections 4, 5).

use std::fmt;
use std::time::Duration;

use super::SHORTEST;
use crate::sip::message::{Headers, param};

/// Who refreshes, as seen from the transaction (RFC 4028 section 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Uac,
    Uas,
}

/// A value of Session-Expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SessionExpires {
    pub(super) interval: Duration,
    pub(super) refresher: Option<Role>,
}

impl SessionExpires {
    /// The value among these headers, if it can be read; a refresher that nobody knows is none.
    pub(super) fn read(headers: &Headers) -> Option<SessionExpires> {
        let value = headers.first("Session-Expires")?;
        let (interval, params) = value.split_once(';').unwrap_or((value, ""));
        let refresher = param(params, "refresher").flatten();
        let named = |name: &str| refresher.is_some_and(|refresher| refresher.eq_ignore_ascii_case(name));
        Some(SessionExpires {
            interval: delta(interval)?,
            refresher: if named("uac") { Some(Role::Uac) } else { named("uas").then_some(Role::Uas) },
        })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&seconds(self.interval))?;
        match self.refresher {
            Some(Role::Uac) => f.write_str(";refresher=uac"),
            Some(Role::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

/// The largest Min-SE among these headers, and not below what is valid.
pub(super) fn largest_min_se(headers: &Headers) -> Option<Duration> {
    let values = headers.all("Min-SE").filter_map(|value| delta(value.split(';').next()?));
    values.max().map(|least| least.max(SHORTEST))
}

/// A duration in whole seconds; part of one counts as one, so that nothing falls below its bound.
pub(super) fn seconds(duration: Duration) -> String {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).to_string()
}

/// Seconds, of which there are no more than 2^32 - 1 (RFC 3261 section 25.1).
fn delta(text: &str) -> Option<Duration> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| Duration::from_secs(text.parse::<u32>().unwrap_or(u32::MAX).into()))
}
