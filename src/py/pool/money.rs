//! What the pool has spent, and may spend: the other half of the rotator's budget.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::proxy::money::Money;
use crate::py::pool::PyPool;

#[proxywhirl_macros::border]
#[pymethods]
impl PyPool {
    /// The most that may be spent; `None` without a bound.
    #[getter]
    fn _budget(&self) -> Option<f64> {
        self.core.spending().budget().map(Money::amount)
    }

    #[setter(_budget)]
    fn set_budget(&self, budget: Option<f64>) -> PyResult<()> {
        // Also what is no number.
        if budget.is_some_and(|budget| !(budget > 0.0 && budget.is_finite())) {
            return Err(PyValueError::new_err("budget must be more than 0"));
        }
        self.core.set_budget(budget.map(Money::of));
        Ok(())
    }

    /// What was spent since the pool was made.
    #[getter]
    fn _spent(&self) -> f64 {
        self.core.spending().spent().amount()
    }

    #[setter(_spent)]
    fn set_spent(&self, spent: f64) -> PyResult<()> {
        if !(spent >= 0.0 && spent.is_finite()) {
            return Err(PyValueError::new_err("spent must be at least 0"));
        }
        self.core.set_spent(Money::of(spent));
        Ok(())
    }

    /// Bytes sent and received since the pool was made.
    #[getter]
    fn _bytes(&self) -> (u64, u64) {
        self.core.spending().bytes()
    }
}
