//! Room that a busy time has needed and that nobody uses any more.

use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};

/// Octets: a table below this stays as it is, whatever it holds.
const SMALL: usize = 1024;

/// A table that gives back most of its room when less than a quarter of it is used.
///
/// It keeps twice what it holds: what grows and shrinks a little stays as it is, and the work of moving is paid for by the
/// removals that came before.
pub(crate) trait Slack {
    /// Gives room back, if that is worth the while.
    fn give_back(&mut self);
}

/// The room to keep, if there is too much of it. In entries of type `T`, which may take kilobytes each.
fn keep<T>(used: usize, room: usize) -> Option<usize> {
    (room * size_of::<T>() > SMALL && used < room.div_ceil(4)).then_some(used * 2)
}

macro_rules! slack {
    ($(<$($parameter:ident $(: $bound:path)*),+> $table:ty, of $entry:ty;)+) => {$(
        impl<$($parameter $(: $bound)*),+> Slack for $table {
            fn give_back(&mut self) {
                if let Some(room) = keep::<$entry>(self.len(), self.capacity()) {
                    self.shrink_to(room);
                }
            }
        }
    )+};
}

/// `Eq + Hash` in one word, for the list below.
pub(crate) trait Name: Eq + Hash {}
impl<T: Eq + Hash> Name for T {}

slack! {
    <K: Name, V, S: BuildHasher> HashMap<K, V, S>, of (K, V);
    <K: Name, S: BuildHasher> HashSet<K, S>, of K;
    <K: Name, V, S: BuildHasher> hashbrown::HashMap<K, V, S>, of (K, V);
    <T> Vec<T>, of T;
    <T> VecDeque<T>, of T;
    <T: Ord> BinaryHeap<T>, of T;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_nearly_empty_gives_most_of_its_room_back() {
        let mut map: HashMap<u32, u32> = (0..10_000).map(|n| (n, n)).collect();
        map.retain(|n, _| *n < 100);
        map.give_back();
        assert!((100..1000).contains(&map.capacity()), "{}", map.capacity());
        assert!((0..100).all(|n| map[&n] == n));
        let mut queue: VecDeque<u32> = (0..10_000).collect();
        queue.clear();
        queue.give_back();
        assert_eq!(queue.capacity(), 0);
    }

    #[test]
    fn a_table_that_is_a_quarter_full_or_small_stays() {
        let mut queue: VecDeque<u32> = VecDeque::with_capacity(10_000);
        queue.extend(0..2500);
        queue.give_back();
        assert_eq!(queue.capacity(), 10_000);
        let mut few: Vec<u8> = Vec::with_capacity(SMALL);
        few.give_back();
        assert_eq!(few.capacity(), SMALL);
    }

    #[test]
    fn a_few_large_entries_are_no_small_table() {
        let mut large: VecDeque<[u8; SMALL]> = VecDeque::with_capacity(3);
        large.give_back();
        assert_eq!(large.capacity(), 0);
    }
}
