//! The order of least use: which eligible proxy has started the fewest requests, ties by identifier or at random.
//!
//! One queue per count. Requests go to the head of the lowest queue, which then moves to the tail of the next: since a
//! queue is emptied in the order of identifiers, the next one fills in that order by itself, and both ends cost constant
//! time; only what joins out of turn goes through a heap. Counts that grow elsewhere are noticed when the entry comes up
//! (it is then moved, never served); counts that fall are reported by the proxy, and the older entry is recognised as stale.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use crate::clock::{Clock, Micros};
use crate::proxy::{Id, Proxy};
use crate::random::Random;
use crate::sync::{AtomicI64, Mutex, Ordering};

const ABSENT: u64 = u64::MAX;

/// The order among equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TieBreak {
    /// The smallest identifier.
    LowestId,
    /// A random one.
    Random,
}

type Entry = (Id, u32);

#[derive(Debug, Default)]
struct Level {
    sorted: VecDeque<Entry>,
    late: BinaryHeap<Reverse<Entry>>,
}

impl Level {
    fn is_empty(&self) -> bool {
        self.sorted.is_empty() && self.late.is_empty()
    }

    fn push(&mut self, entry: Entry) {
        if self.sorted.back().is_none_or(|last| *last <= entry) {
            self.sorted.push_back(entry);
        } else if self.sorted.front().is_some_and(|first| entry <= *first) {
            self.sorted.push_front(entry);
        } else {
            self.late.push(Reverse(entry));
        }
    }

    fn pop(&mut self, tie: TieBreak, random: &Random) -> Option<Entry> {
        if tie == TieBreak::Random {
            let len = self.sorted.len() + self.late.len();
            if len == 0 {
                return None;
            }
            // Order means nothing here, so the late ones may join the others.
            self.sorted.extend(self.late.drain().map(|Reverse(entry)| entry));
            return self.sorted.swap_remove_back(random.below(len));
        }
        match (self.sorted.front(), self.late.peek()) {
            (Some(first), Some(Reverse(late))) if late < first => self.late.pop().map(|Reverse(entry)| entry),
            (None, Some(_)) => self.late.pop().map(|Reverse(entry)| entry),
            _ => self.sorted.pop_front(),
        }
    }
}

#[derive(Debug, Default)]
struct Queues {
    levels: BTreeMap<u64, Level>,
    // Count under which each slot's valid entry stands.
    recorded: Vec<u64>,
    entries: usize,
    members: usize,
    window_ends: BinaryHeap<Reverse<(Micros, u32)>>,
    // The window end each slot is waited for under; entries of the heap that say otherwise are stale.
    expected: Vec<Micros>,
}

/// The queues of one view under one short lock.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) tie: TieBreak,
    queues: Mutex<Queues>,
    // When the first counting window ends: lets a selection pass without the lock until then.
    next_window_end: AtomicI64,
}

impl Order {
    pub(crate) fn new(tie: TieBreak, capacity: usize) -> Self {
        let queues =
            Queues { recorded: vec![ABSENT; capacity], expected: vec![Micros::MAX; capacity], ..Queues::default() };
        Self { tie, queues: Mutex::new(queues), next_window_end: AtomicI64::new(i64::MAX) }
    }

    /// Slots whose counting window should be over by now, each returned once. To be called before [`Order::take`].
    pub(crate) fn windows_over(&self, clock: &dyn Clock) -> Vec<u32> {
        // Relaxed: a stale value delays a reset by one selection.
        if self.next_window_end.load(Ordering::Relaxed) == i64::MAX {
            return Vec::new();
        }
        let now = clock.wall();
        if self.next_window_end.load(Ordering::Relaxed) > now {
            return Vec::new();
        }
        let mut queues = self.queues.lock();
        let mut over = Vec::new();
        while let Some(Reverse((end, slot))) = queues.window_ends.peek().copied() {
            if end > now {
                break;
            }
            queues.window_ends.pop();
            if queues.expected[slot as usize] == end {
                queues.expected[slot as usize] = Micros::MAX;
                over.push(slot);
            }
        }
        self.note_next_end(&queues);
        over
    }

    /// Notes when the window of a slot's proxy will be over, after it was begun anew.
    pub(crate) fn expect_window_end(&self, slot: u32, proxy: &Proxy) {
        let mut queues = self.queues.lock();
        queues.expect_window_end(slot, proxy);
        self.note_next_end(&queues);
    }

    fn note_next_end(&self, queues: &Queues) {
        let next = queues.window_ends.peek().map_or(i64::MAX, |Reverse((end, _))| *end);
        self.next_window_end.store(next, Ordering::Relaxed);
    }

    /// Files a slot under its proxy's present count, or takes it out.
    pub(crate) fn reindex(&self, slot: u32, proxy: Option<&Proxy>) {
        let mut queues = self.queues.lock();
        match proxy {
            Some(proxy) => queues.file(slot, proxy),
            None => queues.forget(slot),
        }
        self.note_next_end(&queues);
    }

    /// Takes the least used proxy that `accept` allows and counts its start, in one step. The callbacks are called under
    /// the lock, so they must not make a change that its pools are notified of. The second value is whether the proxy's
    /// counts fell because its window was over: its pools are notified of that once the lock is gone.
    pub(crate) fn take<'p>(
        &self,
        random: &Random,
        clock: &dyn Clock,
        proxy: impl Fn(u32) -> Option<&'p Proxy>,
        mut accept: impl FnMut(u32, &'p Proxy) -> bool,
    ) -> Option<(u32, bool)> {
        let mut queues = self.queues.lock();
        let mut aside: smallvec::SmallVec<[(u64, Entry); 8]> = smallvec::SmallVec::new();
        let mut found = None;
        while let Some((count, entry)) = queues.pop(self.tie, random) {
            let slot = entry.1;
            if queues.recorded[slot as usize] != count {
                continue;
            }
            let Some(candidate) = proxy(slot) else {
                queues.forget(slot);
                continue;
            };
            let now = candidate.use_count();
            if now > count {
                queues.push(now, (candidate.id(), slot));
                // Started elsewhere, so perhaps in a window that this order does not know of.
                if queues.expect_window_end(slot, candidate) {
                    self.note_next_end(&queues);
                }
                continue;
            }
            if candidate.reasons() != 0 {
                // It comes back through `place` when the last reason is gone.
                queues.forget(slot);
                continue;
            }
            if !accept(slot, candidate) {
                aside.push((count, entry));
                continue;
            }
            // Unannounced: the announcement would come back here for the lock.
            let fell = candidate.start_unannounced(clock);
            queues.push(candidate.use_count(), (candidate.id(), slot));
            if queues.expect_window_end(slot, candidate) {
                self.note_next_end(&queues);
            }
            found = Some((slot, fell));
            break;
        }
        for (count, entry) in aside.into_iter().rev() {
            queues.push(count, entry);
        }
        found
    }
}

impl Queues {
    fn push(&mut self, count: u64, entry: Entry) {
        self.recorded[entry.1 as usize] = count;
        self.entries += 1;
        self.levels.entry(count).or_default().push(entry);
    }

    fn pop(&mut self, tie: TieBreak, random: &Random) -> Option<(u64, Entry)> {
        loop {
            let mut lowest = self.levels.first_entry()?;
            if let Some(entry) = lowest.get_mut().pop(tie, random) {
                self.entries -= 1;
                let count = *lowest.key();
                if lowest.get().is_empty() {
                    lowest.remove();
                }
                return Some((count, entry));
            }
            lowest.remove();
        }
    }

    fn file(&mut self, slot: u32, proxy: &Proxy) {
        let count = proxy.use_count();
        let recorded = self.recorded[slot as usize];
        self.expect_window_end(slot, proxy);
        if recorded == count {
            return;
        }
        if recorded == ABSENT {
            self.members += 1;
        } else if recorded < count {
            // Noticed when it comes up.
            return;
        }
        self.push(count, (proxy.id(), slot));
        self.drop_stale();
    }

    fn forget(&mut self, slot: u32) {
        if self.recorded[slot as usize] != ABSENT {
            self.recorded[slot as usize] = ABSENT;
            self.members -= 1;
        }
    }

    /// Entries left behind by counts that fell are dropped before they outnumber the valid ones.
    fn drop_stale(&mut self) {
        if self.entries <= 2 * self.members + 64 {
            return;
        }
        let recorded = &self.recorded;
        let mut seen = vec![false; recorded.len()];
        let mut valid = |count: u64, entry: &Entry| {
            let slot = entry.1 as usize;
            recorded[slot] == count && !std::mem::replace(&mut seen[slot], true)
        };
        let mut entries = 0;
        self.levels.retain(|count, level| {
            level.sorted.retain(|entry| valid(*count, entry));
            level.late.retain(|Reverse(entry)| valid(*count, entry));
            entries += level.sorted.len() + level.late.len();
            !level.is_empty()
        });
        self.entries = entries;
    }

    /// Waits for the end of the window a proxy is in; whether that is news.
    fn expect_window_end(&mut self, slot: u32, proxy: &Proxy) -> bool {
        let Some(end) = proxy.window_end().filter(|end| *end != self.expected[slot as usize]) else { return false };
        self.expected[slot as usize] = end;
        self.window_ends.push(Reverse((end, slot)));
        true
    }
}
