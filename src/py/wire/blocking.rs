//! `Wire`: requests on the caller's thread, with the interpreter released while it waits.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyBytesMethods};

use super::answer::WireAnswer;
use super::bounds::bounds;
use super::failure::WireFailure;
use super::order::WireOrder;
use crate::drive::answer::Cost;
use crate::drive::blocking::{Abort, Pull, Reply, Wire};
use crate::py::{border, convert};
use crate::sync::Mutex;

/// What broke off a request from outside: a signal's exception, or that of the iterator that gives its body.
#[derive(Default)]
pub(super) struct Interruption(Mutex<Option<PyErr>>);

impl Interruption {
    fn keep(&self, error: PyErr) {
        // The first counts.
        let mut kept = self.0.lock();
        if kept.is_none() {
            *kept = Some(error);
        }
    }

    pub(super) fn take(&self) -> Option<PyErr> {
        self.0.lock().take()
    }
}

/// Whether a signal handler has raised something, as that of Ctrl-C does.
pub(super) fn interrupted(interruption: &Interruption) -> bool {
    match border::attach(|py| py.check_signals()) {
        Some(Ok(())) => false,
        Some(Err(error)) => {
            interruption.keep(error);
            true
        }
        // The interpreter ends.
        None => true,
    }
}

/// The connections of one transport, and what sends requests over them. May be shared by threads.
///
/// Args:
///     keepalive: Most idle connections per proxy, those of a session by themselves; `None` for no bound.
///     keepalive_seconds: How long an idle connection is kept; `None` for ever.
///     proxies: Most proxies with idle connections, once more for each session that has some of its own.
#[pyclass(name = "Wire", module = "proxywhirl._core", frozen, weakref)]
pub(crate) struct PyWire {
    core: Wire,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyWire {
    #[new]
    #[pyo3(signature = (*, keepalive, keepalive_seconds, proxies))]
    fn new(keepalive: Option<usize>, keepalive_seconds: Option<f64>, proxies: usize) -> Self {
        Self { core: Wire::new(bounds(keepalive, keepalive_seconds, proxies)) }
    }

    /// Send a request, and wait for the answer.
    ///
    /// Args:
    ///     order: The request.
    ///
    /// Returns:
    ///     A `WireAnswer` or a `WireFailure`.
    ///
    /// Raises:
    ///     Exception: What a signal handler, or the iterator that gives the body, has raised.
    fn send<'py>(&self, py: Python<'py>, order: &WireOrder) -> PyResult<Bound<'py, PyAny>> {
        let (parts, lease) = (order.parts.as_ref(), order.lease.as_ref());
        let order = match &order.order {
            Ok(order) => order,
            Err(error) => return Ok(Bound::new(py, WireFailure::new(py, error, None)?)?.into_any()),
        };
        let interruption = Interruption::default();
        let mut cost = Cost::default();
        let sent = border::wait(py, || {
            let mut pull = || next_part(parts, &interruption);
            let pull: Option<&mut Pull<'_>> = if parts.is_some() { Some(&mut pull) } else { None };
            self.core.send(order, pull, &mut || interrupted(&interruption), &mut cost)
        });
        if let Some(lease) = lease {
            lease.get().count(cost.sent, cost.received);
        }
        if let Some(error) = interruption.take() {
            return Err(error);
        }
        let answer = match sent {
            Ok(Reply::Whole(answer)) => WireAnswer::whole(py, answer),
            Ok(Reply::Stream(head, stream)) => {
                let lease = lease.map(|lease| lease.clone_ref(py));
                WireAnswer::streamed(head, stream, cost, (order.timeouts, order.deadline), lease)
            }
            Err(error) => {
                return Ok(Bound::new(py, WireFailure::new(py, &error, Some(&order.route))?)?.into_any());
            }
        };
        Ok(Bound::new(py, answer)?.into_any())
    }

    /// Close the connections to a proxy; one that a request is under way on, when it is done.
    ///
    /// Args:
    ///     key: The proxy's identifier; any other object closes nothing.
    fn evict(&self, key: &Bound<'_, PyAny>) {
        if let Some(id) = convert::id_of(key) {
            self.core.evict_proxy(id.as_u128());
        }
    }

    /// Close the connections of a session; one that a request is under way on, when it is done.
    fn release(&self, owner: u64) {
        self.core.evict_owner(owner);
    }

    /// Close all connections; those that requests are under way on, when they are done.
    fn close(&self) {
        self.core.evict_all();
    }

    /// How many connections are open, and how many of them are idle.
    fn counts(&self) -> (usize, usize) {
        let counts = self.core.counts();
        (counts.open, counts.idle)
    }
}

/// The next part of a request's body.
fn next_part(parts: Option<&Py<PyAny>>, interruption: &Interruption) -> Result<Option<Vec<u8>>, Abort> {
    let Some(parts) = parts else { return Ok(None) };
    let next = border::attach(|py| {
        let Some(part) = parts.bind(py).try_iter()?.next() else { return Ok(None) };
        let part = part?;
        Ok::<_, PyErr>(Some(part.cast::<PyBytes>()?.as_bytes().to_vec()))
    });
    match next {
        Some(Ok(part)) => Ok(part),
        Some(Err(error)) => {
            interruption.keep(error);
            Err(Abort)
        }
        None => Err(Abort),
    }
}
