//! One place in the line, and what its request is.

use crate::sync::{Arc, Mutex};

use super::{MARGIN, NEVER};

/// What may end a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hope {
    /// Whether the end of a request under way can.
    pub may_free: bool,
    /// Nanoseconds until the earliest known moment.
    pub retry_after: Option<u64>,
}

impl Hope {
    /// Whether waiting from `now` until `deadline` is useless.
    #[must_use]
    pub fn is_vain(&self, now: u64, deadline: u64) -> bool {
        !self.may_free && self.retry_after.is_none_or(|wait| now.saturating_add(wait) > deadline)
    }
}

/// Why there is no lease.
#[derive(Debug)]
pub struct Refused<E> {
    /// What to tell the waiter if it does not wait longer.
    pub error: E,
    /// What may end the refusal; `None` for a failure that waiting does not help.
    pub hope: Option<Hope>,
}

/// A waiter's request. Its methods are called on any thread, with no lock held.
pub trait Ask {
    /// What is handed over.
    type Lease;
    /// The error without one.
    type Error;

    /// Takes a lease now.
    ///
    /// # Errors
    /// There is none now.
    fn ask(&self) -> Result<Self::Lease, Refused<Self::Error>>;

    /// Gives back a lease that came too late.
    fn give_back(&self, lease: Self::Lease);

    /// Ends the waiter's sleep.
    fn wake(&self);
}

pub(super) struct Slot<A: Ask> {
    pub(super) outcome: Option<Result<A::Lease, A::Error>>,
    // Not in the line any more: served, dismissed, or left.
    pub(super) gone: bool,
    // A thread is asking on its behalf.
    pub(super) asked: bool,
    // When it looks again by itself: for the first of a group only.
    pub(super) due: u64,
}

/// One place in the line.
pub struct Waiter<K, A: Ask> {
    pub(super) key: K,
    pub(super) ask: A,
    pub(super) ticket: u64,
    pub(super) deadline: u64,
    pub(super) slot: Mutex<Slot<A>>,
}

impl<K, A: Ask> Waiter<K, A> {
    /// What it asks.
    pub fn ask(&self) -> &A {
        &self.ask
    }

    /// Whether it has been served or refused.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.slot.lock().outcome.is_some()
    }

    /// What came of it, if it is settled.
    pub fn take(&self) -> Option<Result<A::Lease, A::Error>> {
        self.slot.lock().outcome.take()
    }

    /// Nanoseconds until it has to look by itself; `None` for never.
    #[must_use]
    pub fn sleep(&self, now: u64) -> Option<u64> {
        let until = self.deadline.min(self.slot.lock().due);
        // Never nothing: the thread that serves at this moment gets time to say what comes next.
        (until != NEVER).then(|| until.saturating_sub(now).max(MARGIN))
    }
}

/// Tells a waiter when to look by itself, if it does not look before anyway.
pub(super) fn remind<K, A: Ask>(waiter: &Arc<Waiter<K, A>>, due: u64, now: u64, wakes: &mut Vec<Arc<Waiter<K, A>>>) {
    let due = if due >= waiter.deadline { NEVER } else { due };
    let mut slot = waiter.slot.lock();
    if due < slot.due.saturating_sub(MARGIN) {
        slot.due = due;
        drop(slot);
        wakes.push(waiter.clone());
    } else if slot.due <= now {
        // It is awake, or will be at once.
        slot.due = due;
    }
}
