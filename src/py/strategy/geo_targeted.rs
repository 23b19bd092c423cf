//! Proxies of the wanted country or region.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::py::strategy::names::make;
use crate::py::strategy::parts::{part, shared, shown};
use crate::py::strategy::{PLAIN, PyStrategy};
use crate::strategy::Strategy;
use crate::strategy::geo_targeted::GeoTargeted;
use crate::strategy::names::Builtin;
use crate::sync::{Arc, Mutex};

/// Only proxies of the wanted country or region, chosen among by another strategy.
///
/// Args:
///     preferred_countries: Where to look when the request does not say, in any case.
///     fallback_strategy: Serves when no proxy matches; by default the secondary strategy, over all proxies.
///     secondary_strategy: Chooses among the matches.
///     preferred_regions: The same by region; countries come first.
///     fallback_enabled: Whether other proxies serve when none matches; if not, that is an error.
///
/// Raises:
///     ValueError: There is no such strategy.
#[pyclass(name = "GeoTargetedStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyGeoTargeted {
    core: Arc<GeoTargeted>,
    secondary: Mutex<Py<PyAny>>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyGeoTargeted {
    #[new]
    #[pyo3(signature = (preferred_countries=None, fallback_strategy=None, secondary_strategy=None, preferred_regions=None, fallback_enabled=true))]
    fn new(
        py: Python<'_>,
        preferred_countries: Option<&Bound<'_, PyAny>>,
        fallback_strategy: Option<&Bound<'_, PyAny>>,
        secondary_strategy: Option<&Bound<'_, PyAny>>,
        preferred_regions: Option<&Bound<'_, PyAny>>,
        fallback_enabled: bool,
    ) -> PyResult<PyClassInitializer<Self>> {
        let words = |list: Option<&Bound<'_, PyAny>>| -> PyResult<Vec<String>> {
            match list.filter(|list| !list.is_none()) {
                None => Ok(Vec::new()),
                Some(list) => Ok(crate::py::convert::texts(list)?.into_iter().map(String::from).collect()),
            }
        };
        let fallback = fallback_strategy.filter(|object| !object.is_none()).map(part).transpose()?;
        let secondary = match secondary_strategy.filter(|object| !object.is_none()) {
            Some(object) => part(object)?,
            None => make(py, Builtin::default(), None)?,
        };
        let core = Arc::new(GeoTargeted::new(
            words(preferred_countries)?,
            words(preferred_regions)?,
            Some(shared(&secondary)?),
            fallback_enabled,
        ));
        core.common().set_fallback(fallback.as_ref().map(shared).transpose()?);
        let parts = fallback.into_iter().map(Bound::unbind).collect();
        Ok(PyStrategy::of_parts(core.clone(), parts).under(Self { core, secondary: Mutex::new(secondary.unbind()) }))
    }

    /// Applies a configuration; `geo_fallback_enabled` and `geo_secondary_strategy` are read here as well.
    fn configure(slf: &Bound<'_, Self>, config: &Bound<'_, PyAny>) -> PyResult<()> {
        let this = slf.get();
        let plain = PLAIN.get(config.py())?.call1((config,))?;
        let plain = plain.cast::<PyDict>()?;
        let chosen = plain.get_item("geo_secondary_strategy")?.filter(|name| !name.is_none());
        let fresh = chosen.map(|name| part(&name)).transpose()?;
        slf.as_super().get().configure(config)?;
        let secondary = match fresh {
            Some(fresh) => {
                this.core.set_secondary(shared(&fresh)?);
                let stale = std::mem::replace(&mut *this.secondary.lock(), fresh.clone().unbind());
                drop(stale);
                fresh
            }
            None => this.secondary.lock().clone_ref(config.py()).into_bound(config.py()),
        };
        secondary.call_method1("configure", (config,))?;
        Ok(())
    }

    /// The strategy that chooses among the matches.
    #[getter]
    fn secondary_strategy<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        let secondary = self.secondary.lock().clone_ref(py).into_bound(py);
        shown(&secondary)
    }

    getters! {
        /// The same, by its published name.
        _secondary_strategy: PyResult<Bound<'py, PyAny>> = self.secondary_strategy(py);
        /// Whether other proxies serve when none matches.
        _fallback_enabled: bool = self.core.fallback_enabled();
    }

    #[setter(_fallback_enabled)]
    fn set_fallback_enabled(&self, on: bool) {
        self.core.set_fallback_enabled(on);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&*self.secondary.lock())
    }
}
