//! Distributions of times.

use base64::{Engine, prelude::BASE64_STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer, V2Serializer},
};
use serde::{Deserialize, Serialize, de::Error as _, ser::Error as _};

/// Three digits keep the relative error of a value under 0.1 %.
const DIGITS: u8 = 3;

/// A distribution of times: recorded in nanoseconds, told in µs.
///
/// In JSON it is `{"count", "mean", "p50", "p90", "p99", "p999", "max", "hdr"}`, times in µs; `hdr` is the whole histogram in
/// HdrHistogram's V2 encoding and Base64, and the only one of them that is read back.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Latency(Histogram::new(DIGITS).expect("three digits are allowed"))
    }
}

impl Latency {
    /// Adds one time.
    pub fn record(&mut self, nanoseconds: u64) {
        // An auto-resizing histogram takes every value.
        let _ = self.0.record(nanoseconds);
    }

    /// Adds all times of `other`.
    pub fn add(&mut self, other: &Latency) {
        let _ = self.0.add(&other.0);
    }

    /// How many times were recorded.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that this share of all values does not exceed, in µs; nothing if there are no values.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(share) as f64 / 1e3)
    }

    /// The longest time in µs.
    pub fn max(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.max() as f64 / 1e3)
    }

    /// The mean in µs.
    pub fn mean(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.mean() / 1e3)
    }
}

#[derive(Serialize, Deserialize)]
struct Form {
    count: u64,
    mean: Option<f64>,
    p50: Option<f64>,
    p90: Option<f64>,
    p99: Option<f64>,
    p999: Option<f64>,
    max: Option<f64>,
    hdr: String,
}

impl Serialize for Latency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut octets = Vec::new();
        V2Serializer::new().serialize(&self.0, &mut octets).map_err(S::Error::custom)?;
        Form {
            count: self.count(),
            mean: self.mean(),
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            p999: self.quantile(0.999),
            max: self.max(),
            hdr: BASE64_STANDARD.encode(octets),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = Form::deserialize(deserializer)?;
        let octets = BASE64_STANDARD.decode(form.hdr).map_err(D::Error::custom)?;
        let mut histogram: Histogram<u64> =
            Deserializer::new().deserialize(&mut octets.as_slice()).map_err(D::Error::custom)?;
        histogram.auto(true);
        Ok(Latency(histogram))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_survives_json_and_merges() {
        let mut one = Latency::default();
        (1..=1000).for_each(|n| one.record(n * 1000));
        let mut back: Latency = serde_json::from_str(&serde_json::to_string(&one).unwrap()).unwrap();
        assert_eq!(back.count(), 1000);
        assert!((back.quantile(0.99).unwrap() - 990.0).abs() < 1.0);
        assert_eq!(back.quantile(0.5), one.quantile(0.5));
        let mut late = Latency::default();
        late.record(3_600_000_000_000);
        back.add(&late);
        assert_eq!(back.count(), 1001);
        assert!(back.max().unwrap() > 3.59e9);
    }

    #[test]
    fn nothing_recorded_has_no_quantiles() {
        assert_eq!(Latency::default().quantile(0.5), None);
        assert_eq!(Latency::default().max(), None);
    }
}
