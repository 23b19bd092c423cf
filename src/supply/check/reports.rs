//! Reports between the workers and those who take them.

use std::collections::VecDeque;
use std::time::Duration;

use super::report::Report;
use crate::fork;
use crate::sync::{Alarm, AtomicUsize, Mutex, Ordering};

/// Reports that may wait to be taken; checks pause until some are.
const WAITING: usize = 16_384;

pub(super) type Waker = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(super) struct Reports {
    state: Mutex<State>,
    /// How many wait: read without the lock.
    waiting: AtomicUsize,
    ready: Alarm,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Report>,
    is_finished: bool,
    waker: Option<Waker>,
}

impl Reports {
    pub(super) fn put(&self, reports: &mut Vec<Report>) {
        if reports.is_empty() {
            return;
        }
        // Relaxed: a bound, and nothing hangs on it but itself.
        self.waiting.fetch_add(reports.len(), Ordering::Relaxed);
        self.change(|state| state.waiting.extend(reports.drain(..)));
    }

    /// No more will come.
    pub(super) fn finish(&self) {
        self.change(|state| state.is_finished = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let waker = fork::inside(|| {
            let mut state = self.state.lock();
            change(&mut state);
            state.waker.take()
        });
        self.ready.ring();
        // Foreign code: with no lock held.
        if let Some(waker) = waker {
            waker();
        }
    }

    /// Whether there is room for one more than a worker has at hand.
    pub(super) fn has_room(&self, at_hand: usize) -> bool {
        self.waiting.load(Ordering::Relaxed) + at_hand < WAITING
    }

    /// Takes at most so many; `None` when all have been taken and no more will come. Beside it, whether checks had paused.
    pub(super) fn take(&self, most: usize) -> (Option<Vec<Report>>, bool) {
        let taken = {
            let mut state = self.state.lock();
            let count = state.waiting.len().min(most);
            if count == 0 && state.is_finished {
                return (None, false);
            }
            state.waiting.drain(..count).collect::<Vec<_>>()
        };
        let before = self.waiting.fetch_sub(taken.len(), Ordering::Relaxed);
        // Workers count what they have at hand, too, so they may have paused earlier.
        (Some(taken), before > WAITING / 2)
    }

    pub(super) fn is_ready(&self) -> bool {
        fork::inside(|| {
            let state = self.state.lock();
            state.is_finished || !state.waiting.is_empty()
        })
    }

    pub(super) fn is_finished(&self) -> bool {
        fork::inside(|| self.state.lock().is_finished)
    }

    /// Waits for a change; not longer than that.
    pub(super) fn wait(&self, limit: Duration) {
        self.ready.wait(Some(limit));
    }

    /// Has `waker` called once when something is ready.
    pub(super) fn wake(&self, waker: Waker) {
        let (now, _replaced) = fork::inside(|| {
            let mut state = self.state.lock();
            if state.is_finished || !state.waiting.is_empty() {
                return (Some(waker), None);
            }
            (None, state.waker.replace(waker))
        });
        if let Some(waker) = now {
            waker();
        }
    }
}
