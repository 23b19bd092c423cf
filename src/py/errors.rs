//! The one place where errors of the core become Python's.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::net::address::AddressError;
use crate::net::locality::Locality;
use crate::pool::AddError;
use crate::pool::query::Query;
use crate::proxy::liveness::SettingsError;
use crate::proxy::money::Money;
use crate::resilience::explain;
use crate::resilience::standing::SiteBans;
use crate::rotation::lease::AlreadyClosed;
use crate::strategy::Refusal;

pyo3::import_exception!(proxywhirl.exceptions, ProxyBudgetExceededError);
pyo3::import_exception!(proxywhirl.exceptions, ProxyConnectionError);
pyo3::import_exception!(proxywhirl.exceptions, ProxyPoolEmptyError);
pyo3::import_exception!(proxywhirl.exceptions, StrategyMetadataError);

/// Before a fork: finds the classes, so that no other thread is about to while it happens; see [`super::once`].
pub(super) fn find_classes(py: Python<'_>) -> PyResult<()> {
    // A module that is being imported, or was not yet, has none of them in use.
    let modules = py.import("sys")?.getattr("modules")?;
    let Ok(module) = modules.get_item("proxywhirl.exceptions") else { return Ok(()) };
    let is_there = |class: &str| module.hasattr(class);
    if is_there("ProxyBudgetExceededError")? && is_there("ProxyConnectionError")? && is_there("ProxyPoolEmptyError")? {
        py.get_type::<ProxyBudgetExceededError>();
        py.get_type::<ProxyConnectionError>();
        py.get_type::<ProxyPoolEmptyError>();
    }
    if is_there("StrategyMetadataError")? {
        py.get_type::<StrategyMetadataError>();
    }
    Ok(())
}

/// The exception for a strategy without a proxy to offer.
pub(crate) fn refusal(py: Python<'_>, refusal: Refusal) -> PyErr {
    let message = refusal.to_string();
    match refusal {
        Refusal::NeedsSession => PyValueError::new_err(message),
        Refusal::MissingMetadata { strategy, fields } => missing_metadata(py, message, strategy, fields),
        Refusal::BudgetExceeded { budget, spent } => over_budget(py, message, budget, spent),
        Refusal::Foreign(error) => match error.downcast::<PyErr>() {
            Ok(error) => *error,
            Err(_) => ProxyPoolEmptyError::new_err(message),
        },
        _ => ProxyPoolEmptyError::new_err(message),
    }
}

/// The same with the count of proxies by reason and when waiting may help, where no proxy was available.
pub(crate) fn refusal_of(py: Python<'_>, refusal: Refusal, query: &Query<'_>, sites: &SiteBans) -> PyErr {
    if !refusal.is_shortage() {
        return self::refusal(py, refusal);
    }
    let tally = explain::tally(query, sites);
    let message = match tally.groups().next() {
        None => refusal.to_string(),
        Some(_) if tally.all_breakers_open() => {
            format!("503 Service Temporarily Unavailable: the circuit breakers of all proxies are open: {tally}")
        }
        Some(_) => format!("{refusal}: {tally}"),
    };
    let build = || -> PyResult<PyErr> {
        let reasons = PyDict::new(py);
        for (why, count) in tally.groups() {
            reasons.set_item(why.as_str(), count)?;
        }
        let kwargs = PyDict::new(py);
        kwargs.set_item("retry_after", tally.retry_after())?;
        kwargs.set_item("may_free", tally.may_free())?;
        kwargs.set_item("reasons", reasons)?;
        let class = py.get_type::<ProxyPoolEmptyError>();
        Ok(PyErr::from_value(class.call((message,), Some(&kwargs))?))
    };
    build().unwrap_or_else(|error| error)
}

fn missing_metadata(py: Python<'_>, message: String, strategy: String, fields: Vec<String>) -> PyErr {
    let build = || -> PyResult<PyErr> {
        let kwargs = PyDict::new(py);
        kwargs.set_item("missing_fields", fields)?;
        kwargs.set_item("strategy", strategy)?;
        let class = py.get_type::<StrategyMetadataError>();
        Ok(PyErr::from_value(class.call((message,), Some(&kwargs))?))
    };
    build().unwrap_or_else(|error| error)
}

fn over_budget(py: Python<'_>, message: String, budget: Money, spent: Money) -> PyErr {
    let build = || -> PyResult<PyErr> {
        let kwargs = PyDict::new(py);
        kwargs.set_item("budget", budget.amount())?;
        kwargs.set_item("spent", spent.amount())?;
        let class = py.get_type::<ProxyBudgetExceededError>();
        Ok(PyErr::from_value(class.call((message,), Some(&kwargs))?))
    };
    build().unwrap_or_else(|error| error)
}

/// The exception for a proxy that could not be added.
pub(crate) fn add(error: AddError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The exception for limits that make no sense.
pub(crate) fn settings(error: SettingsError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The exception for a text that is no proxy's address.
pub(crate) fn address(error: AddressError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The exception for a second verdict.
pub(crate) fn closed(_: AlreadyClosed) -> PyErr {
    pyo3::exceptions::PyRuntimeError::new_err("this lease is closed: its outcome has been reported already")
}

/// What is wrong with one constructor argument.
pub(crate) struct Fault {
    pub(crate) field: String,
    pub(crate) message: String,
    pub(crate) input: Py<PyAny>,
}

impl Fault {
    pub(crate) fn new(field: &str, message: impl Into<String>, input: &Bound<'_, PyAny>) -> Self {
        Self { field: field.to_owned(), message: message.into(), input: input.clone().unbind() }
    }
}

/// `pydantic.ValidationError` for a class that behaves like a model.
pub(crate) fn validation(py: Python<'_>, title: &str, faults: Vec<Fault>) -> PyErr {
    let build = || -> PyResult<PyErr> {
        let list = PyList::empty(py);
        for fault in &faults {
            let field = PyString::new(py, &fault.field);
            list.append((field, &fault.message, fault.input.bind(py)))?;
        }
        let make = py.import("proxywhirl._native.model")?.getattr("validation_error")?;
        Ok(PyErr::from_value(make.call1((title, list))?))
    };
    build().unwrap_or_else(|error| error)
}

/// What is said of an address in the user's own network.
pub(crate) fn not_allowed(local: Locality) -> &'static str {
    match local {
        Locality::Localhost => "Localhost addresses not allowed",
        _ => "Private/internal IP addresses not allowed",
    }
}
