//! A set of slots that finds the next member in constant time: bits, with a summary bit per word on every level above,
//! as in the `hibitset` crate, <https://docs.rs/hibitset>.

use crate::sync::{AtomicU64, Ordering};

const WORD: usize = 64;

/// A fixed-capacity set of small numbers. One writer at a time; readers never wait.
#[derive(Debug)]
pub(crate) struct Bits {
    // Level 0 holds the members; bit i of a level says that word i of the level below is not empty.
    levels: Vec<Box<[AtomicU64]>>,
}

impl Bits {
    pub(crate) fn new(capacity: usize) -> Self {
        let mut levels = Vec::new();
        let mut words = capacity.div_ceil(WORD).max(1);
        loop {
            levels.push((0..words).map(|_| AtomicU64::new(0)).collect());
            if words == 1 {
                break;
            }
            words = words.div_ceil(WORD);
        }
        Self { levels }
    }

    pub(crate) fn contains(&self, slot: usize) -> bool {
        self.levels[0].get(slot / WORD).is_some_and(|word| word.load(Ordering::Acquire) >> (slot % WORD) & 1 == 1)
    }

    /// Adds a member. Callers hold the pool's writer lock.
    pub(crate) fn insert(&self, slot: usize) {
        let mut index = slot;
        for level in &self.levels {
            // Release: a reader that finds the bit finds what was published for the slot before. From the bottom up, so
            // that a summary never promises what is not there yet.
            let before = level[index / WORD].fetch_or(1 << (index % WORD), Ordering::AcqRel);
            if before != 0 {
                break;
            }
            index /= WORD;
        }
    }

    /// Removes a member. Callers hold the pool's writer lock.
    pub(crate) fn remove(&self, slot: usize) {
        let mut index = slot;
        for level in &self.levels {
            let bit = 1 << (index % WORD);
            let before = level[index / WORD].fetch_and(!bit, Ordering::AcqRel);
            if before & !bit != 0 {
                break;
            }
            index /= WORD;
        }
    }

    /// The smallest member that is `from` or more.
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        let mut index = from;
        let mut level = 0;
        loop {
            let word = self.levels[level].get(index / WORD)?.load(Ordering::Acquire);
            let rest = word & (!0 << (index % WORD));
            if rest == 0 {
                // Nothing more under this word: look for the next one a level up.
                level += 1;
                if level == self.levels.len() {
                    return None;
                }
                index = index / WORD + 1;
                continue;
            }
            let found = index / WORD * WORD + rest.trailing_zeros() as usize;
            if level == 0 {
                return Some(found);
            }
            // A summary may lag behind a removal: then the word below is empty and the search comes back up.
            level -= 1;
            index = found * WORD;
        }
    }

    /// All members, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let mut from = 0;
        std::iter::from_fn(move || {
            let found = self.next(from)?;
            from = found + 1;
            Some(found)
        })
    }

    /// The member before which there are `rank` others.
    pub(crate) fn nth(&self, mut rank: usize) -> Option<usize> {
        for (index, word) in self.levels[0].iter().enumerate() {
            let mut word = word.load(Ordering::Acquire);
            let ones = word.count_ones() as usize;
            if rank >= ones {
                rank -= ones;
                continue;
            }
            for _ in 0..rank {
                word &= word - 1;
            }
            return Some(index * WORD + word.trailing_zeros() as usize);
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(steps in prop::collection::vec((0usize..70_000, any::<bool>()), 1..200), probes in prop::collection::vec(0usize..70_000, 20)) {
            let bits = Bits::new(70_000);
            let mut model = BTreeSet::new();
            for (slot, on) in steps {
                if on { bits.insert(slot); model.insert(slot); } else { bits.remove(slot); model.remove(&slot); }
            }
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            for from in probes {
                prop_assert_eq!(bits.next(from), model.range(from..).next().copied());
                prop_assert_eq!(bits.contains(from), model.contains(&from));
            }
            for (rank, slot) in model.iter().enumerate() {
                prop_assert_eq!(bits.nth(rank), Some(*slot));
            }
            prop_assert_eq!(bits.nth(model.len()), None);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::Bits;
    use crate::sync::{Arc, AtomicU64, Ordering, model};
    use loom::thread;

    // Fails when `remove` clears the summary of a word that still has a bit set.
    #[test]
    fn who_stays_is_always_found() {
        model(|| {
            let bits = Arc::new(Bits::new(128));
            bits.insert(70);
            bits.insert(3);
            let writer = thread::spawn({
                let bits = bits.clone();
                move || {
                    bits.remove(3);
                    bits.insert(65);
                    bits.remove(65);
                }
            });
            assert!(matches!(bits.next(0), Some(3 | 65 | 70)));
            assert_eq!(bits.next(66), Some(70));
            writer.join().unwrap();
            assert_eq!(bits.next(0), Some(70));
        });
    }

    // Fails when the bit is set with less than release, or read with less than acquire.
    #[test]
    fn who_finds_a_bit_finds_what_was_published_before() {
        model(|| {
            let bits = Arc::new(Bits::new(128));
            let slot = Arc::new(AtomicU64::new(0));
            let writer = thread::spawn({
                let (bits, slot) = (bits.clone(), slot.clone());
                move || {
                    slot.store(1, Ordering::Relaxed);
                    bits.insert(100);
                }
            });
            if bits.next(0).is_some() {
                assert_eq!(slot.load(Ordering::Relaxed), 1);
            }
            writer.join().unwrap();
        });
    }
}
