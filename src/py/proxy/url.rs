//! A proxy's URL in its parts.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::net::address::Address;
use crate::py::errors;

/// Reads a proxy's URL.
///
/// Args:
///     url: `scheme://[user:password@]host[:port]`.
///     require_port: Whether a URL without a port is refused.
///
/// Returns:
///     A dict with `protocol`, `host`, `port`, `username`, `password`.
///
/// Raises:
///     ValueError: "Invalid proxy URL ...", without the URL, which may hold a password.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (url, require_port=false))]
pub(crate) fn parse_proxy_url<'py>(
    py: Python<'py>,
    url: &Bound<'py, PyString>,
    require_port: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let address = Address::parse(url.to_str()?).map_err(errors::address)?;
    if require_port && address.port.is_none() {
        return Err(errors::address(crate::net::address::AddressError::NoPort));
    }
    let dict = PyDict::new(py);
    dict.set_item("protocol", address.protocol.as_str())?;
    dict.set_item("port", address.effective_port())?;
    dict.set_item("host", &*address.host)?;
    let login = address.credentials.as_ref();
    dict.set_item("username", login.map(|login| &*login.username))?;
    dict.set_item("password", login.map(|login| &*login.password))?;
    Ok(dict)
}
