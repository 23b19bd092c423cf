//! Forks: a child gets the memory of its parent, and only the thread that forked.
//!
//! A lock that another thread holds at that moment is held for ever in the child, over data that are half changed. So no
//! other thread may be inside the core then. A thread that is attached to the interpreter is not: the forking thread has
//! the interpreter, and no lock is held across a call into Python. A thread that works detached, or that never was attached, enters by
//! a gate: [`inside`]. The forking thread shuts the gate, and waits until those inside have left.
//!
//! Attached threads, and with them every request, pay nothing for this.

use std::cell::Cell;
use std::time::Duration;

use crate::sync::OnceLock;
use crate::sync::global::{AtomicU64, AtomicUsize, Ordering};

static INSIDE: AtomicUsize = AtomicUsize::new(0);
static SHUT: AtomicUsize = AtomicUsize::new(0);
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// How long a thread sleeps between two looks at the gate: a fork takes a millisecond or more.
const STEP: Duration = Duration::from_micros(100);

thread_local! {
    // How many passes this thread holds; it is counted in `INSIDE` once.
    static PASSES: Cell<usize> = const { Cell::new(0) };
}

/// Number of forks between the first process and this one.
#[inline]
pub(crate) fn generation() -> u64 {
    // Relaxed: it changes while there is one thread.
    GENERATION.load(Ordering::Relaxed)
}

#[allow(clippy::disallowed_methods, reason = "a fork cannot be waited for in any other way that survives it")]
fn pause() {
    std::thread::sleep(STEP);
}

/// Runs work of a thread that is not attached to the interpreter, such that no fork happens meanwhile. The work is bounded,
/// and does not call Python but through [`outside`].
pub(crate) fn inside<R>(work: impl FnOnce() -> R) -> R {
    let _pass = Pass::enter();
    work()
}

/// Runs a call into Python. The calling thread may be inside, and leaves for the length of the call, which may take long or fork.
pub(crate) fn outside<R>(call: impl FnOnce() -> R) -> R {
    struct Back(usize);
    impl Drop for Back {
        fn drop(&mut self) {
            if self.0 > 0 {
                enter();
                PASSES.set(self.0);
            }
        }
    }
    let passes = PASSES.replace(0);
    if passes > 0 {
        leave();
    }
    let _back = Back(passes);
    call()
}

struct Pass;

impl Pass {
    fn enter() -> Self {
        if PASSES.get() == 0 {
            enter();
        }
        PASSES.set(PASSES.get() + 1);
        Self
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        PASSES.set(PASSES.get() - 1);
        if PASSES.get() == 0 {
            leave();
        }
    }
}

/// Whether the calling thread is attached to the interpreter, as the face says it; no thread is without one.
static IS_ATTACHED: OnceLock<fn() -> bool> = OnceLock::new();

/// Says how to find out whether the calling thread is attached to the interpreter.
pub(crate) fn ask_for_attached(is_attached: fn() -> bool) {
    // The module may be initialised again; it says the same.
    let _ = IS_ATTACHED.set(is_attached);
}

fn enter() {
    loop {
        // Sequentially consistent, as in Dekker's algorithm: of a thread that enters and one that shuts the gate, at least one
        // sees the other.
        INSIDE.fetch_add(1, Ordering::SeqCst);
        if SHUT.load(Ordering::SeqCst) == 0 {
            return;
        }
        // It comes to an end before the forking thread, which has hooks of others to run, gets the interpreter again. To
        // wait with the interpreter held would be for ever.
        if IS_ATTACHED.get().is_some_and(|is_attached| is_attached()) {
            return;
        }
        INSIDE.fetch_sub(1, Ordering::SeqCst);
        while SHUT.load(Ordering::SeqCst) > 0 {
            pause();
        }
    }
}

fn leave() {
    INSIDE.fetch_sub(1, Ordering::SeqCst);
}

/// Before a fork: shuts the gate. Returns whether other threads are inside still; then [`wait_for_others`] is called, without
/// the interpreter.
pub(crate) fn shut() -> bool {
    SHUT.fetch_add(1, Ordering::SeqCst);
    others_inside()
}

fn others_inside() -> bool {
    INSIDE.load(Ordering::SeqCst) > usize::from(PASSES.get() > 0)
}

/// Waits until no other thread is inside.
pub(crate) fn wait_for_others() {
    while others_inside() {
        pause();
    }
}

/// After a fork, in the parent: opens the gate.
pub(crate) fn open_in_parent() {
    SHUT.fetch_sub(1, Ordering::SeqCst);
}

/// After a fork, in the child, which has one thread.
pub(crate) fn open_in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    INSIDE.store(usize::from(PASSES.get() > 0), Ordering::SeqCst);
    SHUT.store(0, Ordering::SeqCst);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::AtomicBool;

    // One test: the gate is one for the process.
    #[test]
    fn nobody_is_inside_while_the_gate_is_shut() {
        let stop = AtomicBool::new(false);
        let shut_now = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !stop.load(Ordering::SeqCst) {
                        inside(|| {
                            assert!(!shut_now.load(Ordering::SeqCst));
                            // A pass in a pass, and a call out of it.
                            inside(|| assert!(!shut_now.load(Ordering::SeqCst)));
                            outside(std::thread::yield_now);
                            assert!(!shut_now.load(Ordering::SeqCst), "back inside only when the gate is open");
                        });
                    }
                });
            }
            for _ in 0..200 {
                if shut() {
                    wait_for_others();
                }
                shut_now.store(true, Ordering::SeqCst);
                std::thread::yield_now();
                shut_now.store(false, Ordering::SeqCst);
                open_in_parent();
            }
            // A thread that forks while it is inside itself does not wait for itself.
            inside(|| {
                shut();
                wait_for_others();
                open_in_parent();
            });
            stop.store(true, Ordering::SeqCst);
        });
        assert_eq!(INSIDE.load(Ordering::SeqCst), 0);
    }
}
