//! How a lease is ended from Python.

use pyo3::exceptions::{PyBaseException, PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::PyLease;
use crate::judge::outcome::Outcome;
use crate::py::convert;
use crate::py::errors;
use crate::rotation::lease::AlreadyClosed;

#[proxywhirl_macros::border]
#[pymethods]
impl PyLease {
    /// Judges what came back, records it and closes the lease.
    ///
    /// Args:
    ///     status: The answer as any client gives it, or the exception that came instead, or just the HTTP status.
    ///     headers: Headers of the answer, a mapping or pairs; by default its own.
    ///     body: Body of the answer; by default its own as far as it has been read: nothing is read or awaited.
    ///     error: The exception that came instead. One that stands for an answer is judged like that answer.
    ///     elapsed_ms: Time to the answer in milliseconds; by default since the lease was taken.
    ///     bytes_sent: Bytes sent, for the bill: what the client knows, added to what was counted.
    ///     bytes_received: Bytes received, likewise.
    ///
    /// Returns:
    ///     The `Outcome`.
    ///
    /// Raises:
    ///     RuntimeError: The lease is closed.
    ///     TypeError: Neither a status nor an error is given, or an object that has no status.
    ///     ValueError: There is no such status, or a time is negative.
    #[pyo3(signature = (status=None, headers=None, body=None, error=None, elapsed_ms=None, bytes_sent=0, bytes_received=0))]
    #[allow(clippy::too_many_arguments)]
    fn report<'py>(
        slf: &Bound<'py, Self>,
        status: Option<&Bound<'py, PyAny>>,
        headers: Option<&Bound<'py, PyAny>>,
        body: Option<&Bound<'py, PyAny>>,
        error: Option<&Bound<'py, PyAny>>,
        elapsed_ms: Option<f64>,
        bytes_sent: u64,
        bytes_received: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.get();
        if this.core.is_closed() {
            return Err(errors::closed(AlreadyClosed));
        }
        let error = error.filter(|error| !error.is_none());
        let elapsed_ms = elapsed_ms.map(convert::duration).transpose()?;
        if status.is_none() && error.is_none() {
            return Err(PyTypeError::new_err(
                "report() needs a status or an error: a number, a response or an exception",
            ));
        }
        let judged = Self::judged(slf, status, headers, body, error)?;
        // Before the end, which writes the sums down.
        this.core.count(bytes_sent, bytes_received);
        let verdict = judged.verdict.unwrap_or(Some(Outcome::ClientFault));
        // An exception may come in either place.
        let error = error.or_else(|| status.filter(|status| status.is_instance_of::<PyBaseException>()));
        convert::outcome(py, Self::end(slf, verdict, elapsed_ms, judged.hold, error, judged.status)?)
    }

    /// Ends the lease with an outcome that is known.
    ///
    /// Args:
    ///     outcome: The `Outcome`.
    ///     elapsed_ms: Time to the answer in milliseconds; by default since the lease was taken.
    ///     error: What went wrong, kept with the proxy without credentials.
    ///     hold: Seconds for which the site is not to be asked through this proxy: after BANNED exactly so long, after
    ///         RATE_LIMITED what the site asked for.
    ///     status: HTTP status of the answer, for observers.
    ///
    /// Raises:
    ///     RuntimeError: The lease is closed.
    ///     ValueError: There is no such outcome, or a time is negative.
    #[pyo3(signature = (outcome, elapsed_ms=None, error=None, *, hold=None, status=None))]
    fn finish(
        slf: &Bound<'_, Self>,
        outcome: &Bound<'_, PyAny>,
        elapsed_ms: Option<f64>,
        error: Option<&Bound<'_, PyAny>>,
        hold: Option<f64>,
        status: Option<u16>,
    ) -> PyResult<()> {
        Self::end(slf, convert::outcome_of(outcome)?, elapsed_ms, hold, error, status).map(drop)
    }

    /// It worked; `elapsed_ms` is by default the time since the lease was taken.
    #[pyo3(signature = (elapsed_ms=None))]
    fn success(slf: &Bound<'_, Self>, elapsed_ms: Option<f64>) -> PyResult<()> {
        Self::end(slf, Outcome::Success, elapsed_ms, None, None, None).map(drop)
    }

    /// The proxy failed.
    #[pyo3(signature = (error=None))]
    fn failure(slf: &Bound<'_, Self>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        Self::end(slf, Outcome::ProxyDown, None, None, error, None).map(drop)
    }

    /// The site refuses this proxy: counted as neither success nor failure of the proxy.
    ///
    /// Args:
    ///     cooldown: Seconds until the site may be tried through it again, exactly; by default longer each time in a row,
    ///         by chance.
    ///
    /// Raises:
    ///     RuntimeError: The lease is closed.
    ///     ValueError: `cooldown` is negative.
    #[pyo3(signature = (cooldown=None))]
    fn banned(slf: &Bound<'_, Self>, cooldown: Option<f64>) -> PyResult<()> {
        if cooldown.is_some_and(|cooldown| cooldown.is_nan() || cooldown < 0.0) {
            return Err(PyValueError::new_err("cooldown must not be negative"));
        }
        Self::end(slf, Outcome::Banned, None, cooldown, None, None).map(drop)
    }

    /// Gives the proxy back as if it had never been chosen.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::give_back(slf)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (_exc_type=None, exc_value=None, _traceback=None, /))]
    fn __exit__(
        slf: &Bound<'_, Self>,
        _exc_type: Option<&Bound<'_, PyAny>>,
        exc_value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        Self::leave(slf, exc_value)
    }

    fn __aenter__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import("proxywhirl._native.lease")?.call_method1("ready", (slf,))
    }

    #[pyo3(signature = (_exc_type=None, exc_value=None, _traceback=None, /))]
    fn __aexit__<'py>(
        slf: &Bound<'py, Self>,
        _exc_type: Option<&Bound<'py, PyAny>>,
        exc_value: Option<&Bound<'py, PyAny>>,
        _traceback: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::leave(slf, exc_value)?;
        let py = slf.py();
        py.import("proxywhirl._native.lease")?.call_method1("ready", (py.None(),))
    }
}
