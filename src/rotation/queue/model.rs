//! The line under every schedule that loom finds.

use super::*;
use crate::sync::{fence_after_change, model};
use loom::sync::Notify;
use loom::thread;

/// A pool of one place.
struct Place {
    taken: Arc<AtomicUsize>,
    alarm: Arc<Notify>,
}

impl Ask for Place {
    type Lease = ();
    type Error = ();

    fn ask(&self) -> Result<(), Refused<()>> {
        let free = self.taken.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_ok();
        let hope = Some(Hope { may_free: true, retry_after: None });
        if free { Ok(()) } else { Err(Refused { error: (), hope }) }
    }

    fn give_back(&self, (): ()) {
        self.taken.store(0, Ordering::Release);
    }

    fn wake(&self) {
        self.alarm.notify();
    }
}

fn place(taken: &Arc<AtomicUsize>) -> Place {
    Place { taken: taken.clone(), alarm: Arc::new(Notify::new()) }
}

// Fails without the fences, when `join` counts after it looks, or `look` returns without a note.
#[test]
fn a_waiter_is_served_when_the_place_becomes_free() {
    model(|| {
        let queue = Arc::new(Queue::new(|| 0, Box::new(|_| ())));
        let taken = Arc::new(AtomicUsize::new(1));
        let other = thread::spawn({
            let (queue, taken) = (queue.clone(), taken.clone());
            move || {
                let waiter = queue.join(0u8, place(&taken), None);
                while !waiter.is_settled() {
                    waiter.ask().alarm.wait();
                }
                assert_eq!(waiter.take(), Some(Ok(())));
            }
        });
        taken.store(0, Ordering::Release);
        // As the end of a lease does.
        fence_after_change();
        if queue.waiting() > 0 {
            queue.look();
        }
        other.join().unwrap();
        assert_eq!((queue.waiting(), taken.load(Ordering::Acquire)), (0, 1));
    });
}

// Fails when `leave` does not give back what it was handed, or `settle` hands it to a waiter that has left.
#[test]
fn a_waiter_that_leaves_passes_its_place_on() {
    model(|| {
        let queue = Arc::new(Queue::new(|| 0, Box::new(|_| ())));
        let taken = Arc::new(AtomicUsize::new(1));
        let waiter = queue.join(0u8, place(&taken), None);
        let other = thread::spawn({
            let (queue, taken) = (queue.clone(), taken.clone());
            move || {
                taken.store(0, Ordering::Release);
                queue.look();
            }
        });
        queue.leave(&waiter);
        other.join().unwrap();
        assert_eq!((queue.waiting(), taken.load(Ordering::Acquire)), (0, 0));
    });
}
