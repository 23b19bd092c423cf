//! What other threads tell the thread of a worker.

use crate::drive::looped::Wake;
use crate::sync::Mutex;

/// Numbers of checks that have something to do again.
pub(super) struct Inbox(Mutex<State>);

struct State {
    numbers: Vec<usize>,
    wake: Wake,
}

impl Inbox {
    pub(super) fn new(wake: Wake) -> Self {
        Self(Mutex::new(State { numbers: Vec::new(), wake }))
    }

    /// Has the worker look at a check.
    pub(super) fn look_at(&self, number: usize) {
        let wake = {
            let mut state = self.0.lock();
            state.numbers.push(number);
            state.wake.clone()
        };
        wake.wake();
    }

    /// Has the worker look at everything.
    pub(super) fn wake(&self) {
        let wake = self.0.lock().wake.clone();
        wake.wake();
    }

    /// The worker waits in another way from now on.
    pub(super) fn replace(&self, wake: Wake) {
        self.0.lock().wake = wake;
    }

    pub(super) fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().numbers)
    }
}
