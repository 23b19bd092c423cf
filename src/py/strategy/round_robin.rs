//! All proxies in turn.

use pyo3::prelude::*;

use crate::py::strategy::PyStrategy;
use crate::strategy::round_robin::RoundRobin;
use crate::sync::Arc;

/// Each in turn, in the pool's order. Remembers a place in the pool: a skipped proxy loses a turn, not the place.
#[pyclass(name = "RoundRobinStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyRoundRobin;

#[proxywhirl_macros::border]
#[pymethods]
impl PyRoundRobin {
    #[new]
    fn new() -> PyClassInitializer<Self> {
        PyStrategy::of(Arc::new(RoundRobin::default())).under(Self)
    }
}
