//! Options of reading a list, from keywords.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::net::address::Protocol;
use crate::py::convert;
use crate::supply::{Format, Options};

pub(super) fn protocol_of(name: &str) -> PyResult<Protocol> {
    Protocol::parse(name)
        .ok_or_else(|| PyValueError::new_err(format!("protocol must be http, https, socks4 or socks5, not {name:?}")))
}

/// The format of that name; the names of `ProxyFormat` are among them. `None` for "auto".
fn format_of(name: &str) -> PyResult<Option<Format>> {
    if name == "auto" {
        return Ok(None);
    }
    Format::parse(name).map(Some).ok_or_else(|| {
        let known: Vec<&str> = Format::ALL.into_iter().map(Format::as_str).collect();
        PyValueError::new_err(format!("format must be one of {}, not {name:?}", known.join(", ")))
    })
}

/// The options in a dictionary of keywords; `None` is as good as absent.
pub(crate) fn options_of(keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Options> {
    let mut options = Options::default();
    let Some(keywords) = keywords else { return Ok(options) };
    for (name, value) in keywords.iter() {
        let name: String = name.extract()?;
        if value.is_none() {
            continue;
        }
        match name.as_str() {
            "format" => options.format = format_of(&convert::text(&value)?)?,
            "protocol" => options.protocol = Some(protocol_of(&convert::text(&value)?)?),
            "instead_of_http" => options.instead_of_http = Some(protocol_of(&convert::text(&value)?)?),
            "public_only" => options.public_only = value.extract()?,
            "key" => options.key = Some(convert::text(&value)?),
            "selector" => options.selector = Some(convert::text(&value)?),
            "columns" => options.columns = names(&value)?,
            "renames" => {
                let pairs: Vec<(String, String)> = value.extract()?;
                options.renames = pairs.into_iter().map(|(from, to)| (from.into(), to.into())).collect();
            }
            "delimiter" => {
                let delimiter = u8::try_from(value.extract::<char>()?).ok().filter(u8::is_ascii);
                let wrong = || PyValueError::new_err("delimiter must be an ASCII character");
                options.delimiter = Some(delimiter.ok_or_else(wrong)?);
            }
            "keep_duplicates" => options.keep_duplicates = value.extract()?,
            "max_bytes" => options.limits.bytes = value.extract()?,
            "max_line" => options.limits.line = value.extract()?,
            "max_rejected" => options.limits.rejected = value.extract()?,
            "max_entries" => options.limits.entries = value.extract()?,
            "max_faults" => options.limits.faults = value.extract()?,
            "max_expansion" => options.limits.expansion = value.extract()?,
            _ => return Err(PyTypeError::new_err(format!("unexpected keyword argument {name:?}"))),
        }
    }
    Ok(options)
}

/// Names in their order.
fn names(value: &Bound<'_, PyAny>) -> PyResult<Vec<Box<str>>> {
    if value.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("columns must be a list of names, not one string"));
    }
    value.try_iter()?.map(|name| convert::text(&name?)).collect()
}
