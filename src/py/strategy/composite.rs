//! Filters, and a strategy that selects among what they leave.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyType};

use crate::py::strategy::PyStrategy;
use crate::py::strategy::names::make;
use crate::py::strategy::parts::{part, parts_of, shared, shown};
use crate::strategy::composite::Composite;
use crate::strategy::names::Builtin;
use crate::strategy::{Shared, Strategy};
use crate::sync::{Arc, Mutex};

/// Filters, one after the other, and a strategy that selects among what they leave.
///
/// Args:
///     filters: Strategies, names, or dicts with `name` and arguments. Each restricts what the next one sees.
///     selector: Chooses in the end; by default each in turn.
///     strategies: One list instead: all but the last filter, the last selects.
///     fallback: Serves when no proxy is left; without it that is an error.
///
/// Raises:
///     ValueError: Nothing is given, or there is no such strategy.
#[pyclass(name = "CompositeStrategy", module = "proxywhirl.strategies", extends = PyStrategy, frozen, subclass)]
pub(crate) struct PyComposite {
    core: Arc<Composite>,
    made_of: Mutex<(Vec<Py<PyAny>>, Py<PyAny>)>,
}

impl PyComposite {
    fn rebuild(&self, py: Python<'_>, filters: Vec<Py<PyAny>>, selector: Py<PyAny>) -> PyResult<()> {
        let inner: Vec<Shared> = filters.iter().map(|filter| shared(filter.bind(py))).collect::<PyResult<_>>()?;
        let chosen = shared(selector.bind(py))?;
        self.core.set_parts(inner, chosen);
        let stale = std::mem::replace(&mut *self.made_of.lock(), (filters, selector));
        drop(stale);
        Ok(())
    }

    /// The object that chooses in the end, as users see it.
    pub(crate) fn chosen_by<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        shown(self.parts(py).1.bind(py))
    }

    fn parts(&self, py: Python<'_>) -> (Vec<Py<PyAny>>, Py<PyAny>) {
        let made_of = self.made_of.lock();
        (made_of.0.iter().map(|filter| filter.clone_ref(py)).collect(), made_of.1.clone_ref(py))
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyComposite {
    #[new]
    #[pyo3(signature = (filters=None, selector=None, *, strategies=None, fallback=None))]
    fn new(
        py: Python<'_>,
        filters: Option<&Bound<'_, PyAny>>,
        selector: Option<&Bound<'_, PyAny>>,
        strategies: Option<&Bound<'_, PyAny>>,
        fallback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let list = |name: &str, given: Option<&Bound<'_, PyAny>>| match given.filter(|given| !given.is_none()) {
            None => Ok(Vec::new()),
            Some(given) => parts_of(name, given),
        };
        let mut parts = list("filters", filters)?;
        let mut last = selector.filter(|selector| !selector.is_none()).map(part).transpose()?.map(Bound::unbind);
        if let Some(strategies) = strategies.filter(|strategies| !strategies.is_none()) {
            if !parts.is_empty() || last.is_some() {
                return Err(PyValueError::new_err("give either strategies, or filters and selector"));
            }
            parts = list("strategies", Some(strategies))?;
            last = parts.pop();
        }
        if parts.is_empty() && last.is_none() {
            return Err(PyValueError::new_err("CompositeStrategy needs at least one filter or a selector"));
        }
        let last = match last {
            Some(last) => last,
            None => make(py, Builtin::default(), None)?.unbind(),
        };
        let inner: Vec<Shared> = parts.iter().map(|filter| shared(filter.bind(py))).collect::<PyResult<_>>()?;
        let core = Arc::new(Composite::new(inner, shared(last.bind(py))?));
        let fallback = fallback.filter(|fallback| !fallback.is_none()).map(part).transpose()?;
        core.common().set_fallback(fallback.as_ref().map(shared).transpose()?);
        let extra = fallback.into_iter().map(Bound::unbind).collect();
        Ok(PyStrategy::of_parts(core.clone(), extra).under(Self { core, made_of: Mutex::new((parts, last)) }))
    }

    /// The filters, in order. Assign a list to change them.
    #[getter]
    fn filters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let (filters, _) = self.parts(py);
        PyList::new(py, filters.iter().map(|filter| shown(filter.bind(py))))
    }

    #[setter(filters)]
    fn set_filters(&self, py: Python<'_>, filters: &Bound<'_, PyAny>) -> PyResult<()> {
        let fresh = parts_of("filters", filters)?;
        let (_, selector) = self.parts(py);
        self.rebuild(py, fresh, selector)
    }

    /// The strategy that chooses in the end.
    #[getter]
    fn selector<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.chosen_by(py)
    }

    #[setter(selector)]
    fn set_selector(&self, py: Python<'_>, selector: &Bound<'_, PyAny>) -> PyResult<()> {
        let (filters, _) = self.parts(py);
        self.rebuild(py, filters, part(selector)?.unbind())
    }

    /// Applies a configuration to every part.
    fn configure(slf: &Bound<'_, Self>, config: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = config.py();
        slf.as_super().get().configure(config)?;
        let (filters, selector) = slf.get().parts(py);
        for part in filters.into_iter().chain([selector]) {
            let part = part.bind(py);
            if part.hasattr("configure")? {
                part.call_method1("configure", (config,))?;
            }
        }
        Ok(())
    }

    /// A composite from data.
    ///
    /// Args:
    ///     config: `{"filters": [name | strategy | {"name": ..., **arguments}], "selector": ..., "fallback": ...}`, or
    ///         `{"strategies": [...]}`; the selector is by default each in turn.
    ///
    /// Raises:
    ///     ValueError: "Unknown strategy name", an unknown key, one name instead of a list, or an empty list of strategies.
    ///     TypeError: It is no mapping.
    #[classmethod]
    fn from_config<'py>(cls: &Bound<'py, PyType>, config: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        const KEYS: [&str; 4] = ["filters", "selector", "strategies", "fallback"];
        let py = cls.py();
        if !config.hasattr("keys")? {
            return Err(PyTypeError::new_err(format!("config must be a dict, not {}", config.get_type().name()?)));
        }
        let kwargs = PyDict::new(py);
        kwargs.call_method1("update", (config,))?;
        if let Some(name) = kwargs.get_item("name")?
            && name
                .extract::<String>()
                .is_ok_and(|name| Builtin::of_name(&name).is_some_and(|builtin| builtin.class == "CompositeStrategy"))
        {
            // A strategy as data, as other places take it, names itself.
            kwargs.del_item("name")?;
        }
        for key in kwargs.keys() {
            if !key.cast::<PyString>().is_ok_and(|key| KEYS.iter().any(|known| *key == **known)) {
                let known = KEYS.join(", ");
                return Err(PyValueError::new_err(format!("Unknown key {}: there are {known}", key.repr()?)));
            }
        }
        let given = |name: &str| kwargs.get_item(name).map(|value| value.filter(|value| !value.is_none()));
        if given("selector")?.is_none() && given("strategies")?.is_none() {
            kwargs.set_item("selector", make(py, Builtin::default(), None)?)?;
        }
        let made = cls.call((), Some(&kwargs));
        made.map_err(|error| {
            let text = error.value(py).to_string();
            match text.strip_prefix("Unknown strategy ") {
                Some(rest) if !rest.starts_with("name") => {
                    PyValueError::new_err(format!("Unknown strategy name {rest}"))
                }
                _ => error,
            }
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let made_of = self.made_of.lock();
        for filter in &made_of.0 {
            visit.call(filter)?;
        }
        visit.call(&made_of.1)
    }
}
