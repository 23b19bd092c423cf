//! The site of a URL: what a ban is held against.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The site a URL belongs to: the registrable domain of its host by the public suffix list, in lower case and ASCII.
///
/// Args:
///     url: A URL, or a host with or without a port.
///
/// Returns:
///     The registrable domain; the host itself if that is an IP address, a single label or a public suffix.
///
/// Raises:
///     ValueError: There is no host in `url`.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn site_key(url: &str) -> PyResult<String> {
    let key = crate::net::site_key::site_key(url).ok_or_else(|| PyValueError::new_err("the URL has no host"))?;
    Ok(key.into_string())
}
