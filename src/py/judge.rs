//! `judge_status`: the core's rule for statuses, for the parts in Python that see more of an answer than that.

use pyo3::prelude::*;

use crate::py::convert;
use crate::rotation::outcome::Outcome;

/// What an answer says by its status.
///
/// Args:
///     status: The status.
///     tunnelled: Whether it came through a tunnel, so that the proxy cannot have made it up.
///     retry_after: Whether it says when to come back.
///     ban: Whether the ban rules name this status.
///
/// Returns:
///     The `Outcome`.
#[pyfunction]
#[pyo3(signature = (status, tunnelled=false, retry_after=false, ban=false))]
pub(crate) fn judge_status(
    py: Python<'_>,
    status: u16,
    tunnelled: bool,
    retry_after: bool,
    ban: bool,
) -> PyResult<Bound<'_, PyAny>> {
    convert::outcome(py, Outcome::of_status(status, tunnelled, retry_after, ban))
}
