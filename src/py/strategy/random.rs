//! Any proxy, with equal chances.

use pyo3::prelude::*;

use crate::py::strategy::PyStrategy;
use crate::strategy::random::Random;
use crate::sync::Arc;

/// Any, with equal chances.
///
/// Args:
///     seed: Makes the choices repeat themselves.
#[pyclass(name = "RandomStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyRandom;

#[proxywhirl_macros::border]
#[pymethods]
impl PyRandom {
    #[new]
    #[pyo3(signature = (*, seed=None))]
    fn new(seed: Option<u64>) -> PyClassInitializer<Self> {
        PyStrategy::of(Arc::new(Random::new(seed))).under(Self)
    }
}
