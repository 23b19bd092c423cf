//! Lists of proxies for Python: parsed in the core, seen as dictionaries.

use std::fs::File;

use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PySlice, PyString};

use crate::clock::exact_wall;
use crate::net::address::{Locality, Protocol, locality};
use crate::proxy::Proxy;
use crate::proxy::health::Source;
use crate::py::border;
use crate::py::convert;
use crate::py::proxy::PyProxy;
use crate::supply::{Fields, Format, ListEntry, Options, Parsed, ReadError, Score, Seen, parse, parse_reader};
use crate::sync::Arc;

/// The proxies that a list names, and what became of its other lines. A sequence of dictionaries, each made when it is
/// asked for. Never changes, so any thread may read it.
#[pyclass(name = "ParsedProxies", module = "proxywhirl._core", frozen, sequence)]
pub(crate) struct PyParsed {
    pub(crate) parsed: Arc<Parsed>,
}

/// A line that named no proxy.
#[pyclass(module = "proxywhirl._core", frozen, get_all)]
pub(crate) struct RejectedLine {
    /// Its number, from 1; on a page that of the row.
    line: u32,
    /// Why.
    reason: String,
    /// What it consists of: the kind of each part, and the signs between.
    excerpt: String,
}

#[proxywhirl_macros::border]
#[pymethods]
impl RejectedLine {
    fn __repr__(&self) -> String {
        format!("RejectedLine(line={}, reason={:?}, excerpt={:?})", self.line, self.reason, self.excerpt)
    }
}

/// Goes through the proxies of a list.
#[pyclass(module = "proxywhirl._core")]
pub(crate) struct ParsedIterator {
    parsed: Arc<Parsed>,
    next: usize,
}

#[proxywhirl_macros::border]
#[pymethods]
impl ParsedIterator {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let record = self.parsed.records.get(self.next);
        self.next += usize::from(record.is_some());
        record.map(|record| dict_of(py, record)).transpose()
    }

    fn __length_hint__(&self) -> usize {
        self.parsed.records.len() - self.next
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyParsed {
    fn __len__(&self) -> usize {
        self.parsed.records.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let records = &self.parsed.records;
        if let Ok(slice) = index.cast::<PySlice>() {
            let range = slice.indices(records.len() as isize)?;
            let list = PyList::empty(py);
            let mut at = range.start;
            for _ in 0..range.slicelength {
                if let Some(record) = usize::try_from(at).ok().and_then(|at| records.get(at)) {
                    list.append(dict_of(py, record)?)?;
                }
                at += range.step;
            }
            return Ok(list.into_any());
        }
        let index: isize = index.extract()?;
        let at = if index < 0 { index + records.len() as isize } else { index };
        let record = usize::try_from(at).ok().and_then(|at| records.get(at));
        let record = record.ok_or_else(|| PyIndexError::new_err("index out of range"))?;
        Ok(dict_of(py, record)?.into_any())
    }

    fn __iter__(&self) -> ParsedIterator {
        ParsedIterator { parsed: self.parsed.clone(), next: 0 }
    }

    fn __repr__(&self) -> String {
        format!(
            "ParsedProxies({} proxies, duplicates={}, rejected={}, format={:?})",
            self.parsed.records.len(),
            self.parsed.duplicates,
            self.parsed.rejected_count,
            self.parsed.format.as_str()
        )
    }

    /// The URLs of all proxies, credentials in them.
    fn urls<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.parsed.records.iter().map(ListEntry::url))
    }

    /// What could not be read: the first `max_rejected` of those lines.
    #[getter]
    fn rejected(&self) -> Vec<RejectedLine> {
        rejected(&self.parsed)
    }

    /// How many lines could not be read.
    #[getter]
    fn rejected_count(&self) -> usize {
        self.parsed.rejected_count
    }

    /// How many entries named a proxy that had been named before.
    #[getter]
    fn duplicates(&self) -> usize {
        self.parsed.duplicates
    }

    /// How many lines were blank, comments, or rows of names.
    #[getter]
    fn blank(&self) -> usize {
        self.parsed.blank
    }

    /// How many lines there were; in JSON and on pages, how many entries and rows.
    #[getter]
    fn lines(&self) -> usize {
        self.parsed.lines
    }

    /// How many entries named a proxy, repetitions included.
    #[getter]
    fn accepted(&self) -> usize {
        self.parsed.accepted
    }

    /// The layout: "plain_text", "csv", "tsv", "json", "json_lines" or "html_table".
    #[getter]
    fn format(&self) -> &'static str {
        self.parsed.format.as_str()
    }

    /// The encoding: "utf-8", "utf-16-le", "utf-16-be" or "unknown-8bit".
    #[getter]
    fn encoding(&self) -> &'static str {
        self.parsed.encoding
    }

    /// Whether it was packed with gzip.
    #[getter]
    fn gzip(&self) -> bool {
        self.parsed.gzip
    }

    /// Whether the list went on beyond a limit; the last of `rejected` says which.
    #[getter]
    fn truncated(&self) -> bool {
        self.parsed.truncated
    }
}

fn rejected(parsed: &Parsed) -> Vec<RejectedLine> {
    let shown = |bad: &crate::supply::Rejected| RejectedLine {
        line: bad.line,
        reason: bad.reason.to_string(),
        excerpt: bad.excerpt.to_string(),
    };
    parsed.rejected.iter().map(shown).collect()
}

/// What a record says; what it does not say is left out.
fn dict_of<'py>(py: Python<'py>, record: &ListEntry) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("url", record.url())?;
    dict.set_item("protocol", record.protocol.as_str())?;
    dict.set_item("host", record.host.as_str())?;
    dict.set_item("port", record.effective_port())?;
    let Some(details) = &record.details else { return Ok(dict) };
    if let Some(login) = &details.credentials {
        dict.set_item("username", &*login.username)?;
        dict.set_item("password", &*login.password)?;
    }
    for (name, value) in [
        ("country_code", details.country_code.as_deref()),
        ("country", details.country.as_deref()),
        ("region", details.region.as_deref()),
        ("city", details.city.as_deref()),
        ("anonymity", details.anonymity.map(crate::supply::Anonymity::as_str)),
        ("last_checked", details.last_checked.as_deref()),
    ] {
        if let Some(value) = value {
            dict.set_item(name, value)?;
        }
    }
    if let Some(ms) = details.latency_ms {
        dict.set_item("latency_ms", ms)?;
    }
    if let Some(share) = details.success_rate {
        dict.set_item("success_rate", share)?;
    }
    if let Some(checks) = details.checks {
        dict.set_item("total_checks", checks)?;
    }
    if let Some(https) = details.https {
        dict.set_item("https", https)?;
    }
    if !details.tags.is_empty() {
        dict.set_item("tags", details.tags.iter().map(|tag| &**tag).collect::<Vec<&str>>())?;
    }
    Ok(dict)
}

fn protocol_of(name: &str) -> PyResult<Protocol> {
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
    let parsed = py.detach(|| parse_reader(File::open(path)?, &options)).map_err(failed)?;
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
            let local = !source.is_the_users_own() && locality(&record.host) != Locality::Public;
            if local && !allow_local {
                let why = crate::supply::Reason::Local.to_string();
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
    let shown = |bad: &crate::supply::Rejected| (bad.line as usize, bad.excerpt.to_string(), bad.reason.to_string());
    parsed.rejected.iter().map(shown).collect()
}

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

/// Whether an address is local: "public", "localhost" or "private".
///
/// Args:
///     host: A name, which is not resolved, or an address in any notation.
///
/// Returns:
///     "localhost" for names of this machine, "private" for addresses that are not of the public Internet and for names that
///     only local networks know, "public" for all else.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn address_locality(host: &str) -> &'static str {
    // What a client would dial: digits of other scripts are digits.
    let read = crate::net::address::parse_host(host);
    match locality(read.as_deref().unwrap_or(host)) {
        Locality::Public => "public",
        Locality::Localhost => "localhost",
        Locality::Private => "private",
    }
}

/// A host as clients dial it: names in ASCII (IDNA, UTS 46), in lower case, IPv6 without brackets.
///
/// Raises:
///     ValueError: It is no host.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn ascii_host(host: &str) -> PyResult<String> {
    let read = crate::net::address::parse_host(host);
    read.map(String::from).map_err(|error| PyValueError::new_err(error.to_string()))
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

/// Leaves one of each proxy: the same host, port, protocol and login are the same proxy.
///
/// Args:
///     proxies: Dictionaries (with `url`, or `host` or `ip` and `port`), URLs, or `Proxy` objects. Those that name no
///         address are dropped.
///
/// Returns:
///     The one of each with the best record (share of successes, then number of results, then latency), in the place of the
///     first, with the tags of all. Without a record that is the first. A dictionary that gains tags is a copy.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn deduplicate<'py>(proxies: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let py = proxies.py();
    let mut records = Vec::new();
    let mut seen = Seen::with_capacity(proxies.len().unwrap_or(0));
    let mut kept: Vec<Kept<'py>> = Vec::new();
    for item in proxies.try_iter()? {
        let item = item?;
        let Some((mut record, score)) = record_of(&item)? else { continue };
        let tags = record.details.as_mut().map(|details| std::mem::take(&mut details.tags)).unwrap_or_default();
        let (place, repeated) = seen.place(&mut records, record);
        if repeated.is_none() {
            kept.push(Kept { item, score, count: 1, tags });
            continue;
        }
        if let Some(kept) = kept.get_mut(place) {
            kept.count += 1;
            kept.tags.extend(tags);
            if score > kept.score {
                (kept.item, kept.score) = (item, score);
            }
        }
    }
    let list = PyList::empty(py);
    for Kept { item, count, mut tags, .. } in kept {
        tags.sort_unstable();
        tags.dedup();
        if count == 1 || tags.is_empty() {
            list.append(item)?;
        } else if let Ok(proxy) = item.cast::<PyProxy>() {
            proxy.get().core.set_cold(|cold| cold.tags = tags);
            list.append(item)?;
        } else if let Ok(entry) = item.cast::<PyDict>() {
            let entry = entry.copy()?;
            let texts: Vec<&str> = tags.iter().map(|tag| &**tag).collect();
            // A set stays one.
            let given = entry.get_item("tags")?;
            let is_set = given.is_some_and(|tags| tags.is_instance_of::<pyo3::types::PySet>());
            if is_set {
                entry.set_item("tags", pyo3::types::PySet::new(py, texts)?)?;
            } else {
                entry.set_item("tags", texts)?;
            }
            list.append(entry)?;
        } else {
            list.append(item)?;
        }
    }
    Ok(list)
}

/// What is kept of a proxy that was named several times.
struct Kept<'py> {
    item: Bound<'py, PyAny>,
    score: Score,
    count: usize,
    /// Those of all of them.
    tags: Vec<Box<str>>,
}

fn record_of(item: &Bound<'_, PyAny>) -> PyResult<Option<(ListEntry, Score)>> {
    if let Ok(proxy) = item.cast::<PyProxy>() {
        let core = &proxy.get().core;
        let mut record = ListEntry::new(core.address(), 0);
        let tags = core.cold(|cold| cold.tags.clone());
        if !tags.is_empty() {
            record.details_mut().tags = tags;
        }
        let (total, successes, _) = core.totals();
        return Ok(Some((record, Score::new(successes as f64, total as f64, core.average()))));
    }
    let mut fields = Fields::default();
    let mut score = Score::new(0.0, 0.0, None);
    if let Ok(entry) = item.cast::<PyDict>() {
        fields = fields_of(entry)?;
        let number = |name: &str| -> PyResult<Option<f64>> {
            Ok(entry.get_item(name)?.and_then(|value| value.extract::<f64>().ok()).filter(|number| number.is_finite()))
        };
        let latency = number("average_response_time_ms")?.or(number("response_time_ms")?).or(number("latency_ms")?);
        let share = number("success_rate")?.map(|share| if share > 1.0 { share / 100.0 } else { share });
        let results = number("total_requests")?.or(number("total_checks")?).or(share.map(|_| 1.0)).unwrap_or(0.0);
        let successes = number("total_successes")?.unwrap_or(share.unwrap_or(0.0) * results);
        score = Score::new(successes, results, latency);
    } else if let Ok(text) = item.cast::<PyString>() {
        fields.set("url", text.to_str()?);
    } else {
        return Err(PyTypeError::new_err("a proxy must be a dict, a URL or a Proxy"));
    }
    let records = fields.finish(0, None).ok();
    Ok(records.and_then(|records| records.into_iter().next()).map(|record| (record, score)))
}
