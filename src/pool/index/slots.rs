//! Slot numbers by the hash of what the slots hold, readable without a lock while one writer adds.
//!
//! Open addressing with linear probing, as in Knuth, The Art of Computer Programming, volume 3, 6.4, algorithm L. Entries are
//! never removed: a reader compares the slot itself, and a slot that is dead or was filed anew does not match. An index belongs to one
//! table and is built anew with it, which drops the entries that match nothing.

use crate::sync::{AtomicU32, AtomicUsize, Ordering};

const EMPTY: u32 = u32::MAX;

/// See the module.
#[derive(Debug)]
pub(crate) struct SlotIndex {
    cells: Box<[AtomicU32]>,
    entries: AtomicUsize,
}

impl SlotIndex {
    /// Room for `slots` entries, and for as many again that match nothing any more.
    pub(crate) fn new(slots: usize) -> Self {
        let cells = (slots * 2).next_power_of_two().max(8);
        Self { cells: (0..cells).map(|_| AtomicU32::new(EMPTY)).collect(), entries: AtomicUsize::new(0) }
    }

    fn first(&self, hash: u64) -> usize {
        // The top bits: of a product they depend on every bit of its factors.
        (hash >> 32) as usize & (self.cells.len() - 1)
    }

    /// The slot filed under `hash` for which `matches` holds.
    pub(crate) fn find(&self, hash: u64, matches: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = self.first(hash);
        loop {
            // Acquire pairs with the release in `insert`: the slot is seen as it was filled.
            let slot = self.cells[at].load(Ordering::Acquire);
            if slot == EMPTY {
                return None;
            }
            if matches(slot) {
                return Some(slot);
            }
            at = (at + 1) & (self.cells.len() - 1);
        }
    }

    /// Files a slot, which must be filled; false if there is no room left. The caller holds the pool's writer lock.
    #[must_use]
    pub(crate) fn insert(&self, hash: u64, slot: u32) -> bool {
        if !self.has_room() {
            return false;
        }
        let mut at = self.first(hash);
        while self.cells[at].load(Ordering::Relaxed) != EMPTY {
            at = (at + 1) & (self.cells.len() - 1);
        }
        self.cells[at].store(slot, Ordering::Release);
        self.entries.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Whether one more entry fits: a quarter of the cells stays empty, so that every probe ends soon.
    pub(crate) fn has_room(&self) -> bool {
        self.entries.load(Ordering::Relaxed) < self.cells.len() / 4 * 3
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn entries_of_one_hash_are_told_apart_by_their_slots() {
        let index = SlotIndex::new(16);
        for slot in 0..16 {
            assert!(index.insert(u64::from(slot % 3) << 32, slot));
        }
        for slot in 0..16 {
            assert_eq!(index.find(u64::from(slot % 3) << 32, |found| found == slot), Some(slot));
        }
        assert_eq!(index.find(0, |found| found == 16), None);
    }

    #[test]
    fn a_full_index_refuses_and_still_finds() {
        let index = SlotIndex::new(4);
        let taken = (0..8).take_while(|slot| index.insert(7 << 32, *slot)).count();
        assert_eq!(taken, 6);
        assert_eq!(index.find(7 << 32, |slot| slot == 5), Some(5));
        assert_eq!(index.find(7 << 32, |slot| slot == 6), None);
    }
}
