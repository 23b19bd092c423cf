//! The only place that reads time. Everything that depends on it takes a [`Clock`], so that tests move time and never sleep.

use crate::sync::{AtomicI64, AtomicU64, Ordering};

/// Microseconds since the Unix epoch, UTC.
pub type Micros = i64;

/// Two readings of time: one to show and to store, one to measure with.
pub trait Clock: Send + Sync {
    /// Wall-clock time, exact to a few milliseconds; costs a few nanoseconds.
    fn wall(&self) -> Micros;

    /// Nanoseconds on a steady clock with no fixed origin.
    fn steady(&self) -> u64;

    /// The same, behind by a few milliseconds at most and never ahead; costs a few nanoseconds.
    fn steady_coarse(&self) -> u64 {
        self.steady()
    }
}

/// The operating system's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write to; the clocks asked for exist on every supported system.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time
}

// The coarse clock is a memory read where there is one; a selection cannot afford the counter behind the exact one.
#[cfg(any(target_os = "linux", target_os = "android"))]
const WALL: libc::clockid_t = libc::CLOCK_REALTIME_COARSE;
#[cfg(any(target_os = "linux", target_os = "android"))]
const STEADY: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const WALL: libc::clockid_t = libc::CLOCK_REALTIME;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const STEADY: libc::clockid_t = libc::CLOCK_MONOTONIC;

fn nanos(time: libc::timespec) -> u64 {
    (time.tv_sec as u64) * 1_000_000_000 + time.tv_nsec as u64
}

impl Clock for SystemClock {
    fn wall(&self) -> Micros {
        let time = read(WALL);
        time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
    }

    fn steady(&self) -> u64 {
        nanos(read(libc::CLOCK_MONOTONIC))
    }

    fn steady_coarse(&self) -> u64 {
        nanos(read(STEADY))
    }
}

/// Wall-clock time exact to the microsecond, for what is created rarely and shown.
#[must_use]
pub fn exact_wall() -> Micros {
    let time = read(libc::CLOCK_REALTIME);
    time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
}

/// The operating system's clocks, both exact: for what a user asks for by hand and may compare.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExactClock;

impl Clock for ExactClock {
    fn wall(&self) -> Micros {
        exact_wall()
    }

    fn steady(&self) -> u64 {
        SystemClock.steady()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    steady: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `wall` until it is moved.
    #[must_use]
    pub fn at(wall: Micros) -> Self {
        // Somewhere after the beginning, as the steady clock of a machine that is up.
        Self { wall: AtomicI64::new(wall), steady: AtomicU64::new(1_000_000_000_000) }
    }

    /// Moves the clock forward by `by` microseconds.
    pub fn advance(&self, by: Micros) {
        self.jump(by);
        self.steady.fetch_add(u64::try_from(by).unwrap_or(0) * 1_000, Ordering::Relaxed);
    }

    /// Sets the wall clock forward or back, as an administrator does; the steady one goes on.
    pub fn jump(&self, by: Micros) {
        self.wall.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Micros {
        self.wall.load(Ordering::Relaxed)
    }

    fn steady(&self) -> u64 {
        self.steady.load(Ordering::Relaxed)
    }
}
