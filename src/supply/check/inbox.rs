//! What other threads tell the thread of a worker.

use crate::drive::looped::Wake;
use crate::sync::Mutex;

/// Numbers of checks that have something to do again.
pub(super) struct Inbox(Mutex<State>);

struct State {
    numbers: Vec<usize>,
    /// `None` when the worker is at its end: a wake holds a descriptor.
    wake: Option<Wake>,
}

impl Inbox {
    pub(super) fn new(wake: Wake) -> Self {
        Self(Mutex::new(State { numbers: Vec::new(), wake: Some(wake) }))
    }

    /// Has the worker look at a check.
    pub(super) fn look_at(&self, number: usize) {
        let wake = {
            let mut state = self.0.lock();
            state.numbers.push(number);
            state.wake.clone()
        };
        if let Some(wake) = wake {
            wake.wake();
        }
    }

    /// Has the worker look at everything.
    pub(super) fn wake(&self) {
        let wake = self.0.lock().wake.clone();
        if let Some(wake) = wake {
            wake.wake();
        }
    }

    /// The worker waits in another way from now on.
    pub(super) fn replace(&self, wake: Wake) {
        self.0.lock().wake = Some(wake);
    }

    /// The worker is at its end.
    pub(super) fn close(&self) {
        self.0.lock().wake = None;
    }

    pub(super) fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().numbers)
    }
}
