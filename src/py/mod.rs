//! The Python face of the crate: conversion and documentation, no decisions.

use pyo3::prelude::*;

/// The native half of `proxywhirl`.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
