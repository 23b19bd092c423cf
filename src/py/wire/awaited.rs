//! What a call of `LoopedWire` waits for, and the result that its future gets.

use crate::py::once::intern;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::answer::WireAnswer;
use super::failure::WireFailure;
use super::short::Begun;
use crate::drive::looped::Reply;
use crate::py::lease::PyLease;
use crate::wire::route::Route;

/// A call about a request, and what it waits for.
pub(super) struct Awaited {
    pub(super) future: Py<PyAny>,
    /// Of a request that was begun: for the login in what its proxy says.
    pub(super) route: Option<Route>,
    /// Likewise; counts the bytes.
    pub(super) lease: Option<Py<PyLease>>,
    /// Of one that came the short way: makes of the reply what the future gets.
    pub(super) begun: Option<Box<Begun>>,
}

impl Awaited {
    /// Sets a result, or the exception of one that cannot be made; a future that was cancelled meanwhile takes neither.
    pub(super) fn tell(self, py: Python<'_>, reply: Reply) -> PyResult<()> {
        let Self { future, route, begun, .. } = self;
        let future = future.bind(py);
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return begun.map_or(Ok(()), |begun| begun.end(py));
        }
        let result = match begun {
            None => result_of(py, route.as_ref(), reply),
            Some(begun) => finished(py, route.as_ref(), *begun, reply),
        };
        match result {
            Ok(result) => future.call_method1(intern!(py, "set_result"), (result,)),
            Err(error) => future.call_method1(intern!(py, "set_exception"), (error,)),
        }
        .map(drop)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.future)?;
        visit.call(&self.lease)?;
        self.begun.as_ref().map_or(Ok(()), |begun| begun.traverse(visit))
    }
}

fn result_of<'py>(py: Python<'py>, route: Option<&Route>, reply: Reply) -> PyResult<Bound<'py, PyAny>> {
    Ok(match reply {
        Reply::Answer(answer) => Bound::new(py, WireAnswer::looped(py, *answer))?.into_any(),
        Reply::WantsBody | Reply::End | Reply::Opened => py.None().into_bound(py),
        Reply::Piece(piece) => PyBytes::new(py, &piece).into_any(),
        Reply::Failed(error) => Bound::new(py, WireFailure::new(py, &error, route)?)?.into_any(),
    })
}

/// What a request that came the short way comes to.
fn finished<'py>(py: Python<'py>, route: Option<&Route>, begun: Begun, reply: Reply) -> PyResult<Bound<'py, PyAny>> {
    match reply {
        Reply::Answer(answer) => begun.finish(py, Ok(WireAnswer::looped(py, *answer))),
        Reply::Failed(error) => begun.finish(py, Err(WireFailure::new(py, &error, route)?)),
        // Its body was there, and its answer is read whole.
        Reply::WantsBody | Reply::End | Reply::Opened | Reply::Piece(_) => {
            Err(PyRuntimeError::new_err("a part came out of turn"))
        }
    }
}
