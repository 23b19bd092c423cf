//! `ProxyHandshake`: a handshake of [`crate::net::handshake`] for sockets that Python reads and writes.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::clock::{Clock, SystemClock, exact_wall};
use crate::judge::handshake::{of_connect, of_refusal, of_socks4, of_socks5};
use crate::judge::outcome::{Judgement, Outcome};
use crate::net::connect::{self, Connect};
use crate::net::credentials::Credentials;
use crate::net::destination::Destination;
use crate::net::handshake::{Handshake, Progress, Refusal};
use crate::net::protocol::Protocol;
use crate::net::redact::LoginSecrets;
use crate::net::{socks4, socks5};
use crate::py::convert::{self, Lazy};
use crate::py::judge::headers::headers_of;
use crate::sync::Mutex;

static AMBIGUOUS: Lazy = Lazy::new("proxywhirl._native.enums", "AMBIGUOUS");

pub(crate) fn verdict(py: Python<'_>, judgement: Judgement) -> PyResult<Py<PyAny>> {
    match judgement.outcome() {
        Some(outcome) => Ok(convert::outcome(py, outcome)?.unbind()),
        None => Ok(AMBIGUOUS.get(py)?.clone().unbind()),
    }
}

/// Why a proxy does not open the way, and what that says of it.
#[pyclass(name = "HandshakeRefusal", module = "proxywhirl._core", frozen)]
pub(crate) struct HandshakeRefusal {
    /// What the proxy said, for people; without its login.
    #[pyo3(get)]
    message: String,
    outcome: Py<PyAny>,
    /// Seconds for which the proxy asks to be left alone; `None` for none.
    #[pyo3(get)]
    retry_after: Option<f64>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl HandshakeRefusal {
    /// The `Outcome` it stands for; `AMBIGUOUS` if it may be the site's fault as well.
    #[getter]
    fn outcome(&self, py: Python<'_>) -> Py<PyAny> {
        self.outcome.clone_ref(py)
    }
}

/// What is said to a proxy before it passes bytes on: CONNECT, SOCKS4, SOCKS5. No I/O; thread-safe.
///
/// Args:
///     protocol: "http", "https", "socks4", "socks4a", "socks5" or "socks5h".
///     host: The target: a name, which the proxy resolves, or an address.
///     port: Its port.
///     login: User name and password.
///     authorization: A ready value of `Proxy-Authorization` in place of a login; not sent to SOCKS proxies.
///
/// Raises:
///     ValueError: No such protocol.
#[pyclass(name = "ProxyHandshake", module = "proxywhirl._core", frozen)]
pub(crate) struct PyHandshake {
    // `None`: no proxy can be asked for that target.
    core: Option<Mutex<Handshake>>,
    secrets: Option<LoginSecrets>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyHandshake {
    #[new]
    #[pyo3(signature = (protocol, host, port, login=None, authorization=None))]
    fn new(
        protocol: &str,
        host: &str,
        port: u16,
        login: Option<(String, String)>,
        authorization: Option<Vec<u8>>,
    ) -> PyResult<Self> {
        let protocol = Protocol::parse(protocol).ok_or_else(|| PyValueError::new_err("no such protocol"))?;
        let secrets = match (&login, &authorization) {
            (Some((username, password)), _) => Some(LoginSecrets::new(username, password)),
            (None, Some(value)) => Some(LoginSecrets::of_authorization(value)),
            (None, None) => None,
        };
        let login =
            login.map(|(username, password)| Credentials { username: username.into(), password: password.into() });
        let is_http = matches!(protocol, Protocol::Http | Protocol::Https);
        let core = Destination::new(host, port).ok().map(|to| match (login, authorization) {
            (None, Some(value)) if is_http => Handshake::Connect(Connect::new(to, Some(value))),
            (login, _) => Handshake::new(protocol, to, login),
        });
        Ok(Self { core: core.map(Mutex::new), secrets })
    }

    /// What to write first.
    ///
    /// Returns the bytes; a `HandshakeRefusal` if the protocol cannot say it.
    fn start(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let first = match &self.core {
            Some(core) => core.lock().start(),
            None => Err(crate::net::handshake::Inexpressible::Name),
        };
        match first {
            Ok(bytes) => Ok(PyBytes::new(py, &bytes).into_any().unbind()),
            Err(what) => self.refusal(py, &Refusal::Inexpressible(what)),
        }
    }

    /// Takes what was read.
    ///
    /// Args:
    ///     data: The bytes, in pieces of any size.
    ///
    /// Returns:
    ///     Bytes to write before the next read, perhaps none; `None` when the way is open; a `HandshakeRefusal` when it
    ///     will not be.
    fn feed(&self, py: Python<'_>, data: &[u8]) -> PyResult<Py<PyAny>> {
        let Some(core) = &self.core else { return Err(PyValueError::new_err("the handshake has not begun")) };
        let progress = core.lock().feed(data);
        // The client speaks first in a tunnel; whatever came before is not the target's.
        match progress.client_speaks_first() {
            Progress::NeedMore(_) => Ok(PyBytes::new(py, b"").into_any().unbind()),
            Progress::Write(message) => Ok(PyBytes::new(py, &message).into_any().unbind()),
            Progress::Done { .. } => Ok(py.None()),
            Progress::Refused(refusal) => self.refusal(py, &refusal),
            Progress::Malformed(malformed) => {
                let outcome = verdict(py, Outcome::ProxyDown.into())?;
                let refusal = HandshakeRefusal { message: malformed.to_string(), outcome, retry_after: None };
                Ok(Py::new(py, refusal)?.into_any())
            }
        }
    }

    fn __repr__(&self) -> &'static str {
        "<handshake with a proxy>"
    }
}

impl PyHandshake {
    fn refusal(&self, py: Python<'_>, refusal: &Refusal) -> PyResult<Py<PyAny>> {
        let message = match refusal {
            Refusal::Connect(reply) => {
                reply.message(|text| self.secrets.as_ref().map_or_else(|| text.to_owned(), |login| login.scrub(text)))
            }
            other => other.to_string(),
        };
        let (judgement, retry_after) = of_refusal(refusal, || SystemClock.wall() as f64 / 1e6);
        let refusal = HandshakeRefusal { message, outcome: verdict(py, judgement)?, retry_after };
        Ok(Py::new(py, refusal)?.into_any())
    }
}

/// The value of `Proxy-Authorization` for a user name and a password (RFC 7617, UTF-8).
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn basic_authorization<'py>(py: Python<'py>, username: &str, password: &str) -> Bound<'py, PyBytes> {
    let login = Credentials { username: username.into(), password: password.into() };
    PyBytes::new(py, login.basic().as_bytes())
}

/// What it says of a proxy that it refused CONNECT.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (status, details="", headers=None))]
pub(crate) fn judge_connect(
    py: Python<'_>,
    status: u16,
    details: &str,
    headers: Option<&Bound<'_, PyAny>>,
) -> PyResult<(Py<PyAny>, Option<f64>)> {
    let [retry_after, date] = match headers {
        Some(headers) => headers_of(headers, ["retry-after", "date"])?,
        None => [None, None],
    };
    let [retry_after, date] = [retry_after, date].map(|value| value.map(Into::into));
    let reply = connect::Reply { status, reason: "".into(), retry_after, date, details: details.into() };
    let (judgement, hold) = of_connect(&reply, || exact_wall() as f64 / 1e6);
    Ok((verdict(py, judgement)?, hold))
}

/// What it says of a SOCKS proxy that it refused to connect.
///
/// Returns the `Outcome`; `AMBIGUOUS` if it may be the site's fault as well.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn judge_socks(py: Python<'_>, reply: i64, version: u8) -> PyResult<Py<PyAny>> {
    // A number that is no code of the protocol is the proxy's own trouble, as one that the protocol does not assign.
    let code = u8::try_from(reply).unwrap_or(u8::MAX);
    let judgement = match version {
        4 => socks4::Reply::of_code(code).map(of_socks4),
        _ => socks5::Reply::of_code(code).map(of_socks5),
    };
    verdict(py, judgement.unwrap_or(Outcome::ProxyDown.into()))
}
