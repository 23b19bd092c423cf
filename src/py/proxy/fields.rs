//! The fields with rules of their own: the single way in for each, from the constructor and from assignments.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt};

use super::PyProxy;
use super::local::GEO;
use super::table::TABLE;
use crate::clock::ExactClock;
use crate::net::address::{Address, Credentials, Protocol};
use crate::proxy::money::Money;
use crate::proxy::traffic::Direction;
use crate::proxy::{Counter, Moment};
use crate::py::convert;
use crate::py::errors;

/// A field of the documented class. Its attribute is a getter of the same name, marked `#[assigned]`.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Whether `None` is a value of it; if not, the constructor takes `None` for nothing given.
    pub(super) optional: bool,
    /// Checks a value and keeps it.
    pub(super) put: Put,
}

type Put = fn(&PyProxy, &Bound<'_, PyAny>) -> PyResult<()>;

const fn field(name: &'static str, put: Put) -> Field {
    Field { name, optional: false, put }
}

const fn optional(name: &'static str, put: Put) -> Field {
    Field { name, optional: true, put }
}

/// The fields with rules of their own; the others are those of [`table`](crate::proxy::table).
const OWN: &[Field] = &[
    field("id", set_id),
    field("url", set_url),
    optional("protocol", set_protocol),
    field("username", |this, value| this.put_login(value, |login| &mut login.username)),
    field("password", |this, value| this.put_login(value, |login| &mut login.password)),
    field("health_status", |this, value| convert::health_of(value).map(|health| this.core.set_health(health))),
    optional("last_success_at", |this, value| put_moment(this, Moment::LastSuccess, value)),
    optional("last_failure_at", |this, value| put_moment(this, Moment::LastFailure, value)),
    field("requests_started", |this, value| put_counter(this, Counter::Started, value)),
    field("requests_completed", |this, value| put_counter(this, Counter::Completed, value)),
    field("requests_active", |this, value| put_counter(this, Counter::Active, value)),
    field("total_requests", |this, value| put_counter(this, Counter::Total, value)),
    field("total_successes", |this, value| put_counter(this, Counter::Successes, value)),
    field("total_failures", |this, value| put_counter(this, Counter::Failures, value)),
    field("bytes_sent", |this, value| convert::count(value).map(|count| this.core.set_bytes(Direction::Sent, count))),
    field("bytes_received", |this, value| {
        convert::count(value).map(|count| this.core.set_bytes(Direction::Received, count))
    }),
    field("spent", |this, value| {
        convert::optional_amount(value).map(|spent| this.core.set_spent(Money::of(spent.unwrap_or(0.0))))
    }),
    optional("average_response_time_ms", |this, value| {
        convert::optional_amount(value).map(|ms| this.core.set_average(ms))
    }),
    optional("latency_ms", |this, value| convert::optional_amount(value).map(|ms| this.core.set_latency(ms))),
    optional("ema_response_time_ms", |this, value| convert::optional_amount(value).map(|ms| this.core.set_ema(ms))),
    field("ema_alpha", set_alpha),
    optional("window_start", |this, value| put_moment(this, Moment::WindowStart, value)),
    field("window_duration_seconds", set_window),
    field("consecutive_failures", |this, value| put_counter(this, Counter::ConsecutiveFailures, value)),
    field("tags", set_tags),
    field("source", |this, value| convert::source_of(value).map(|source| this.core.set_source(source))),
    optional("source_url", set_source_url),
    field("metadata", set_metadata),
    field("created_at", |this, value| convert::micros(value).map(|at| this.core.set_time(Moment::Created, Some(at)))),
    field("updated_at", |this, value| convert::micros(value).map(|at| this.core.set_time(Moment::Updated, Some(at)))),
    optional("ttl", set_ttl),
    optional("expires_at", |this, value| {
        convert::optional_micros(value).map(|at| this.core.set_expiry(at, &ExactClock))
    }),
    optional("cost_per_request", |this, value| {
        convert::optional_amount(value).map(|cost| this.core.set_cold(|cold| cold.cost = cost))
    }),
    optional("geo_location", |this, value| this.set_geo(value.py(), value)),
];

/// The field of that name.
pub(super) fn of_name(name: &str) -> Option<&'static Field> {
    OWN.iter().chain(TABLE).find(|field| field.name == name)
}

impl PyProxy {
    /// Sets one field from a Python value, by its name.
    pub(super) fn assign(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let field = of_name(name).ok_or_else(|| PyTypeError::new_err(format!("Proxy has no field {name}")))?;
        (field.put)(self, value)
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
            self.core.set_cold(|cold| (cold.country_code, cold.region) = (None, None));
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
        self.core.set_cold(|cold| (cold.country_code, cold.region) = (country, region));
        let stale = self.local(|local| local.geo_extras.replace(extras.unbind()));
        drop(stale);
        Ok(())
    }
}

fn put_counter(this: &PyProxy, counter: Counter, value: &Bound<'_, PyAny>) -> PyResult<()> {
    convert::count(value).map(|count| this.core.set_counter(counter, count))
}

fn put_moment(this: &PyProxy, moment: Moment, value: &Bound<'_, PyAny>) -> PyResult<()> {
    convert::optional_micros(value).map(|at| this.core.set_time(moment, at))
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
    this.core.set_ttl(if value.is_none() { None } else { Some(whole(value)?) });
    Ok(())
}

fn whole(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    if value.is_instance_of::<PyBool>() || !value.is_instance_of::<PyInt>() {
        return Err(PyTypeError::new_err("Input should be a valid integer"));
    }
    value.extract()
}
