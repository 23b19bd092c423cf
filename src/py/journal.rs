//! Notes of the starts and completions that foreign code makes, so that every request ends with exactly one of each.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;

use crate::clock::ExactClock;
use crate::proxy::{Proxy, Verdict};
use crate::py::proxy::PyProxy;
use crate::sync::Arc;

#[derive(Default)]
struct Notes {
    started: Vec<Arc<Proxy>>,
    completed: Vec<Arc<Proxy>>,
}

thread_local! {
    // A strategy may call another one: the innermost journal takes the note, and passes it on when it closes.
    static OPEN_HERE: RefCell<Vec<Notes>> = const { RefCell::new(Vec::new()) };
}

// How many are open anywhere: with none, which is nearly always, a start costs one read.
static OPEN: AtomicUsize = AtomicUsize::new(0);

fn note(write: impl FnOnce(&mut Notes)) {
    OPEN_HERE.with_borrow_mut(|open| {
        if let Some(notes) = open.last_mut() {
            write(notes);
        }
    });
}

/// In the child of a fork: the journals of other threads are in the parent.
pub(crate) fn after_fork() {
    OPEN.store(OPEN_HERE.with_borrow(Vec::len), Ordering::Relaxed);
}

/// Whether any journal is open anywhere.
#[inline]
pub(crate) fn is_open() -> bool {
    OPEN.load(Ordering::Relaxed) > 0
}

/// Notes a start made by foreign code.
#[inline]
pub(crate) fn note_start(proxy: &Arc<Proxy>) {
    // Relaxed: a journal of this thread was opened by this thread.
    if OPEN.load(Ordering::Relaxed) > 0 {
        note(|notes| notes.started.push(proxy.clone()));
    }
}

/// Notes a completion made by foreign code.
#[inline]
pub(crate) fn note_completion(proxy: &Arc<Proxy>) {
    if OPEN.load(Ordering::Relaxed) > 0 {
        note(|notes| notes.completed.push(proxy.clone()));
    }
}

/// Notes the starts and completions made on this thread while it is open. Not thread-safe: use it where it is made.
#[pyclass(module = "proxywhirl._core", frozen)]
pub(crate) struct Journal {
    notes: crate::sync::Mutex<Notes>,
}

impl Journal {
    fn cancel_start(&self, proxies: impl IntoIterator<Item = Arc<Proxy>>) {
        for proxy in proxies {
            proxy.cancel_start(&ExactClock);
        }
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl Journal {
    #[new]
    fn new() -> Self {
        Self { notes: crate::sync::Mutex::new(Notes::default()) }
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        OPEN.fetch_add(1, Ordering::Relaxed);
        OPEN_HERE.with_borrow_mut(|open| open.push(Notes::default()));
        slf
    }

    #[pyo3(signature = (_exc_type=None, _exc_value=None, _traceback=None, /))]
    fn __exit__(
        &self,
        _exc_type: Option<&Bound<'_, PyAny>>,
        _exc_value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) {
        if let Some(notes) = OPEN_HERE.with_borrow_mut(Vec::pop) {
            OPEN.fetch_sub(1, Ordering::Relaxed);
            *self.notes.lock() = notes;
        }
    }

    /// Leaves exactly one start on `proxy`, and takes back those noted on others.
    fn settle_start(&self, proxy: &Bound<'_, PyProxy>) {
        let core = &proxy.get().core;
        let started = std::mem::take(&mut self.notes.lock().started);
        let (own, others): (Vec<_>, Vec<_>) = started.into_iter().partition(|started| Arc::ptr_eq(started, core));
        self.cancel_start(others);
        if own.is_empty() {
            core.start(&ExactClock);
        } else {
            self.cancel_start(own.into_iter().skip(1));
        }
        // What is around this one sees exactly what now stands.
        note_start(core);
    }

    /// Completes `proxy` unless that was noted.
    #[pyo3(signature = (proxy, success, response_time_ms, alpha=None))]
    fn settle_completion(&self, proxy: &Bound<'_, PyProxy>, success: bool, response_time_ms: f64, alpha: Option<f64>) {
        let core = &proxy.get().core;
        let done = std::mem::take(&mut self.notes.lock().completed).iter().any(|done| Arc::ptr_eq(done, core));
        if !done {
            let verdict = if success { Verdict::Success(response_time_ms) } else { Verdict::Failure(response_time_ms) };
            core.complete(verdict, alpha, &ExactClock);
        }
        note_completion(core);
    }

    /// Takes back every start noted.
    fn rollback(&self) {
        let started = std::mem::take(&mut self.notes.lock().started);
        self.cancel_start(started);
    }
}
