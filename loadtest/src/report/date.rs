//! UTC dates of seconds since 1970, without a time-zone database.

const DAY: u64 = 86_400;

/// `2026-03-21 14:05 UTC`.
pub(super) fn minute(seconds: u64) -> String {
    let (hour, minute) = (seconds % DAY / 3600, seconds % 3600 / 60);
    format!("{} {hour:02}:{minute:02} UTC", day(seconds))
}

/// `2026-03-21`.
pub(super) fn day(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / DAY);
    format!("{year:04}-{month:02}-{day:02}")
}

/// From the first to the last of these moments, in days; the minute if there is only one day.
pub(super) fn span(moments: impl Iterator<Item = u64> + Clone) -> String {
    let (Some(first), Some(last)) = (moments.clone().min(), moments.max()) else { return "never".to_owned() };
    match (day(first), day(last)) {
        (one, other) if one != other => format!("{one} to {other} (UTC)"),
        _ if first / 60 == last / 60 => minute(first),
        _ => format!(
            "{} to {:02}:{:02} UTC",
            minute(first).trim_end_matches(" UTC"),
            last % DAY / 3600,
            last % 3600 / 60
        ),
    }
}

/// Year, month and day of a day since 1970, in the proleptic Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year and all months before it have fixed places.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // from 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153; // from March
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
    (era * 400 + year_of_era + year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(minute(0), "1970-01-01 00:00 UTC");
        assert_eq!(minute(951_827_696), "2000-02-29 12:34 UTC");
        assert_eq!(day(951_868_800), "2000-03-01");
        assert_eq!(day(4_107_542_399), "2100-02-28");
        assert_eq!(day(4_107_542_400), "2100-03-01");
        assert_eq!(minute(1_767_225_599), "2025-12-31 23:59 UTC");
        minute(u64::MAX);
    }

    #[test]
    fn a_span_names_what_differs() {
        assert_eq!(span([60, 0].into_iter()), "1970-01-01 00:00 to 00:01 UTC");
        assert_eq!(span([30].into_iter()), "1970-01-01 00:00 UTC");
        assert_eq!(span([DAY, 0].into_iter()), "1970-01-01 to 1970-01-02 (UTC)");
    }
}
