//! By average response time.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt};

use crate::py::strategy::PyStrategy;
use crate::strategy::Strategy;
use crate::strategy::performance::Performance;
use crate::sync::Arc;

/// The faster, the likelier: chances in proportion to the inverse of the average response time.
///
/// Args:
///     alpha: Weight of the newest sample in the average, 0 to 1; by default the proxy's own, 0.2. A positional int is taken
///         as `exploration_count`.
///     exploration_count: Results a proxy gets before its average is trusted; 0 switches that off. By default 5 inside a
///         rotator and after `configure`; used by hand and unset, a pool without any average is an error.
///     seed: Makes the choices repeat themselves.
///
/// Raises:
///     ValueError: A number is out of range.
#[pyclass(name = "PerformanceBasedStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyPerformance {
    core: Arc<Performance>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyPerformance {
    #[new]
    #[pyo3(signature = (alpha=None, exploration_count=None, *, seed=None))]
    fn new(
        alpha: Option<&Bound<'_, PyAny>>,
        exploration_count: Option<i64>,
        seed: Option<u64>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let mut exploration = exploration_count;
        let mut weight = None;
        if let Some(value) = alpha.filter(|value| !value.is_none()) {
            if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() && exploration.is_none() {
                exploration = Some(value.extract()?);
            } else {
                let alpha = crate::py::convert::number(value)?;
                if !(0.0..=1.0).contains(&alpha) {
                    return Err(PyValueError::new_err("alpha must be from 0 to 1"));
                }
                weight = Some(alpha);
            }
        }
        let exploration = exploration
            .map(|count| {
                u64::try_from(count).map_err(|_| PyValueError::new_err("exploration_count must not be negative"))
            })
            .transpose()?;
        let core = Arc::new(Performance::new(weight, exploration, seed));
        Ok(PyStrategy::of(core.clone()).under(Self { core }))
    }

    getters! {
        /// Weight of the newest sample in the average that the strategy insists on, if any.
        alpha: Option<f64> = self.core.common().alpha();
        /// Results a proxy gets before its average is trusted; `None` while that is not settled.
        exploration_count: Option<u64> = self.core.exploration();
    }
}
