//! Leaving one of each proxy.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyString};

use super::entry::fields_of;
use crate::py::proxy::PyProxy;
use crate::supply::{Fields, ListEntry, Score, Seen};

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
            let is_set = given.is_some_and(|tags| tags.is_instance_of::<PySet>());
            if is_set {
                entry.set_item("tags", PySet::new(py, texts)?)?;
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
    let entry = item.cast::<PyDict>().ok();
    if let Some(entry) = entry {
        fields = fields_of(entry)?;
    } else if let Ok(text) = item.cast::<PyString>() {
        fields.set("url", text.to_str()?);
    } else {
        return Err(PyTypeError::new_err("a proxy must be a dict, a URL or a Proxy"));
    }
    let records = fields.finish(0, None).ok();
    let Some(record) = records.and_then(|records| records.into_iter().next()) else { return Ok(None) };
    let mut score = Score::new(0.0, 0.0, None);
    if let Some(entry) = entry {
        let number = |name: &str| -> PyResult<Option<f64>> {
            Ok(entry.get_item(name)?.and_then(|value| value.extract::<f64>().ok()).filter(|number| number.is_finite()))
        };
        let latency = number("average_response_time_ms")?.or(number("response_time_ms")?).or(number("latency_ms")?);
        // As a list that is parsed has it: with or without a percent sign, and nothing beyond all of them.
        let share = record.details.as_ref().and_then(|details| details.success_rate);
        let results = number("total_requests")?.or(number("total_checks")?).or(share.map(|_| 1.0)).unwrap_or(0.0);
        let successes = number("total_successes")?.unwrap_or(share.unwrap_or(0.0) * results);
        score = Score::new(successes, results, latency);
    }
    Ok(Some((record, score)))
}
