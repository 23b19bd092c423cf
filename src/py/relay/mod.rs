//! `RelayServer`: a local proxy server over a rotation.

mod asking;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use self::asking::Asking;
use crate::py::border;
use crate::relay::{Handle, Login, Settings, start};
use crate::sync::Ordering;

/// A local proxy server that is running. Thread-safe.
///
/// Args:
///     begin: Begins a request; called with the method, the URL, session, country, region, tags and whether it can be sent
///         twice. Returns the rotation, what takes its leases, and what judges its answers.
///     refuse: Says why a request has failed; called with the rotation, the method and the URL. Returns status and text.
///     host: The address to listen on.
///     port: The port; 0 for a free one.
///     username: The user name before the words of the grammar.
///     password: The password; `None` lets every client in.
///     most: Connections of clients at the same time.
///     connect: Seconds for opening the way through one proxy.
///     read: Seconds for one read of a forwarded request.
///     idle: Seconds after which a silent tunnel or client is closed.
///     greeting: Seconds for what a client says before it has asked for something.
///
/// Raises:
///     OSError: The address cannot be listened on, or descriptors or threads have run out.
///     ValueError: The host is no address, or a number of seconds is negative.
#[pyclass(name = "RelayServer", module = "proxywhirl._core", frozen, weakref)]
pub(crate) struct PyRelay {
    handle: Handle,
}

fn span(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| PyValueError::new_err("a number of seconds must not be negative"))
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyRelay {
    #[new]
    #[pyo3(signature = (begin, refuse, host, port, *, username, password, most, connect, read, idle, greeting))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        begin: Py<PyAny>,
        refuse: Py<PyAny>,
        host: &str,
        port: u16,
        username: &str,
        password: Option<&str>,
        most: usize,
        connect: f64,
        read: f64,
        idle: f64,
        greeting: f64,
    ) -> PyResult<Self> {
        let ip: IpAddr = host.parse().map_err(|_| PyValueError::new_err("host must be an IP address"))?;
        let settings = Settings {
            login: Login { username: username.into(), password: password.map(Into::into) },
            most,
            connect: span(connect)?,
            read: span(read)?,
            idle: span(idle)?,
            greeting: span(greeting)?,
        };
        let director = Box::new(Asking::new(begin, refuse)?);
        let started = border::detach(py, || start(SocketAddr::new(ip, port), settings, director));
        let handle = started.map_err(|error| PyOSError::new_err((error.raw_os_error(), error.to_string())))?;
        Ok(Self { handle })
    }

    /// The port that it listens on.
    #[getter]
    fn port(&self) -> u16 {
        self.handle.address().port()
    }

    /// Whether this process runs it: the child of a fork does not.
    #[getter]
    fn is_here(&self) -> bool {
        self.handle.is_here()
    }

    /// What it has done so far, by name.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (dict, counts) = (PyDict::new(py), self.handle.counts());
        for (name, count) in [
            ("connections_open", &counts.open),
            ("connections", &counts.accepted),
            ("tunnels", &counts.tunnels),
            ("answers", &counts.answers),
            ("denied", &counts.denied),
            ("failed", &counts.failed),
            ("failed_attempts", &counts.retried),
            ("bytes_sent", &counts.sent),
            ("bytes_received", &counts.received),
        ] {
            dict.set_item(name, count.load(Ordering::Relaxed))?;
        }
        Ok(dict)
    }

    /// Accept no client any more, close idle connections now and the others after so many seconds, and wait for that.
    ///
    /// Raises:
    ///     RuntimeError: This process does not run it.
    ///     ValueError: The number is negative.
    fn close(&self, py: Python<'_>, drain: f64) -> PyResult<()> {
        if !self.handle.is_here() {
            return Err(PyRuntimeError::new_err("the relay runs in the process that started it"));
        }
        self.handle.close(span(drain)?);
        // The director's thread needs the interpreter; a fork may happen meanwhile.
        border::wait(py, || self.handle.join());
        Ok(())
    }

    /// To be called in the child of a fork: closes its copy of the port.
    fn _abandon(&self) {
        self.handle.abandon();
    }
}

/// Headers about pauses, as Python reads them.
fn headers_of<'py>(py: Python<'py>, pairs: &[(String, String)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in pairs {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}

/// An attribute of an object, by a name that is kept.
macro_rules! attribute {
    ($object:expr, $name:literal) => {{
        let object = $object;
        object.getattr(crate::py::once::intern!(object.py(), $name))
    }};
}
use attribute;
