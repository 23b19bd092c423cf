//! `LoopedWire`: requests on the thread of an event loop, each with a future of the loop's.

use std::io;

use crate::py::once::intern;
use ahash::AHashMap;
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::awaited::Awaited;
use super::bounds::bounds;
use super::order::WireOrder;
use super::short::Begun;
use super::watching;
use crate::clock::{Clock, SystemClock};
use crate::drive::looped::{Key, Reactor, Reply};
use crate::drive::order::Order;
use crate::py::convert;
use crate::py::lease::PyLease;
use crate::sync::Mutex;
use crate::wire::error::Error;

/// The connections of one transport in one event loop, and what sends requests over them. To be used by the loop's thread.
///
/// The caller has the loop watch `fileno()` for reading, with `turn` as the callback; or calls `watch()`, where it cannot.
///
/// Args:
///     loop: The event loop.
///     keepalive: Most idle connections per proxy, those of a session by themselves; `None` for no bound.
///     keepalive_seconds: How long an idle connection is kept; `None` for ever.
///     proxies: Most proxies with idle connections, once more for each session that has some of its own.
///
/// Raises:
///     OSError: The system has no descriptors left.
#[pyclass(name = "LoopedWire", module = "proxywhirl._core", frozen, weakref)]
pub(crate) struct LoopedWire {
    event_loop: Py<PyAny>,
    state: Mutex<State>,
}

struct State {
    /// `None` once it is shut.
    reactor: Option<Reactor>,
    awaited: AHashMap<Key, Awaited>,
    /// Of requests that go on after a reply.
    leases: AHashMap<Key, Py<PyLease>>,
    /// When the loop's timer rings, and the timer.
    alarm: Option<(u64, Py<PyAny>)>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl LoopedWire {
    #[new]
    #[pyo3(signature = (r#loop, *, keepalive, keepalive_seconds, proxies))]
    fn new(
        r#loop: Py<PyAny>,
        keepalive: Option<usize>,
        keepalive_seconds: Option<f64>,
        proxies: usize,
    ) -> PyResult<Self> {
        let reactor = Reactor::new(bounds(keepalive, keepalive_seconds, proxies));
        let state = State {
            reactor: Some(reactor.map_err(os_error)?),
            awaited: AHashMap::new(),
            leases: AHashMap::new(),
            alarm: None,
        };
        Ok(Self { event_loop: r#loop, state: Mutex::new(state) })
    }

    /// The descriptor that is readable when `turn` has something to do; `None` where the system or `watch` has another way.
    ///
    /// Raises:
    ///     RuntimeError: It is shut.
    fn fileno(&self) -> PyResult<Option<i32>> {
        let state = self.state.lock();
        let reactor = state.reactor.as_ref().ok_or_else(is_shut)?;
        #[cfg(unix)]
        return Ok(reactor.descriptor());
        #[cfg(not(unix))]
        return Ok(Some(reactor).and(None));
    }

    /// Have a thread watch the connections, and the loop call `turn` when there is something to do: one `call_soon_threadsafe`
    /// for all that has come. The thread ends when this is shut, collected, or its loop closed.
    ///
    /// Raises:
    ///     RuntimeError: It is shut.
    ///     OSError: The system has no descriptors or threads left.
    fn watch(slf: &Bound<'_, Self>) -> PyResult<()> {
        let watcher = {
            let state = &mut *slf.get().state.lock();
            state.reactor.as_mut().ok_or_else(is_shut)?.watch_apart().map_err(os_error)?
        };
        watcher.map_or(Ok(()), |watcher| watching::start(slf, watcher))
    }

    /// Send a request.
    ///
    /// Args:
    ///     order: The request.
    ///     future: Gets a `WireAnswer`, a `WireFailure`, or `None` where the next part of the request's body is wanted.
    ///
    /// Returns:
    ///     The key of the request, for the other methods.
    ///
    /// Raises:
    ///     RuntimeError: It is shut.
    fn send(slf: &Bound<'_, Self>, order: &WireOrder, future: Py<PyAny>) -> PyResult<u64> {
        let lease = order.lease.as_ref().map(|lease| lease.clone_ref(slf.py()));
        Self::enter(slf, order.order.clone(), Awaited { future, route: None, lease, begun: None })
    }

    /// Give the next part of a request's body.
    ///
    /// Args:
    ///     key: The request.
    ///     part: The part, of any length; `None` after the last.
    ///     future: As that of `send`.
    ///
    /// Raises:
    ///     RuntimeError: It is shut, the request is over, or another call about it is under way.
    fn give(slf: &Bound<'_, Self>, key: u64, part: Option<&Bound<'_, PyBytes>>, future: Py<PyAny>) -> PyResult<()> {
        let part = part.map(|part| part.as_bytes());
        Self::call(slf, key, future, |reactor, key| reactor.give(key, part))
    }

    /// Ask for the next part of an answer's body.
    ///
    /// Args:
    ///     key: The request.
    ///     future: Gets the part as bytes, `None` at the end, or a `WireFailure`.
    ///
    /// Raises:
    ///     RuntimeError: It is shut, the request is over, or another call about it is under way.
    fn pull(slf: &Bound<'_, Self>, key: u64, future: Py<PyAny>) -> PyResult<()> {
        Self::call(slf, key, future, Reactor::pull)
    }

    /// End a request; its connection is closed, unless the answer was read to its end. What is awaited of it never comes.
    /// Does nothing if it is over.
    fn cancel(slf: &Bound<'_, Self>, key: u64) -> PyResult<()> {
        let key = Key::from_bits(key);
        let dropped = {
            let state = &mut *slf.get().state.lock();
            let Some(reactor) = state.reactor.as_mut().filter(|reactor| reactor.is_open(key)) else { return Ok(()) };
            let moved = reactor.cancel(key);
            (moved, state.awaited.remove(&key), state.leases.remove(&key))
        };
        let (moved, awaited, lease) = dropped;
        let (waiting, begun) = awaited.map_or((None, None), |awaited| (awaited.lease, awaited.begun));
        if let Some(lease) = lease.or(waiting) {
            lease.get().count(moved.sent, moved.received);
        }
        let ended = begun.map_or(Ok(()), |begun| begun.end(slf.py()));
        Self::settle(slf).and(ended)
    }

    /// Do what can be done now, and set the results of what has come.
    ///
    /// Raises:
    ///     OSError: The system does not say what is ready.
    fn turn(slf: &Bound<'_, Self>) -> PyResult<()> {
        {
            let state = &mut *slf.get().state.lock();
            let Some(reactor) = &mut state.reactor else { return Ok(()) };
            reactor.turn().map_err(os_error)?;
        }
        Self::settle(slf)
    }

    /// Close the connections to a proxy; one that a request is under way on, when it is done.
    ///
    /// Args:
    ///     key: The proxy's identifier; any other object closes nothing.
    fn evict(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(id) = convert::id_of(key) else { return Ok(()) };
        Self::change(slf, |reactor| reactor.evict(|those| those.proxy(id.as_u128())))
    }

    /// Close the connections of a session; one that a request is under way on, when it is done.
    fn release(slf: &Bound<'_, Self>, owner: u64) -> PyResult<()> {
        Self::change(slf, |reactor| reactor.evict(|those| those.owner(owner)))
    }

    /// Close all connections; those that requests are under way on, when they are done.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::change(slf, |reactor| reactor.evict(|those| those.all()))
    }

    /// Close everything at once, requests under way included: what is awaited of them never comes.
    pub(super) fn shut(&self, py: Python<'_>) -> PyResult<()> {
        match self.empty() {
            Some(timer) => timer.call_method0(py, intern!(py, "cancel")).map(drop),
            None => Ok(()),
        }
    }

    /// Whether it was shut.
    #[getter]
    fn is_shut(&self) -> bool {
        self.is_closed()
    }

    /// How many connections are open, and how many of them are idle.
    fn counts(&self) -> (usize, usize) {
        let counts = self.state.lock().reactor.as_ref().map(Reactor::counts).unwrap_or_default();
        (counts.open, counts.idle)
    }

    /// The loop's timer has rung.
    fn _ring(slf: &Bound<'_, Self>) -> PyResult<()> {
        let rung = slf.get().state.lock().alarm.take();
        drop(rung);
        Self::turn(slf)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        let state = self.state.lock();
        if let Some((_, timer)) = &state.alarm {
            visit.call(timer)?;
        }
        state.leases.values().try_for_each(|lease| visit.call(lease))?;
        state.awaited.values().try_for_each(|awaited| awaited.traverse(&visit))
    }

    /// A timer of uvloop does not let go of its callback, so the cycle through it ends here.
    fn __clear__(&self) {
        drop(self.empty());
    }
}

impl LoopedWire {
    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().reactor.is_none()
    }

    /// Has the loop call `turn`; from any thread.
    pub(super) fn call_turn_soon(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let turn = slf.getattr(intern!(py, "turn"))?;
        slf.get().event_loop.call_method1(py, intern!(py, "call_soon_threadsafe"), (turn,)).map(drop)
    }

    pub(super) fn loop_is_closed(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        slf.get().event_loop.bind(py).call_method0(intern!(py, "is_closed"))?.is_truthy()
    }

    /// Sends a request that came the short way; its key.
    pub(super) fn begin(
        slf: &Bound<'_, Self>,
        order: Result<Order, Error>,
        future: Py<PyAny>,
        begun: Box<Begun>,
    ) -> PyResult<u64> {
        let lease = begun.lease(slf.py());
        Self::enter(slf, order, Awaited { future, route: None, lease, begun: Some(begun) })
    }

    fn enter(slf: &Bound<'_, Self>, order: Result<Order, Error>, mut awaited: Awaited) -> PyResult<u64> {
        let py = slf.py();
        let order = match order {
            Ok(order) => order,
            Err(error) => {
                awaited.tell(py, Reply::Failed(error))?;
                return Ok(0);
            }
        };
        awaited.route = Some(order.route.clone());
        let key = {
            let state = &mut *slf.get().state.lock();
            let Some(reactor) = &mut state.reactor else { return Err(is_shut()) };
            let key = reactor.send(order);
            state.awaited.insert(key, awaited);
            key
        };
        Self::settle(slf)?;
        Ok(key.to_bits())
    }

    /// Closes everything; the timer that was set.
    fn empty(&self) -> Option<Py<PyAny>> {
        let (reactor, mut awaited, mut leases, alarm) = {
            let state = &mut *self.state.lock();
            let (awaited, leases) = (std::mem::take(&mut state.awaited), std::mem::take(&mut state.leases));
            (state.reactor.take(), awaited, leases, state.alarm.take())
        };
        if let Some(mut reactor) = reactor {
            leases.extend(awaited.iter_mut().filter_map(|(key, awaited)| Some((*key, awaited.lease.take()?))));
            for (key, lease) in &leases {
                let moved = reactor.cancel(*key);
                lease.get().count(moved.sent, moved.received);
            }
        }
        drop(awaited);
        alarm.map(|(_, timer)| timer)
    }

    /// A call about a request that is open.
    fn call(slf: &Bound<'_, Self>, key: u64, future: Py<PyAny>, call: impl FnOnce(&mut Reactor, Key)) -> PyResult<()> {
        let key = Key::from_bits(key);
        {
            let state = &mut *slf.get().state.lock();
            let Some(reactor) = &mut state.reactor else { return Err(is_shut()) };
            if !reactor.is_open(key) {
                return Err(PyRuntimeError::new_err("the request is over"));
            }
            if state.awaited.contains_key(&key) {
                // Its future would never be done.
                return Err(PyRuntimeError::new_err("another call about the request is under way"));
            }
            call(reactor, key);
            state.awaited.insert(key, Awaited { future, route: None, lease: None, begun: None });
        }
        Self::settle(slf)
    }

    fn change(slf: &Bound<'_, Self>, change: impl FnOnce(&mut Reactor)) -> PyResult<()> {
        if let Some(reactor) = &mut slf.get().state.lock().reactor {
            change(reactor);
        }
        Self::settle(slf)
    }

    /// Sets the results of what has come, and the timer. No lock is held while Python is called.
    fn settle(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let (replies, alarm) = {
            let state = &mut *slf.get().state.lock();
            let Some(reactor) = &mut state.reactor else { return Ok(()) };
            let (all, leases) = (&mut state.awaited, &mut state.leases);
            let replies: Vec<_> = reactor
                .replies()
                .into_iter()
                .filter_map(|(key, reply, moved)| {
                    let mut awaited = all.remove(&key)?;
                    awaited.lease = awaited.lease.or_else(|| leases.remove(&key));
                    if let Some(lease) = awaited.lease.as_ref().filter(|_| reactor.is_open(key)) {
                        leases.insert(key, lease.clone_ref(py));
                    }
                    Some((awaited, reply, moved))
                })
                .collect();
            let next = reactor.next_alarm();
            let is_sooner = |next: &u64| state.alarm.as_ref().is_none_or(|(set, _)| next < set);
            (replies, next.filter(is_sooner))
        };
        let mut first = None;
        for (awaited, reply, moved) in replies {
            if let Some(lease) = &awaited.lease {
                lease.get().count(moved.sent, moved.received);
            }
            if let Err(error) = awaited.tell(py, reply) {
                // The other replies are handed out all the same.
                first.get_or_insert(error);
            }
        }
        if let Some(at) = alarm {
            Self::set_alarm(slf, at)?;
        }
        first.map_or(Ok(()), Err)
    }

    fn set_alarm(slf: &Bound<'_, Self>, at: u64) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        // Rounded up, as some loops round to milliseconds: a timer that is early finds nothing to do, and is set again.
        let delay = at.saturating_sub(SystemClock.steady()).div_ceil(1_000_000) as f64 / 1e3;
        let ring = slf.getattr(intern!(py, "_ring"))?;
        let timer = this.event_loop.call_method1(py, intern!(py, "call_later"), (delay, ring))?;
        let before = this.state.lock().alarm.replace((at, timer));
        match before {
            Some((_, timer)) => timer.call_method0(py, intern!(py, "cancel")).map(drop),
            None => Ok(()),
        }
    }
}

pub(super) fn os_error(error: io::Error) -> PyErr {
    PyOSError::new_err((error.raw_os_error(), error.to_string()))
}

fn is_shut() -> PyErr {
    PyRuntimeError::new_err("the connections of this event loop are closed")
}
