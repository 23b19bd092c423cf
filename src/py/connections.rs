//! The limit of a transport on the connections in use through each proxy, held by the transport.

use pyo3::prelude::*;

use crate::py::pool::PyPool;
use crate::rotation::connections::ConnectionLimit;

/// A limit on the connections in use through each proxy of a pool, in force as long as it lives.
///
/// Args:
///     pool: The pool.
///     most: Connections, at least 1.
#[pyclass(module = "proxywhirl._core", frozen)]
pub(crate) struct ConnectionsLimit {
    _core: ConnectionLimit,
}

#[proxywhirl_macros::border]
#[pymethods]
impl ConnectionsLimit {
    #[new]
    fn new(pool: &Bound<'_, PyPool>, most: u32) -> Self {
        Self { _core: ConnectionLimit::new(&pool.get().core, most) }
    }
}
