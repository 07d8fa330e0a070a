//! Numbers as people read them.

/// Stands for a figure that does not exist.
pub(super) const NONE: &str = "–";

/// Three significant digits, thousands grouped: `0.0123`, `1.20`, `12,345`.
pub(super) fn significant(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    // The factor anticipates the rounding: 9.996 has the digits of 10.0, not of 9.99.
    let magnitude = (value.abs() * 1.0005).log10().floor();
    grouped(format!("{value:.*}", (2.0 - magnitude).clamp(0.0, 9.0) as usize))
}

/// Like [`significant`], without zeros at the end: `1.2`, `12,000`.
pub(super) fn short(value: f64) -> String {
    let text = significant(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A figure that may be missing.
pub(super) fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), significant)
}

/// A count with its thousands grouped.
pub(super) fn count(value: u64) -> String {
    grouped(value.to_string())
}

/// A time in µs, in the unit that suits it: `850 µs`, `1.20 ms`, `3.60 s`.
pub(super) fn time(microseconds: f64) -> String {
    let (value, unit) = in_unit(microseconds);
    format!("{} {unit}", significant(value))
}

/// Like [`time`], without zeros at the end.
pub(super) fn short_time(microseconds: f64) -> String {
    let (value, unit) = in_unit(microseconds);
    format!("{} {unit}", short(value))
}

/// A time that may be missing.
pub(super) fn optional_time(microseconds: Option<f64>) -> String {
    microseconds.map_or_else(|| NONE.to_owned(), time)
}

/// Between 0 and 1, as a percentage.
pub(super) fn share(value: f64) -> String {
    format!("{:.0} %", value * 100.0)
}

fn in_unit(microseconds: f64) -> (f64, &'static str) {
    match microseconds.abs() {
        t if t < 999.5 => (microseconds, "µs"),
        t if t < 999.5e3 => (microseconds / 1e3, "ms"),
        _ => (microseconds / 1e6, "s"),
    }
}

fn grouped(number: String) -> String {
    let digits = number.trim_start_matches('-');
    let whole = digits.find('.').unwrap_or(digits.len());
    let sign = number.len() - digits.len();
    let mut text = String::with_capacity(number.len() + whole / 3);
    for (at, c) in number.chars().enumerate() {
        let place = at.wrapping_sub(sign);
        if place > 0 && place < whole && (whole - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0.0, "0")]
    #[case(0.012345, "0.0123")]
    #[case(1.2, "1.20")]
    #[case(9.9996, "10.0")]
    #[case(-1234.4, "-1,234")]
    #[case(-123.0, "-123")]
    #[case(999_999.6, "1,000,000")]
    #[case(f64::NAN, "–")]
    fn three_digits_count(#[case] value: f64, #[case] text: &str) {
        assert_eq!(significant(value), text);
    }

    #[test]
    fn times_choose_their_unit() {
        assert_eq!(time(850.0), "850 µs");
        assert_eq!(time(999.9), "1.00 ms");
        assert_eq!(short_time(2_000_000.0), "2 s");
        assert_eq!(optional_time(None), "–");
        assert_eq!(short(12_000.0), "12,000");
        assert_eq!(short(0.1 + 0.2), "0.3");
        assert_eq!(count(1_234_567), "1,234,567");
    }
}
