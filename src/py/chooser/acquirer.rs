//! `LeaseAcquirer`: how one request takes its proxies, at once where it may, else from the waiting line.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::clock::{Clock, SystemClock, nanoseconds};
use crate::net::site_key::host_of;
use crate::proxy::Id;
use crate::py::attempts::AttemptLog;
use crate::py::chooser::PyChooser;
use crate::py::chooser::choosing::Wanted;
use crate::py::chooser::wishes::PyWishes;
use crate::py::convert;
use crate::py::errors::ProxyPoolEmptyError;
use crate::py::lease::{PyLease, text_of};
use crate::py::queue::hope_of;
use crate::rotation::chooser::{is_worth_waiting, line_key};

/// How one request takes its proxies: at once where it may, else from the line.
///
/// Args:
///     chooser: Chooses.
///     url: The target.
///     wishes: What the request asks for.
///     method: The method, for the watch.
///     connects: Whether the request holds a connection of a transport of this pool.
///     judge: What `lease.report` judges by.
///     timeouts: Seconds for each phase of the request, as httpx names them.
///     time_left: Seconds for all attempts together; `None` without a bound.
#[pyclass(name = "LeaseAcquirer", module = "proxywhirl._core", frozen, subclass)]
pub(crate) struct PyAcquirer {
    chooser: Py<PyChooser>,
    url: Option<Py<PyAny>>,
    wishes: Option<Py<PyWishes>>,
    method: Option<Py<PyAny>>,
    connects: bool,
    judge: Option<Py<PyAny>>,
    timeouts: Option<Py<PyAny>>,
    // Nanoseconds on the steady clock.
    deadline: Option<u64>,
    log: Option<Py<AttemptLog>>,
}

impl PyAcquirer {
    /// Takes a lease now; `None` where it is worth waiting in line.
    pub(crate) fn take<'py>(
        slf: &Bound<'py, Self>,
        exclude: &Bound<'py, PyList>,
        attempt: u64,
        seconds: Option<f64>,
    ) -> PyResult<Option<Py<PyLease>>> {
        let py = slf.py();
        // Requests that wait in line already come first.
        if slf.get().chooser.get().waiting() > 0 {
            return Ok(None);
        }
        match Self::ask(slf, exclude, attempt) {
            Err(error) if error.is_instance_of::<ProxyPoolEmptyError>(py) => {
                let patience = seconds.map(nanoseconds);
                let waits = is_worth_waiting(hope_of(py, &error), patience, SystemClock.steady());
                if waits { Ok(None) } else { Err(error) }
            }
            taken => taken.map(Some),
        }
    }

    fn ask<'py>(slf: &Bound<'py, Self>, exclude: &Bound<'py, PyList>, attempt: u64) -> PyResult<Py<PyLease>> {
        let py = slf.py();
        let this = slf.get();
        let wanted = Wanted {
            url: this.url.as_ref().map(|url| url.bind(py)),
            wishes: this.wishes.as_ref().map(|wishes| wishes.bind(py)),
            exclude: exclude.clone(),
            method: this.method.as_ref().map(|method| method.bind(py)),
            attempt,
            judge: this.judge.as_ref().map(|judge| judge.bind(py)),
            log: this.log.as_ref().map(|log| log.bind(py)),
            connects: this.connects,
            timeout: Some(slf.as_any()),
        };
        PyChooser::take(this.chooser.bind(py), &wanted)
    }

    /// Milliseconds that the request may take from now on: its own timeout, and what is left of all attempts' time.
    pub(crate) fn milliseconds(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let mut longest: Option<f64> = None;
        if let Some(timeouts) = &self.timeouts {
            let phases = PyDict::new(py);
            phases.update(timeouts.bind(py).cast()?)?;
            for (name, seconds) in phases {
                let seconds: Option<f64> = seconds.extract()?;
                // Waiting for a proxy is no phase of the request.
                if name.extract::<&str>()? != "pool"
                    && let Some(seconds) = seconds
                {
                    longest = Some(longest.map_or(seconds, |longest| longest.max(seconds)));
                }
            }
        }
        let left = self.deadline.map(|deadline| deadline.saturating_sub(SystemClock.steady_now()) as f64 / 1e9);
        let shortest = match (longest, left) {
            (Some(longest), Some(left)) => Some(longest.min(left)),
            (longest, left) => longest.or(left),
        };
        Ok(shortest.map(|seconds| seconds * 1_000.0))
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyAcquirer {
    #[new]
    #[pyo3(signature = (chooser, url, wishes, *, method=None, connects=false, judge=None, timeouts=None, time_left=None))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        chooser: Py<PyChooser>,
        url: Option<Py<PyAny>>,
        wishes: Option<Py<PyWishes>>,
        method: Option<Py<PyAny>>,
        connects: bool,
        judge: Option<Py<PyAny>>,
        timeouts: Option<Py<PyAny>>,
        time_left: Option<f64>,
    ) -> PyResult<Self> {
        let log = chooser.get().begin_log(py)?.map(Bound::unbind);
        let deadline = time_left.map(|seconds| SystemClock.steady_now().saturating_add(nanoseconds(seconds)));
        Ok(Self { chooser, url, wishes, method, connects, judge, timeouts, deadline, log })
    }

    /// Takes a lease now.
    ///
    /// Args:
    ///     exclude: Ids of proxies not to take.
    ///     attempt: Which attempt this is, from 1.
    ///     seconds: How long the request may wait; `None` for any time.
    ///
    /// Returns:
    ///     The lease; `None` if it is worth waiting in line with what `place` returns.
    ///
    /// Raises:
    ///     ProxyPoolEmptyError: No proxy is admissible, and waiting is useless.
    #[pyo3(signature = (exclude, attempt, seconds))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        exclude: &Bound<'py, PyList>,
        attempt: u64,
        seconds: Option<f64>,
    ) -> PyResult<Option<Py<PyLease>>> {
        Self::take(slf, exclude, attempt, seconds)
    }

    /// The place in line of an attempt: its key, equal for those that want the same, and what takes its lease.
    fn place(slf: &Bound<'_, Self>, exclude: &Bound<'_, PyList>, attempt: u64) -> PyResult<(String, LeaseAsk)> {
        let py = slf.py();
        let this = slf.get();
        let url = this.url.as_ref().map(|url| text_of(url.bind(py))).transpose()?;
        let url = url.as_ref().map(|url| url.to_str()).transpose()?;
        let wishes = this.wishes.as_ref().map(|wishes| wishes.get().core(py)).transpose()?;
        let excluded: Vec<Id> = exclude.iter().filter_map(|id| convert::id_of(&id)).collect();
        let chooser = this.chooser.as_ptr() as usize;
        let key = line_key(url.and_then(host_of), wishes.as_ref(), &excluded, chooser);
        // The line may ask much later: what the caller does with its list is no matter then.
        let exclude = PyList::new(py, exclude.iter())?.unbind();
        Ok((String::from(&*key), LeaseAsk { acquirer: slf.clone().unbind(), exclude, attempt }))
    }

    /// Chooses for this request.
    #[getter]
    fn chooser(&self, py: Python<'_>) -> Py<PyChooser> {
        self.chooser.clone_ref(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.chooser)?;
        if let Some(wishes) = &self.wishes {
            visit.call(wishes)?;
        }
        if let Some(log) = &self.log {
            visit.call(log)?;
        }
        for part in [&self.url, &self.method, &self.judge, &self.timeouts].into_iter().flatten() {
            visit.call(part)?;
        }
        Ok(())
    }
}

/// Takes the lease of an attempt that waits in line. Called without arguments, in any thread.
#[pyclass(module = "proxywhirl._core", frozen)]
pub(crate) struct LeaseAsk {
    acquirer: Py<PyAcquirer>,
    exclude: Py<PyList>,
    attempt: u64,
}

#[proxywhirl_macros::border]
#[pymethods]
impl LeaseAsk {
    fn __call__(&self, py: Python<'_>) -> PyResult<Py<PyLease>> {
        PyAcquirer::ask(self.acquirer.bind(py), self.exclude.bind(py), self.attempt)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.acquirer)?;
        visit.call(&self.exclude)
    }
}
