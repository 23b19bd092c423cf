//! `WireAnswer`: the head of an answer, with its body or the way to it.

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::blocking::{Interruption, interrupted};
use super::failure::WireFailure;
use crate::drive::answer::{Answer, Cost};
use crate::drive::looped;
use crate::drive::stream::Stream;
use crate::judge::status::may_ask_for_a_pause;
use crate::net::http1::ResponseHead;
use crate::py::border;
use crate::py::judge::headers::seconds_asked;
use crate::py::lease::PyLease;
use crate::sync::Mutex;
use crate::wire::allowance::Timeouts;

/// An answer. Thread-safe, but for its body, which one thread takes at a time.
#[pyclass(name = "WireAnswer", module = "proxywhirl._core", frozen)]
pub(crate) struct WireAnswer {
    head: ResponseHead,
    cost: Cost,
    /// The body as it came over the wire; `None` where it is still to come.
    #[pyo3(get)]
    pub(super) body: Option<Py<PyBytes>>,
    /// The body without its content coding; the same object as `body` where it has none.
    #[pyo3(get)]
    pub(super) content: Option<Py<PyBytes>>,
    rest: Mutex<Rest>,
    /// Counts the bytes that are still to come.
    lease: Option<Py<PyLease>>,
    timeouts: Timeouts,
    deadline: Option<u64>,
}

/// What is still to come.
enum Rest {
    Nothing,
    Body(Stream),
    /// A thread is taking a part.
    Lent,
}

#[proxywhirl_macros::border]
#[pymethods]
impl WireAnswer {
    getters! {
        /// The status.
        status: u16 = self.head.status;
        /// The reason, as it was received.
        reason: Bound<'py, PyBytes> = PyBytes::new(py, self.head.reason());
        /// The version, as httpx names it.
        http_version: Bound<'py, PyBytes> =
            self.version(py);
    }

    /// Names and values as they were received; another list each time.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for (name, value) in self.head.headers() {
            list.append((PyBytes::new(py, name), PyBytes::new(py, value)))?;
        }
        Ok(list)
    }

    getters! {
        /// Seconds for which it asks to be left alone, if its status can ask for that; `None` if it does not say.
        retry_after: PyResult<Option<f64>> =
            self.pause(py);
        /// Milliseconds from sending to the end of the head.
        head_ms: f64 = self.milliseconds();
        /// Milliseconds that opening a connection took; `None` where an idle one was used.
        dialled_ms: Option<f64> = self.cost.dialled.map(|time| time.as_secs_f64() * 1e3);
        /// Whether nothing more comes, and the connection was given back.
        closed: bool = matches!(&*self.rest.lock(), Rest::Nothing);
    }

    /// The next part of the body as it comes over the wire.
    ///
    /// Returns:
    ///     The part; `None` at the end; a `WireFailure`.
    ///
    /// Raises:
    ///     RuntimeError: Another thread is taking a part.
    fn next_part<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let lent = {
            let rest = &mut *self.rest.lock();
            if matches!(rest, Rest::Nothing) { Rest::Nothing } else { std::mem::replace(rest, Rest::Lent) }
        };
        let mut stream = match lent {
            Rest::Body(stream) => stream,
            Rest::Nothing => return Ok(None),
            Rest::Lent => return Err(PyRuntimeError::new_err("another thread is reading this body")),
        };
        let interruption = Interruption::default();
        let (timeouts, deadline) = (self.timeouts, self.deadline);
        let (part, mut stream) = border::wait(py, || {
            let part = stream.next(timeouts, deadline, &mut || interrupted(&interruption));
            (part, stream)
        });
        self.count(&mut stream);
        let left = if stream.is_ended() { Rest::Nothing } else { Rest::Body(stream) };
        let unwanted = {
            let rest = &mut *self.rest.lock();
            // Closed meanwhile, it stays closed.
            if matches!(rest, Rest::Nothing) { left } else { std::mem::replace(rest, left) }
        };
        self.give_up(unwanted);
        if let Some(error) = interruption.take() {
            return Err(error);
        }
        match part {
            Ok(part) => Ok(part.map(|part| PyBytes::new(py, &part).into_any())),
            Err(error) => Ok(Some(Bound::new(py, WireFailure::new(py, &error, None)?)?.into_any())),
        }
    }

    /// Give the connection back; a body that was not read to its end costs the connection.
    fn close(&self) {
        let rest = std::mem::replace(&mut *self.rest.lock(), Rest::Nothing);
        self.give_up(rest);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.lease)
    }

    fn __repr__(&self) -> String {
        format!("<answer {}>", self.head.status)
    }
}

impl WireAnswer {
    fn count(&self, stream: &mut Stream) {
        if let Some(lease) = &self.lease {
            let (sent, received) = stream.take_bytes();
            lease.get().count(sent, received);
        }
    }

    /// Closes what is still to come.
    fn give_up(&self, rest: Rest) {
        if let Rest::Body(mut stream) = rest {
            stream.close();
            self.count(&mut stream);
        }
    }

    /// The version, as httpx names it.
    pub(super) fn version<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, if self.head.is_http_1_0 { b"HTTP/1.0" } else { b"HTTP/1.1" })
    }

    /// Seconds for which it asks to be left alone, if its status can ask for that.
    pub(super) fn pause(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        if may_ask_for_a_pause(self.head.status) { seconds_asked(self.headers(py)?.as_any(), None) } else { Ok(None) }
    }

    /// Milliseconds from sending to the end of the head.
    pub(super) fn milliseconds(&self) -> f64 {
        self.cost.head.unwrap_or_default().as_secs_f64() * 1e3
    }

    pub(super) fn head(&self) -> &ResponseHead {
        &self.head
    }

    pub(super) fn whole(py: Python<'_>, answer: Answer) -> Self {
        let content = PyBytes::new(py, &answer.body.decoded).unbind();
        let body = match &answer.body.coded {
            Some(coded) => PyBytes::new(py, coded).unbind(),
            None => content.clone_ref(py),
        };
        Self {
            head: answer.head,
            cost: answer.cost,
            body: Some(body),
            content: Some(content),
            rest: Mutex::new(Rest::Nothing),
            lease: None,
            timeouts: Timeouts::default(),
            deadline: None,
        }
    }

    /// An answer of the driver of event loops, which has the rest of the body itself.
    pub(super) fn looped(py: Python<'_>, answer: looped::Answer) -> Self {
        let looped::Answer { head, body, cost } = answer;
        match body {
            Some(body) => Self::whole(py, Answer { head, body, cost }),
            None => Self {
                head,
                cost,
                body: None,
                content: None,
                rest: Mutex::new(Rest::Nothing),
                lease: None,
                timeouts: Timeouts::default(),
                deadline: None,
            },
        }
    }

    pub(super) fn streamed(
        head: ResponseHead,
        stream: Stream,
        cost: Cost,
        (timeouts, deadline): (Timeouts, Option<u64>),
        lease: Option<Py<PyLease>>,
    ) -> Self {
        let rest = Mutex::new(Rest::Body(stream));
        Self { head, cost, body: None, content: None, rest, lease, timeouts, deadline }
    }
}

impl Drop for WireAnswer {
    fn drop(&mut self) {
        let rest = std::mem::replace(&mut *self.rest.lock(), Rest::Nothing);
        self.give_up(rest);
    }
}
