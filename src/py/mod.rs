//! The Python face of the crate: conversion and documentation, no decisions.

#[cfg(feature = "fleet")]
mod fleet;

use pyo3::prelude::*;

/// The native half of `proxywhirl`.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[cfg(feature = "fleet")]
    #[pymodule_export]
    use super::fleet::{PyFleet, check_fleet_proxy};
}
