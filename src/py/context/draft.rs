//! A context as it is put together: one field after the other, each checked.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyString};

use super::PyContext;
use crate::pool::context::{Context, Excluded};
use crate::proxy::Id;
use crate::py::convert;

/// The fields in the documented order.
pub(super) const FIELDS: [&str; 13] = [
    "session_id",
    "target_url",
    "target_country",
    "target_region",
    "request_priority",
    "timeout_ms",
    "failed_proxy_ids",
    "attempt_number",
    "metadata",
    "preferred_country",
    "max_response_time_ms",
    "min_success_rate",
    "exclude_proxy_ids",
];

/// What the core has no use for, and what must be handed back as it came.
#[derive(Default)]
pub(super) struct Rest {
    pub(super) target_url: Option<Box<str>>,
    pub(super) request_priority: Option<u8>,
    pub(super) timeout_ms: Option<f64>,
    pub(super) attempt_number: Option<u64>,
    pub(super) failed: Vec<Box<str>>,
    pub(super) excluded: Vec<Id>,
    // Handed out and therefore perhaps changed since: read again before each selection.
    pub(super) failed_out: Option<Py<PyList>>,
    pub(super) excluded_out: Option<Py<PySet>>,
    pub(super) metadata: Option<Py<PyDict>>,
    pub(super) extra: Option<Py<PyDict>>,
}

impl Rest {
    /// What can be copied without Python: the lists that were handed out are in the other fields, the extra keywords are
    /// the caller's to copy.
    pub(super) fn copy(&self, py: Python<'_>) -> Self {
        Self {
            target_url: self.target_url.clone(),
            request_priority: self.request_priority,
            timeout_ms: self.timeout_ms,
            attempt_number: self.attempt_number,
            failed: self.failed.clone(),
            excluded: self.excluded.clone(),
            metadata: self.metadata.as_ref().map(|metadata| metadata.clone_ref(py)),
            ..Self::default()
        }
    }
}

/// A context in the making.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) context: Context,
    pub(super) rest: Option<Box<Rest>>,
}

impl Draft {
    pub(super) fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    pub(super) fn assign(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        match name {
            "session_id" => {
                let text = convert::optional_text(value)?;
                self.context.session_id = text;
            }
            "target_country" => {
                let text = convert::optional_text(value)?;
                self.context.target_country = text;
            }
            "preferred_country" => {
                let text = convert::optional_text(value)?;
                self.context.preferred_country = text;
            }
            "target_region" => {
                let text = convert::optional_text(value)?;
                self.context.target_region = text;
            }
            "max_response_time_ms" => {
                let limit = convert::optional_amount(value)?;
                self.context.thresholds.max_response_time_ms = limit;
            }
            "min_success_rate" => {
                let limit = convert::optional_amount(value)?;
                if limit.is_some_and(|limit| limit > 1.0) {
                    return Err(PyValueError::new_err("Input should be less than or equal to 1"));
                }
                self.context.thresholds.min_success_rate = limit;
            }
            "target_url" => {
                let text = if value.is_none() { None } else { Some(value.str()?.to_str()?.into()) };
                self.rest().target_url = text;
            }
            "request_priority" => {
                let priority = if value.is_none() { None } else { Some(convert::count(value)?) };
                if priority.is_some_and(|priority| priority > 10) {
                    return Err(PyValueError::new_err("Input should be less than or equal to 10"));
                }
                self.rest().request_priority = priority.map(|priority| priority as u8);
            }
            "timeout_ms" => {
                let ms = convert::optional_amount(value)?;
                self.rest().timeout_ms = ms;
            }
            "attempt_number" => {
                let number = convert::count(value)?;
                if number == 0 {
                    return Err(PyValueError::new_err("Input should be greater than or equal to 1"));
                }
                self.rest().attempt_number = Some(number);
            }
            "failed_proxy_ids" => {
                let failed = id_texts(value)?;
                self.rest().failed = failed;
                self.exclude();
            }
            "exclude_proxy_ids" => {
                let mut excluded = Vec::new();
                for item in value.try_iter().map_err(|_| PyTypeError::new_err("Input should be a valid set"))? {
                    let id = convert::id_of(&item?);
                    excluded.push(id.ok_or_else(|| PyValueError::new_err("Input should be a valid UUID"))?);
                }
                self.rest().excluded = excluded;
                self.exclude();
            }
            "metadata" => {
                let dict =
                    value.cast::<PyDict>().map_err(|_| PyTypeError::new_err("Input should be a valid dictionary"))?;
                let dict = dict.clone().unbind();
                self.rest().metadata = Some(dict);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The two documented lists of proxies not to be chosen become one set. A text that is no UUID excludes no proxy.
    fn exclude(&mut self) {
        let rest = self.rest();
        let ids: Vec<Id> =
            rest.failed.iter().filter_map(|text| Id::parse(text)).chain(rest.excluded.iter().copied()).collect();
        self.context.excluded = Excluded::new(ids);
    }
}

fn id_texts(value: &Bound<'_, PyAny>) -> PyResult<Vec<Box<str>>> {
    if value.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("Input should be a valid list"));
    }
    let items = value.try_iter().map_err(|_| PyTypeError::new_err("Input should be a valid list"))?;
    items.map(|item| Ok(item?.str()?.to_str()?.into())).collect()
}

/// The core's view of a context: our own class at no cost, any other object by its attributes.
pub(crate) fn extract(object: &Bound<'_, PyAny>) -> PyResult<Context> {
    if let Ok(own) = object.cast::<PyContext>() {
        return Ok(Context::clone(&*own.get().core(object.py())?));
    }
    Ok(read_foreign(object)?.context)
}

/// An object of another class, by its attributes of the documented names.
pub(super) fn read_foreign(object: &Bound<'_, PyAny>) -> PyResult<Draft> {
    let mut draft = Draft::default();
    for name in FIELDS {
        if let Ok(value) = object.getattr(name)
            && (!value.is_none() || matches!(name, "session_id" | "target_country"))
        {
            draft.assign(name, &value)?;
        }
    }
    Ok(draft)
}
