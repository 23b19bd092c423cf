//! By weights per id, URL or tag.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::py::strategy::PyStrategy;
use crate::strategy::weighted::Weighted;
use crate::sync::Arc;

/// By weights per id, URL or tag; by success rate (at least 0.1) where there are none.
///
/// Args:
///     weights: Keys are ids, URLs or tags. A tag's value is the probability of the whole group of proxies that have it.
///     seed: Makes the choices repeat themselves.
#[pyclass(name = "WeightedStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyWeighted;

#[proxywhirl_macros::border]
#[pymethods]
impl PyWeighted {
    #[new]
    #[pyo3(signature = (weights=None, *, seed=None))]
    fn new(weights: Option<&Bound<'_, PyAny>>, seed: Option<u64>) -> PyResult<PyClassInitializer<Self>> {
        let mut table: Vec<(String, f64)> = Vec::new();
        if let Some(weights) = weights.filter(|weights| !weights.is_none()) {
            let items = weights
                .call_method0("items")
                .map_err(|_| PyTypeError::new_err("weights must be a dict of numbers by id, URL or tag"))?;
            for item in items.try_iter()? {
                let (key, weight): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
                table.push((key.str()?.to_string(), crate::py::convert::number(&weight)?));
            }
        }
        let strategy = Weighted::new(table.iter().map(|(key, weight)| (key.as_str(), *weight)), seed);
        Ok(PyStrategy::of(Arc::new(strategy)).under(Self))
    }
}
