//! Entries of a list that Python has as dictionaries.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};

use super::options::protocol_of;
use super::parsed::dict_of;
use crate::supply::Fields;

/// The proxies that an entry of a list names: one for each protocol of it.
///
/// Args:
///     entry: Its parts, under any of their usual names: `url`, or `ip` and `port`, `protocol` or `protocols`, `username`,
///         `country` and so on.
///     protocol: That of an entry which names none.
///
/// Returns:
///     One dictionary for each, as in `ParsedProxies`.
///
/// Raises:
///     ValueError: There is no address in it, or none that is one.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (entry, *, protocol=None))]
pub(crate) fn read_proxy_entry<'py>(
    entry: &Bound<'py, PyDict>,
    protocol: Option<&str>,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let protocol = protocol.map(protocol_of).transpose()?;
    let records = fields_of(entry)?.finish(0, protocol).map_err(|why| PyValueError::new_err(why.to_string()))?;
    records.iter().map(|record| dict_of(entry.py(), record)).collect()
}

pub(crate) fn fields_of(entry: &Bound<'_, PyDict>) -> PyResult<Fields> {
    let mut fields = Fields::default();
    for (name, value) in entry.iter() {
        let Ok(name) = name.cast::<PyString>() else { continue };
        let name = name.to_str()?;
        if let Some(text) = scalar(&value)? {
            fields.set(name, &text);
        } else if let Ok(nested) = value.cast::<PyDict>() {
            // {"auth": {"username": ..., "password": ...}}
            for (inner, value) in nested.iter() {
                if let (Ok(inner), Some(text)) = (inner.cast::<PyString>(), scalar(&value)?) {
                    fields.set_nested(name, inner.to_str()?, &text);
                }
            }
        } else if !value.is_none()
            && let Ok(items) = value.try_iter()
        {
            for item in items.take(1000) {
                if let Some(text) = scalar(&item?)? {
                    fields.set(name, &text);
                }
            }
        }
    }
    Ok(fields)
}

fn scalar(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if value.is_instance_of::<PyString>() {
        return value.extract().map(Some);
    }
    let plain =
        value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyBool>();
    if plain {
        return Ok(Some(value.str()?.to_string()));
    }
    // A `SecretStr`; whatever else it may be says nothing.
    match value.getattr_opt("get_secret_value")? {
        Some(reveal) => reveal.call0()?.extract().map(Some),
        None => Ok(None),
    }
}
