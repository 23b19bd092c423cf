//! Lists of proxies for Python: parsed in the core, seen as dictionaries.

pub(super) mod deduplicate;
pub(super) mod entry;
mod options;
pub(super) mod parsed;

use std::fs::File;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyDict;

use crate::clock::exact_wall;
use crate::net::address::parse_host;
use crate::net::locality::{self, Locality, locality};
use crate::proxy::Proxy;
use crate::proxy::health::Source;
use crate::py::border;
use crate::supply::{Options, Parsed, ReadError, Reason, Rejected, parse, parse_reader};
use crate::sync::Arc;
pub(crate) use entry::fields_of;
pub(crate) use options::options_of;
pub(crate) use parsed::PyParsed;

fn failed(error: ReadError) -> PyErr {
    match error {
        ReadError::Io(error) => error.into(),
        other => PyValueError::new_err(other.to_string()),
    }
}

/// Reads the proxies that a list names, with the interpreter free for others meanwhile.
///
/// Args:
///     data: The list: bytes in any usual encoding, packed with gzip or not, or text.
///     **options: `format` ("plain_text", "csv", "tsv", "json", "json_lines", "html_table"; recognised by default),
///         `protocol` (of proxies that name none; HTTP by default), `instead_of_http` (of all that would be HTTP, whatever
///         the list says), `public_only` (refuse local addresses), `key` (the name
///         under which a JSON list stands), `selector` (CSS, of the tables meant), `columns` (their names, for tables
///         without), `renames` (pairs of a column's name and the usual one), `delimiter`, `keep_duplicates`,
///         `max_bytes` (of the unpacked list, 512 MiB by default), `max_line` (bytes, 8192), `max_rejected` (those that are
///         kept, 10,000), `max_entries` (10,000,000), `max_faults` (entries that cannot be read, if they are four in five,
///         200,000), `max_expansion` (unpacked size over packed size, 100). Beyond a limit the rest is not read;
///         `truncated` and the last of `rejected` say so.
///
/// Returns:
///     A `ParsedProxies`. What could not be read is in its `rejected`; that is no error.
///
/// Raises:
///     ValueError: An option is none.
///     TypeError: `data` is neither bytes nor text, or an option is unknown.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (data, **options))]
pub(crate) fn parse_proxies(data: &Bound<'_, PyAny>, options: Option<&Bound<'_, PyDict>>) -> PyResult<PyParsed> {
    let options = options_of(options)?;
    read(data, &options)
}

/// Reads a file as [`parse_proxies`] reads data; a list of lines is never held whole.
///
/// Raises:
///     OSError: The file cannot be read.
///     ValueError: An option is none.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (path, **options))]
pub(crate) fn parse_proxy_file(
    py: Python<'_>,
    path: std::path::PathBuf,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<PyParsed> {
    let options = options_of(options)?;
    let parsed = border::wait(py, || parse_reader(File::open(path)?, &options)).map_err(failed)?;
    Ok(PyParsed { parsed: Arc::new(parsed) })
}

/// Reads data or text.
pub(crate) fn read(data: &Bound<'_, PyAny>, options: &Options) -> PyResult<PyParsed> {
    let py = data.py();
    let parsed = if let Ok(text) = data.extract::<PyBackedStr>() {
        border::detach(py, || parse(text.as_bytes(), options))
    } else if let Ok(bytes) = data.extract::<PyBackedBytes>() {
        border::detach(py, || parse(&bytes, options))
    } else {
        return Err(PyTypeError::new_err("the list must be bytes or a string"));
    };
    Ok(PyParsed { parsed: Arc::new(parsed.map_err(failed)?) })
}

/// A line that was not taken, as an `AddReport` has it: number, masked text, reason.
pub(crate) type Fault = (usize, String, String);

/// The proxies of a list as the core keeps them. Those that a list of that source must not name are the second half of the
/// answer.
pub(crate) fn proxies_of(
    py: Python<'_>,
    parsed: &Parsed,
    source: Source,
    tags: &[Box<str>],
    allow_local: bool,
) -> (Vec<Arc<Proxy>>, Vec<Fault>) {
    let now = exact_wall();
    border::detach(py, || {
        let mut refused = Vec::new();
        let mut proxies = Vec::with_capacity(parsed.records.len());
        for record in &parsed.records {
            let local = source.refuses(&record.host, false).is_some();
            if local && !allow_local {
                let why = Reason::Local.to_string();
                refused.push((record.line as usize, record.authority().to_string(), why));
                continue;
            }
            let proxy = record.proxy(source, tags, now);
            if local {
                proxy.set_cold(|cold| cold.allow_local = true);
            }
            proxies.push(Arc::new(proxy));
        }
        (proxies, refused)
    })
}

/// The lines of a list that could not be read, as an `AddReport` has them.
pub(crate) fn errors_of(parsed: &Parsed) -> Vec<Fault> {
    let shown = |bad: &Rejected| (bad.line as usize, bad.excerpt.to_string(), bad.reason.to_string());
    parsed.rejected.iter().map(shown).collect()
}

/// Whether an address is local.
///
/// Args:
///     host: A name, which is not resolved, or an address in any notation.
///
/// Returns:
///     "localhost" for names of this machine and "loopback" for its addresses, "private" for other addresses that are not
///     of the public Internet and for names that only local networks know, "public" for all else.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn address_locality(host: &str) -> &'static str {
    // What a client would dial: digits of other scripts are digits.
    let read = parse_host(host);
    match locality(read.as_deref().unwrap_or(host)) {
        Locality::Public => "public",
        Locality::Localhost => "localhost",
        Locality::Loopback => "loopback",
        Locality::Private => "private",
    }
}

/// The address that a host is, in any notation that a resolver reads (`0x7f.1`, `2130706433`); `None` for a name.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn literal_address(host: &str) -> Option<String> {
    locality::literal_address(host).map(|address| address.to_string())
}

/// A host as clients dial it: names in ASCII (IDNA, UTS 46), in lower case, IPv6 without brackets.
///
/// Raises:
///     ValueError: It is no host.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn ascii_host(host: &str) -> PyResult<String> {
    let read = parse_host(host);
    read.map(String::from).map_err(|error| PyValueError::new_err(error.to_string()))
}
