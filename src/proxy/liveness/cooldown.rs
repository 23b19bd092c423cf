//! How long a failed proxy rests.
//!
//! The time grows with the failures in a row, as in Envoy's outlier detection,
//! <https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier>, by doubling with "equal jitter",
//! <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.

use crate::clock::nanoseconds;

/// Doublings after which the cap is reached by any base worth configuring.
const DOUBLINGS: u32 = 40;

/// Nanoseconds of the rest after `level` earlier ones in a row: doubled each time up to the cap, and by chance no less than
/// half of that, so that what failed together does not come back together. `chance` is uniform in 0 to 1.
pub(crate) fn rest(base: f64, cap: f64, level: u32, chance: f64) -> u64 {
    nanoseconds(full(base, cap, level) * (0.5 + 0.5 * chance))
}

/// Seconds before chance.
pub(crate) fn full(base: f64, cap: f64, level: u32) -> f64 {
    (base * f64::from(level.min(DOUBLINGS)).exp2()).min(cap)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap_and_never_falls_below_half() {
        let longest: Vec<u64> = (0..8).map(|level| rest(10.0, 300.0, level, 1.0) / 1_000_000_000).collect();
        assert_eq!(longest, [10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(rest(10.0, 300.0, 1, 0.0), 10_000_000_000);
        assert_eq!(rest(10.0, 300.0, u32::MAX, 0.5), 225_000_000_000);
    }
}
