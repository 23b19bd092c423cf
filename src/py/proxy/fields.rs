//! The table of the fields, and the single way in for each.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt};

use super::PyProxy;
use super::local::GEO;
use crate::clock::{ExactClock, Micros};
use crate::net::address::{Address, Credentials, Protocol};
use crate::proxy::cold::Cold;
use crate::proxy::health::reason;
use crate::proxy::{Counter, Moment};
use crate::py::convert;
use crate::py::errors;

/// A field of the documented class: one line of [`FIELDS`]. Its attribute is a getter of the same name, marked `#[assigned]`.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Whether `None` is a value of it; if not, the constructor takes `None` for nothing given.
    pub(super) optional: bool,
    kept: Kept,
}

/// What values a field takes, and where it is kept.
enum Kept {
    /// A number of at least 0.
    Count(fn(&mut Cold, u64)),
    /// A number of at least 0, fractions allowed, or `None`.
    Amount(fn(&mut Cold, Option<f64>)),
    Flag(fn(&mut Cold, bool)),
    Text(fn(&mut Cold, Option<Box<str>>)),
    Time(fn(&mut Cold, Option<Micros>)),
    /// One of the counters that requests move.
    Counter(Counter),
    /// One of the times that requests move.
    Moment(Moment),
    /// By a rule of its own.
    Own(fn(&PyProxy, &Bound<'_, PyAny>) -> PyResult<()>),
}
use Kept::{Amount, Count, Flag, Own, Text, Time};

const fn field(name: &'static str, kept: Kept) -> Field {
    Field { name, optional: false, kept }
}

const fn optional(name: &'static str, kept: Kept) -> Field {
    Field { name, optional: true, kept }
}

/// The fields in the documented order.
pub(super) const FIELDS: &[Field] = &[
    field("id", Own(set_id)),
    field("url", Own(set_url)),
    optional("protocol", Own(set_protocol)),
    field("username", Own(|this, value| this.put_login(value, |login| &mut login.username))),
    field("password", Own(|this, value| this.put_login(value, |login| &mut login.password))),
    field("allow_local", Flag(|cold, on| cold.allow_local = on)),
    field("rotating", Flag(|cold, on| cold.rotating = on)),
    field("health_status", Own(|this, value| convert::health_of(value).map(|health| this.core.set_health(health)))),
    optional("last_success_at", Kept::Moment(Moment::LastSuccess)),
    optional("last_failure_at", Kept::Moment(Moment::LastFailure)),
    field("requests_started", Kept::Counter(Counter::Started)),
    field("requests_completed", Kept::Counter(Counter::Completed)),
    field("requests_active", Kept::Counter(Counter::Active)),
    field("total_requests", Kept::Counter(Counter::Total)),
    field("total_successes", Kept::Counter(Counter::Successes)),
    field("total_failures", Kept::Counter(Counter::Failures)),
    optional(
        "average_response_time_ms",
        Own(|this, value| convert::optional_amount(value).map(|ms| this.core.set_average(ms))),
    ),
    optional("latency_ms", Own(|this, value| convert::optional_amount(value).map(|ms| this.core.set_latency(ms)))),
    optional(
        "ema_response_time_ms",
        Own(|this, value| convert::optional_amount(value).map(|ms| this.core.set_ema(ms))),
    ),
    field("ema_alpha", Own(set_alpha)),
    optional("window_start", Kept::Moment(Moment::WindowStart)),
    field("window_duration_seconds", Own(set_window)),
    optional("country_code", Text(|cold, code| cold.country = code)),
    optional("region", Text(|cold, region| cold.region = region)),
    field("consecutive_failures", Kept::Counter(Counter::ConsecutiveFailures)),
    optional("last_health_check", Time(|cold, at| cold.last_health_check = at)),
    field("consecutive_successes", Count(|cold, count| cold.consecutive_successes = count)),
    field("recovery_attempt", Count(|cold, count| cold.recovery_attempt = count)),
    optional("next_check_time", Time(|cold, at| cold.next_check_time = at)),
    optional("last_health_error", Text(|cold, text| cold.last_health_error = text)),
    field("total_checks", Count(|cold, count| cold.total_checks = count)),
    field("total_health_failures", Count(|cold, count| cold.total_health_failures = count)),
    field("tags", Own(set_tags)),
    field("source", Own(|this, value| convert::source_of(value).map(|source| this.core.set_source(source)))),
    optional("source_url", Own(set_source_url)),
    field("metadata", Own(set_metadata)),
    field(
        "created_at",
        Own(|this, value| convert::micros(value).map(|at| this.core.set_time(Moment::Created, Some(at)))),
    ),
    field(
        "updated_at",
        Own(|this, value| convert::micros(value).map(|at| this.core.set_time(Moment::Updated, Some(at)))),
    ),
    optional("ttl", Own(set_ttl)),
    optional("expires_at", Own(set_expiry)),
    optional("cost_per_request", Amount(|cold, cost| cold.cost = cost)),
    optional("geo_location", Own(|this, value| this.set_geo(value.py(), value))),
];

/// The field of that name.
pub(super) fn of_name(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

impl PyProxy {
    /// Sets one field from a Python value, by its name.
    pub(super) fn assign(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let field = of_name(name).ok_or_else(|| PyTypeError::new_err(format!("Proxy has no field {name}")))?;
        self.put(field, value)
    }

    /// Sets one field from a Python value: the single way in, for the constructor and for assignments.
    pub(super) fn put(&self, field: &Field, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let core = &self.core;
        match field.kept {
            Count(keep) => {
                let count = convert::count(value)?;
                core.set_cold(|cold| keep(cold, count));
            }
            Amount(keep) => {
                let amount = convert::optional_amount(value)?;
                core.set_cold(|cold| keep(cold, amount));
            }
            Flag(keep) => {
                let on = value.extract::<bool>()?;
                core.set_cold(|cold| keep(cold, on));
            }
            Text(keep) => {
                let text = convert::optional_text(value)?;
                core.set_cold(|cold| keep(cold, text));
            }
            Time(keep) => {
                let at = convert::optional_micros(value)?;
                core.set_cold(|cold| keep(cold, at));
            }
            Kept::Counter(counter) => core.set_counter(counter, convert::count(value)?),
            Kept::Moment(moment) => core.set_time(moment, convert::optional_micros(value)?),
            Own(set) => set(self, value)?,
        }
        Ok(())
    }

    fn put_login(
        &self,
        value: &Bound<'_, PyAny>,
        part: impl FnOnce(&mut Credentials) -> &mut Box<str>,
    ) -> PyResult<()> {
        let given = convert::optional_secret(value)?.unwrap_or_default();
        let none = || Credentials { username: "".into(), password: "".into() };
        let mut login = self.core.credentials().unwrap_or_else(none);
        *part(&mut login) = given;
        let empty = login.username.is_empty() && login.password.is_empty();
        self.core.set_credentials((!empty).then_some(login));
        Ok(())
    }

    pub(super) fn put_tags(&self, mut tags: Vec<Box<str>>) {
        tags.sort_unstable();
        tags.dedup();
        self.core.set_cold(|cold| cold.tags = tags);
    }

    fn set_geo(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if value.is_none() {
            let stale = self.local.lock().as_mut().and_then(|local| local.geo_extras.take());
            drop(stale);
            self.core.set_cold(|cold| (cold.country, cold.region) = (None, None));
            return Ok(());
        }
        let class = GEO.get(py)?;
        let geo =
            if value.is_instance(class)? { value.clone() } else { class.call_method1("model_validate", (value,))? };
        let country = convert::optional_text(&geo.getattr("country_code")?)?;
        let region = convert::optional_text(&geo.getattr("region")?)?;
        let extras = geo.call_method0("model_dump")?.cast_into::<PyDict>()?;
        for name in ["country_code", "region"] {
            extras.del_item(name)?;
        }
        self.core.set_cold(|cold| (cold.country, cold.region) = (country, region));
        let stale = self.local(|local| local.geo_extras.replace(extras.unbind()));
        drop(stale);
        Ok(())
    }
}

fn set_id(this: &PyProxy, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let id = convert::id_of(value).ok_or_else(|| PyValueError::new_err("Input should be a valid UUID"))?;
    this.core.set_id(id);
    Ok(())
}

fn set_url(this: &PyProxy, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let text = convert::text(value)?;
    let address = Address::parse(&text).map_err(errors::address)?;
    let raw = (!address.is_written(&text)).then_some(text);
    this.core.set_address(&address, raw);
    Ok(())
}

fn set_protocol(this: &PyProxy, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let protocol = Protocol::parse(&convert::text(value)?)
        .ok_or_else(|| PyValueError::new_err("Input should be 'http', 'https', 'socks4' or 'socks5'"))?;
    this.core.set_address(&Address { protocol, ..this.core.address() }, None);
    Ok(())
}

fn set_alpha(this: &PyProxy, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let alpha = convert::number(value)?;
    if !(0.0..=1.0).contains(&alpha) {
        return Err(PyValueError::new_err("Input should be from 0 to 1"));
    }
    this.core.set_cold(|cold| cold.ema_alpha = alpha);
    Ok(())
}

fn set_window(this: &PyProxy, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let seconds = u32::try_from(convert::count(value)?).ok().filter(|seconds| *seconds > 0);
    this.core.set_window_duration(seconds.ok_or_else(|| PyValueError::new_err("Input should be greater than 0"))?);
    Ok(())
}

fn set_tags(this: &PyProxy, value: &Bound<'_, PyAny>) -> PyResult<()> {
    this.put_tags(convert::texts(value)?);
    let stale = this.local.lock().as_mut().and_then(|local| local.tags.take());
    drop(stale);
    Ok(())
}

fn set_source_url(this: &PyProxy, value: &Bound<'_, PyAny>) -> PyResult<()> {
    // A pydantic URL prints as one.
    let text = if value.is_none() { None } else { Some(value.str()?.to_str()?.into()) };
    this.core.set_cold(|cold| cold.source_url = text);
    Ok(())
}

fn set_metadata(this: &PyProxy, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let dict = match value.cast::<PyDict>() {
        Ok(dict) => dict.clone(),
        Err(_) => PyDict::from_sequence(
            &value.call_method0("items").map_err(|_| PyTypeError::new_err("Input should be a valid dictionary"))?,
        )?,
    };
    let stale = this.local(|local| local.metadata.replace(dict.unbind()));
    drop(stale);
    Ok(())
}

fn set_ttl(this: &PyProxy, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let ttl = if value.is_none() { None } else { Some(whole(value)?) };
    let created = this.core.time(Moment::Created).unwrap_or_default();
    this.core.set_cold(|cold| {
        cold.ttl = ttl;
        if let Some(seconds) = ttl {
            cold.expires_at = Some(created.saturating_add(seconds.saturating_mul(1_000_000)));
        }
    });
    Ok(())
}

fn set_expiry(this: &PyProxy, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let at = convert::optional_micros(value)?;
    this.core.set_cold(|cold| cold.expires_at = at);
    // A selection looks at a clock that lags: a time in the past holds from now on.
    if this.core.is_expired(&ExactClock) {
        this.core.set_reason(reason::EXPIRED, true);
    }
    Ok(())
}

fn whole(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    if value.is_instance_of::<PyBool>() || !value.is_instance_of::<PyInt>() {
        return Err(PyTypeError::new_err("Input should be a valid integer"));
    }
    value.extract()
}
