//! What a mask says of each slot of one table: what a selection reads.

use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// What is said of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Nothing.
    Unknown,
    /// Something, but it may be chosen.
    Known,
    /// It is to be passed over.
    Held,
}

/// See the module. Belongs to one generation of a pool's table; written under its owner's lock, read without one.
///
/// Memory follows the number of marks, not of slots: a short hash table for the few entries of most sites,
/// two bits per slot once that is less.
#[derive(Debug)]
pub struct Marks {
    /// The table the slots are of.
    pub(crate) generation: u64,
    slots: usize,
    store: Store,
    // Cells of the hash table in use, emptied ones included; the writer's alone.
    filled: AtomicUsize,
}

#[derive(Debug)]
enum Store {
    Few(Box<[AtomicU32]>),
    Many(Box<[AtomicU64]>),
}

const EMPTY: u32 = 0;
const EMPTIED: u32 = 1;
const PER_WORD: usize = 32;

fn cell(slot: u32, mark: Mark) -> u32 {
    match mark {
        Mark::Unknown => EMPTIED,
        Mark::Known => (slot + 1) << 1,
        Mark::Held => (slot + 1) << 1 | 1,
    }
}

impl Marks {
    /// No marks yet, with room for `expected` and as many again.
    pub(crate) fn new(generation: u64, slots: usize, expected: usize) -> Self {
        let store = if slots <= 1024 || expected * 64 >= slots {
            Store::Many((0..slots.div_ceil(PER_WORD)).map(|_| AtomicU64::new(0)).collect())
        } else {
            let cells = (expected * 4).next_power_of_two().max(16);
            Store::Few((0..cells).map(|_| AtomicU32::new(EMPTY)).collect())
        };
        Self { generation, slots, store, filled: AtomicUsize::new(0) }
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// What is said of a slot.
    #[inline]
    pub(crate) fn look(&self, slot: u32) -> Mark {
        match &self.store {
            Store::Many(words) => {
                let Some(word) = words.get(slot as usize / PER_WORD) else { return Mark::Unknown };
                match word.load(Ordering::Acquire) >> (slot as usize % PER_WORD * 2) & 3 {
                    0 => Mark::Unknown,
                    1 => Mark::Known,
                    _ => Mark::Held,
                }
            }
            Store::Few(cells) => {
                for at in places(slot, cells.len()) {
                    let found = cells[at].load(Ordering::Acquire);
                    if found >> 1 == slot + 1 {
                        return if found & 1 == 1 { Mark::Held } else { Mark::Known };
                    }
                    if found == EMPTY {
                        break;
                    }
                }
                Mark::Unknown
            }
        }
    }

    /// Whether a slot is to be passed over.
    #[inline]
    pub(crate) fn holds(&self, slot: u32) -> bool {
        self.look(slot) == Mark::Held
    }

    /// Changes what is said of a slot; `false` if there is no room for one more. The caller holds its owner's lock.
    #[must_use]
    pub(crate) fn set(&self, slot: u32, mark: Mark) -> bool {
        match &self.store {
            Store::Many(words) => {
                let shift = slot as usize % PER_WORD * 2;
                let word = &words[slot as usize / PER_WORD];
                // One writer, so that a load and a store are one step.
                let others = word.load(Ordering::Relaxed) & !(3 << shift);
                word.store(others | (mark as u64) << shift, Ordering::Release);
                true
            }
            Store::Few(cells) => {
                for at in places(slot, cells.len()) {
                    let found = cells[at].load(Ordering::Relaxed);
                    if found >> 1 == slot + 1 {
                        cells[at].store(cell(slot, mark), Ordering::Release);
                        return true;
                    }
                    if found == EMPTY {
                        if mark == Mark::Unknown {
                            return true;
                        }
                        let filled = self.filled.load(Ordering::Relaxed) + 1;
                        // Half of the cells stay empty, which keeps searches short and makes every one of them end.
                        if filled * 2 > cells.len() {
                            return false;
                        }
                        self.filled.store(filled, Ordering::Relaxed);
                        cells[at].store(cell(slot, mark), Ordering::Release);
                        return true;
                    }
                }
                false
            }
        }
    }
}

/// Where a slot may be in a hash table of so many cells, a power of two.
#[inline]
fn places(slot: u32, cells: usize) -> impl Iterator<Item = usize> {
    let first = (slot.wrapping_mul(0x9E37_79B9) >> 7) as usize;
    (0..cells).map(move |step| (first + step) & (cells - 1))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn check(slots: u32, steps: Vec<(u32, u8)>) -> Result<(), TestCaseError> {
        let mut marks = Marks::new(1, slots as usize, 1);
        let mut model: BTreeMap<u32, Mark> = BTreeMap::new();
        for (slot, mark) in steps {
            let slot = slot % slots;
            let mark = [Mark::Unknown, Mark::Known, Mark::Held][mark as usize % 3];
            model.insert(slot, mark);
            model.retain(|_, mark| *mark != Mark::Unknown);
            if !marks.set(slot, mark) {
                marks = Marks::new(1, slots as usize, model.len());
                for (slot, mark) in &model {
                    prop_assert!(marks.set(*slot, *mark));
                }
            }
            for slot in 0..slots.min(300) {
                prop_assert_eq!(marks.look(slot), model.get(&slot).copied().unwrap_or(Mark::Unknown));
            }
        }
        for (slot, mark) in &model {
            prop_assert_eq!(marks.look(*slot), *mark);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn agree_with_a_plain_map(
            slots in prop_oneof![Just(10u32), Just(100_000), Just(3_000)],
            steps in prop::collection::vec((0u32..400, any::<u8>()), 1..300),
        ) {
            check(slots, steps)?;
        }
    }
}
