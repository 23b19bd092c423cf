//! The short way in event loops.

use crate::py::once::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::ShortWay;
use crate::py::convert::Lazy;
use crate::py::wire::looped::LoopedWire;

static RUNNING_LOOP: Lazy = Lazy::new("asyncio", "_get_running_loop");

#[proxywhirl_macros::border]
#[pymethods]
impl ShortWay {
    /// Send a request in the running event loop.
    ///
    /// Args:
    ///     method: As that of `send`, as the rest.
    ///     url: See there.
    ///     given: See there.
    ///
    /// Returns:
    ///     What the loop has its connections in, a future that gets the response or a `HandedOver`, and the key of the request;
    ///     a `HandedOver`; or `None`, as from `send`.
    ///
    /// Raises:
    ///     Exception: As of `send`.
    fn submit<'py>(
        slf: &Bound<'py, Self>,
        method: &Bound<'py, PyAny>,
        url: &Bound<'py, PyAny>,
        given: &Bound<'py, PyDict>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let event_loop = RUNNING_LOOP.get(py)?.call0()?;
        let scopes = slf.get().settings.carrier.bind(py).getattr(intern!(py, "_scopes"))?;
        let Some(scope) = scopes.cast::<PyDict>()?.get_item(&event_loop)? else { return Ok(None) };
        let wire = scope.getattr(intern!(py, "wire"))?.cast_into::<LoopedWire>()?;
        if wire.get().is_closed() {
            return Ok(None);
        }
        let (begun, order) = match Self::begin(slf, method, url, given)? {
            Some(Ok(begun)) => begun,
            Some(Err(other)) => return Ok(Some(other.into_any())),
            None => return Ok(None),
        };
        let future = event_loop.call_method0(intern!(py, "create_future"))?;
        let key = LoopedWire::begin(&wire, order, future.clone().unbind(), begun)?;
        Ok(Some((scope, future, key).into_pyobject(py)?.into_any()))
    }
}
