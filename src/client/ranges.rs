//! Which octets of a message are accounted for.

/// How many separate stretches are remembered; a peer that reports or sends in more pieces than that is out of order
/// beyond reason.
const MOST_STRETCHES: usize = 1024;

/// A set of positions, as sorted stretches that neither touch nor overlap; positions start at 1 and are inclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    stretches: Vec<(u64, u64)>,
}

impl Ranges {
    /// Adds `start..=end`; nothing if `end` lies before `start`. False when the set would become too ragged, which
    /// leaves it as it was.
    #[must_use]
    pub fn add(&mut self, start: u64, end: u64) -> bool {
        if end < start {
            return true;
        }
        let first = self.stretches.partition_point(|(_, last)| last.saturating_add(1) < start);
        let beyond = self.stretches.partition_point(|(begin, _)| *begin <= end.saturating_add(1));
        let absorbed = &self.stretches[first..beyond];
        if absorbed.is_empty() && self.stretches.len() == MOST_STRETCHES {
            return false;
        }
        let start = absorbed.first().map_or(start, |(begin, _)| start.min(*begin));
        let end = absorbed.last().map_or(end, |(_, last)| end.max(*last));
        self.stretches.splice(first..beyond, [(start, end)]);
        true
    }

    /// Whether `1..=total` is covered; true for a total of 0.
    pub fn cover(&self, total: u64) -> bool {
        total == 0 || matches!(self.stretches.first(), Some((1, end)) if *end >= total)
    }

    /// How many positions the set has.
    pub fn octets(&self) -> u64 {
        self.stretches.iter().fold(0, |sum: u64, (start, end)| sum.saturating_add(end - start).saturating_add(1))
    }

    /// The stretches in order, each with its first and last position.
    pub fn stretches(&self) -> &[(u64, u64)] {
        &self.stretches
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// CORE-68
    #[test]
    fn core_68_any_order_and_overlap_cover_the_whole() {
        let mut ranges = Ranges::default();
        for (start, end) in [(11, 20), (31, 40), (15, 25), (1, 10), (26, 30)] {
            assert!(!ranges.cover(40));
            assert!(ranges.add(start, end));
        }
        assert!(ranges.cover(40) && !ranges.cover(41));
        assert_eq!((ranges.stretches(), ranges.octets()), (&[(1, 40)][..], 40));
    }

    #[test]
    fn nothing_covers_an_empty_message_only() {
        let mut ranges = Ranges::default();
        assert!(ranges.add(1, 0));
        assert!(ranges.cover(0) && !ranges.cover(1));
        assert_eq!(ranges, Ranges::default());
    }

    /// CORE-96
    #[test]
    fn core_96_largest_positions_do_not_overflow() {
        let mut ranges = Ranges::default();
        assert!(ranges.add(u64::MAX, u64::MAX) && ranges.add(1, u64::MAX - 1));
        assert!(ranges.cover(u64::MAX));
        assert_eq!(ranges.octets(), u64::MAX);
    }

    #[test]
    fn too_many_stretches_are_refused() {
        let mut ranges = Ranges::default();
        for i in 0..MOST_STRETCHES as u64 {
            assert!(ranges.add(3 * i + 1, 3 * i + 1));
        }
        assert!(!ranges.add(1_000_000, 1_000_000));
        assert!(ranges.add(2, 3), "joining is still possible");
        assert_eq!(ranges.stretches().len(), MOST_STRETCHES - 1);
    }

    proptest! {
        #[test]
        fn same_as_a_set_of_positions(pieces in proptest::collection::vec((1u64..60, 0u64..12), 0..20)) {
            let mut ranges = Ranges::default();
            let mut model = std::collections::BTreeSet::new();
            for (start, length) in pieces {
                prop_assert!(ranges.add(start, start + length - u64::from(length > 0)));
                model.extend(start..=start + length - u64::from(length > 0));
            }
            let listed: Vec<u64> = ranges.stretches().iter().flat_map(|(a, b)| *a..=*b).collect();
            prop_assert_eq!(&listed, &model.iter().copied().collect::<Vec<_>>());
            prop_assert!(ranges.stretches().windows(2).all(|w| w[0].1 + 1 < w[1].0));
            prop_assert_eq!(ranges.octets(), model.len() as u64);
        }
    }
}
