//! The only place that names atomics and locks: the standard library's and `parking_lot`'s, or loom's when modelled.
//!
//! Order of locks, outermost first: a pool's growth, its writer, its ledger of site bans, a view's least-used order, a
//! proxy's cold part, a session shard. No lock is held across a call into Python: a debug build counts the locks that
//! each thread holds, and [`assert_no_lock_held`] checks the count where Python is called and where references to its
//! objects are dropped.

#[cfg(not(loom))]
pub(crate) use held::Mutex;
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
    pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
}

/// Panics in a debug build if the calling thread holds a lock of the core; `place` says what is about to happen.
#[inline]
#[track_caller]
pub(crate) fn assert_no_lock_held(place: &str) {
    #[cfg(all(debug_assertions, not(loom)))]
    assert_eq!(held::count(), 0, "{place} with a lock held");
    let _ = place;
}

/// Number of locks of the core that the calling thread holds; always zero in a release build, which does not count them.
#[cfg(feature = "python")]
pub(crate) fn locks_held() -> usize {
    #[cfg(all(debug_assertions, not(loom)))]
    return held::count();
    #[cfg(not(all(debug_assertions, not(loom))))]
    0
}

/// `parking_lot`'s mutex. A debug build counts the guards per thread; in a release build the guard is `parking_lot`'s own.
#[cfg(not(loom))]
mod held {
    #[derive(Debug, Default)]
    pub struct Mutex<T>(parking_lot::Mutex<T>);

    #[cfg(not(debug_assertions))]
    type Guard<'a, T> = parking_lot::MutexGuard<'a, T>;

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(parking_lot::Mutex::new(value))
        }

        #[inline]
        pub(crate) fn lock(&self) -> Guard<'_, T> {
            #[cfg(debug_assertions)]
            return Guard { value: self.0.lock(), _counted: Counted::new() };
            #[cfg(not(debug_assertions))]
            self.0.lock()
        }
    }

    #[cfg(debug_assertions)]
    pub(super) use counted::count;
    #[cfg(debug_assertions)]
    use counted::{Counted, Guard};

    #[cfg(debug_assertions)]
    mod counted {
        use std::cell::Cell;
        use std::ops::{Deref, DerefMut};

        thread_local! {
            static HELD: Cell<usize> = const { Cell::new(0) };
        }

        pub(in super::super) fn count() -> usize {
            HELD.with(Cell::get)
        }

        pub(crate) struct Counted;

        impl Counted {
            pub(super) fn new() -> Self {
                HELD.with(|held| held.set(held.get() + 1));
                Self
            }
        }

        impl Drop for Counted {
            fn drop(&mut self) {
                HELD.with(|held| held.set(held.get() - 1));
            }
        }

        pub(crate) struct Guard<'a, T> {
            pub(super) value: parking_lot::MutexGuard<'a, T>,
            pub(super) _counted: Counted,
        }

        impl<T> Deref for Guard<'_, T> {
            type Target = T;

            fn deref(&self) -> &T {
                &self.value
            }
        }

        impl<T> DerefMut for Guard<'_, T> {
            fn deref_mut(&mut self) -> &mut T {
                &mut self.value
            }
        }
    }

    #[cfg(all(test, debug_assertions))]
    mod tests {
        use super::*;
        use crate::sync::assert_no_lock_held;

        #[test]
        fn guards_are_counted_on_their_own_thread() {
            let (first, second) = (Mutex::new(1), Mutex::new(2));
            let outer = first.lock();
            let inner = second.lock();
            assert_eq!(count(), 2);
            std::thread::spawn(|| assert_eq!(count(), 0)).join().unwrap();
            drop(outer);
            assert_eq!(count(), 1);
            drop(inner);
            assert_no_lock_held("a test");
        }

        #[test]
        #[should_panic(expected = "a test with a lock held")]
        fn a_held_lock_is_noticed() {
            let lock = Mutex::new(());
            let _guard = lock.lock();
            assert_no_lock_held("a test");
        }
    }
}

#[cfg(loom)]
mod modelled {
    /// loom's mutex with `parking_lot`'s interface.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(loom::sync::Mutex<T>);

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

/// A full fence after a read-modify-write: what this thread has changed is seen by every thread that has passed its own fence
/// before it reads, or this thread sees what that one has changed. On x86 each such step is a full fence already.
#[inline]
pub(crate) fn fence_after_change() {
    #[cfg(loom)]
    loom::sync::atomic::fence(Ordering::SeqCst);
    #[cfg(not(any(loom, target_arch = "x86_64", target_arch = "x86")))]
    std::sync::atomic::fence(Ordering::SeqCst);
}

/// Wakes one thread that sleeps. A ring before the sleep ends it at once.
#[cfg(any(feature = "python", feature = "check"))]
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    rung: parking_lot::Mutex<bool>,
    changed: parking_lot::Condvar,
}

#[cfg(any(feature = "python", feature = "check"))]
impl Alarm {
    /// Ends the sleep. May be called from any thread.
    pub(crate) fn ring(&self) {
        *self.rung.lock() = true;
        self.changed.notify_one();
    }

    /// Sleeps until the next ring, or for that long.
    pub(crate) fn wait(&self, most: Option<std::time::Duration>) {
        let mut rung = self.rung.lock();
        if !*rung {
            match most {
                Some(most) => {
                    self.changed.wait_for(&mut rung, most);
                }
                None => self.changed.wait(&mut rung),
            }
        }
        *rung = false;
    }
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
