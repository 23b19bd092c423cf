//! A list that has been read: a sequence of dictionaries.

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySlice};

use crate::supply::{Anonymity, ListEntry, Parsed, Rejected};
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

    getters! {
        /// What could not be read: the first `max_rejected` of those lines.
        rejected: Vec<RejectedLine> = rejected(&self.parsed);
        /// How many lines could not be read.
        rejected_count: usize = self.parsed.rejected_count;
        /// How many entries named a proxy that had been named before.
        duplicates: usize = self.parsed.duplicates;
        /// How many lines were blank, comments, or rows of names.
        blank: usize = self.parsed.blank;
        /// How many lines there were; in JSON and on pages, how many entries and rows.
        lines: usize = self.parsed.lines;
        /// How many entries named a proxy, repetitions included.
        accepted: usize = self.parsed.accepted;
        /// The layout: "plain_text", "csv", "tsv", "json", "json_lines" or "html_table".
        format: &'static str = self.parsed.format.as_str();
        /// The encoding: "utf-8", "utf-16-le", "utf-16-be" or "unknown-8bit".
        encoding: &'static str = self.parsed.encoding;
        /// Whether it was packed with gzip.
        gzip: bool = self.parsed.gzip;
        /// Whether the list went on beyond a limit; the last of `rejected` says which.
        truncated: bool = self.parsed.truncated;
    }
}

fn rejected(parsed: &Parsed) -> Vec<RejectedLine> {
    let shown = |bad: &Rejected| RejectedLine {
        line: bad.line,
        reason: bad.reason.to_string(),
        excerpt: bad.excerpt.to_string(),
    };
    parsed.rejected.iter().map(shown).collect()
}

/// What a record says; what it does not say is left out.
pub(super) fn dict_of<'py>(py: Python<'py>, record: &ListEntry) -> PyResult<Bound<'py, PyDict>> {
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
        ("anonymity", details.anonymity.map(Anonymity::as_str)),
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
