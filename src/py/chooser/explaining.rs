//! What is said of the proxies of a session.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::proxy::Id;
use crate::py::proxy::PyProxy;
use crate::resilience::explain::Why;

/// A session stays with its proxy as long as that may serve: the others count as filtered.
pub(super) fn staying<'py>(rows: &Bound<'py, PyList>, bound: Id) -> PyResult<Bound<'py, PyList>> {
    let py = rows.py();
    let parts = |row: &Bound<'py, PyAny>| -> PyResult<(bool, bool)> {
        let row = row.cast::<PyTuple>()?;
        let is_bound = row.get_item(0)?.cast::<PyProxy>()?.get().core.id() == bound;
        Ok((is_bound, row.get_item(1)?.len()? == 0))
    };
    let stays = rows.iter().map(|row| parts(&row)).collect::<PyResult<Vec<_>>>()?;
    if !stays.contains(&(true, true)) {
        return Ok(rows.clone());
    }
    let kept = PyList::empty(py);
    for (row, (is_bound, may_serve)) in rows.iter().zip(stays) {
        if is_bound || !may_serve {
            kept.append(row)?;
            continue;
        }
        let row = row.cast_into::<PyTuple>()?;
        kept.append((row.get_item(0)?, [Why::Filtered.as_str()], row.get_item(2)?))?;
    }
    Ok(kept)
}
