//! The border between Python and the core: what holds at every crossing.
//!
//! Into the core: a panic comes back as an exception. Out of it, into Python: no lock is held, and a fork may happen.

use std::any::Any;
use std::cell::Cell;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;

use crate::fork;
use crate::sync::{Mutex, assert_no_lock_held};

pyo3::import_exception!(proxywhirl.exceptions, InternalError);

thread_local! {
    static PANICKED_AT: Cell<Option<(String, u32)>> = const { Cell::new(None) };
}

/// Runs a call from Python into the core; a panic becomes an `InternalError`. Put in by `#[border]`.
///
/// What is called and what it returns are handed on by reference: `catch_unwind` would copy both, and a call on the hot path
/// has a dozen arguments.
#[inline(always)]
pub(crate) fn guarded<R>(call: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    let mut call = ManuallyDrop::new(call);
    let mut returned = MaybeUninit::uninit();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the closure runs once, and nothing else takes the call out.
        let call = unsafe { ManuallyDrop::take(&mut call) };
        returned.write(call());
    }));
    match ended {
        // SAFETY: the closure has come to its end, so that it has written.
        Ok(()) => unsafe { returned.assume_init() },
        Err(panic) => Err(internal_error(&*panic)),
    }
}

#[cold]
fn internal_error(panic: &(dyn Any + Send)) -> PyErr {
    InternalError::new_err(describe(panic))
}

/// What may be said of a panic. A text that was put together may repeat what came in, a line of a list with a password for
/// instance: only a message that is constant in the source is shown, and the place.
fn describe(panic: &(dyn Any + Send)) -> String {
    let mut text = "an internal error of proxywhirl; please report it".to_owned();
    if let Some((file, line)) = PANICKED_AT.take() {
        text.push_str(&format!(" (at {file}:{line})"));
    }
    let formatted = panic.downcast_ref::<String>().filter(|_| cfg!(debug_assertions)).map(String::as_str);
    if let Some(constant) = panic.downcast_ref::<&'static str>().copied().or(formatted) {
        text.push_str(": ");
        text.push_str(constant);
    }
    text
}

/// Has panics of this library say nothing on standard error, which is the user's: they are reported as exceptions. The hook
/// is that of this library's copy of Rust's standard library; other native modules have their own.
pub(crate) fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|panic| {
        PANICKED_AT.set(panic.location().map(|at| (at.file().to_owned(), at.line())));
    }));
}

/// Calls Python from a thread that may not be attached to the interpreter. `None` while the interpreter ends.
pub(crate) fn attach<R>(call: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    assert_no_lock_held("Python is called");
    fork::outside(|| Python::try_attach(call))
}

/// Works without the interpreter, for a bounded time; no fork happens meanwhile. What waits for something goes without
/// this.
pub(crate) fn detach<R: Send>(py: Python<'_>, work: impl FnOnce() -> R + Send) -> R {
    assert_no_lock_held("the interpreter is released");
    py.detach(|| fork::inside(work))
}

/// Waits without the interpreter for as long as it takes: a fork may happen meanwhile.
pub(crate) fn wait<R: Send>(py: Python<'_>, until: impl FnOnce() -> R + Send) -> R {
    assert_no_lock_held("the interpreter is released");
    py.detach(until)
}

/// Lets forks know of threads that hold the interpreter, and must not wait with it.
pub(super) fn tell_who_is_attached() {
    // The first answer may be looked up, which is not for the moment of a fork.
    super::attached::is_attached();
    fork::ask_for_attached(super::attached::is_attached);
}

/// Before a fork: waits, without the interpreter, until no detached thread is inside the core.
#[proxywhirl_macros::border]
#[pyfunction]
pub(super) fn before_fork(py: Python<'_>) -> PyResult<()> {
    // Their cells are pyo3's; see `once`.
    let found = super::errors::find_classes(py);
    if fork::shut() {
        wait(py, fork::wait_for_others);
    }
    found
}

#[proxywhirl_macros::border]
#[pyfunction]
pub(super) fn after_fork_in_parent() {
    fork::open_in_parent();
}

#[proxywhirl_macros::border]
#[pyfunction]
pub(super) fn after_fork_in_child() {
    fork::open_in_child();
    super::journal::after_fork();
    super::queue::after_fork();
    crate::rotation::forking::after_fork();
    crate::drive::names::after_fork();
}

/// Refuses any interpreter but the process's first. Objects of the core are shared by all threads of the process, and those of
/// two interpreters must not meet.
#[proxywhirl_macros::border]
#[pyfunction]
pub(super) fn _refuse_subinterpreters() -> PyResult<()> {
    // SAFETY: the calling thread is attached, so that there is a current interpreter.
    let number = unsafe { pyo3::ffi::PyInterpreterState_GetID(pyo3::ffi::PyInterpreterState_Get()) };
    if number == 0 {
        return Ok(());
    }
    Err(pyo3::exceptions::PyImportError::new_err(
        "proxywhirl cannot be used in a subinterpreter: use threads or processes instead",
    ))
}

/// Panics in a debug build, to test what becomes of a panic: with a text that stands in the source, or with the one given. A release
/// build does nothing.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (text=None))]
pub(super) fn _panic(text: Option<&str>) {
    if cfg!(debug_assertions) {
        match text {
            None => panic!("a deliberate panic"),
            Some(text) => std::panic::panic_any(text.to_owned()),
        }
    }
}

/// Goes over the border with a lock held, in a debug build, to test that this is refused: by "attach", "detach" or "wait".
#[proxywhirl_macros::border]
#[pyfunction]
pub(super) fn _cross_locked(py: Python<'_>, way: &str) {
    if cfg!(debug_assertions) {
        let lock = Mutex::new(());
        let _held = lock.lock();
        match way {
            "attach" => drop(attach(|_| ())),
            "detach" => detach(py, || ()),
            _ => wait(py, || ()),
        }
    }
}

/// Number of locks of the core that the calling thread holds, in a debug build; `None` in a release build, which does not
/// count them.
#[proxywhirl_macros::border]
#[pyfunction]
pub(super) fn _locks_held() -> Option<usize> {
    cfg!(debug_assertions).then(crate::sync::locks_held)
}
