//! The pools that keep derived state about a proxy, and how they are notified of its changes.

use std::any::Any;

use smallvec::SmallVec;

use crate::clock::Clock;
use crate::proxy::liveness::Transition;
use crate::proxy::liveness::capacity::Bound;
use crate::proxy::liveness::due::Due;
use crate::proxy::{Id, Proxy};
use crate::sync::{Arc, Ordering, Weak};

/// Something that has happened to the liveness of a proxy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LivenessEvent {
    /// Its breaker has changed its state.
    Breaker(Transition),
    /// It rests for a while.
    Rested {
        /// For how long.
        seconds: f64,
        /// For the how-many-eth time in a row, from 0.
        level: u32,
    },
    /// A success has ended its rest or trial.
    Revived,
}

/// What keeps derived state about proxies: a pool. It is called with no lock of the proxy's held, and never where a request
/// succeeds.
pub trait PoolObserver: Send + Sync {
    /// Something about the proxy has changed: reconcile.
    fn reindex_in_pools(&self, proxy: &Proxy);

    /// Its identifier was `old`, or its address has changed: file it anew.
    fn rekey(&self, proxy: &Proxy, old: Id);

    /// It has died, after so many failures in a row.
    fn note_dead(&self, proxy: &Proxy, in_a_row: u32);

    /// Its failures in a row, recorded by hand, make it unusable.
    fn note_fallen(&self, proxy: &Proxy, clock: &dyn Clock);

    /// Something has happened to its liveness: tell listeners.
    fn on_event(&self, proxy: &Proxy, event: &LivenessEvent);

    /// Something is due at that moment on the steady clock.
    fn schedule(&self, proxy: &Arc<Proxy>, at: u64, what: Due);

    /// Whether the proxy has as much of something as it may.
    fn is_full(&self, proxy: &Proxy, bound: Bound) -> bool;

    /// Changes by hand are made: hand on what there is to tell, and wake what waits for a proxy.
    fn flush(&self);

    /// Itself, for callers that know what kind of observer it is.
    fn as_any(&self) -> &dyn Any;
}

/// Which pools hold the proxy.
#[derive(Default)]
pub(super) enum Observers {
    #[default]
    None,
    One(Weak<dyn PoolObserver>),
    // One word: a proxy in two pools is rare, and every proxy pays for the size of this.
    #[allow(clippy::box_collection)]
    Many(Box<Vec<Weak<dyn PoolObserver>>>),
}

impl Proxy {
    pub(crate) fn join(&self, pool: &Weak<dyn PoolObserver>) {
        let mut inner = self.inner.lock();
        inner.observers = match std::mem::take(&mut inner.observers) {
            Observers::None => Observers::One(pool.clone()),
            Observers::One(first) => Observers::Many(Box::new(vec![first, pool.clone()])),
            Observers::Many(mut all) => {
                all.retain(|observer| observer.strong_count() > 0);
                all.push(pool.clone());
                Observers::Many(all)
            }
        };
    }

    pub(crate) fn leave(&self, pool: &Weak<dyn PoolObserver>) {
        let mut inner = self.inner.lock();
        inner.observers = match std::mem::take(&mut inner.observers) {
            Observers::One(observer) if same(&observer, pool) => Observers::None,
            Observers::Many(mut all) => {
                all.retain(|observer| !same(observer, pool) && observer.strong_count() > 0);
                Observers::Many(all)
            }
            other => other,
        };
    }

    /// The pools that hold it.
    #[must_use]
    pub fn observers(&self) -> SmallVec<[Arc<dyn PoolObserver>; 2]> {
        match &self.inner.lock().observers {
            Observers::None => SmallVec::new(),
            Observers::One(observer) => observer.upgrade().into_iter().collect(),
            Observers::Many(all) => all.iter().filter_map(Weak::upgrade).collect(),
        }
    }

    /// Brings the derived state in every pool that holds the proxy up to date with it.
    pub(crate) fn reindex_in_pools(&self) {
        // The pools are collected first: a pool's writer lock comes before the proxy's own in the order of locks.
        for pool in self.observers() {
            pool.reindex_in_pools(self);
        }
    }

    /// Tells every pool that holds the proxy what has happened to its liveness.
    pub(crate) fn tell(&self, event: &LivenessEvent) {
        for observer in self.observers() {
            observer.on_event(self, event);
        }
    }

    pub(crate) fn add_watch(&self, bits: u8) {
        self.watch.fetch_or(bits, Ordering::AcqRel);
    }

    pub(crate) fn is_watched(&self, bits: u8) -> bool {
        self.watch.load(Ordering::Relaxed) & bits != 0
    }
}

fn same(a: &Weak<dyn PoolObserver>, b: &Weak<dyn PoolObserver>) -> bool {
    // By address alone: one type can have several tables of methods.
    std::ptr::addr_eq(a.as_ptr(), b.as_ptr())
}
