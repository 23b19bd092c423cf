//! What a rotator sets in its pool: breakers, logins, notices, the waiting line. The other half of the rotator's Python.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::clock::SystemClock;
use crate::net::address::Credentials;
use crate::py::breaker::PyBreaker;
use crate::py::guard;
use crate::py::pool::PyPool;
use crate::py::queue::WaitingLine;

#[proxywhirl_macros::border]
#[pymethods]
impl PyPool {
    /// Gives its proxies, and those that join later, a counting window of that many seconds.
    fn _keep_window(&self, seconds: u32) {
        self.core.keep_window(seconds.max(1));
    }

    /// Judges proxies by other settings from now on; what is not given has its default.
    #[pyo3(signature = (**settings))]
    fn _guard_configure(&self, settings: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        guard::configure(self, settings)
    }

    /// The breaker of a proxy.
    fn _breaker_of(&self, proxy_id: &Bound<'_, PyAny>) -> PyResult<PyBreaker> {
        guard::breaker_of(self, proxy_id)
    }

    /// Gives a proxy another breaker.
    fn _set_breaker(&self, proxy_id: &Bound<'_, PyAny>, breaker: &Bound<'_, PyBreaker>) -> PyResult<()> {
        guard::set_breaker(self, proxy_id, breaker.get())
    }

    /// Logs in with these through every proxy, and through those that join from now on.
    fn _log_in(&self, username: &str, password: &str) {
        self.core.log_in(Credentials { username: username.into(), password: password.into() });
    }

    /// The requests that wait for a proxy of this pool: one line for all its users.
    fn _waiting_line(&self) -> WaitingLine {
        WaitingLine::around(&self.line)
    }

    /// Sets the callback for notices: called with name, proxy and facts.
    fn _set_notice(&self, notice: Option<Py<PyAny>>) {
        guard::set_notice(self, notice);
    }

    /// Every pair of proxy and site that is out of favour: the proxy, the site's key, "banned" or "rate_limited", until when
    /// (`None` where the next request is the probe), and how often in a row.
    fn _standings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        guard::standings(self, py)
    }

    /// Seconds until something changes by itself, at any site or everywhere, if anything does.
    fn _next_due(&self) -> Option<f64> {
        let due = [self.core.guard().next_due(&SystemClock), self.core.sites().next_due(&SystemClock)];
        due.into_iter().flatten().min().map(|ahead| ahead as f64 / 1e9)
    }
}
