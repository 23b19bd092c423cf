//! The fleet for Python: dictionaries in, dictionaries out. What users see is `proxywhirl.testing`.

use std::net::SocketAddr;
use std::time::Duration;

use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::{PyIndexError, PyOSError, PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyDict};

use crate::fleet::{
    Bans, Behaviour, Fault, Flap, FlapUnit, Fleet, FleetError, FleetSpec, Latency, Login, ProxyCounts, ProxySpec,
    RateLimit, Scheme, SpecError,
};
use crate::py::border;

/// A running fleet.
#[pyclass(name = "Fleet", module = "proxywhirl._core", frozen)]
pub(super) struct PyFleet {
    fleet: Fleet,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyFleet {
    /// Starts a fleet of these proxies, each given as a dictionary of plain values.
    #[new]
    #[pyo3(signature = (proxies, *, seed = 0, workers = 1, ipv6 = false, hosts = Vec::new()))]
    fn new(
        py: Python<'_>,
        proxies: Vec<Bound<'_, PyDict>>,
        seed: u64,
        workers: usize,
        ipv6: bool,
        hosts: Vec<String>,
    ) -> PyResult<Self> {
        let spec =
            FleetSpec { proxies: proxies.iter().map(proxy_spec).collect::<PyResult<_>>()?, seed, workers, ipv6, hosts };
        let fleet = border::wait(py, || Fleet::start(&spec)).map_err(to_py)?;
        Ok(Self { fleet })
    }

    /// Stops it and joins its threads. Does nothing the second time, nor in a forked child.
    fn stop(&self, py: Python<'_>) {
        border::wait(py, || self.fleet.stop());
    }

    getters! {
        /// Whether it serves.
        running: bool = self.fleet.is_running();
        /// Host and port of each proxy.
        addresses: Vec<(String, u16)> = self.fleet.addresses().into_iter().map(pair).collect();
        /// The name of each proxy.
        names: Vec<String> = self.fleet.names();
        /// Host and port of the origin over HTTP.
        http: (String, u16) = pair(self.fleet.http());
        /// Host and port of the origin over HTTPS.
        https: (String, u16) = pair(self.fleet.https());
        /// The certificate of the fleet's authority.
        ca_pem: &str = self.fleet.ca_pem();
    }

    /// What a proxy has counted.
    fn counters<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyDict>> {
        counts(py, &self.fleet.counts(index).map_err(to_py)?)
    }

    /// What the origin has counted.
    fn origin_counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.fleet.origin_counts().map_err(to_py)?;
        let dict = PyDict::new(py);
        dict.set_item("connections", counts.connections)?;
        dict.set_item("active_connections", counts.active_connections)?;
        dict.set_item("tls_handshakes", counts.tls_handshakes)?;
        dict.set_item("requests", counts.requests)?;
        dict.set_item("direct", counts.direct)?;
        let by_proxy = PyDict::new(py);
        for (name, count) in self.fleet.names().into_iter().zip(counts.by_proxy) {
            by_proxy.set_item(name, count)?;
        }
        dict.set_item("by_proxy", by_proxy)?;
        let by_site = PyDict::new(py);
        for (site, count) in counts.by_site {
            by_site.set_item(site, count)?;
        }
        dict.set_item("by_site", by_site)?;
        Ok(dict)
    }

    /// Lets a proxy behave as this dictionary says; what is no behaviour in it is passed over.
    fn set_behaviour(&self, py: Python<'_>, index: usize, proxy: &Bound<'_, PyDict>) -> PyResult<()> {
        let behaviour = behaviour(proxy)?;
        border::wait(py, || self.fleet.set_behaviour(index, behaviour)).map_err(to_py)
    }
}

/// Raises what a fleet of this proxy would raise.
#[proxywhirl_macros::border]
#[pyfunction]
pub(super) fn check_fleet_proxy(proxy: &Bound<'_, PyDict>) -> PyResult<()> {
    proxy_spec(proxy)?.check().map_err(invalid)
}

fn pair(address: SocketAddr) -> (String, u16) {
    (address.ip().to_string(), address.port())
}

fn to_py(error: FleetError) -> PyErr {
    match error {
        FleetError::Spec(error) => invalid(error),
        FleetError::Io { .. } => PyOSError::new_err(error.to_string()),
        FleetError::NoSuchProxy { .. } => PyIndexError::new_err(error.to_string()),
        FleetError::Certificate(_) | FleetError::Stopped | FleetError::Forked => {
            PyRuntimeError::new_err(error.to_string())
        }
    }
}

fn invalid(error: SpecError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn counts<'py>(py: Python<'py>, counts: &ProxyCounts) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("connections", counts.connections)?;
    dict.set_item("active_connections", counts.active_connections)?;
    dict.set_item("requests", counts.requests)?;
    dict.set_item("tunnels", counts.tunnels)?;
    dict.set_item("socks_handshakes", counts.socks_handshakes)?;
    dict.set_item("auth_failures", counts.auth_failures)?;
    dict.set_item("blocked", counts.blocked)?;
    dict.set_item("bad_requests", counts.bad_requests)?;
    dict.set_item("bytes_up", counts.bytes_up)?;
    dict.set_item("bytes_down", counts.bytes_down)?;
    let faults = PyDict::new(py);
    for (name, count) in &counts.faults {
        faults.set_item(name, count)?;
    }
    dict.set_item("faults", faults)?;
    Ok(dict)
}

/// A field of a dictionary; `None` and absence are the same.
fn field<'py, T: FromPyObjectOwned<'py>>(dict: &Bound<'py, PyDict>, name: &str, expected: &str) -> PyResult<Option<T>> {
    match dict.get_item(name)? {
        Some(value) if !value.is_none() => extract(&value, name, expected).map(Some),
        _ => Ok(None),
    }
}

fn extract<'py, T: FromPyObjectOwned<'py>>(value: &Bound<'py, PyAny>, name: &str, expected: &str) -> PyResult<T> {
    value.extract().map_err(|error: T::Error| {
        let error: PyErr = error.into();
        let message = format!("{name}: expected {expected}");
        // A number that does not fit and a tuple of another length are wrong values of the right type.
        if error.is_instance_of::<PyOverflowError>(value.py()) || error.is_instance_of::<PyValueError>(value.py()) {
            PyValueError::new_err(message)
        } else {
            let kind = value.get_type().name().map(|name| name.to_string());
            PyTypeError::new_err(format!("{message}, not {}", kind.unwrap_or_default()))
        }
    })
}

fn proxy_spec(dict: &Bound<'_, PyDict>) -> PyResult<ProxySpec> {
    let scheme = field::<String>(dict, "scheme", "a string")?;
    let login = field::<(String, String)>(dict, "auth", "a user name and a password")?;
    let address = field::<String>(dict, "address", "an IP address and a port")?;
    Ok(ProxySpec {
        address: address
            .map(|text| text.parse().map_err(|_| PyValueError::new_err(format!("address: {text:?} is no IP:PORT"))))
            .transpose()?,
        name: field(dict, "name", "a string")?.unwrap_or_default(),
        scheme: match scheme {
            None => Scheme::Http,
            Some(name) => Scheme::parse(&name).ok_or_else(|| {
                PyValueError::new_err(format!(
                    "scheme: {name:?} is none of http, https, socks4, socks4a, socks5, socks5h"
                ))
            })?,
        },
        login: login.map(|(user, password)| Login { user, password }),
        behaviour: behaviour(dict)?,
    })
}

fn behaviour(dict: &Bound<'_, PyDict>) -> PyResult<Behaviour> {
    let perfect = Behaviour::default();
    let fail_with = fault(dict, "fail_with")?;
    let cut_after = field(dict, "cut_after", "a number of bytes, 0 or more")?;
    let fail_rate = field(dict, "fail_rate", "a number between 0 and 1")?;
    let fail_first = field(dict, "fail_first", "a number of requests, 0 or more")?;
    Ok(Behaviour {
        latency: latency(dict)?,
        fault: fault(dict, "fault")?,
        cut_after: cut_after.unwrap_or(perfect.cut_after),
        fail_with: fail_with.unwrap_or(perfect.fail_with),
        fail_rate: fail_rate.unwrap_or(perfect.fail_rate),
        fail_first: fail_first.unwrap_or(perfect.fail_first),
        flap: flap(dict)?,
        bans: bans(dict)?,
        rate_limit: rate_limit(dict)?,
    })
}

fn fault(dict: &Bound<'_, PyDict>, name: &'static str) -> PyResult<Option<Fault>> {
    let Some(text) = field::<String>(dict, name, "a string")? else {
        return Ok(None);
    };
    Fault::parse(&text).map(Some).ok_or_else(|| {
        PyValueError::new_err(format!(
            "{name}: {text:?} is none of refuse, hang, reset, cut, {}",
            Fault::STATUSES.map(|status| status.to_string()).join(", ")
        ))
    })
}

/// Its twin is `_latency` in `testing/_spec.py`: the kind, two numbers, a number of requests.
fn latency(dict: &Bound<'_, PyDict>) -> PyResult<Latency> {
    let expected = "milliseconds, (lo, hi), Drift or LogNormal";
    let Some((kind, a, b, requests)) = field::<(String, f64, f64, u64)>(dict, "latency", expected)? else {
        return Ok(Latency::None);
    };
    match kind.as_str() {
        "fixed" => Ok(Latency::Fixed(a)),
        "uniform" => Ok(Latency::Uniform { lo: a, hi: b }),
        "lognormal" => Ok(Latency::LogNormal { median: a, sigma: b }),
        "drift" => Ok(Latency::Drift { from: a, to: b, requests }),
        _ => Err(PyValueError::new_err(format!("latency: expected {expected}"))),
    }
}

fn flap(dict: &Bound<'_, PyDict>) -> PyResult<Option<Flap>> {
    let expected = "(up, down), whole numbers of 0 or more, or Flap";
    let Some((up, down, unit)) = field::<(u64, u64, String)>(dict, "flap", expected)? else {
        return Ok(None);
    };
    let unit = match unit.as_str() {
        "requests" => FlapUnit::Requests,
        "ms" => FlapUnit::Milliseconds,
        _ => {
            return Err(PyValueError::new_err(format!("flap: {unit:?} is neither requests nor ms")));
        }
    };
    Ok(Some(Flap { up, down, unit }))
}

fn bans(dict: &Bound<'_, PyDict>) -> PyResult<Bans> {
    let mut bans = Bans::default();
    let expected = "a number of requests, or one for each site";
    if let Some(value) = field::<Bound<'_, PyAny>>(dict, "ban_after", expected)? {
        if let Ok(sites) = value.cast::<PyDict>() {
            for (site, after) in sites.iter() {
                let site: String = extract(&site, "ban_after", expected)?;
                let after = extract(&after, "ban_after", expected)?;
                bans.sites.push((site.to_ascii_lowercase(), after));
            }
        } else {
            bans.everywhere = Some(extract(&value, "ban_after", expected)?);
        }
    }
    let lasts = field(dict, "ban_for", "seconds")?;
    bans.lasts = lasts.map(|lasts| seconds(lasts, "ban_for")).transpose()?;
    Ok(bans)
}

fn rate_limit(dict: &Bound<'_, PyDict>) -> PyResult<Option<RateLimit>> {
    let expected = "(requests, seconds)";
    let Some((requests, window)) = field::<(u64, f64)>(dict, "rate_limit", expected)? else {
        return Ok(None);
    };
    Ok(Some(RateLimit { requests, window: seconds(window, "rate_limit")? }))
}

fn seconds(seconds: f64, name: &str) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("{name}: {seconds} is no number of seconds, 0 or more")))
}
