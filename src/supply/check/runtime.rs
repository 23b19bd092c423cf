//! The threads that checks run on: started when first needed, and again in the child of a fork, which inherits none.

use std::fmt;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::sync::Mutex;

struct Started {
    process: u32,
    runtime: Runtime,
}

static STARTED: std::sync::LazyLock<Mutex<Option<Started>>> = std::sync::LazyLock::new(|| Mutex::new(None));

/// Most threads that work for checks: they wait for the network, mostly.
const MOST_THREADS: usize = 4;

/// The runtime, started if it is not there.
///
/// # Errors
/// The operating system grants no threads.
pub fn handle() -> std::io::Result<Handle> {
    let mut started = STARTED.lock();
    if let Some(running) = started.as_ref().filter(|running| running.process == std::process::id()) {
        return Ok(running.runtime.handle().clone());
    }
    if let Some(of_the_parent) = started.take() {
        // Its threads are in the parent: waiting for them would never end.
        std::mem::forget(of_the_parent);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(64)
        .thread_name("check")
        .enable_all()
        .build()?;
    let handle = runtime.handle().clone();
    *started = Some(Started { process: std::process::id(), runtime });
    Ok(handle)
}

/// A run was used in a child of the process that started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forked;

impl fmt::Display for Forked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these checks were started by the parent process; start them anew here")
    }
}

impl std::error::Error for Forked {}
