//! `WireTls`: which certificates the wire accepts.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::net::tls::Verification;
use crate::py::border;
use crate::sync::Arc;
use crate::wire::tls::Profile;

/// Which certificates the wire accepts. Making one reads the certificates of all authorities; it does not change, and is
/// to be shared.
///
/// Args:
///     verify: Whether certificates are checked.
///     authorities: Those that are believed, in PEM; `None` for the system's.
///
/// Raises:
///     ValueError: There is no certificate of an authority in the text.
#[pyclass(name = "WireTls", module = "proxywhirl._core", frozen)]
pub(crate) struct WireTls {
    pub(super) profile: Arc<Profile>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl WireTls {
    #[new]
    #[pyo3(signature = (verify, authorities=None))]
    fn new(py: Python<'_>, verify: bool, authorities: Option<String>) -> PyResult<Self> {
        let verification = match authorities {
            _ if !verify => Verification::Nothing,
            Some(text) => Verification::Authorities(text.into()),
            None => Verification::System,
        };
        let profile = border::detach(py, || Profile::new(&verification, None));
        let profile = profile.map_err(|_| PyValueError::new_err("no certificates of authorities can be read there"))?;
        Ok(Self { profile: Arc::new(profile) })
    }

    fn __repr__(&self) -> &'static str {
        "<settings of TLS>"
    }
}
