//! Cheap proxies rather than dear ones.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::py::strategy::PyStrategy;
use crate::strategy::cost_aware::CostAware;
use crate::sync::Arc;

/// The cheaper, the likelier, up to a limit.
///
/// Args:
///     max_cost_per_request: Highest price of one request; without it any.
///     seed: Makes the choices repeat themselves.
///
/// Raises:
///     ValueError: The limit is negative.
#[pyclass(name = "CostAwareStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyCostAware {
    core: Arc<CostAware>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyCostAware {
    #[new]
    #[pyo3(signature = (max_cost_per_request=None, *, seed=None))]
    fn new(max_cost_per_request: Option<f64>, seed: Option<u64>) -> PyResult<PyClassInitializer<Self>> {
        if max_cost_per_request.is_some_and(|limit| limit.is_nan() || limit < 0.0) {
            return Err(PyValueError::new_err("max_cost_per_request must not be negative"));
        }
        let core = Arc::new(CostAware::new(max_cost_per_request, seed));
        Ok(PyStrategy::of(core.clone()).under(Self { core }))
    }

    /// Highest price of one request.
    #[getter]
    fn max_cost_per_request(&self) -> Option<f64> {
        self.core.limit()
    }

    #[setter(max_cost_per_request)]
    fn set_max_cost_per_request(&self, limit: Option<f64>) {
        self.core.set_limit(limit);
    }

    /// Weight of what costs nothing.
    #[getter]
    fn free_proxy_boost(&self) -> f64 {
        self.core.boost()
    }

    #[setter(free_proxy_boost)]
    fn set_free_proxy_boost(&self, boost: f64) {
        self.core.set_boost(boost);
    }
}
