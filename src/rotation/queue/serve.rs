//! Serving the line: one thread asks on behalf of the waiters, in order, and hands over what it gets.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::hash::Hash;

use crate::sync::Arc;

use super::line::{Group, drop_gone};
use super::waiter::{Ask, Hope, Refused, Waiter, remind};
use super::{MARGIN, NEVER, Queue, Wakes};

/// A group that only time can help is tried anew at most this often, in nanoseconds: the end of a request helps waiters for
/// capacity, not those whose proxies are all banned.
const TIMED_AGAIN: u64 = 50_000_000;

/// Waiters that have left are removed from the middle of a longer group when they are more than half of it.
const LONG: usize = 32;

impl<K: Clone + Eq + Hash + Ord, A: Ask> Queue<K, A> {
    /// Goes through the line once. On one thread at a time.
    pub(super) fn serve(&self) {
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
    pub(super) fn settle(&self, waiter: &Arc<Waiter<K, A>>, outcome: Result<A::Lease, A::Error>) -> bool {
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
