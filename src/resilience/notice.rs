//! Notices of the pool to its listeners: kept until the embedding program collects them.

use std::collections::VecDeque;

use crate::proxy::liveness::Transition;
use crate::proxy::{Id, LivenessEvent};
use crate::sync::{AtomicBool, Mutex, Ordering};

/// Something that has happened to a proxy, or to the pool.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// A breaker has changed its state.
    Breaker {
        /// Whose.
        proxy: Id,
        /// From what to what.
        transition: Transition,
    },
    /// So much of the pool fails that failures are held against no proxy any more.
    Panic {
        /// At that site; anywhere without one.
        site: Option<Box<str>>,
    },
    /// A site refuses a proxy.
    Benched {
        /// Which.
        proxy: Id,
        /// Where.
        site: Box<str>,
        /// For how long.
        seconds: f64,
        /// For the how-many-eth time in a row, from 0.
        level: u32,
    },
    /// A proxy is left alone for a while.
    Rested {
        /// Which.
        proxy: Id,
        /// For how long.
        seconds: f64,
        /// For the how-many-eth time in a row, from 0.
        level: u32,
    },
    /// Results that were booked as the site's fault are the proxy's.
    Blamed {
        /// Which.
        proxy: Id,
        /// Where it failed.
        site: Box<str>,
        /// How many results.
        results: u32,
    },
    /// A success has ended a proxy's rest or trial.
    Revived {
        /// Which.
        proxy: Id,
    },
}

impl Notice {
    /// What has happened to the liveness of a proxy.
    pub(crate) fn of(proxy: Id, event: &LivenessEvent) -> Self {
        match *event {
            LivenessEvent::Breaker(transition) => Self::Breaker { proxy, transition },
            LivenessEvent::Rested { seconds, level } => Self::Rested { proxy, seconds, level },
            LivenessEvent::Revived => Self::Revived { proxy },
        }
    }
}

/// Notices kept; of more, the oldest go.
const KEPT: usize = 1000;

/// See the module.
#[derive(Default)]
pub(crate) struct Notices {
    listening: AtomicBool,
    waiting: AtomicBool,
    queue: Mutex<VecDeque<Notice>>,
}

impl Notices {
    pub(crate) fn listen(&self, on: bool) {
        self.listening.store(on, Ordering::Relaxed);
        if !on {
            self.queue.lock().clear();
            self.waiting.store(false, Ordering::Relaxed);
        }
    }

    pub(crate) fn put(&self, notice: impl FnOnce() -> Notice) {
        if !self.listening.load(Ordering::Relaxed) {
            return;
        }
        let notice = notice();
        let mut queue = self.queue.lock();
        if queue.len() >= KEPT {
            queue.pop_front();
        }
        queue.push_back(notice);
        self.waiting.store(true, Ordering::Release);
    }

    /// Whether there are any. One read.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    /// Takes what has come up since the last time.
    pub(crate) fn take(&self) -> Vec<Notice> {
        let mut queue = self.queue.lock();
        self.waiting.store(false, Ordering::Relaxed);
        queue.drain(..).collect()
    }
}
