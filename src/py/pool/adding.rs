//! Adding proxies: one, many lines of text, lists and files.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use crate::clock::{Micros, exact_wall};
use crate::net::address::Address;
use crate::pool::Added;
use crate::proxy::Proxy;
use crate::proxy::health::Source;
use crate::py::border;
use crate::py::convert::{self, Lazy};
use crate::py::errors;
use crate::py::pool::PyPool;
use crate::py::pool::objects::attachment_of;
use crate::py::proxy::PyProxy;
use crate::py::supply::{self, PyParsed};
use crate::sync::Arc;

static FILLER: Lazy = Lazy::upper("fill_pool");

static LOADER: Lazy = Lazy::upper("load_pool");

/// What became of a bulk addition.
#[pyclass(module = "proxywhirl._core", frozen, get_all)]
pub(crate) struct AddReport {
    /// Proxies that are in the pool now and were not before.
    added: usize,
    /// Lines that named a proxy which was there already.
    duplicates: usize,
    /// Lines that could not be read: number from 1, text with credentials masked, reason.
    errors: Vec<(usize, String, String)>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl AddReport {
    fn __repr__(&self) -> String {
        format!("AddReport(added={}, duplicates={}, errors={})", self.added, self.duplicates, self.errors.len())
    }
}

/// A proxy of the core for an address from a list.
pub(super) fn made_from(
    address: &Address,
    text: &str,
    source: Source,
    tags: &[Box<str>],
    now: Micros,
) -> PyResult<Arc<Proxy>> {
    if let Some(local) = source.refuses(&address.host, false) {
        return Err(PyValueError::new_err(errors::not_allowed(local)));
    }
    let proxy = Proxy::new(address, source, now);
    let raw = text.contains("://") && (address.credentials.is_some() || !address.is_written(text));
    if raw || !tags.is_empty() {
        proxy.set_cold(|cold| {
            if raw {
                cold.raw_url = Some(text.into());
            }
            cold.tags = tags.to_vec();
        });
    }
    Ok(Arc::new(proxy))
}

impl PyPool {
    pub(super) fn put(&self, object: &Bound<'_, PyAny>, proxy: Arc<Proxy>, limited: bool) -> PyResult<bool> {
        Ok(self.core.add(proxy, Some(attachment_of(object)), limited).map_err(errors::add)? == Added::New)
    }

    fn add_text(&self, text: &str, source: Source, limited: bool) -> PyResult<bool> {
        let address = Address::parse_line(text.trim()).map_err(errors::address)?;
        let proxy = made_from(&address, text.trim(), source, &[], exact_wall())?;
        Ok(self.core.add(proxy, None, limited).map_err(errors::add)? == Added::New)
    }

    pub(super) fn add_any(&self, value: &Bound<'_, PyAny>, limited: bool) -> PyResult<bool> {
        if let Ok(proxy) = value.cast::<PyProxy>() {
            return self.put(value, proxy.get().core.clone(), limited);
        }
        if let Ok(text) = value.cast::<PyString>() {
            return self.add_text(text.to_str()?, Source::User, limited);
        }
        if let Ok(fields) = value.cast::<PyDict>() {
            let object = value.py().get_type::<PyProxy>().call((), Some(fields))?;
            return self.add_any(&object, limited);
        }
        Err(PyTypeError::new_err("a proxy must be a Proxy, a URL or a dict of Proxy's fields"))
    }

    fn take_list(
        &self,
        py: Python<'_>,
        list: &PyParsed,
        source: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
        allow_local: bool,
    ) -> PyResult<AddReport> {
        let source = source.map(convert::source_of).transpose()?.unwrap_or(Source::File);
        let mut tags = tags.map(convert::texts).transpose()?.unwrap_or_default();
        tags.sort_unstable();
        tags.dedup();
        let (proxies, refused) = supply::proxies_of(py, &list.parsed, source, &tags, allow_local);
        let (added, duplicates) = border::detach(py, || {
            if list.parsed.distinct { self.core.add_distinct(proxies) } else { self.core.add_all(proxies) }
        })
        .map_err(errors::add)?;
        let mut errors = supply::errors_of(&list.parsed);
        errors.extend(refused);
        Ok(AddReport { added, duplicates: duplicates + list.parsed.duplicates, errors })
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyPool {
    /// Adds a proxy at the end. The same address again is ignored, even when the pool is full.
    ///
    /// Args:
    ///     proxy: A `Proxy`, or a URL.
    ///
    /// Raises:
    ///     ValueError: The pool is at its maximum capacity, or the URL is none.
    fn add_proxy(&self, proxy: &Bound<'_, PyAny>) -> PyResult<()> {
        self.add_any(proxy, true).map(|_| ())
    }

    /// Adds many proxies from text; no Python object is made for any of them until one is asked for.
    ///
    /// Args:
    ///     urls: URLs, `host:port`, `user:password@host:port` or `host:port:user:password`. Blank lines and lines that begin
    ///         with `#` are passed over.
    ///     on_error: "raise" adds nothing when a line cannot be read and names those lines; "skip" adds the rest.
    ///     source: Where they came from; by default the user.
    ///     tags: Tags for all of them.
    ///
    /// Returns:
    ///     An `AddReport`.
    ///
    /// Raises:
    ///     ValueError: A line cannot be read and `on_error` is "raise", or the pool would be over its maximum capacity;
    ///         nothing has been added then.
    #[pyo3(signature = (urls, *, on_error="raise", source=None, tags=None))]
    fn add_many(
        &self,
        urls: &Bound<'_, PyAny>,
        on_error: &str,
        source: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<AddReport> {
        if !matches!(on_error, "raise" | "skip") {
            return Err(PyValueError::new_err("on_error must be 'raise' or 'skip'"));
        }
        if urls.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("urls must be an iterable of strings, not one string"));
        }
        let source = source.map(convert::source_of).transpose()?.unwrap_or(Source::User);
        let mut tags = tags.map(convert::texts).transpose()?.unwrap_or_default();
        tags.sort_unstable();
        tags.dedup();
        let mut fresh = Vec::with_capacity(urls.len().unwrap_or(0));
        let mut faults = Vec::new();
        let now = exact_wall();
        for (number, item) in urls.try_iter()?.enumerate() {
            let item = item?;
            let line =
                item.cast::<PyString>().map_err(|_| PyTypeError::new_err("urls must be an iterable of strings"))?;
            let line = line.to_str()?.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let made = Address::parse_line(line).map_err(|error| error.to_string()).and_then(|address| {
                made_from(&address, line, source, &tags, now).map_err(|error| error.value(urls.py()).to_string())
            });
            match made {
                Ok(proxy) => fresh.push(proxy),
                Err(reason) => faults.push((number + 1, crate::supply::excerpt(line), reason)),
            }
        }
        if on_error == "raise" && !faults.is_empty() {
            let shown: Vec<String> =
                faults.iter().take(20).map(|(line, text, why)| format!("line {line} ({text}): {why}")).collect();
            let more = if faults.len() > 20 { format!(" and {} more", faults.len() - 20) } else { String::new() };
            return Err(PyValueError::new_err(format!(
                "{} of the lines cannot be read, nothing was added: {}{more}",
                faults.len(),
                shown.join("; ")
            )));
        }
        let (added, duplicates) = self.core.add_all(fresh).map_err(errors::add)?;
        Ok(AddReport { added, duplicates, errors: faults })
    }

    /// Adds the proxies that a list names, whatever its layout; no Python object is made for any of them.
    ///
    /// Args:
    ///     data: The list: bytes or text as `parse_proxies` reads it, or what that returned.
    ///     source: Where it came from; by default a file of the user's. "fetched" and "api" may not name local addresses.
    ///     tags: Tags for all of them.
    ///     allow_local: Lift that.
    ///     **options: As those of `parse_proxies`.
    ///
    /// Returns:
    ///     An `AddReport`.
    ///
    /// Raises:
    ///     ValueError: An option is none, or the pool would be over its maximum capacity; nothing has been added then.
    ///     TypeError: `data` is neither of those, or an option is unknown.
    #[pyo3(signature = (data, *, source=None, tags=None, allow_local=false, **options))]
    fn load(
        &self,
        data: &Bound<'_, PyAny>,
        source: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
        allow_local: bool,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<AddReport> {
        let read;
        let parsed = if let Ok(parsed) = data.cast::<PyParsed>() {
            parsed.get()
        } else {
            read = supply::read(data, &supply::options_of(options)?)?;
            &read
        };
        self.take_list(data.py(), parsed, source, tags, allow_local)
    }

    /// Adds the proxies of a file: of a saved pool, with what it knows of them, or of any list that `load` reads; it may be
    /// packed with gzip. With any of the options of `parse_proxies` the file is a list.
    ///
    /// Raises:
    ///     OSError: The file cannot be read.
    ///     ValueError: As `load`; or it is a saved pool that is damaged.
    #[pyo3(signature = (path, *, source=None, tags=None, allow_local=false, **options))]
    fn load_file<'py>(
        slf: &Bound<'py, Self>,
        path: &Bound<'py, PyAny>,
        source: Option<&Bound<'py, PyAny>>,
        tags: Option<&Bound<'py, PyAny>>,
        allow_local: bool,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<AddReport> {
        let py = slf.py();
        let found = FILLER.get(py)?.call1((slf, path, source, tags, options))?;
        if let Ok(list) = found.cast::<PyParsed>() {
            return slf.get().take_list(py, list.get(), source, tags, allow_local);
        }
        let (added, duplicates) = found.extract()?;
        Ok(AddReport { added, duplicates, errors: Vec::new() })
    }

    /// Reads a pool from a file of the documented layout.
    ///
    /// Args:
    ///     path: JSON: an object with `proxies`, a list of proxies, or one proxy per line.
    ///     lazy: Make no Python object until a proxy is selected; always so here, the argument is kept for its users.
    ///     encryption_key: For credentials that are encrypted; by default the key in PROXYWHIRL_KEY.
    ///
    /// Raises:
    ///     FileNotFoundError: There is no such file.
    ///     ValueError: It is damaged, or in no documented form; nothing of it is quoted.
    #[classmethod]
    #[pyo3(signature = (path, lazy=false, *, encryption_key=None))]
    fn from_file<'py>(
        cls: &Bound<'py, PyType>,
        path: &Bound<'py, PyAny>,
        lazy: bool,
        encryption_key: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        LOADER.get(cls.py())?.call1((cls, path, lazy, encryption_key))
    }
}
