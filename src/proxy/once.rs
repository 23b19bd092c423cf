//! A box made at most once, one word wide.

use crate::sync::Ordering;

/// A box made at most once, one word wide.
pub(crate) struct OncePointer<T>(crate::sync::AtomicPtr<T>);

impl<T> OncePointer<T> {
    pub(crate) fn empty() -> Self {
        Self(crate::sync::AtomicPtr::new(std::ptr::null_mut()))
    }

    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: a non-null pointer came from `Box::into_raw` in `get_or_init` and is freed only by `drop`, which
        // has the cell to itself. Acquire pairs with the release there, so the value is seen whole.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let made = Box::into_raw(Box::new(make()));
        match self.0.compare_exchange(std::ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: as in `get`; this thread has just published it.
            Ok(_) => unsafe { &*made },
            Err(theirs) => {
                // SAFETY: `made` was never shared; `theirs` is published.
                unsafe {
                    drop(Box::from_raw(made));
                    &*theirs
                }
            }
        }
    }
}

impl<T> Drop for OncePointer<T> {
    fn drop(&mut self) {
        let pointer = self.0.load(Ordering::Acquire);
        if !pointer.is_null() {
            // SAFETY: made by `Box::into_raw`, and no other reference to the cell is left.
            unsafe { drop(Box::from_raw(pointer)) };
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::OncePointer;
    use crate::sync::{Arc, model};
    use loom::cell::UnsafeCell;
    use loom::thread;

    // Fails when `get` loads, or the exchange fails, with less than acquire: the value is then read before it is written.
    #[test]
    fn everybody_gets_the_same_value_whole() {
        model(|| {
            let once = Arc::new(OncePointer::empty());
            let read = |once: &OncePointer<UnsafeCell<u32>>, mine: u32| {
                let value = once.get_or_init(|| UnsafeCell::new(mine));
                // SAFETY: it is not written after it was made.
                value.with(|value| unsafe { *value })
            };
            let other = thread::spawn({
                let once = once.clone();
                move || read(&once, 1)
            });
            let mine = read(&once, 2);
            assert_eq!(mine, other.join().unwrap());
        });
    }
}
