//! `WireOrders`, `WireOrder`: what is to be sent, read from the lease and the request; the same for both drivers.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::py::once::intern;
use lru::LruCache;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyString};

use super::read::{Target, headers_of};
use super::tls::WireTls;
use crate::clock::{Clock, SystemClock};
use crate::drive::order::{Order, OrderBody};
use crate::net::address::Address;
use crate::net::tls::Verification;
use crate::proxy::Id;
use crate::py::convert;
use crate::py::errors;
use crate::py::lease::PyLease;
use crate::py::proxy::PyProxy;
use crate::sync::{Arc, Mutex};
use crate::wire::allowance::Timeouts;
use crate::wire::error::{Error, Kind, Stage};
use crate::wire::limits::Limits;
use crate::wire::request::{Headers, Request};
use crate::wire::route::{Origin, Proxy, Route, RouteOptions};
use crate::wire::tls::Profile;

/// Proxies that are known by their URL.
const KNOWN: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

/// Reads what is to be sent. Thread-safe.
#[pyclass(name = "WireOrders", module = "proxywhirl._core", frozen)]
pub(crate) struct WireOrders {
    known: Mutex<LruCache<u128, Known>>,
    /// For what has no TLS.
    plain: Arc<Profile>,
}

struct Known {
    url: Arc<str>,
    proxy: Arc<Proxy>,
}

/// What is to be sent, with the iterator that its body is pulled from.
#[pyclass(name = "WireOrder", module = "proxywhirl._core", frozen)]
pub(crate) struct WireOrder {
    /// An error where the request contradicts itself.
    pub(super) order: Result<Order, Error>,
    pub(super) parts: Option<Py<PyAny>>,
    /// Counts the bytes.
    pub(super) lease: Option<Py<PyLease>>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl WireOrder {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.parts)?;
        visit.call(&self.lease)
    }
}

#[proxywhirl_macros::border]
#[pymethods]
impl WireOrders {
    #[new]
    pub(crate) fn new() -> PyResult<Self> {
        let plain = Profile::new(&Verification::Nothing, None);
        let plain = plain.map_err(|_| PyValueError::new_err("TLS is not to be had"))?;
        Ok(Self { known: Mutex::new(LruCache::new(KNOWN)), plain: Arc::new(plain) })
    }

    /// Reads what is to be sent.
    ///
    /// Args:
    ///     lease: The lease; one without a proxy goes to the target itself.
    ///     proxy_url: Its proxy, credentials included; empty for none.
    ///     request: The request, of httpx or httpx2: its method, URL and headers are read.
    ///     secure: Whether the target wants TLS.
    ///     body: Bytes, or an iterator of bytes.
    ///     timeouts: Seconds for connecting, for a read and for a write; `None` for no bound.
    ///     time_left: Seconds for everything.
    ///     repeatable: Whether the request may reach the target twice.
    ///     whole: Whether the body of the answer is read.
    ///     most: Most bytes of that body, on the wire and unpacked.
    ///     owner: Number of the session that has its connections to itself.
    ///     authorization: A ready `Proxy-Authorization`, for an HTTP proxy without a login.
    ///     target_tls: Settings of TLS with the target, needed where it wants TLS.
    ///     proxy_tls: Settings of TLS with the proxy, likewise.
    ///
    /// Raises:
    ///     ValueError: The URL of the proxy cannot be read.
    #[pyo3(signature = (lease, proxy_url, request, secure, body, timeouts, *, time_left=None, repeatable=false, whole=true, most=None, owner=None, authorization=None, target_tls=None, proxy_tls=None))]
    #[allow(clippy::too_many_arguments)]
    fn order(
        &self,
        lease: &Bound<'_, PyAny>,
        proxy_url: &str,
        request: &Bound<'_, PyAny>,
        secure: bool,
        body: &Bound<'_, PyAny>,
        timeouts: (Option<f64>, Option<f64>, Option<f64>),
        time_left: Option<f64>,
        repeatable: bool,
        whole: bool,
        most: Option<u64>,
        owner: Option<u64>,
        authorization: Option<Vec<u8>>,
        target_tls: Option<&Bound<'_, WireTls>>,
        proxy_tls: Option<&Bound<'_, WireTls>>,
    ) -> PyResult<WireOrder> {
        let py = request.py();
        let method = request.getattr(intern!(py, "method"))?;
        let (body, parts) = body_of(body)?;
        let order = self.make(Wanted {
            proxy: self.proxy_of(lease, proxy_url)?,
            method: method.cast::<PyString>()?.to_str()?,
            target: Target::of(&request.getattr(intern!(py, "url"))?)?,
            secure,
            headers: headers_of(&request.getattr(intern!(py, "headers"))?)?,
            body,
            timeouts,
            time_left,
            repeatable,
            whole,
            most,
            owner,
            authorization: authorization.map(Vec::into_boxed_slice),
            target_tls: target_tls.map(Bound::get),
            proxy_tls: proxy_tls.map(Bound::get),
        });
        let lease = lease.cast::<PyLease>().ok().map(|lease| lease.clone().unbind());
        Ok(WireOrder { order, parts, lease })
    }
}

/// What is to be sent, as far as it comes from outside.
pub(super) struct Wanted<'a> {
    pub(super) proxy: Option<Arc<Proxy>>,
    pub(super) method: &'a str,
    pub(super) target: Target,
    pub(super) secure: bool,
    pub(super) headers: Headers,
    pub(super) body: OrderBody,
    pub(super) timeouts: (Option<f64>, Option<f64>, Option<f64>),
    pub(super) time_left: Option<f64>,
    pub(super) repeatable: bool,
    pub(super) whole: bool,
    pub(super) most: Option<u64>,
    pub(super) owner: Option<u64>,
    pub(super) authorization: Option<Box<[u8]>>,
    pub(super) target_tls: Option<&'a WireTls>,
    pub(super) proxy_tls: Option<&'a WireTls>,
}

impl WireOrders {
    /// The order; an error where the request contradicts itself.
    pub(super) fn make(&self, wanted: Wanted<'_>) -> Result<Order, Error> {
        let profile = |given: Option<&WireTls>| Arc::clone(given.map_or(&self.plain, |given| &given.profile));
        let Wanted { target, secure, .. } = wanted;
        let port = target.port.unwrap_or(if secure { 443 } else { 80 });
        let Ok(port) = u16::try_from(port) else {
            // A redirect may lead there.
            return Err(Error::new(Kind::LocalProtocol, Stage::Resolve, format!("there is no port {port}")));
        };
        let route = Route::new(RouteOptions {
            proxy: wanted.proxy,
            origin: Origin { tls: secure, host: target.host.into(), port },
            authorization: wanted.authorization,
            owner: wanted.owner,
            target_tls: profile(wanted.target_tls),
            proxy_tls: profile(wanted.proxy_tls),
            always_tunnel: false,
            by_origin: false,
        });
        let request = Request::new(wanted.method, target.path, wanted.headers)?;
        let most = wanted.most.unwrap_or(u64::MAX);
        let limits =
            if wanted.whole { Limits { body: most, decoded: most, ..Limits::default() } } else { Limits::streamed() };
        let (connect, read, write) = wanted.timeouts;
        let timeouts = Timeouts { connect: span(connect), read: span(read), write: span(write), pool: None };
        let deadline = span(wanted.time_left)
            .map(|left| SystemClock.steady().saturating_add(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)));
        Ok(Order {
            body: wanted.body,
            timeouts,
            deadline,
            limits,
            is_repeatable: wanted.repeatable,
            is_whole: wanted.whole,
            keeps_coded: true,
            ..Order::new(route, request)
        })
    }

    /// The proxy of a lease, read once for each of its URLs.
    pub(super) fn proxy_of(&self, lease: &Bound<'_, PyAny>, url: &str) -> PyResult<Option<Arc<Proxy>>> {
        if url.is_empty() {
            return Ok(None);
        }
        let id = match lease.cast::<PyLease>() {
            Ok(lease) => lease.get().core().proxy().id(),
            Err(_) => convert::id_of(&lease.getattr(intern!(lease.py(), "id"))?)
                .ok_or_else(|| PyTypeError::new_err("a lease must have an id"))?,
        };
        if let Some(known) = self.known.lock().get(&id.as_u128())
            && *known.url == *url
        {
            return Ok(Some(Arc::clone(&known.proxy)));
        }
        self.know(id, url.into(), must_be_public(lease)?).map(Some)
    }

    /// The proxy of a lease of the pool, and its URL with the credentials.
    pub(crate) fn leased(&self, lease: &PyLease) -> PyResult<(Arc<Proxy>, Arc<str>)> {
        let proxy = lease.core().proxy();
        if let Some(known) = self.known.lock().get(&proxy.id().as_u128())
            && proxy.is_client_url(&known.url)
        {
            return Ok((Arc::clone(&known.proxy), Arc::clone(&known.url)));
        }
        let url: Arc<str> = proxy.client_url().into();
        Ok((self.know(proxy.id(), Arc::clone(&url), proxy.must_be_public())?, url))
    }

    fn know(&self, id: Id, url: Arc<str>, public_only: bool) -> PyResult<Arc<Proxy>> {
        let address = Address::parse(&url).map_err(errors::address)?;
        let id = id.as_u128();
        let proxy = Arc::new(Proxy {
            id,
            protocol: address.protocol,
            port: address.effective_port(),
            host: address.host,
            credentials: address.credentials,
            public_only,
        });
        self.known.lock().put(id, Known { url, proxy: Arc::clone(&proxy) });
        Ok(proxy)
    }
}

/// Whether the proxy of a lease must not be in the user's own network.
///
/// Args:
///     lease: The lease; one without a proxy has none that others have named.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn must_be_public(lease: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Ok(lease) = lease.cast::<PyLease>() {
        return Ok(lease.get().core().proxy().must_be_public());
    }
    let proxy = lease.getattr_opt(intern!(lease.py(), "proxy"))?;
    Ok(proxy.is_some_and(|proxy| proxy.cast::<PyProxy>().is_ok_and(|proxy| proxy.get().core.must_be_public())))
}

pub(super) fn body_of(body: &Bound<'_, PyAny>) -> PyResult<(OrderBody, Option<Py<PyAny>>)> {
    let Ok(bytes) = body.cast::<PyBytes>() else { return Ok((OrderBody::Pulled, Some(body.clone().unbind()))) };
    if bytes.as_bytes().is_empty() {
        return Ok((OrderBody::Empty, None));
    }
    Ok((OrderBody::Bytes(Arc::new(PyBackedBytes::from(bytes.clone()))), None))
}

/// Seconds; a number that is none, or beyond all times, does not bound.
fn span(seconds: Option<f64>) -> Option<Duration> {
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
}
