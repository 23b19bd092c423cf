//! What the lock of the line guards: the waiters, by what they want.

use std::collections::VecDeque;

use ahash::AHashMap;

use crate::sync::{Arc, AtomicU8, Ordering};

use super::NEVER;
use super::waiter::{Ask, Waiter};

pub(super) struct Group<K, A: Ask> {
    pub(super) line: VecDeque<Arc<Waiter<K, A>>>,
    // Not to be asked for before, and what the last refusal said.
    pub(super) not_before: u64,
    pub(super) may_free: bool,
    pub(super) due: u64,
}

impl<K, A: Ask> Group<K, A> {
    pub(super) fn new() -> Self {
        Self { line: VecDeque::new(), not_before: 0, may_free: true, due: NEVER }
    }
}

pub(super) struct Line<K, A: Ask> {
    pub(super) tickets: u64,
    // The last ticket from before a fork: such waiters are counted in the parent only.
    pub(super) forgotten: u64,
    pub(super) groups: AHashMap<K, Group<K, A>>,
    pub(super) arriving: VecDeque<Arc<Waiter<K, A>>>,
    // Keys of waiters that have left.
    pub(super) left: Vec<K>,
}

impl<K, A: Ask> Line<K, A> {
    pub(super) fn new() -> Self {
        Self { tickets: 0, forgotten: 0, groups: AHashMap::new(), arriving: VecDeque::new(), left: Vec::new() }
    }
}

/// Moves the waiters at the front that have left to `gone`, to be dropped with no lock held.
pub(super) fn drop_gone<K, A: Ask>(line: &mut VecDeque<Arc<Waiter<K, A>>>, gone: &mut Vec<Arc<Waiter<K, A>>>) {
    while line.front().is_some_and(|first| first.slot.lock().gone) {
        gone.extend(line.pop_front());
    }
}

/// Ends serving if a waiter's request panics.
pub(super) struct Stop<'a>(pub(super) &'a AtomicU8);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}
