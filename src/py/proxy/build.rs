//! Construction from keywords: all faults are collected and reported together.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::PyProxy;
use super::fields::{Field, of_name};
use crate::clock::exact_wall;
use crate::net::address::{Address, Credentials, Protocol};
use crate::proxy::Proxy;
use crate::proxy::health::Source;
use crate::py::convert;
use crate::py::errors::{self, Fault};
use crate::sync::Arc;

impl PyProxy {
    pub(super) fn build(
        url: Option<&Bound<'_, PyAny>>,
        fields: Option<&Bound<'_, PyDict>>,
        py: Python<'_>,
    ) -> PyResult<Self> {
        let mut faults = Vec::new();
        let none = py.None().into_bound(py);
        let Some(url) = url else {
            return Err(errors::validation(py, "Proxy", vec![Fault::new("url", "Field required", &none)]));
        };
        let address = match convert::text(url) {
            Ok(text) => match Address::parse(&text) {
                Ok(address) => Some((address, text)),
                Err(error) => {
                    faults.push(Fault::new("url", error.to_string(), url));
                    None
                }
            },
            Err(error) => {
                faults.push(Fault::new("url", message(py, &error), url));
                None
            }
        };
        let Some((address, text)) = address else {
            return Err(errors::validation(py, "Proxy", faults));
        };
        let proxy = Self::wrap(Arc::new(Proxy::new(&address, Source::User, exact_wall())));
        if !address.is_written(&text) {
            proxy.core.set_cold(|cold| cold.raw_url = Some(text.clone()));
        }
        if let Some(fields) = fields {
            proxy.fill(fields, &address, &text, &mut faults)?;
        }
        let source = proxy.core.source();
        if let Some(local) = source.refuses(&address.host, proxy.core.cold(|cold| cold.allow_local)) {
            let what = errors::not_allowed(local);
            faults.push(Fault::new("url", format!("{what} in fetched lists (allow_local=True lifts this)"), url));
        }
        if faults.is_empty() { Ok(proxy) } else { Err(errors::validation(py, "Proxy", faults)) }
    }

    fn fill(&self, fields: &Bound<'_, PyDict>, address: &Address, text: &str, faults: &mut Vec<Fault>) -> PyResult<()> {
        let py = fields.py();
        let get = |name: &str| fields.get_item(name).map(|value| value.filter(|value| !value.is_none()));
        let (user, password) = (get("username")?, get("password")?);
        match (&user, &password) {
            (None, None) => {}
            (Some(user), Some(password)) => {
                match (convert::optional_secret(user), convert::optional_secret(password)) {
                    (Ok(Some(username)), Ok(Some(password))) => {
                        self.core.set_credentials(Some(Credentials { username, password }));
                    }
                    _ => faults.push(Fault::new(
                        "username",
                        "username and password should be valid strings",
                        &py.None().into_bound(py),
                    )),
                }
            }
            _ => faults.push(Fault::new(
                "username",
                "Both username and password must be provided together",
                &py.None().into_bound(py),
            )),
        }
        if let Some(protocol) = get("protocol")? {
            match convert::text(&protocol).ok().as_deref().and_then(Protocol::parse) {
                Some(protocol) if protocol == address.protocol => {}
                Some(protocol) => {
                    let moved = Address { protocol, ..self.core.address() };
                    self.core.set_address(&moved, Some(text.into()));
                }
                None => faults.push(Fault::new(
                    "protocol",
                    "Input should be 'http', 'https', 'socks4' or 'socks5'",
                    &protocol,
                )),
            }
        }
        // Times before what is counted from them, a nested place before its flat parts, which win.
        let early = ["created_at", "geo_location"];
        let mut rest: Vec<(&Field, Bound<'_, PyAny>)> = Vec::new();
        for (key, value) in fields.iter() {
            let name: String = key.extract()?;
            let Some(field) = of_name(&name) else { continue };
            if matches!(field.name, "url" | "username" | "password" | "protocol") {
                continue;
            }
            if early.contains(&field.name) {
                rest.insert(0, (field, value));
            } else {
                rest.push((field, value));
            }
        }
        let explicit_expiry = get("expires_at")?.is_some();
        for (field, value) in rest {
            let name = field.name;
            let skip = value.is_none() && !field.optional;
            if skip && matches!(name, "id" | "created_at" | "updated_at" | "tags" | "metadata") {
                continue;
            }
            if name == "expires_at" && !explicit_expiry {
                continue;
            }
            if name == "ttl" && explicit_expiry {
                let ttl = value.extract::<Option<i64>>();
                match ttl {
                    Ok(ttl) => self.core.set_cold(|cold| cold.ttl = ttl),
                    Err(_) => faults.push(Fault::new(name, "Input should be a valid integer", &value)),
                }
                continue;
            }
            // A model copies what it is made from.
            let value = if name == "metadata" { value.call_method0("copy").unwrap_or(value) } else { value };
            match (field.put)(self, &value) {
                Ok(()) => {}
                Err(error) if is_about_the_value(py, &error) => {
                    faults.push(Fault::new(name, message(py, &error), &value))
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_about_the_value(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyTypeError>(py)
        || error.is_instance_of::<PyValueError>(py)
        || error.is_instance_of::<pyo3::exceptions::PyOverflowError>(py)
}

fn message(py: Python<'_>, error: &PyErr) -> String {
    error.value(py).str().map_or_else(|_| "Input is not valid".to_owned(), |text| text.to_string())
}
