//! Requests of sessions: headers and cookies that a session has, and its number, by which its connections are its own.

use crate::py::once::intern;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::py::chooser::wishes::PyWishes;
use crate::py::lease::PyLease;
use crate::py::wire::asked::Asked;
use crate::py::wire::read::headers_of;
use crate::wire::request::Headers;

/// Where the belongings of sessions are.
pub(super) struct Sessions {
    /// By the id of a session.
    pub(super) identities: Py<PyAny>,
    /// Numbers the owners of connections.
    pub(super) owner_of: Py<PyAny>,
}

/// The session of one request.
pub(super) struct Session<'py> {
    wishes: Bound<'py, PyWishes>,
    owner_of: Bound<'py, PyAny>,
}

impl Sessions {
    /// The session of a request, if it has one; its headers are then those of the request where that has none of the same
    /// name.
    pub(super) fn of<'py>(
        &self,
        wishes: &Bound<'py, PyWishes>,
        asked: &mut Asked<'py>,
    ) -> PyResult<Option<Session<'py>>> {
        let py = wishes.py();
        let Some(session_id) = wishes.get().session_of(py)? else { return Ok(None) };
        let identity = self.identities.bind(py).call_method1(intern!(py, "of"), (session_id,))?;
        wishes.setattr(intern!(py, "cookies"), &identity)?;
        let headers = identity.getattr(intern!(py, "headers"))?;
        if !headers.is_empty()? {
            let headers = headers.call_method0(intern!(py, "copy"))?;
            headers.call_method1(intern!(py, "update"), (asked.headers.take(),))?;
            asked.headers = Some(headers.getattr(intern!(py, "raw"))?);
        }
        Ok(Some(Session { wishes: wishes.clone(), owner_of: self.owner_of.bind(py).clone() }))
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.identities)?;
        visit.call(&self.owner_of)
    }
}

impl Session<'_> {
    /// Puts the cookies of the session on a request that goes through a lease; all its headers, and the number of the session.
    pub(super) fn wear(&self, request: &Py<PyAny>, lease: &Bound<'_, PyLease>) -> PyResult<(Headers, u64)> {
        let py = lease.py();
        let request = request.bind(py);
        self.wishes.call_method1(intern!(py, "wear"), (request, lease.get().proxy_id(py)?))?;
        let owner = self.wishes.call_method0(intern!(py, "owner"))?;
        let owner = self.owner_of.call1((owner,))?.extract()?;
        Ok((headers_of(&request.getattr(intern!(py, "headers"))?)?, owner))
    }
}
