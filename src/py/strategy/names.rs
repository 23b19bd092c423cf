//! Built-in strategies made by name; the names are the core's.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::strategy::names::{self, BUILTIN, Builtin};

/// Makes a built-in strategy.
pub(super) fn make<'py>(
    py: Python<'py>,
    builtin: &Builtin,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    class(py, builtin)?.call((), kwargs)
}

/// The class of a built-in strategy, which this module has under its own name.
fn class<'py>(py: Python<'py>, builtin: &Builtin) -> PyResult<Bound<'py, PyType>> {
    Ok(py.import("proxywhirl._core")?.getattr(builtin.class)?.cast_into()?)
}

/// The classes of the built-in strategies by name, further names included; a class's canonical name is its first.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn builtin_strategy_classes(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let classes = PyDict::new(py);
    for builtin in BUILTIN {
        let class = class(py, builtin)?;
        builtin.names().try_for_each(|name| classes.set_item(name, &class))?;
    }
    Ok(classes)
}

/// Names of the built-in strategies that the settings of the command line take.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn settings_strategy_names() -> Vec<&'static str> {
    BUILTIN.iter().filter(|builtin| builtin.in_settings).map(|builtin| builtin.name).collect()
}

/// A strategy's name as names are compared: case does not matter, and `_` is as good as `-`.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn strategy_key(name: &str) -> String {
    names::key(name)
}
