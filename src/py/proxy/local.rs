//! What only Python knows of a proxy: metadata, the tags as an object, what a place has beyond country and region, history.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::PyProxy;
use crate::clock::exact_wall;
use crate::py::convert::{self, Lazy};

static TAG_SET: Lazy = Lazy::new("proxywhirl._native.tags", "TagSet");
pub(super) static GEO: Lazy = Lazy::upper("GeoLocation");
static DEQUE: Lazy = Lazy::new("collections", "deque");

/// Allocated when first asked for.
#[derive(Default)]
pub(super) struct Local {
    pub(super) metadata: Option<Py<PyDict>>,
    pub(super) tags: Option<Py<PyAny>>,
    pub(super) geo_extras: Option<Py<PyDict>>,
    history: Option<Py<PyAny>>,
}

impl PyProxy {
    /// Whether it may have metadata, or a place of more than country and region. Needs no interpreter.
    pub(crate) fn has_extras(&self) -> bool {
        self.local.lock().as_ref().is_some_and(|local| local.metadata.is_some() || local.geo_extras.is_some())
    }

    /// Never call into Python from `read`: the lock is held.
    pub(super) fn local<R>(&self, read: impl FnOnce(&mut Local) -> R) -> R {
        read(self.local.lock().get_or_insert_default())
    }

    pub(super) fn metadata_dict(&self, py: Python<'_>) -> Py<PyDict> {
        if let Some(dict) =
            self.local.lock().as_ref().and_then(|local| local.metadata.as_ref().map(|dict| dict.clone_ref(py)))
        {
            return dict;
        }
        let fresh = PyDict::new(py).unbind();
        self.local(|local| local.metadata.get_or_insert(fresh).clone_ref(py))
    }

    /// Records a failure with what it said: the last ten are kept, without credentials.
    pub(super) fn note_error(&self, py: Python<'_>, error: &str) -> PyResult<()> {
        let metadata = self.metadata_dict(py).into_bound(py);
        let errors = match metadata.get_item("last_errors")?.and_then(|list| list.cast_into::<PyList>().ok()) {
            Some(list) => list,
            None => {
                let list = PyList::empty(py);
                metadata.set_item("last_errors", &list)?;
                list
            }
        };
        let entry = PyDict::new(py);
        entry.set_item("timestamp", convert::datetime(py, exact_wall())?)?;
        let scrubbed = py.import("proxywhirl._native.redact")?.call_method1("scrub_text", (error,))?;
        entry.set_item("error", scrubbed)?;
        errors.append(entry)?;
        while errors.len() > 10 {
            errors.del_item(0)?;
        }
        Ok(())
    }

    /// The tags as a set that may be changed in place; the same object each time.
    pub(super) fn tag_set(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let this = slf.get();
        if let Some(tags) =
            this.local.lock().as_ref().and_then(|local| local.tags.as_ref().map(|tags| tags.clone_ref(py)))
        {
            return Ok(tags);
        }
        let current: Vec<String> = this.core.cold(|cold| cold.tags.iter().map(|tag| tag.to_string()).collect());
        let fresh = TAG_SET.get(py)?.call1((current, slf))?.unbind();
        Ok(this.local(|local| local.tags.get_or_insert(fresh).clone_ref(py)))
    }

    /// Where it is, as a `GeoLocation`; `None` without a country.
    pub(super) fn place<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (country, region) = self.core.cold(|cold| (cold.country_code.clone(), cold.region.clone()));
        let Some(country) = country.filter(|code| is_country_code(code)) else { return Ok(None) };
        let kwargs = match self
            .local
            .lock()
            .as_ref()
            .and_then(|local| local.geo_extras.as_ref().map(|extras| extras.clone_ref(py)))
        {
            Some(extras) => extras.bind(py).copy()?,
            None => PyDict::new(py),
        };
        kwargs.set_item("country_code", &*country)?;
        kwargs.set_item("region", region.as_deref())?;
        GEO.get(py)?.call((), Some(&kwargs)).map(Some)
    }

    /// The requests kept, the newest last.
    pub(super) fn kept_requests<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let history =
            self.local.lock().as_ref().and_then(|local| local.history.as_ref().map(|history| history.clone_ref(py)));
        match history {
            Some(history) => Ok(PyList::new(py, history.bind(py).try_iter()?.collect::<PyResult<Vec<_>>>()?)?),
            None => Ok(PyList::empty(py)),
        }
    }

    /// Keeps the result of a request.
    pub(super) fn keep_request(&self, py: Python<'_>, success: bool, duration_ms: f64) -> PyResult<()> {
        let kwargs = PyDict::new(py);
        kwargs.set_item("maxlen", Self::MAX_HISTORY_ENTRIES)?;
        let fresh = DEQUE.get(py)?.call((), Some(&kwargs))?.unbind();
        let history = self.local(|local| local.history.get_or_insert(fresh).clone_ref(py));
        let entry = PyDict::new(py);
        entry.set_item("timestamp", convert::datetime(py, exact_wall())?)?;
        entry.set_item("success", success)?;
        entry.set_item("duration_ms", duration_ms)?;
        history.bind(py).call_method1("append", (entry,))?;
        Ok(())
    }

    pub(super) fn local_traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The lock cannot be held: it is never held across Python code, and nothing else runs during a traversal.
        if let Some(local) = self.local.lock().as_ref() {
            visit.call(&local.metadata)?;
            visit.call(&local.tags)?;
            visit.call(&local.geo_extras)?;
            visit.call(&local.history)?;
        }
        Ok(())
    }
}

/// Whether `GeoLocation` takes it: two characters, upper case included, and none of them blank. Proxies take any text.
fn is_country_code(code: &str) -> bool {
    // Python's blanks have four control characters more.
    let is_blank = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    code.chars().count() == 2 && code.to_uppercase().chars().count() == 2 && !code.contains(is_blank)
}
