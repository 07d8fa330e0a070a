//! A slab with generations: a key of a removed value never finds its successor.

use std::fmt;
use std::marker::PhantomData;

/// Key of a value in an [`Arena`].
pub struct Key<T> {
    index: u32,
    generation: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Key<T> {}
impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.index, self.generation) == (other.index, other.generation)
    }
}
impl<T> Eq for Key<T> {}
impl<T> PartialOrd for Key<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Key<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.index, self.generation).cmp(&(other.index, other.generation))
    }
}
impl<T> std::hash::Hash for Key<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.index, self.generation).hash(state);
    }
}
impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

impl<T> Key<T> {
    /// Finds nothing.
    pub(super) const NONE: Key<T> = Key { index: u32::MAX, generation: u32::MAX, of: PhantomData };

    /// Position in the slab: small, dense, reused.
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// The key as one number, for logs and as a key outside.
    pub fn as_u64(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// A growing table of values that reuses its slots, so that a steady state allocates nothing.
pub(super) struct Arena<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    /// Generation of new slots: above that of every slot that was given back.
    floor: u32,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Arena { slots: Vec::new(), free: Vec::new(), floor: 0 }
    }
}

impl<T> Arena<T> {
    /// Adds a value.
    pub(super) fn insert(&mut self, value: T) -> Key<T> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slots.push(Slot { generation: self.floor, value: None });
                (self.slots.len() - 1) as u32
            }
        };
        let slot = &mut self.slots[index as usize];
        slot.value = Some(value);
        Key { index, generation: slot.generation, of: PhantomData }
    }

    /// The value, if it is still there.
    pub(super) fn get(&self, key: Key<T>) -> Option<&T> {
        self.slots.get(key.index as usize).filter(|s| s.generation == key.generation)?.value.as_ref()
    }

    /// The value, if it is still there.
    pub(super) fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        self.slots.get_mut(key.index as usize).filter(|s| s.generation == key.generation)?.value.as_mut()
    }

    /// Takes the value out.
    pub(super) fn remove(&mut self, key: Key<T>) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize).filter(|s| s.generation == key.generation)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    /// Gives back the empty slots behind the last value, if they are most of all: what grows and shrinks a little stays as it is.
    pub(super) fn shrink(&mut self) {
        while let Some(last) = self.slots.pop_if(|slot| slot.value.is_none()) {
            self.floor = self.floor.max(last.generation);
        }
        let slots = self.slots.len();
        self.free.retain(|index| (*index as usize) < slots);
        if self.slots.capacity() / 2 > slots {
            self.slots.shrink_to_fit();
            self.free.shrink_to_fit();
        }
    }

    /// Whether the value is still there.
    pub(super) fn contains(&self, key: Key<T>) -> bool {
        self.get(key).is_some()
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All values with their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key<T>, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, s)| {
            let key = Key { index: index as u32, generation: s.generation, of: PhantomData };
            s.value.as_ref().map(|v| (key, v))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_removed_value_finds_nothing() {
        let mut a = Arena::default();
        let one = a.insert("one");
        assert_eq!(a.remove(one), Some("one"));
        let two = a.insert("two");
        assert_eq!(one.index(), two.index());
        assert_eq!((a.get(one), a.get(two), a.len()), (None, Some(&"two"), 1));
        assert_eq!(a.remove(one), None);
    }

    #[test]
    fn slots_that_were_given_back_do_not_bring_old_keys_to_life() {
        let mut a = Arena::default();
        let keys: Vec<_> = (0..100).map(|n| a.insert(n)).collect();
        for key in &keys[40..] {
            a.remove(*key);
        }
        a.remove(keys[7]);
        a.shrink();
        assert_eq!((a.len(), a.slots.len(), a.slots.capacity()), (39, 40, 40));
        let again: Vec<_> = (100..161).map(|n| a.insert(n)).collect();
        assert_eq!(again[0].index(), 7);
        assert!(keys[40..].iter().chain([&keys[7]]).all(|key| a.get(*key).is_none()));
        assert!(again.iter().zip(100..).all(|(key, n)| a.get(*key) == Some(&n)));
    }
}
