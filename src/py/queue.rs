//! The waiting line of a pool as Python sees it: threads wait natively, tasks are woken by a callback.

use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::clock::{Clock, SystemClock, nanoseconds};
use crate::py::border;
use crate::py::errors::ProxyPoolEmptyError;
use crate::rotation::Domain;
use crate::rotation::chooser::is_worth_waiting;
use crate::rotation::queue::{Ask, Hope, Queue, Refused, Waiter};
use crate::sync::{Alarm, Arc, Mutex, Weak};

/// The longest sleep of the main thread between two looks for signals, which no other thread gets.
const SIGNALS: Duration = Duration::from_millis(50);

/// What ends a waiter's sleep.
enum Wake {
    Thread(Arc<Alarm>),
    Task(Py<PyAny>),
}

/// A waiter's request: a callable that takes a lease.
pub(crate) struct Request {
    take: Py<PyAny>,
    wake: Wake,
}

pub(crate) fn hope_of(py: Python<'_>, error: &PyErr) -> Option<Hope> {
    if !error.is_instance_of::<ProxyPoolEmptyError>(py) {
        return None;
    }
    let value = error.value(py);
    let may_free = value.getattr("may_free").and_then(|it| it.is_truthy()).unwrap_or(false);
    let seconds = value.getattr("retry_after").and_then(|it| it.extract::<Option<f64>>()).ok().flatten();
    Some(Hope { may_free, retry_after: seconds.map(nanoseconds) })
}

impl Ask for Request {
    type Lease = Py<PyAny>;
    type Error = PyErr;

    fn ask(&self) -> Result<Py<PyAny>, Refused<PyErr>> {
        let asked = border::attach(|py| {
            self.take.call0(py).map_err(|error| {
                let hope = hope_of(py, &error);
                Refused { error, hope }
            })
        });
        asked.unwrap_or_else(|| {
            Err(Refused { error: PyRuntimeError::new_err("the interpreter is shutting down"), hope: None })
        })
    }

    fn give_back(&self, lease: Py<PyAny>) {
        border::attach(|py| {
            // An exception may be on its way, which the call below would lose.
            let pending = PyErr::take(py);
            if let Err(error) = lease.call_method0(py, "release") {
                error.write_unraisable(py, None);
            }
            drop(lease);
            if let Some(pending) = pending {
                pending.restore(py);
            }
        });
    }

    fn wake(&self) {
        match &self.wake {
            Wake::Thread(alarm) => alarm.ring(),
            Wake::Task(callback) => {
                border::attach(|py| {
                    let pending = PyErr::take(py);
                    if let Err(error) = callback.call0(py) {
                        error.write_unraisable(py, None);
                    }
                    if let Some(pending) = pending {
                        pending.restore(py);
                    }
                });
            }
        }
    }
}

pub(crate) type Line = Queue<Arc<str>, Request>;

static LINES: Mutex<Vec<Weak<Line>>> = Mutex::new(Vec::new());

fn line(on_change: Box<dyn Fn(isize) + Send + Sync>) -> Arc<Line> {
    let line = Arc::new(Queue::new(|| SystemClock.steady(), on_change));
    let mut lines = LINES.lock();
    if lines.len() == lines.capacity() {
        lines.retain(|line| line.strong_count() > 0);
    }
    lines.push(Arc::downgrade(&line));
    line
}

/// The line in front of a pool, which looks after it whenever something may have become free.
pub(crate) fn line_of(pool: &Arc<Domain>) -> Arc<Line> {
    let core = Arc::downgrade(pool);
    let line = line(Box::new(move |more| {
        if let Some(pool) = core.upgrade() {
            pool.guard().add_waiters(more);
        }
    }));
    let weak = Arc::downgrade(&line);
    pool.guard().set_waker(Some(Box::new(move || {
        if let Some(line) = weak.upgrade() {
            line.look();
        }
    })));
    line
}

/// In the child of a fork: the threads that waited are in the parent.
pub(crate) fn after_fork() {
    let lines: Vec<Arc<Line>> = LINES.lock().iter().filter_map(Weak::upgrade).collect();
    for line in lines {
        line.forget();
    }
}

/// Requests that wait until a proxy is admissible: first come, first served, each up to a deadline; threads and tasks in one
/// line. Requests with the same key want the same: none of them overtakes another. Thread-safe.
#[pyclass(module = "proxywhirl._core", frozen)]
pub(crate) struct WaitingLine {
    core: Arc<Line>,
}

impl WaitingLine {
    pub(crate) fn around(core: &Arc<Line>) -> Self {
        Self { core: core.clone() }
    }

    fn request(take: &Bound<'_, PyAny>, wake: Wake) -> Request {
        Request { take: take.clone().unbind(), wake }
    }
}

fn result(waiter: &Waiter<Arc<str>, Request>) -> PyResult<Py<PyAny>> {
    waiter.take().unwrap_or_else(|| Err(PyRuntimeError::new_err("the result of this wait has been taken already")))
}

#[proxywhirl_macros::border]
#[pymethods]
impl WaitingLine {
    #[new]
    fn new() -> Self {
        Self { core: line(Box::new(|_| ())) }
    }

    getters! {
        /// How many wait.
        waiting: usize = self.core.waiting();
        /// How many groups of the same key there are.
        _groups: usize = self.core.groups();
    }

    /// Whether waiting is useless after such a refusal: nothing under way can free a proxy, and no moment is known before the
    /// deadline.
    ///
    /// Args:
    ///     error: The refusal.
    ///     seconds: How long the request may wait; `None` for any time.
    #[pyo3(signature = (error, seconds=None))]
    fn is_useless(&self, py: Python<'_>, error: &Bound<'_, PyAny>, seconds: Option<f64>) -> bool {
        let error = PyErr::from_value(error.clone());
        !is_worth_waiting(hope_of(py, &error), seconds.map(nanoseconds), SystemClock.steady())
    }

    /// Waits in line, blocking the thread.
    ///
    /// Args:
    ///     key: Equal for requests that want the same.
    ///     take: Takes a lease now; raises `ProxyPoolEmptyError` when no proxy is admissible. May be called in any thread.
    ///     seconds: How long to wait at most; `None` for as long as it makes sense.
    ///
    /// Returns:
    ///     A lease.
    ///
    /// Raises:
    ///     ProxyPoolEmptyError: Time is up, or waiting has become useless.
    #[pyo3(signature = (key, take, seconds=None))]
    fn wait(&self, py: Python<'_>, key: &str, take: &Bound<'_, PyAny>, seconds: Option<f64>) -> PyResult<Py<PyAny>> {
        let alarm = Arc::new(Alarm::default());
        let request = Self::request(take, Wake::Thread(alarm.clone()));
        let waiter = self.core.join(key.into(), request, seconds.map(nanoseconds));
        let slice = if waiter.is_settled() || !is_main_thread(py)? { None } else { Some(SIGNALS) };
        while !waiter.is_settled() {
            let sleep = waiter.sleep(SystemClock.steady()).map(Duration::from_nanos);
            let sleep = slice.map_or(sleep, |slice| Some(sleep.map_or(slice, |sleep| sleep.min(slice))));
            // Not inside the core, which a fork would wait for.
            border::wait(py, || alarm.wait(sleep));
            if let Err(interrupt) = py.check_signals() {
                self.core.leave(&waiter);
                return Err(interrupt);
            }
            if self.core.check(&waiter) {
                break;
            }
        }
        result(&waiter)
    }

    /// Takes a place in line for a task.
    ///
    /// Args:
    ///     key: As for `wait`.
    ///     take: As for `wait`.
    ///     seconds: As for `wait`.
    ///     wake: Called from any thread when the task should look at its place.
    ///
    /// Returns:
    ///     The place.
    fn join(&self, key: &str, take: &Bound<'_, PyAny>, seconds: Option<f64>, wake: Py<PyAny>) -> Place {
        let request = Self::request(take, Wake::Task(wake));
        let waiter = self.core.join(key.into(), request, seconds.map(nanoseconds));
        Place { line: self.core.clone(), waiter }
    }

    /// Serves the waiters; if another thread does, that one looks again. Never blocks, and may be called anywhere.
    fn look(&self) {
        self.core.look();
    }

    /// Ends the wait of some requests.
    ///
    /// Returns how many it were.
    fn dismiss(&self, py: Python<'_>, error_for: &Bound<'_, PyAny>) -> PyResult<usize> {
        let mut failed = None;
        let dismissed = self.core.dismiss(|request| {
            if failed.is_some() {
                return None;
            }
            match error_for.call1((request.take.bind(py),)) {
                Ok(error) => (!error.is_none()).then(|| PyErr::from_value(error)),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            }
        });
        failed.map_or(Ok(dismissed), Err)
    }
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    threading.call_method0("get_ident")?.eq(main)
}

/// The place of a task in a `WaitingLine`.
#[pyclass(module = "proxywhirl._core", frozen)]
pub(crate) struct Place {
    line: Arc<Line>,
    waiter: Arc<Waiter<Arc<str>, Request>>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl Place {
    /// Whether the wait is over.
    #[getter]
    fn is_settled(&self) -> bool {
        self.waiter.is_settled()
    }

    /// Seconds until the task must look by itself; `None` for never.
    fn sleep(&self) -> Option<f64> {
        self.waiter.sleep(SystemClock.steady()).map(|sleep| sleep as f64 / 1e9)
    }

    /// After a sleep: looks once more, and ends the wait if its time is up. Whether the wait is over.
    fn check(&self) -> bool {
        self.line.check(&self.waiter)
    }

    /// Leaves the line, because the task was cancelled; a lease that was handed over goes to the next.
    fn leave(&self) {
        self.line.leave(&self.waiter);
    }

    /// The lease.
    fn result(&self) -> PyResult<Py<PyAny>> {
        result(&self.waiter)
    }
}
