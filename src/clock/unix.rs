//! The clocks of Unix, in nanoseconds.

// The coarse clock is a memory read where there is one; a selection cannot afford the counter behind the exact one.
#[cfg(any(target_os = "linux", target_os = "android"))]
const WALL: libc::clockid_t = libc::CLOCK_REALTIME_COARSE;
#[cfg(any(target_os = "linux", target_os = "android"))]
const STEADY: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const WALL: libc::clockid_t = libc::CLOCK_REALTIME;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const STEADY: libc::clockid_t = libc::CLOCK_MONOTONIC;

#[inline]
fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write to; the clocks asked for exist on every supported system.
    unsafe { libc::clock_gettime(clock, &mut time) };
    (time.tv_sec as u64) * 1_000_000_000 + time.tv_nsec as u64
}

#[inline]
pub(super) fn wall() -> u64 {
    read(libc::CLOCK_REALTIME)
}

#[inline]
pub(super) fn wall_coarse() -> u64 {
    read(WALL)
}

#[inline]
pub(super) fn steady() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

#[inline]
pub(super) fn steady_coarse() -> u64 {
    read(STEADY)
}
