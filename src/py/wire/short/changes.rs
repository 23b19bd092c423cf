//! `Changes`: how often the settings of a transport were changed, so that a request need not read them anew.

use std::sync::atomic::Ordering;

use pyo3::prelude::*;

use crate::sync::AtomicU64;

/// Counts the changes of settings. Thread-safe.
#[pyclass(name = "Changes", module = "proxywhirl._core", frozen)]
pub(crate) struct Changes(AtomicU64);

#[proxywhirl_macros::border]
#[pymethods]
impl Changes {
    #[new]
    fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// A setting was changed.
    fn note(&self) {
        // Pairs with the load: what sees the count sees the setting.
        self.0.fetch_add(1, Ordering::Release);
    }
}

impl Changes {
    /// To be read before the settings are.
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}
