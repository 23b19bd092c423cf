//! `WireTls`: which certificates the wire accepts.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::net::tls::{ClientCertificate, Verification};
use crate::py::border;
use crate::sync::Arc;
use crate::wire::tls::Profile;

/// Which certificates the wire accepts. Making one reads the certificates of all authorities; it does not change, and is
/// to be shared.
///
/// Args:
///     verify: Whether certificates are checked.
///     authorities: Those that are believed, in PEM; `None` for the system's.
///     certificate: What this side proves who it is with, in PEM: its certificate, and those that lead to an authority.
///     key: The private key of `certificate`, in PEM, without a password; by default it is in the same text.
///
/// Raises:
///     ValueError: There is no certificate of an authority in the text, or the key does not fit the certificate.
#[pyclass(name = "WireTls", module = "proxywhirl._core", frozen)]
pub(crate) struct WireTls {
    pub(super) profile: Arc<Profile>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl WireTls {
    #[new]
    #[pyo3(signature = (verify, authorities=None, certificate=None, key=None))]
    fn new(
        py: Python<'_>,
        verify: bool,
        authorities: Option<String>,
        certificate: Option<String>,
        key: Option<String>,
    ) -> PyResult<Self> {
        let verification = match authorities {
            _ if !verify => Verification::Nothing,
            Some(text) => Verification::Authorities(text.into()),
            None => Verification::System,
        };
        let own = certificate.map(|chain| {
            let key = key.unwrap_or_else(|| chain.clone());
            ClientCertificate { chain: chain.into(), key: key.into() }
        });
        let profile = border::detach(py, || Profile::new(&verification, own.as_ref()));
        let profile = profile.map_err(|_| {
            PyValueError::new_err(if own.is_some() {
                "no certificates of authorities can be read there, or cert= is no certificate with its private key"
            } else {
                "no certificates of authorities can be read there"
            })
        })?;
        Ok(Self { profile: Arc::new(profile) })
    }

    fn __repr__(&self) -> &'static str {
        "<settings of TLS>"
    }
}
