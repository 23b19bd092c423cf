//! The state of one site: its pairs, and what selections and timers read of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hashbrown::HashTable;

use super::ledger::{Entry, NEVER, NONE};
use crate::pool::marks::{Mark, Marks};
use crate::resilience::site::Site;
use crate::sync::{Arc, Ordering};

/// What is known of one site.
pub(super) struct SiteLedger {
    pub(super) site: Arc<Site>,
    pub(super) index: HashTable<u32>,
    pub(super) marks: Arc<Marks>,
    pub(super) timers: BinaryHeap<Reverse<(u64, u32, u32)>>,
    pub(super) held: usize,
    /// Held back by a bench, not by a pause.
    pub(super) benched: usize,
}

impl SiteLedger {
    /// Writes a mark, in marks that have room for it; whether views have to follow.
    pub(super) fn mark(&mut self, entries: &[Entry], at: u32, mark: Mark) -> bool {
        let slot = entries[at as usize].slot;
        if slot == NONE {
            return false;
        }
        let (marks, index) = (&mut self.marks, &self.index);
        self.site.mask.write(marks.generation, || {
            if marks.set(slot, mark) {
                return None;
            }
            let next = Marks::new(marks.generation, marks.slots(), index.len());
            for other in index.iter().filter(|other| **other != at) {
                let other = &entries[*other as usize];
                let _ = next.set(other.slot, other.mark);
            }
            let _ = next.set(slot, mark);
            *marks = Arc::new(next);
            Some(marks.clone())
        })
    }

    /// Publishes the marks to selections.
    pub(super) fn publish(&mut self, entries: &[Entry]) {
        let valid = |entry: u32, number: u32, due: u64| {
            entries.get(entry as usize).is_some_and(|entry| entry.number == number && entry.due == due)
        };
        if self.timers.len() > 2 * self.index.len() + 64 {
            self.timers.retain(|Reverse((due, entry, number))| valid(*entry, *number, *due));
        }
        while let Some(Reverse((due, entry, number))) = self.timers.peek() {
            if valid(*entry, *number, *due) {
                break;
            }
            self.timers.pop();
        }
        let next = self.timers.peek().map_or(NEVER, |Reverse((due, ..))| *due);
        self.site.next_due.store(next, Ordering::Relaxed);
        self.site.entries.store(self.index.len(), Ordering::Release);
        // Release: a reader that sees a held proxy sees the marks.
        self.site.held.store(self.held, Ordering::Release);
    }
}
