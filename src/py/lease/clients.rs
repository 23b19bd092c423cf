//! The proxy of a lease as clients take it.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::PyLease;
use crate::net::address::Protocol;
use crate::net::client::{CLIENTS, Client, Unfit};

fn unfit_error(client: &Client, unfit: Unfit) -> PyErr {
    let name = client.name;
    PyValueError::new_err(match unfit {
        Unfit::Protocol(protocol) => {
            let spoken: Vec<String> = client.protocols().map(|protocol| format!("{:?}", protocol.as_str())).collect();
            let spoken = if spoken.len() == 1 { spoken.concat() } else { format!("({})", spoken.join(", ")) };
            format!("{name} cannot use a {} proxy; take a lease with protocol={spoken}", protocol.as_str())
        }
        Unfit::Login => format!("{name} cannot log in to a proxy; take a lease on one that wants no login"),
    })
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyLease {
    /// URL for a client, with credentials; with the scheme that the proxy was given with.
    #[getter]
    fn url(&self) -> String {
        self.core.proxy().client_url()
    }

    /// URL for a certain client, with credentials: SOCKS proxies resolve names themselves, which each client spells in
    /// its own way (`socks5h` for most).
    ///
    /// Args:
    ///     client: Its name: "requests", "curl_cffi", "niquests", "httpx", ...
    ///
    /// Raises:
    ///     ValueError: The name is not known, or the client cannot use this proxy; the message names the way out.
    fn url_for(&self, client: &str) -> PyResult<String> {
        let known = Client::named(client).ok_or_else(|| {
            let names: Vec<&str> = CLIENTS.iter().map(|client| client.name).collect();
            PyValueError::new_err(format!(
                "{client:?} is none of the clients that are known: {}; for Playwright there is lease.playwright_proxy",
                names.join(", ")
            ))
        })?;
        self.core.proxy().url_for(known).map_err(|unfit| unfit_error(known, unfit))
    }

    /// What `requests` takes as `proxies`. SOCKS proxies resolve names themselves.
    #[getter]
    fn requests_proxies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let url = self.url_for("requests")?;
        let dict = PyDict::new(py);
        dict.set_item("http", &url)?;
        dict.set_item("https", &url)?;
        Ok(dict)
    }

    /// What Playwright takes as `proxy`.
    ///
    /// Raises:
    ///     ValueError: A SOCKS proxy with a login, which no browser can log in to.
    #[getter]
    fn playwright_proxy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let address = self.core.proxy().address();
        let dict = PyDict::new(py);
        dict.set_item("server", address.bare_url())?;
        if let Some(login) = &address.credentials {
            if matches!(address.protocol, Protocol::Socks4 | Protocol::Socks5) {
                return Err(PyValueError::new_err(
                    "browsers cannot log in to a SOCKS proxy; take a lease with protocol=(\"http\", \"https\")",
                ));
            }
            dict.set_item("username", &*login.username)?;
            dict.set_item("password", &*login.password)?;
        }
        Ok(dict)
    }
}
