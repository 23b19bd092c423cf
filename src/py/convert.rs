//! Values across the border: times, identifiers, enumerations.

use std::convert::Infallible;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDateTime, PyFloat, PyInt, PyString, PyTzInfo};

use crate::clock::Micros;
use crate::judge::outcome::{Judgement, Outcome};
use crate::proxy::Id;
use crate::proxy::health::{Health, Source};
use crate::proxy::liveness::Phase;
use crate::py::once::Once;

/// A class or function of Python, imported on first use.
///
/// The core names modules of `proxywhirl._native` only. What lives above them is found by `upper::find`.
pub(crate) struct Lazy {
    module: &'static str,
    name: &'static str,
    cell: Once<Py<PyAny>>,
}

impl Lazy {
    pub(crate) const fn new(module: &'static str, name: &'static str) -> Self {
        Self { module, name, cell: Once::new() }
    }

    /// A member of a Python package above the core; `proxywhirl/__init__.py` says which.
    pub(crate) const fn upper(name: &'static str) -> Self {
        Self::new("", name)
    }

    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        let value = self.cell.get_or_make(py, || {
            let found = if self.module.is_empty() {
                py.import("proxywhirl._native.upper")?.call_method1("find", (self.name,))?
            } else {
                py.import(self.module)?.getattr(self.name)?
            };
            Ok::<_, PyErr>(found.unbind())
        })?;
        Ok(value.bind(py))
    }
}

/// Names of attributes or keys, made once.
pub(crate) struct Names<const N: usize> {
    texts: [&'static str; N],
    cell: Once<[Py<PyString>; N]>,
}

impl<const N: usize> Names<N> {
    pub(crate) const fn new(texts: [&'static str; N]) -> Self {
        Self { texts, cell: Once::new() }
    }

    pub(crate) fn get<'py>(&self, py: Python<'py>) -> [&Bound<'py, PyString>; N] {
        let made = || Ok::<_, Infallible>(self.texts.map(|text| PyString::intern(py, text).unbind()));
        match self.cell.get_or_make(py, made) {
            Ok(names) => names.each_ref().map(|name| name.bind(py)),
            Err(never) => match never {},
        }
    }
}

static UUID: Lazy = Lazy::new("uuid", "UUID");
static AMBIGUOUS: Lazy = Lazy::new("proxywhirl._native.enums", "AMBIGUOUS");
static SECRET: Lazy = Lazy::new("pydantic", "SecretStr");

/// A `uuid.UUID`.
pub(crate) fn uuid<'py>(py: Python<'py>, id: Id) -> PyResult<Bound<'py, PyAny>> {
    let kwargs = pyo3::types::PyDict::new(py);
    kwargs.set_item("int", id.as_u128())?;
    UUID.get(py)?.call((), Some(&kwargs))
}

/// An identifier from a `uuid.UUID` or its text; `None` for anything else.
pub(crate) fn id_of(value: &Bound<'_, PyAny>) -> Option<Id> {
    if let Ok(text) = value.cast::<PyString>() {
        return Id::parse(text.to_str().ok()?);
    }
    let number = value.getattr("int").ok()?;
    number.extract::<u128>().ok().map(Id::from_u128)
}

/// An aware `datetime` in UTC.
pub(crate) fn datetime(py: Python<'_>, at: Micros) -> PyResult<Bound<'_, PyDateTime>> {
    // Whole seconds first: a float holds the microseconds of the present exactly enough, those of the far future not.
    let utc = PyTzInfo::utc(py)?;
    PyDateTime::from_timestamp(py, at as f64 / 1e6, Some(&utc))
}

/// The same, or `None`.
pub(crate) fn optional_datetime(py: Python<'_>, at: Option<Micros>) -> PyResult<Option<Bound<'_, PyDateTime>>> {
    at.map(|at| datetime(py, at)).transpose()
}

/// Microseconds from a `datetime` (a naive one is taken as UTC), an ISO 8601 text, or seconds since 1970.
pub(crate) fn micros(value: &Bound<'_, PyAny>) -> PyResult<Micros> {
    let py = value.py();
    if value.is_instance_of::<PyDateTime>() {
        let aware = if value.getattr("tzinfo")?.is_none() {
            let kwargs = pyo3::types::PyDict::new(py);
            kwargs.set_item("tzinfo", PyTzInfo::utc(py)?)?;
            value.call_method("replace", (), Some(&kwargs))?
        } else {
            value.clone()
        };
        let seconds: f64 = aware.call_method0("timestamp")?.extract()?;
        return Ok((seconds * 1e6).round() as Micros);
    }
    if let Ok(text) = value.cast::<PyString>() {
        let text = text.to_str()?.replace('Z', "+00:00");
        let parsed = py.get_type::<PyDateTime>().call_method1("fromisoformat", (text,));
        return match parsed {
            Ok(parsed) => micros(&parsed),
            Err(_) => Err(PyValueError::new_err("Input should be a valid datetime")),
        };
    }
    if (value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>()) && !value.is_instance_of::<PyBool>() {
        let seconds: f64 = value.extract()?;
        if seconds.is_finite() {
            return Ok((seconds * 1e6).round() as Micros);
        }
    }
    Err(PyTypeError::new_err("Input should be a valid datetime"))
}

/// The same, or `None`.
pub(crate) fn optional_micros(value: &Bound<'_, PyAny>) -> PyResult<Option<Micros>> {
    if value.is_none() { Ok(None) } else { micros(value).map(Some) }
}

/// A non-negative whole number. Booleans and floats are of the wrong type.
pub(crate) fn count(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    if value.is_instance_of::<PyBool>() || !value.is_instance_of::<PyInt>() {
        return Err(PyTypeError::new_err("Input should be a valid integer"));
    }
    value.extract::<u64>().map_err(|_| PyValueError::new_err("Input should be greater than or equal to 0"))
}

/// A finite number that is not negative, or `None`.
pub(crate) fn optional_amount(value: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    if value.is_none() {
        return Ok(None);
    }
    let number = number(value)?;
    if number.is_finite() && number >= 0.0 {
        Ok(Some(number))
    } else {
        Err(PyValueError::new_err("Input should be greater than or equal to 0"))
    }
}

/// A time in milliseconds, as it came over the border.
pub(crate) fn duration(ms: f64) -> PyResult<f64> {
    if ms.is_finite() && ms >= 0.0 {
        Ok(ms)
    } else {
        Err(PyValueError::new_err("response_time_ms must be finite and not negative"))
    }
}

/// A number that is no boolean.
pub(crate) fn number(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    if value.is_instance_of::<PyBool>() || value.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("Input should be a valid number"));
    }
    value.extract::<f64>().map_err(|_| PyTypeError::new_err("Input should be a valid number"))
}

/// A text, or `None`.
pub(crate) fn optional_text(value: &Bound<'_, PyAny>) -> PyResult<Option<Box<str>>> {
    if value.is_none() { Ok(None) } else { text(value).map(Some) }
}

/// A text.
pub(crate) fn text(value: &Bound<'_, PyAny>) -> PyResult<Box<str>> {
    borrowed_text(value).map(Into::into)
}

/// The same, in the object's own memory.
pub(crate) fn borrowed_text<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    match value.cast::<PyString>() {
        Ok(text) => text.to_str(),
        Err(_) => Err(PyTypeError::new_err("Input should be a valid string")),
    }
}

/// A text from a `str` or a `SecretStr`, or `None`.
pub(crate) fn optional_secret(value: &Bound<'_, PyAny>) -> PyResult<Option<Box<str>>> {
    if value.is_none() {
        return Ok(None);
    }
    if value.is_instance_of::<PyString>() {
        return text(value).map(Some);
    }
    match value.call_method0("get_secret_value") {
        Ok(inner) => text(&inner).map(Some),
        Err(_) => Err(PyTypeError::new_err("Input should be a valid string")),
    }
}

/// A `pydantic.SecretStr`.
pub(crate) fn secret<'py>(py: Python<'py>, value: &str) -> PyResult<Bound<'py, PyAny>> {
    SECRET.get(py)?.call1((value,))
}

/// Members of a Python enumeration, in the core's order.
struct Members {
    class: &'static str,
    cell: Once<Vec<Py<PyAny>>>,
}

impl Members {
    const fn new(class: &'static str) -> Self {
        Self { class, cell: Once::new() }
    }

    fn get<'py>(
        &self,
        py: Python<'py>,
        values: impl Iterator<Item = &'static str>,
        index: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let members = self.cell.get_or_make(py, || {
            let class = py.import("proxywhirl._native.enums")?.getattr(self.class)?;
            values.map(|value| Ok::<_, PyErr>(class.call1((value,))?.unbind())).collect::<PyResult<Vec<_>>>()
        })?;
        match members.get(index) {
            Some(member) => Ok(member.bind(py).clone()),
            None => Err(PyValueError::new_err("no such member")),
        }
    }
}

static HEALTHS: Members = Members::new("HealthStatus");
static SOURCES: Members = Members::new("ProxySource");
static OUTCOMES: Members = Members::new("Outcome");
static PHASES: Members = Members::new("CircuitBreakerState");

/// A `HealthStatus`.
pub(crate) fn health(py: Python<'_>, health: Health) -> PyResult<Bound<'_, PyAny>> {
    HEALTHS.get(py, Health::ALL.into_iter().map(Health::as_str), health as usize)
}

/// A `ProxySource`.
pub(crate) fn source(py: Python<'_>, source: Source) -> PyResult<Bound<'_, PyAny>> {
    SOURCES.get(py, Source::ALL.into_iter().map(Source::as_str), source as usize)
}

/// An `Outcome`.
pub(crate) fn outcome(py: Python<'_>, outcome: Outcome) -> PyResult<Bound<'_, PyAny>> {
    OUTCOMES.get(py, Outcome::ALL.into_iter().map(Outcome::as_str), outcome as usize)
}

/// A `CircuitBreakerState`.
pub(crate) fn breaker_state(py: Python<'_>, phase: Phase) -> PyResult<Bound<'_, PyAny>> {
    PHASES.get(py, Phase::ALL.into_iter().map(Phase::as_str), phase as usize)
}

/// The health state of that name or member.
pub(crate) fn health_of(value: &Bound<'_, PyAny>) -> PyResult<Health> {
    let name = text(value)?;
    Health::parse(&name)
        .ok_or_else(|| PyValueError::new_err("Input should be 'unknown', 'healthy', 'degraded', 'unhealthy' or 'dead'"))
}

/// The source of that name or member.
pub(crate) fn source_of(value: &Bound<'_, PyAny>) -> PyResult<Source> {
    let name = text(value)?;
    Source::parse(&name).ok_or_else(|| PyValueError::new_err("Input should be 'user', 'fetched', 'api' or 'file'"))
}

/// The outcome of that name or member; `None` for what evidence has to decide.
pub(crate) fn outcome_of(value: &Bound<'_, PyAny>) -> PyResult<Option<Outcome>> {
    let name = borrowed_text(value)?;
    match Outcome::parse(name) {
        None if name == "ambiguous" => Ok(None),
        None => {
            let known: Vec<&str> = Outcome::ALL.into_iter().map(Outcome::as_str).collect();
            Err(PyValueError::new_err(format!("outcome must be one of {}", known.join(", "))))
        }
        known => Ok(known),
    }
}

/// An `Outcome`, or `AMBIGUOUS`.
pub(crate) fn judgement(py: Python<'_>, judgement: Judgement) -> PyResult<Bound<'_, PyAny>> {
    match judgement {
        Judgement::Known(known) => outcome(py, known),
        Judgement::Ambiguous => Ok(AMBIGUOUS.get(py)?.clone()),
    }
}

/// An outcome as Python writes it, or `AMBIGUOUS`.
pub(crate) fn judgement_of(value: &Bound<'_, PyAny>) -> PyResult<Judgement> {
    Ok(outcome_of(value)?.map_or(Judgement::Ambiguous, Judgement::Known))
}

/// Texts from any iterable but a single text.
pub(crate) fn texts(value: &Bound<'_, PyAny>) -> PyResult<Vec<Box<str>>> {
    if value.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("Input should be a list or set of strings, not one string"));
    }
    let items = value.try_iter().map_err(|_| PyTypeError::new_err("Input should be a valid set"))?;
    items.map(|item| text(&item?)).collect()
}
