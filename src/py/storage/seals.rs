//! What stands for the secrets of proxies in a file.

use pyo3::prelude::*;

use crate::py::border;
use crate::py::proxy::PyProxy;
use crate::storage::{Seals, Unsealed, binding, binding_of, protocol_said};
use crate::sync::Mutex;

use super::source::Members;

/// A secret text of a proxy that has to be encrypted before it is saved.
#[pyclass(module = "proxywhirl._core", frozen)]
pub(crate) struct UnsealedText(Unsealed);

#[proxywhirl_macros::border]
#[pymethods]
impl UnsealedText {
    getters! {
        /// The text.
        text: &str = &self.0.text;
        /// What it must be bound to.
        binding: String = self.0.binding();
    }
}

/// What stands for each secret of a proxy in a file; kept between saves, so that what has not changed is not sealed
/// again.
#[pyclass(module = "proxywhirl._core", frozen)]
#[derive(Default)]
pub(crate) struct SealedTexts(pub(super) Mutex<Seals>);

#[proxywhirl_macros::border]
#[pymethods]
impl SealedTexts {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// The secrets of a pool, or of a list of proxies, that have no seal yet. Those of proxies long gone are dropped.
    fn missing(&self, py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<Vec<UnsealedText>> {
        let members = Members::of(py, source)?;
        Ok(border::detach(py, || self.0.lock().missing(members.iter()).into_iter().map(UnsealedText).collect()))
    }

    /// Sets what stands for a secret.
    fn put(&self, secret: &Bound<'_, UnsealedText>, seal: String) {
        self.0.lock().put(secret.get().0.clone(), seal);
    }
}

/// What an encrypted text is bound to: a field of the record of a proxy.
///
/// Args:
///     field: The name of the field.
///     id: The proxy's id as the record has it, or whatever distinguishes records without one.
///     url: The address as the record has it.
///     protocol: The protocol, where the record has one beside the address.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (field, id, url, protocol=None))]
pub(crate) fn seal_binding(field: &str, id: &str, url: &str, protocol: Option<&str>) -> String {
    binding(field, id, url, protocol_said(url, protocol))
}

/// What an encrypted text of a proxy is bound to in the record that is written of it.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn proxy_seal_binding(field: &str, proxy: &Bound<'_, PyProxy>) -> String {
    binding_of(field, &proxy.get().core)
}
