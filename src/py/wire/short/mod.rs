//! `ShortWay`: a request of which nothing special is asked, in one call: what the drivers of `proxywhirl.transport` do in
//! many, with the same parts of the core.
//!
//! A request goes another way for one of two reasons. Before anything is done: what is asked, or a setting of the rotator, is
//! for the layers above to see to ([`settings`]); then the caller is told `None`. Once it is under way: the answer is not
//! simply to be handed on, or there is none ([`begun`]); then the caller gets a [`HandedOver`], and goes on from there. No rule
//! is decided here.

mod begun;
pub(crate) mod changes;
mod classes;
pub(crate) mod handed_over;
mod sessions;
mod settings;
mod submit;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

pub(super) use self::begun::Begun;
use self::handed_over::HandedOver;
use self::sessions::Sessions;
use self::settings::{Settings, Upkeep};
use super::asked::{Asked, Composed};
use super::blocking::PyWire;
use super::objects::HttpObjects;
use super::order::{Wanted, WireOrders, body_of};
use super::read::headers_in;
use super::tls::WireTls;
use crate::clock::{Clock, SystemClock};
use crate::drive::order::Order;
use crate::py::chooser::acquirer::PyAcquirer;
use crate::py::log::Level;
use crate::py::once::{Once, intern};
use crate::py::rotation::PyRotation;
use crate::wire::error::Error;

static HTTPX: Level = Level::new("httpx", 20);
static HTTPX2: Level = Level::new("httpx2", 20);

/// Sends requests of a rotator, as long as nothing special is asked of them. Thread-safe.
///
/// Args:
///     client: The client of the rotator.
///     objects: Fills the objects of its package.
///     package: The name of that.
///     transport: The transport of the client.
///     orders: Reads what is to be sent.
///     wire: Sends on the caller's thread; `None` in event loops.
///     tls: The certificates that are accepted.
///     identities: What sessions own, by their ids.
///     owner_of: Numbers the owners of connections.
///     upkeep: What is looked after before requests: what keeps the proxies, what reads lists, what logs in.
///     engine: The module that knows of mocks.
///     reasons: The reason phrases of the standard by status.
///     most_body: Most bytes of a body where nothing is said.
#[pyclass(name = "ShortWay", module = "proxywhirl._core", frozen)]
pub(crate) struct ShortWay {
    client: Py<PyAny>,
    objects: Py<HttpObjects>,
    package: &'static Level,
    settings: Settings,
    sessions: Sessions,
    orders: Py<WireOrders>,
    wire: Option<Py<PyWire>>,
    tls: Py<PyAny>,
    target_tls: Once<Py<WireTls>>,
    proxy_tls: Once<Py<WireTls>>,
    reasons: Py<PyDict>,
    most_body: f64,
}

/// How a request has begun: to be sent; or its first step is another.
type Start<'py> = Result<(Box<Begun>, Result<Order, Error>), Bound<'py, HandedOver>>;

#[proxywhirl_macros::border]
#[pymethods]
impl ShortWay {
    #[new]
    #[pyo3(signature = (*, client, objects, package, transport, orders, wire, tls, identities, owner_of, upkeep, engine, reasons, most_body))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        client: Py<PyAny>,
        objects: Py<HttpObjects>,
        package: &str,
        transport: &Bound<'_, PyAny>,
        orders: Py<WireOrders>,
        wire: Option<Py<PyWire>>,
        tls: Py<PyAny>,
        identities: Py<PyAny>,
        owner_of: Py<PyAny>,
        upkeep: (Py<PyAny>, Py<PyAny>, Py<PyAny>),
        engine: Py<PyAny>,
        reasons: Py<PyDict>,
        most_body: f64,
    ) -> PyResult<Self> {
        let (keeping, lists, limits) = upkeep;
        let upkeep = Upkeep { keeping, lists, limits };
        let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?.unbind();
        let settings = Settings::new(client.bind(py), transport, upkeep, engine, modules)?;
        let package = if package == "httpx" { &HTTPX } else { &HTTPX2 };
        let (target_tls, proxy_tls) = (Once::new(), Once::new());
        let sessions = Sessions { identities, owner_of };
        Ok(Self {
            client,
            objects,
            package,
            settings,
            sessions,
            orders,
            wire,
            tls,
            target_tls,
            proxy_tls,
            reasons,
            most_body,
        })
    }

    /// Send a request on the caller's thread.
    ///
    /// Args:
    ///     method: The method.
    ///     url: The target.
    ///     given: What else is said of the request, by keyword.
    ///
    /// Returns:
    ///     The response; a `HandedOver`; or `None` if nothing was done, and the request has to go another way.
    ///
    /// Raises:
    ///     Exception: What a strategy, a limiter or a signal handler has raised.
    fn send<'py>(
        slf: &Bound<'py, Self>,
        method: &Bound<'py, PyAny>,
        url: &Bound<'py, PyAny>,
        given: &Bound<'py, PyDict>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let Some(wire) = &slf.get().wire else { return Ok(None) };
        let (begun, order) = match Self::begin(slf, method, url, given)? {
            Some(Ok(begun)) => begun,
            Some(Err(other)) => return Ok(Some(other.into_any())),
            None => return Ok(None),
        };
        match wire.get().exchange(py, order.as_ref(), None, begun.lease.as_ref()) {
            Ok(reply) => begun.finish(py, reply).map(Some),
            Err(error) => {
                begun.end(py)?;
                Err(error)
            }
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.client)?;
        visit.call(&self.objects)?;
        self.settings.traverse(&visit)?;
        self.sessions.traverse(&visit)?;
        visit.call(&self.orders)?;
        visit.call(&self.wire)?;
        visit.call(&self.tls)?;
        visit.call(&self.reasons)
    }
}

impl ShortWay {
    /// Makes the request, takes a proxy for it, and reads what is to be sent; `None` if nothing was done.
    fn begin<'py>(
        slf: &Bound<'py, Self>,
        method: &Bound<'py, PyAny>,
        url: &Bound<'py, PyAny>,
        given: &Bound<'py, PyDict>,
    ) -> PyResult<Option<Start<'py>>> {
        let (py, this) = (slf.py(), slf.get());
        let began = SystemClock.steady();
        let client = this.client.bind(py);
        let Some(now) = this.settings.now(py, client)? else { return Ok(None) };
        let Some(mut asked) = Asked::of(given, true)? else { return Ok(None) };
        let time_left = now.policy.get().core.timeout;
        let wishes = asked.select(py, time_left)?;
        let session = match &wishes {
            Some(wishes) => this.sessions.of(wishes, &mut asked)?,
            None => None,
        };
        let Some(composed) = this.objects.get().compose(client, method, url, asked)? else { return Ok(None) };
        let headers = headers_in(&composed.headers)?;
        if headers.values("proxy-authorization").next().is_some() {
            // The user's own is for a proxy, and never for a site.
            return Ok(None);
        }
        let Composed { request, method, url, is_secure, target, content, timeouts, .. } = composed;
        let name = method.clone().into_any().unbind();
        let (text, phases) = (url.clone().into_any().unbind(), timeouts.clone().unbind());
        let chooser = now.chooser.clone().unbind();
        let taking = PyAcquirer::new(
            py,
            chooser,
            Some(text),
            wishes.map(Bound::unbind),
            Some(name),
            true,
            None,
            Some(phases),
            time_left,
        )?;
        let taking = Bound::new(py, taking)?;
        let patience = seconds(&timeouts, intern!(py, "pool"))?;
        let take = taking.clone().into_any().unbind();
        let rotation = PyRotation::plain(now.policy.get(), take, &method, &url, now.raise_on_ban, patience)?;
        let rotation = Bound::new(py, rotation)?;
        let (step, lease) = rotation.borrow_mut().begin(py)?;
        let mut begun = Box::new(Begun {
            way: slf.clone().unbind(),
            request: request.unbind(),
            rotation: rotation.clone().unbind(),
            lease,
            taking: taking.unbind(),
            policy: now.given_policy.unbind(),
            judge: now.judge.unbind(),
            keeps_cookies: session.is_some(),
            proxy_url: None,
            is_tunnel: false,
            began,
        });
        let Some(lease) = &begun.lease else {
            return Ok(Some(Err(Bound::new(py, begun.handed_over(step.unbind(), None))?)));
        };
        let lease = lease.bind(py);
        let (headers, owner) = match &session {
            Some(session) => session.wear(&begun.request, lease).map(|(headers, owner)| (headers, Some(owner)))?,
            None => (headers, None),
        };
        let (proxy, proxy_url) = this.orders.get().leased(lease.get())?;
        let most = now.max_body.unwrap_or(this.most_body);
        let order = this.orders.get().make(Wanted {
            proxy: Some(proxy),
            method: method.to_str()?,
            target,
            secure: is_secure,
            headers,
            body: body_of(content.as_any())?.0,
            timeouts: (
                seconds(&timeouts, intern!(py, "connect"))?,
                seconds(&timeouts, intern!(py, "read"))?,
                seconds(&timeouts, intern!(py, "write"))?,
            ),
            time_left: rotation.borrow().time_left(),
            repeatable: rotation.borrow().repeats(),
            whole: true,
            most: (most < 2_f64.powi(63)).then_some(most as u64),
            owner,
            authorization: None,
            target_tls: if is_secure {
                Some(this.tls(py, &this.target_tls, intern!(py, "native_target"))?)
            } else {
                None
            },
            proxy_tls: if proxy_url.starts_with("https:") {
                Some(this.tls(py, &this.proxy_tls, intern!(py, "native_proxy"))?)
            } else {
                None
            },
        });
        begun.is_tunnel = is_secure || !proxy_url.starts_with("http");
        begun.proxy_url = Some(proxy_url);
        Ok(Some(Ok((begun, order))))
    }

    /// The certificates that are accepted; they do not change.
    fn tls<'a>(
        &'a self,
        py: Python<'_>,
        kept: &'a Once<Py<WireTls>>,
        name: &Bound<'_, PyString>,
    ) -> PyResult<&'a WireTls> {
        let made = || Ok::<_, PyErr>(self.tls.call_method0(py, name)?.cast_bound::<WireTls>(py)?.clone().unbind());
        Ok(kept.get_or_make(py, made)?.get())
    }

    /// Whether a reason phrase may say something: nearly all are those of the standard, or empty.
    fn says_something(&self, py: Python<'_>, status: u16, reason: &[u8]) -> PyResult<bool> {
        if reason.is_empty() {
            return Ok(false);
        }
        let known = self.reasons.bind(py).get_item(status)?;
        Ok(!known.is_some_and(|known| known.cast::<PyBytes>().is_ok_and(|known| known.as_bytes() == reason)))
    }
}

/// Seconds of a phase.
fn seconds(timeouts: &Bound<'_, PyAny>, phase: &Bound<'_, PyString>) -> PyResult<Option<f64>> {
    let found = timeouts.cast::<PyDict>()?.get_item(phase)?;
    found.filter(|found| !found.is_none()).map(|found| found.extract()).transpose()
}

/// Whether a list is empty.
fn is_empty(list: &Bound<'_, PyAny>) -> PyResult<bool> {
    match list.cast_exact::<PyList>() {
        Ok(list) => Ok(list.is_empty()),
        Err(_) => list.is_empty(),
    }
}
