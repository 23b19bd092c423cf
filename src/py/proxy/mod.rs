//! `Proxy`: the documented fields and methods over the core's proxy.

mod attributes;
mod build;
mod conduct;
mod fields;
mod local;
mod state;
mod table;
mod url;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::net::address::Credentials;
use crate::proxy::Proxy;
use crate::py::convert::{self, Lazy};
use crate::py::metadata::ProxyMetadataView;
use crate::sync::{Arc, Mutex, OnceLock};
use local::Local;
pub(crate) use url::parse_proxy_url;

static CREDENTIALS: Lazy = Lazy::upper("ProxyCredentials");

/// One proxy: its address, its state and its counters. Thread-safe; assignments are seen by the next selection.
///
/// Raises:
///     pydantic.ValidationError: A field is missing or wrong; the message never repeats a password.
#[pyclass(name = "Proxy", module = "proxywhirl", frozen, subclass, weakref)]
pub(crate) struct PyProxy {
    pub(crate) core: Arc<Proxy>,
    local: Mutex<Option<Box<Local>>>,
    /// Its identifier as an object, from the first use on: every answer names its proxy.
    uuid: OnceLock<Py<PyAny>>,
}

impl PyProxy {
    /// A Python object for a proxy of the core.
    pub(crate) fn wrap(core: Arc<Proxy>) -> Self {
        Self { core, local: Mutex::new(None), uuid: OnceLock::new() }
    }

    /// Its identifier, a `uuid.UUID`.
    pub(crate) fn uuid<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(made) = self.uuid.get() {
            return Ok(made.bind(py).clone());
        }
        // Made outside: a cell that is filled by a call would release the interpreter for each proxy, and among many threads
        // each release costs a turn of all the others.
        let made = convert::uuid(py, self.core.id())?.unbind();
        Ok(self.uuid.get_or_init(|| made).bind(py).clone())
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyProxy {
    #[new]
    #[pyo3(signature = (url=None, **fields))]
    fn new(py: Python<'_>, url: Option<&Bound<'_, PyAny>>, fields: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Self::build(url, fields, py)
    }

    /// Most entries that `history` keeps.
    #[classattr]
    #[pyo3(name = "max_history_entries")]
    const MAX_HISTORY_ENTRIES: usize = 100;

    #[pyo3(name = "_put_tags")]
    fn py_put_tags(&self, tags: &Bound<'_, PyAny>) -> PyResult<()> {
        self.put_tags(convert::texts(tags)?);
        Ok(())
    }

    /// The identifier as text: what `str(proxy.id)` says, without a `UUID` on the way.
    #[pyo3(name = "_key")]
    fn key(&self) -> String {
        self.core.id().to_string()
    }

    /// Put user name and password in one step, so that no request goes out with one old and one new.
    ///
    /// Returns whether they were others before.
    #[pyo3(name = "_log_in")]
    fn log_in(&self, username: &str, password: &str) -> bool {
        self.core.log_in(&Credentials { username: username.into(), password: password.into() })
    }

    /// User name and password as `ProxyCredentials`; `None` without.
    #[getter]
    fn credentials<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(login) = self.core.credentials() else { return Ok(None) };
        let kwargs = PyDict::new(py);
        kwargs.set_item("username", convert::secret(py, &login.username)?)?;
        kwargs.set_item("password", convert::secret(py, &login.password)?)?;
        CREDENTIALS.get(py)?.call((), Some(&kwargs)).map(Some)
    }

    getters! {
        /// Host name or address, IPv6 without brackets.
        host: String = self.core.address().host.into_string();
        /// Port to dial; the scheme's default where the URL has none.
        port: u16 = self.core.address().effective_port();
    }

    #[pyo3(name = "_metadata")]
    fn metadata_view(&self) -> ProxyMetadataView {
        ProxyMetadataView::new(self.core.clone())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let core = &slf.get().core;
        let class = slf.get_type().name()?;
        let masked = core.masked_url();
        Ok(format!("{class}(url={masked:?}, id='{}', health_status={:?})", core.id(), core.health().as_str()))
    }

    fn __str__(&self) -> String {
        self.core.masked_url()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.local_traverse(&visit)
    }

    fn __clear__(&self) {
        let local = self.local.lock().take();
        drop(local);
    }
}
