//! Who keeps derived state about a proxy, and how they hear of its changes.

use std::any::Any;

use smallvec::SmallVec;

use crate::clock::Clock;
use crate::proxy::{Id, Proxy};
use crate::resilience::OutlierDetector;
use crate::sync::{Arc, Ordering, Weak};

/// A place that keeps derived state about proxies: a pool. It is called with no lock of the proxy's held.
pub trait PoolObserver: Send + Sync {
    /// Something about the proxy has changed: reconcile.
    fn reindex_in_pools(&self, proxy: &Proxy);

    /// Its identifier was `old`, or its address has changed: file it anew.
    fn rekey(&self, proxy: &Proxy, old: Id);

    /// It has died, after so many failures in a row.
    fn note_dead(&self, proxy: &Proxy, in_a_row: u32);

    /// Its failures in a row, told by hand, make it unusable.
    fn note_fallen(&self, proxy: &Proxy, clock: &dyn Clock);

    /// What it judges proxies by.
    fn guard(&self) -> &OutlierDetector;

    /// Itself, for who knows what kind of home it is.
    fn as_any(&self) -> &dyn Any;
}

/// Which pools hold the proxy.
#[derive(Default)]
pub(super) enum Homes {
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
            Homes::None => Homes::One(pool.clone()),
            Homes::One(first) => Homes::Many(Box::new(vec![first, pool.clone()])),
            Homes::Many(mut all) => {
                all.retain(|home| home.strong_count() > 0);
                all.push(pool.clone());
                Homes::Many(all)
            }
        };
    }

    pub(crate) fn leave(&self, pool: &Weak<dyn PoolObserver>) {
        let mut inner = self.inner.lock();
        inner.observers = match std::mem::take(&mut inner.observers) {
            Homes::One(home) if same(&home, pool) => Homes::None,
            Homes::Many(mut all) => {
                all.retain(|home| !same(home, pool) && home.strong_count() > 0);
                Homes::Many(all)
            }
            other => other,
        };
    }

    /// The pools that hold it.
    #[must_use]
    pub fn observers(&self) -> SmallVec<[Arc<dyn PoolObserver>; 2]> {
        match &self.inner.lock().observers {
            Homes::None => SmallVec::new(),
            Homes::One(home) => home.upgrade().into_iter().collect(),
            Homes::Many(all) => all.iter().filter_map(Weak::upgrade).collect(),
        }
    }

    /// Brings the derived state in every pool that holds the proxy up to date with it.
    pub(crate) fn reindex_in_pools(&self) {
        // The pools are collected first: a pool's writer lock comes before the proxy's own in the order of locks.
        for pool in self.observers() {
            pool.reindex_in_pools(self);
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
