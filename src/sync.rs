//! The only place that names atomics and locks: the standard library's and `parking_lot`'s, or loom's when modelled.
//!
//! Order of locks, outermost first: a pool's writer, its ledger of standing, a view's least-used order, a proxy's cold part,
//! a session shard. None is held across a call into Python.

#[cfg(not(loom))]
pub(crate) use parking_lot::Mutex;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};
#[cfg(loom)]
pub(crate) use modelled::Mutex;

pub(crate) use arc_swap::{ArcSwap, ArcSwapOption};
pub(crate) use std::sync::{Arc, OnceLock, Weak};

/// Counters that live as long as the process; loom cannot model statics, and none of them decides anything.
pub(crate) mod global {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
}

#[cfg(loom)]
mod modelled {
    /// loom's mutex with `parking_lot`'s interface.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}

/// Runs a model under every schedule with at most three preemptions, or as many as LOOM_MAX_PREEMPTIONS says: nearly all
/// defects of this kind need no more than two.
#[cfg(all(test, loom))]
pub(crate) fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(run);
}

/// A 64-bit float in an atomic word; NaN stands for "no value".
#[derive(Debug)]
pub(crate) struct AtomicF64(AtomicU64);

impl AtomicF64 {
    pub(crate) fn none() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }

    pub(crate) fn get(&self) -> Option<f64> {
        let value = f64::from_bits(self.0.load(Ordering::Relaxed));
        (!value.is_nan()).then_some(value)
    }

    pub(crate) fn set(&self, value: Option<f64>) {
        // Relaxed: the value publishes nothing but itself.
        self.0.store(value.unwrap_or(f64::NAN).to_bits(), Ordering::Relaxed);
    }

    /// Applies `change` until no other thread came between, and returns the value before and after.
    pub(crate) fn update(&self, change: impl Fn(Option<f64>) -> f64) -> (Option<f64>, f64) {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let old = f64::from_bits(seen);
            let old = (!old.is_nan()).then_some(old);
            let new = change(old);
            // Relaxed: as for `set`.
            match self.0.compare_exchange_weak(seen, new.to_bits(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return (old, new),
                Err(now) => seen = now,
            }
        }
    }
}
