//! The waiting line: requests that wait until a proxy is admissible, first come, first served, each up to a deadline.
//!
//! Threads and tasks share one line per pool. Whenever something may have become admissible (a lease was settled, a proxy was
//! added, a bench or a rest ran out) one thread *serves*: it asks for leases on behalf of the waiters, in order, and hands them
//! over. Waiters with the same key want the same and are one group: when its first is refused the rest of the group would be,
//! and is passed over until the next time. So a request never overtakes another that wants the same, and a request that can be
//! served is not held up by one that cannot.
//!
//! No thread waits for another to serve. A thread that finds one serving leaves a note, and the serving thread looks again before
//! it stops: a lease may be settled anywhere, even by the garbage collector in the middle of serving. No lock is held while a
//! waiter asks or is woken. Nothing polls: the first of a group sleeps until the moment that the last refusal named.

mod line;
#[cfg(all(test, loom))]
mod model;
mod serve;
mod waiter;

use std::hash::Hash;

use crate::sync::{Arc, AtomicU8, AtomicUsize, Mutex, Ordering, fence_after_change};

use line::{Line, Stop};
use waiter::Slot;
pub use waiter::{Ask, Hope, Refused, Waiter};

/// "Not at all" as a moment.
const NEVER: u64 = u64::MAX;
/// Clocks are read one after the other; a wait ends a little late rather than early.
const MARGIN: u64 = 1_000_000;
/// How long after its deadline a waiter leaves the result to the thread that is asking for it.
const GRACE: u64 = 1_000_000_000;

/// In the serving word: a thread serves, and another has left a note.
const SERVING: u8 = 1;
const NOTE: u8 = 2;

/// See the module. Thread-safe.
pub struct Queue<K, A: Ask> {
    line: Mutex<Line<K, A>>,
    serving: AtomicU8,
    waiting: AtomicUsize,
    clock: fn() -> u64,
    on_change: Box<dyn Fn(isize) + Send + Sync>,
}

type Wakes<K, A> = Vec<Arc<Waiter<K, A>>>;

impl<K: Clone + Eq + Hash + Ord, A: Ask> Queue<K, A> {
    /// An empty line. `clock` reads nanoseconds; `on_change` is called with how many more wait, without a lock.
    pub fn new(clock: fn() -> u64, on_change: Box<dyn Fn(isize) + Send + Sync>) -> Self {
        let (serving, waiting) = (AtomicU8::new(0), AtomicUsize::new(0));
        Self { line: Mutex::new(Line::new()), serving, waiting, clock, on_change }
    }

    /// How many wait.
    #[inline]
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// How many groups there are.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.line.lock().groups.len()
    }

    /// Takes a place for so many nanoseconds at most; `None` for as long as it makes sense.
    pub fn join(&self, key: K, ask: A, patience: Option<u64>) -> Arc<Waiter<K, A>> {
        let deadline = patience.map_or(NEVER, |patience| (self.clock)().saturating_add(patience));
        let slot = Mutex::new(Slot { outcome: None, gone: false, asked: false, due: NEVER });
        // Counted first: a lease that is settled from here on has the line looked after.
        self.count(1);
        fence_after_change();
        let waiter = {
            let mut line = self.line.lock();
            line.tickets += 1;
            let waiter = Arc::new(Waiter { key, ask, ticket: line.tickets, deadline, slot });
            line.arriving.push_back(waiter.clone());
            waiter
        };
        self.look();
        waiter
    }

    /// After a sleep: looks once more, and ends the wait if its time is up. Whether the waiter is settled.
    pub fn check(&self, waiter: &Arc<Waiter<K, A>>) -> bool {
        if waiter.is_settled() {
            return true;
        }
        let now = (self.clock)();
        if now < waiter.deadline.min(waiter.slot.lock().due) {
            return false;
        }
        self.look();
        if waiter.is_settled() || now < waiter.deadline {
            return waiter.is_settled();
        }
        {
            let mut slot = waiter.slot.lock();
            if slot.outcome.is_some() {
                return true;
            }
            if slot.asked && now < waiter.deadline.saturating_add(GRACE) {
                return false;
            }
            slot.gone = true;
        }
        self.note_left(waiter);
        // For a report that is up to date.
        let outcome = waiter.ask.ask().map_err(|refused| refused.error);
        waiter.slot.lock().outcome = Some(outcome);
        self.look();
        true
    }

    /// Leaves the line because the waiting was interrupted. A lease that was handed over goes to the next.
    pub fn leave(&self, waiter: &Arc<Waiter<K, A>>) {
        let (outcome, was_gone) = {
            let mut slot = waiter.slot.lock();
            (slot.outcome.take(), std::mem::replace(&mut slot.gone, true))
        };
        if !was_gone {
            self.note_left(waiter);
        }
        if let Some(Ok(lease)) = outcome {
            waiter.ask.give_back(lease);
        }
        self.look();
    }

    /// Settles waiters with what `error_for` makes of what they ask; `None` leaves a waiter in the line. How many it were.
    pub fn dismiss(&self, mut error_for: impl FnMut(&A) -> Option<A::Error>) -> usize {
        let all: Vec<_> = {
            let line = self.line.lock();
            line.groups.values().flat_map(|group| &group.line).chain(&line.arriving).cloned().collect()
        };
        let mut dismissed = 0;
        for waiter in all {
            if waiter.slot.lock().gone {
                continue;
            }
            if let Some(error) = error_for(&waiter.ask)
                && self.settle(&waiter, Err(error))
            {
                self.line.lock().left.push(waiter.key.clone());
                dismissed += 1;
            }
        }
        if dismissed > 0 {
            self.look();
        }
        dismissed
    }

    /// In the child of a fork: the threads that waited, or served, are in the parent.
    pub fn forget(&self) {
        let gone = {
            let mut line = self.line.lock();
            let tickets = line.tickets;
            std::mem::replace(&mut *line, Line { tickets, forgotten: tickets, ..Line::new() })
        };
        self.serving.store(0, Ordering::Release);
        self.count(-isize::try_from(self.waiting()).unwrap_or(isize::MAX));
        drop(gone);
    }

    /// Serves the waiters; if another thread does, that one looks again. Never blocks, and may be called anywhere.
    pub fn look(&self) {
        // One word, so that of a thread that leaves a note and one that stops serving at least one sees the other.
        if self.serving.fetch_or(SERVING | NOTE, Ordering::AcqRel) & SERVING != 0 {
            return;
        }
        let stop = Stop(&self.serving);
        loop {
            self.serving.fetch_and(!NOTE, Ordering::AcqRel);
            self.serve();
            // In the child of a fork that a waiter's request has made, the word is that of a new line.
            let end = self.serving.compare_exchange(SERVING, 0, Ordering::AcqRel, Ordering::Acquire);
            if end.is_ok() || end.is_err_and(|word| word & SERVING == 0) {
                break;
            }
        }
        std::mem::forget(stop);
    }

    fn count(&self, change: isize) {
        if change >= 0 {
            self.waiting.fetch_add(change.unsigned_abs(), Ordering::AcqRel);
        } else {
            let fewer = |waiting: usize| Some(waiting.saturating_sub(change.unsigned_abs()));
            let _ = self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer);
        }
        (self.on_change)(change);
    }

    fn note_left(&self, waiter: &Waiter<K, A>) {
        self.line.lock().left.push(waiter.key.clone());
        self.count_out(waiter);
    }

    /// One waits less, unless the waiter is one that a fork has inherited.
    fn count_out(&self, waiter: &Waiter<K, A>) {
        if waiter.ticket > self.line.lock().forgotten {
            self.count(-1);
        }
    }
}
