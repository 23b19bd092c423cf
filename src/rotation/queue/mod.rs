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
mod waiter;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::hash::Hash;

use crate::sync::{Arc, AtomicU8, AtomicUsize, Mutex, Ordering, fence_after_change};

use line::{Group, Line, Stop, drop_gone};
pub use waiter::{Ask, Hope, Refused, Waiter};
use waiter::{Slot, remind};

/// "Not at all" as a moment.
const NEVER: u64 = u64::MAX;
/// A group that only time can help is tried anew at most this often, in nanoseconds: the end of a request helps waiters for
/// capacity, not those whose proxies are all banned.
const TIMED_AGAIN: u64 = 50_000_000;
/// Clocks are read one after the other; a wait ends a little late rather than early.
const MARGIN: u64 = 1_000_000;
/// How long after its deadline a waiter leaves the result to the thread that is asking for it.
const GRACE: u64 = 1_000_000_000;
/// Waiters that have left are removed from the middle of a longer group when they are more than half of it.
const LONG: usize = 32;

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

    /// Goes through the line once. On one thread at a time.
    fn serve(&self) {
        let mut wakes = Wakes::new();
        for waiter in self.tidy() {
            self.arrive(waiter);
        }
        let mut heads = self.heads(&mut wakes);
        wake(&mut wakes);
        while let Some(Reverse((_, key))) = heads.pop() {
            let Some(head) = self.head(&key) else { continue };
            if !self.serve_one(&head) {
                continue;
            }
            let mut line = self.line.lock();
            let Some(group) = line.groups.get_mut(&key) else { continue };
            let served = if group.line.front().is_some_and(|first| Arc::ptr_eq(first, &head)) {
                group.line.pop_front()
            } else {
                None
            };
            if let Some(next) = group.line.front() {
                heads.push(Reverse((next.ticket, key)));
            } else {
                line.groups.remove(&key);
            }
            drop(line);
            drop(served);
        }
    }

    /// Removes waiters that have left, and returns those that have come.
    fn tidy(&self) -> VecDeque<Arc<Waiter<K, A>>> {
        let mut gone = Wakes::new();
        let mut line = self.line.lock();
        for key in std::mem::take(&mut line.left) {
            let Some(group) = line.groups.get_mut(&key) else { continue };
            drop_gone(&mut group.line, &mut gone);
            let Some(first) = group.line.front() else {
                line.groups.remove(&key);
                continue;
            };
            if first.slot.lock().due == NEVER {
                // The waiter that kept the time has left: this pass sets the time for the next.
                group.not_before = 0;
            }
            let left = group.line.iter().filter(|waiter| waiter.slot.lock().gone).count();
            if group.line.len() > LONG && left * 2 > group.line.len() {
                let (kept, out): (VecDeque<_>, VecDeque<_>) =
                    std::mem::take(&mut group.line).into_iter().partition(|waiter| !waiter.slot.lock().gone);
                group.line = kept;
                gone.extend(out);
            }
        }
        let arriving = std::mem::take(&mut line.arriving);
        drop(line);
        drop(gone);
        arriving
    }

    fn arrive(&self, waiter: Arc<Waiter<K, A>>) {
        if waiter.slot.lock().gone {
            return;
        }
        let is_late = {
            let line = self.line.lock();
            line.groups.get(&waiter.key).is_some_and(|group| !group.may_free && group.due > waiter.deadline)
        };
        // What the first of the group can wait for, this one cannot.
        if is_late && self.serve_one(&waiter) {
            return;
        }
        let mut line = self.line.lock();
        let key = waiter.key.clone();
        line.groups.entry(key).or_insert_with(Group::new).line.push_back(waiter);
    }

    /// The first of each group that may be asked for now, by ticket; the others get the time when that will be.
    fn heads(&self, wakes: &mut Wakes<K, A>) -> BinaryHeap<Reverse<(u64, K)>> {
        let now = (self.clock)();
        let mut gone = Wakes::new();
        let mut empty = Vec::new();
        let mut heads = BinaryHeap::new();
        let mut line = self.line.lock();
        for (key, group) in &mut line.groups {
            drop_gone(&mut group.line, &mut gone);
            match group.line.front() {
                None => empty.push(key.clone()),
                Some(first) if now >= group.not_before => heads.push(Reverse((first.ticket, key.clone()))),
                Some(first) => remind(first, group.not_before, now, wakes),
            }
        }
        for key in empty {
            line.groups.remove(&key);
        }
        drop(line);
        drop(gone);
        heads
    }

    fn head(&self, key: &K) -> Option<Arc<Waiter<K, A>>> {
        let mut gone = Wakes::new();
        let mut line = self.line.lock();
        let group = line.groups.get_mut(key)?;
        drop_gone(&mut group.line, &mut gone);
        let head = group.line.front().cloned();
        if head.is_none() {
            line.groups.remove(key);
        }
        drop(line);
        drop(gone);
        head
    }

    /// Asks on behalf of a waiter. Whether it is out of the line.
    fn serve_one(&self, waiter: &Arc<Waiter<K, A>>) -> bool {
        {
            let mut slot = waiter.slot.lock();
            if slot.gone {
                return true;
            }
            slot.asked = true;
        }
        let answer = waiter.ask.ask();
        let outcome = match answer {
            Ok(lease) => Ok(lease),
            Err(Refused { error, hope: None }) => Err(error),
            Err(Refused { error, hope: Some(hope) }) => {
                if self.stays(waiter, hope) {
                    return waiter.slot.lock().gone;
                }
                Err(error)
            }
        };
        self.settle(waiter, outcome);
        true
    }

    /// Notes a refusal in the waiter's group. Whether it goes on waiting.
    fn stays(&self, waiter: &Arc<Waiter<K, A>>, hope: Hope) -> bool {
        let now = (self.clock)();
        let due = hope.retry_after.map_or(NEVER, |wait| now.saturating_add(wait).saturating_add(MARGIN));
        let is_vain = hope.is_vain(now, waiter.deadline);
        let mut wakes = Wakes::new();
        if let Some(group) = self.line.lock().groups.get_mut(&waiter.key) {
            group.may_free = hope.may_free;
            group.due = due;
            if !is_vain {
                group.not_before = if hope.may_free { 0 } else { due.min(now.saturating_add(TIMED_AGAIN)) };
            }
        }
        if is_vain {
            return false;
        }
        waiter.slot.lock().asked = false;
        remind(waiter, due, now, &mut wakes);
        wake(&mut wakes);
        true
    }

    /// Hands the result over, unless the waiter has left: then a lease is given back. Whether it was there.
    fn settle(&self, waiter: &Arc<Waiter<K, A>>, outcome: Result<A::Lease, A::Error>) -> bool {
        let late = {
            let mut slot = waiter.slot.lock();
            slot.asked = false;
            if slot.gone {
                Some(outcome)
            } else {
                slot.gone = true;
                slot.outcome = Some(outcome);
                None
            }
        };
        match late {
            None => {
                self.count_out(waiter);
                waiter.ask.wake();
                true
            }
            Some(outcome) => {
                if let Ok(lease) = outcome {
                    waiter.ask.give_back(lease);
                }
                false
            }
        }
    }
}

fn wake<K, A: Ask>(wakes: &mut Wakes<K, A>) {
    for waiter in wakes.drain(..) {
        waiter.ask.wake();
    }
}
