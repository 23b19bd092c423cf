//! `judge_status`: the core's rule for statuses, for the parts in Python that see more of an answer than that.

use pyo3::prelude::*;

use crate::judge::status::{Answer, StatusRules};
use crate::py::convert;

/// What an answer says by its status.
///
/// Args:
///     status: The status.
///     tunnelled: Whether it came through a tunnel, so that the proxy cannot have made it up.
///     retry_after: Whether it says when to come back.
///     ban: Whether the ban rules name this status.
///
/// Returns:
///     The `Outcome`; `AMBIGUOUS` if it may be the proxy's answer as well as the site's.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (status, tunnelled=false, retry_after=false, ban=false))]
pub(crate) fn judge_status(
    py: Python<'_>,
    status: u16,
    tunnelled: bool,
    retry_after: bool,
    ban: bool,
) -> PyResult<Bound<'_, PyAny>> {
    let rules = StatusRules::new(ban.then_some(status), [407]);
    convert::judgement(py, rules.judge(Answer { status, tunnelled, retry_after, opinion: None }))
}
