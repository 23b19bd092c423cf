//! The fewest requests in the window.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::pool::index::order::TieBreak;
use crate::py::strategy::PyStrategy;
use crate::strategy::least_used::LeastUsed;
use crate::sync::Arc;

/// The one with the fewest requests in its window; choosing and counting are one step.
///
/// Args:
///     tie_breaker: "lowest-id" or "random".
///     seed: Makes random ties repeat themselves.
///
/// Raises:
///     ValueError: There is no such tie breaker.
#[pyclass(name = "LeastUsedStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyLeastUsed;

#[proxywhirl_macros::border]
#[pymethods]
impl PyLeastUsed {
    #[new]
    #[pyo3(signature = (tie_breaker="lowest-id", *, seed=None))]
    fn new(tie_breaker: &str, seed: Option<u64>) -> PyResult<PyClassInitializer<Self>> {
        let tie = match tie_breaker.to_ascii_lowercase().replace('_', "-").as_str() {
            "lowest-id" => TieBreak::LowestId,
            "random" => TieBreak::Random,
            _ => return Err(PyValueError::new_err("tie_breaker must be 'lowest-id' or 'random'")),
        };
        Ok(PyStrategy::of(Arc::new(LeastUsed::new(tie, seed))).under(Self))
    }
}
