//! The thread that wakes an event loop which cannot watch a descriptor.

use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

use super::looped::{LoopedWire, os_error};
use crate::drive::looped::{Found, Watcher};
use crate::py::border;

/// Between two looks whether a loop is closed of which nothing comes.
const LOOK: Duration = Duration::from_secs(1);

/// Has the loop of a wire call its `turn` when there is something to do: by one `call_soon_threadsafe`, however much comes
/// until that call. The thread ends with the wire, and with the loop.
pub(super) fn start(wire: &Bound<'_, LoopedWire>, mut watcher: Watcher) -> PyResult<()> {
    let weak = PyWeakrefReference::new(wire)?.unbind();
    let watch = move || {
        loop {
            let goes_on = match watcher.wait(LOOK) {
                Ok(Found::Over) => return,
                Ok(found) => border::attach(|py| tell(weak.bind(py), found)),
                Err(error) => border::attach(|py| {
                    // The requests under way end when their time is over.
                    os_error(error).write_unraisable(py, None);
                    false
                }),
            };
            if goes_on != Some(true) {
                return;
            }
        }
    };
    let started = std::thread::Builder::new().name("proxywhirl-watch".into()).stack_size(256 << 10).spawn(watch);
    started.map(drop).map_err(os_error)
}

/// Whether the thread goes on.
fn tell(wire: &Bound<'_, PyWeakrefReference>, found: Found) -> bool {
    let py = wire.py();
    let Some(wire) = wire.upgrade().and_then(|wire| wire.cast_into::<LoopedWire>().ok()) else { return false };
    let told = match found {
        Found::Nothing => LoopedWire::loop_is_closed(&wire).map(|is_closed| !is_closed),
        Found::Something | Found::Over => LoopedWire::call_turn_soon(&wire).map(|()| true),
    };
    let goes_on = told.unwrap_or_else(|error| {
        // A `RuntimeError` says that the loop is closed.
        if !error.is_instance_of::<PyRuntimeError>(py) {
            error.write_unraisable(py, Some(wire.as_any()));
        }
        false
    });
    if !goes_on && let Err(error) = wire.get().shut(py) {
        error.write_unraisable(py, Some(wire.as_any()));
    }
    goes_on
}
