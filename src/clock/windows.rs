//! The clocks of Windows, in nanoseconds. There are no coarse ones with the origin of the exact ones.

use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};

pub(super) fn wall() -> u64 {
    #[allow(clippy::disallowed_methods)]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

pub(super) fn wall_coarse() -> u64 {
    wall()
}

pub(super) fn steady() -> u64 {
    let (mut count, mut frequency) = (0, 1);
    // SAFETY: both are valid places to write to; the calls cannot fail since Windows XP.
    unsafe {
        QueryPerformanceCounter(&raw mut count);
        QueryPerformanceFrequency(&raw mut frequency);
    }
    (count as u128 * 1_000_000_000 / frequency as u128) as u64
}

pub(super) fn steady_coarse() -> u64 {
    steady()
}
