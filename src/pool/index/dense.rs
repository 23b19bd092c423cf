//! A set of slots from which a random member is drawn in constant time: an array without gaps, kept so by moving the last
//! member into the place of one that leaves. After Briggs and Torczon, "An efficient representation for sparse sets"
//! (1993), <https://doi.org/10.1145/176454.176484>.

use crate::sync::{AtomicU32, AtomicUsize, Ordering};

const ABSENT: u32 = u32::MAX;

/// A fixed-capacity set. One writer at a time; readers never wait, and check what they draw.
#[derive(Debug)]
pub(crate) struct Dense {
    items: Box<[AtomicU32]>,
    // Touched by the writer alone; atomic so that no unsafe code is needed.
    places: Box<[AtomicU32]>,
    len: AtomicUsize,
}

impl Dense {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            items: (0..capacity).map(|_| AtomicU32::new(ABSENT)).collect(),
            places: (0..capacity).map(|_| AtomicU32::new(ABSENT)).collect(),
            len: AtomicUsize::new(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Adds or removes a member; nothing happens if it is as asked. Callers hold the pool's writer lock.
    pub(crate) fn set(&self, slot: u32, on: bool) {
        let place = self.places[slot as usize].load(Ordering::Relaxed);
        let len = self.len.load(Ordering::Relaxed);
        if on && place == ABSENT {
            self.items[len].store(slot, Ordering::Relaxed);
            self.places[slot as usize].store(len as u32, Ordering::Relaxed);
            // Release: a reader that sees the new length sees the item.
            self.len.store(len + 1, Ordering::Release);
        } else if !on && place != ABSENT {
            let last = self.items[len - 1].load(Ordering::Relaxed);
            // The mover is in both places for a moment, never in none: a reader may draw it twice as likely for these
            // few nanoseconds, but can always draw it.
            self.items[place as usize].store(last, Ordering::Release);
            self.places[last as usize].store(place, Ordering::Relaxed);
            self.places[slot as usize].store(ABSENT, Ordering::Relaxed);
            self.len.store(len - 1, Ordering::Release);
        }
    }

    /// The member at that place, if there still is one.
    pub(crate) fn get(&self, place: usize) -> Option<u32> {
        let slot = self.items.get(place)?.load(Ordering::Acquire);
        (slot != ABSENT).then_some(slot)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn stays_without_gaps() {
        let dense = Dense::new(100);
        let mut model = BTreeSet::new();
        for step in 0..1000u32 {
            let slot = step * 37 % 100;
            let on = step % 3 != 0;
            dense.set(slot, on);
            if on {
                model.insert(slot);
            } else {
                model.remove(&slot);
            }
            let have: BTreeSet<u32> = (0..dense.len()).filter_map(|place| dense.get(place)).collect();
            assert_eq!(have, model);
        }
    }
}

// The writer is the first thread: what it stores after loading it is a conflict that loom notices only from that side.
#[cfg(all(test, loom))]
mod model {
    use super::Dense;
    use crate::sync::{Arc, AtomicU64, Ordering, model};
    use loom::thread;

    // Fails when the mover is put into its new place after the length has shrunk, or the length is published with less than
    // release.
    #[test]
    fn who_stays_can_always_be_drawn() {
        model(|| {
            let dense = Arc::new(Dense::new(4));
            for slot in 0..3 {
                dense.set(slot, true);
            }
            let reader = thread::spawn({
                let dense = dense.clone();
                move || {
                    let drawn: Vec<u32> = (0..dense.len()).filter_map(|place| dense.get(place)).collect();
                    assert!(drawn.contains(&1) && drawn.contains(&2), "{drawn:?}");
                }
            });
            dense.set(0, false);
            reader.join().unwrap();
        });
    }

    // Fails when the length is stored, or read, with less than release and acquire.
    #[test]
    fn who_is_drawn_was_published_before() {
        model(|| {
            let dense = Arc::new(Dense::new(4));
            let slot = Arc::new(AtomicU64::new(0));
            let reader = thread::spawn({
                let (dense, slot) = (dense.clone(), slot.clone());
                move || {
                    for place in 0..dense.len() {
                        assert_eq!(dense.get(place), Some(3));
                        assert_eq!(slot.load(Ordering::Relaxed), 1);
                    }
                }
            });
            slot.store(1, Ordering::Relaxed);
            dense.set(3, true);
            reader.join().unwrap();
        });
    }
}
