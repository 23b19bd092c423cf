//! What is due when. No thread waits here: the next selection runs what is due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use smallvec::SmallVec;

use crate::proxy::Proxy;
use crate::proxy::liveness::due::Due;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, Weak};

/// "Not at all" as a moment.
pub(crate) const NEVER: u64 = u64::MAX;

struct Entry {
    at: u64,
    // Entries of one moment are run in the order they came.
    turn: u64,
    what: Due,
    proxy: Weak<Proxy>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.turn) == (other.at, other.turn)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.turn).cmp(&(other.at, other.turn))
    }
}

#[derive(Default)]
struct Heap {
    entries: BinaryHeap<Reverse<Entry>>,
    turn: u64,
    // Entries from which on those that have become void are thrown out.
    crowded: usize,
}

/// Entries that are always worth keeping.
const FEW: usize = 64;

/// What was due, in order.
pub(crate) type Expired = SmallVec<[(Due, Arc<Proxy>); 4]>;

/// See the module. The lock is held for single operations on the heap, and no other lock is taken under it.
pub(crate) struct Timers {
    next: AtomicU64,
    heap: Mutex<Heap>,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self { next: AtomicU64::new(NEVER), heap: Mutex::new(Heap::default()) }
    }

    /// When something is due next, or [`NEVER`]. One read.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        // Relaxed: the entries are read under the lock; a later selection reads the new moment.
        self.next.load(Ordering::Relaxed)
    }

    /// Notes something for the moment `at`. An entry whose proxy no longer waits for it does no harm and is thrown out when
    /// there are many, as `wanted` says.
    pub(crate) fn add(&self, at: u64, what: Due, proxy: &Arc<Proxy>, wanted: impl Fn(u64, Due, &Proxy) -> bool) {
        let mut thrown_out: Vec<Reverse<Entry>> = Vec::new();
        {
            let mut heap = self.heap.lock();
            heap.turn += 1;
            let turn = heap.turn;
            heap.entries.push(Reverse(Entry { at, turn, what, proxy: Arc::downgrade(proxy) }));
            if heap.entries.len() > heap.crowded.max(FEW) {
                let all = std::mem::take(&mut heap.entries).into_vec();
                let (kept, void) = all.into_iter().partition(|Reverse(entry)| {
                    entry.proxy.upgrade().is_some_and(|proxy| wanted(entry.at, entry.what, &proxy))
                });
                thrown_out = void;
                heap.entries = BinaryHeap::<Reverse<Entry>>::from(kept as Vec<_>);
                heap.crowded = heap.entries.len() * 2;
            }
            self.note_next(&heap);
        }
        drop(thrown_out);
    }

    /// Takes out what is due at `now`.
    #[cold]
    pub(crate) fn take(&self, now: u64) -> Expired {
        let mut expired = Expired::new();
        let mut heap = self.heap.lock();
        while heap.entries.peek().is_some_and(|Reverse(entry)| entry.at <= now) {
            let Some(Reverse(entry)) = heap.entries.pop() else { break };
            if let Some(proxy) = entry.proxy.upgrade() {
                expired.push((entry.what, proxy));
            }
        }
        self.note_next(&heap);
        expired
    }

    fn note_next(&self, heap: &Heap) {
        let next = heap.entries.peek().map_or(NEVER, |Reverse(entry)| entry.at);
        self.next.store(next, Ordering::Relaxed);
    }

    /// Number of entries, void ones included.
    pub(crate) fn len(&self) -> usize {
        self.heap.lock().entries.len()
    }
}
