//! How many connections a transport keeps, from what Python says.

use std::time::Duration;

use crate::wire::connections::Bounds;

/// Most idle ones to one proxy and in all, most proxies with some, and how long they are kept; `None` for no bound.
pub(super) fn bounds(keepalive: Option<usize>, keepalive_seconds: Option<f64>, proxies: usize) -> Bounds {
    let keep_alive = keepalive_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
    let idle_per_proxy = keepalive.unwrap_or(usize::MAX);
    Bounds { idle: most_idle(), idle_per_proxy, proxies, keep_alive, ..Bounds::default() }
}

/// Half of the descriptors that this process may have: the other half is for what is in use.
#[cfg(unix)]
fn most_idle() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place to write to.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0;
    if failed || limit.rlim_cur == libc::RLIM_INFINITY {
        return usize::MAX;
    }
    usize::try_from(limit.rlim_cur / 2).unwrap_or(usize::MAX)
}

/// There is no such limit.
#[cfg(not(unix))]
fn most_idle() -> usize {
    usize::MAX
}
