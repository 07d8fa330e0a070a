//! Where a value stands on an axis, and which values are written there.

/// What an axis spans.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scale {
    /// From zero, with ticks at multiples of a step.
    Linear { to: f64, step: f64 },
    /// Equal distances for equal factors.
    Log { from: f64, to: f64 },
    /// Shares as numbers of nines, log₁₀(1/(1−p)): as much room for 99–99.9 % as for 90–99 %.
    Nines { to: f64 },
}

/// About as many ticks fit an axis.
const TICKS: f64 = 5.0;

impl Scale {
    /// From zero to a round value above `max`.
    pub(super) fn upto(max: f64) -> Scale {
        let max = if max.is_finite() && max > 0.0 { max } else { 1.0 };
        let step = round_up(max / TICKS, &[1.0, 2.0, 5.0]);
        Scale::Linear { to: (max / step).ceil() * step, step }
    }

    /// From zero to `end` exactly, as an axis of time.
    pub(super) fn span(end: f64) -> Scale {
        let end = if end.is_finite() && end > 0.0 { end } else { 1.0 };
        Scale::Linear { to: end, step: round_up(end / TICKS / 1.5, &[1.0, 2.0, 5.0]) }
    }

    /// Between round values around all that are positive; nothing if none is.
    pub(super) fn log(values: impl Iterator<Item = f64> + Clone) -> Option<Scale> {
        let values = values.filter(|v| v.is_finite() && *v > 0.0);
        let (min, max) = (values.clone().reduce(f64::min)?, values.reduce(f64::max)?);
        let (from, to) = (round_down(min, &[1.0, 2.0, 5.0]), round_up(max, &[1.0, 2.0, 5.0]));
        Some(if to > from * 1.5 { Scale::Log { from, to } } else { Scale::Log { from: from / 2.0, to: to * 2.0 } })
    }

    /// All shares that so many values can tell apart, up to seven nines.
    pub(super) fn nines(values: u64) -> Scale {
        Scale::Nines { to: (values.max(10) as f64).log10().min(7.0) }
    }

    /// Where a value stands between the ends, 0 to 1; what is beyond them stands on them.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = match *self {
            Scale::Linear { to, .. } | Scale::Nines { to } => value / to,
            Scale::Log { from, to } => (value / from).ln() / (to / from).ln(),
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }

    /// The values that are written at the axis.
    pub(super) fn ticks(&self) -> Vec<f64> {
        match *self {
            Scale::Linear { to, step } => {
                (0..).map(|n| f64::from(n) * step).take_while(|tick| *tick <= to * (1.0 + 1e-9)).collect()
            }
            Scale::Log { from, to } => log_ticks(from, to),
            Scale::Nines { to } => {
                let whole = (1..).map(f64::from).take_while(|n| *n <= to + 1e-9);
                [0.5_f64].into_iter().map(nines).chain(whole).collect()
            }
        }
    }
}

/// How many nines a share has.
pub(super) fn nines(share: f64) -> f64 {
    -(1.0 - share).log10()
}

/// The share that has so many nines.
pub(super) fn share(nines: f64) -> f64 {
    1.0 - 10f64.powf(-nines)
}

/// So many nines, as a percentage: `50 %`, `99.9 %`.
pub(super) fn percentage(nines: f64) -> String {
    format!("{:.*} %", (nines - 2.0).ceil().max(0.0) as usize, share(nines) * 100.0)
}

fn log_ticks(from: f64, to: f64) -> Vec<f64> {
    let decades = (to / from).log10();
    let (mantissas, every): (&[f64], usize) = match decades {
        d if d <= 1.1 => (&[1.0, 1.5, 2.0, 3.0, 5.0, 7.0], 1),
        d if d <= 3.0 => (&[1.0, 2.0, 5.0], 1),
        d => (&[1.0], (d / 8.0).ceil() as usize),
    };
    let (first, last) = (from.log10().floor() as i32, to.log10().ceil() as i32);
    (first..=last)
        .step_by(every)
        .flat_map(|decade| mantissas.iter().map(move |m| m * 10f64.powi(decade)))
        .filter(|tick| *tick >= from * (1.0 - 1e-9) && *tick <= to * (1.0 + 1e-9))
        .collect()
}

fn round_up(value: f64, mantissas: &[f64]) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    mantissas.iter().map(|m| m * decade).find(|round| *round >= value * (1.0 - 1e-9)).unwrap_or(10.0 * decade)
}

fn round_down(value: f64, mantissas: &[f64]) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    mantissas.iter().rev().map(|m| m * decade).find(|round| *round <= value * (1.0 + 1e-9)).unwrap_or(decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_axes_end_on_a_tick_and_begin_at_zero() {
        assert_eq!(Scale::upto(1730.0), Scale::Linear { to: 2000.0, step: 500.0 });
        assert_eq!(Scale::upto(1730.0).ticks(), [0.0, 500.0, 1000.0, 1500.0, 2000.0]);
        assert_eq!(Scale::upto(0.0).ticks().len(), 6);
        assert_eq!(Scale::span(10.0).ticks(), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
    }

    #[test]
    fn log_axes_have_round_ends_and_few_ticks() {
        let scale = Scale::log([310.0, 4400.0, 0.0].into_iter()).unwrap();
        assert_eq!(scale, Scale::Log { from: 200.0, to: 5000.0 });
        assert_eq!(scale.ticks(), [200.0, 500.0, 1000.0, 2000.0, 5000.0]);
        assert!((scale.place(1000.0) - 0.5).abs() < 1e-9);
        assert_eq!(scale.place(1.0), 0.0);
        assert!(Scale::log([1.0, 1e9].into_iter()).unwrap().ticks().len() <= 10);
        assert_eq!(Scale::log([0.0].into_iter()), None);
        assert!(!Scale::log([7.0].into_iter()).unwrap().ticks().is_empty());
    }

    #[test]
    fn every_nine_has_the_same_room() {
        let scale = Scale::nines(10_000);
        assert_eq!(
            scale.ticks().into_iter().map(percentage).collect::<Vec<_>>(),
            ["50 %", "90 %", "99 %", "99.9 %", "99.99 %"]
        );
        assert!((scale.place(nines(0.99)) - 0.5).abs() < 1e-9);
        assert!((share(3.0) - 0.999).abs() < 1e-12);
    }
}
