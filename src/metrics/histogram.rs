//! How long requests took, as a distribution: log-linear buckets, each at most a sixty-fourth of what is in it.
//!
//! Buckets after HdrHistogram, <https://github.com/HdrHistogram/HdrHistogram>: powers of two, each cut into equal
//! steps.

use crate::sync::{AtomicF64, AtomicU64, OnceLock, Ordering};

/// Buckets per power of two.
const STEPS: usize = 64;
/// Powers of two covered: from about a microsecond, 2^-10 ms, to 2^22 ms, more than an hour.
const OCTAVES: usize = 32;
const LOWEST: i32 = -10;
/// Under the lowest bucket, and over the highest.
const UNDER: usize = 0;
const OVER: usize = OCTAVES * STEPS + 1;

/// A distribution of milliseconds. Recording takes no lock, and memory is bounded: half a kilobyte per power of two met,
/// 17 kilobytes at most. A quantile is off by less than 1 % of itself between 0.001 ms and an hour; minimum, maximum, mean and
/// count are exact.
#[derive(Debug, Default)]
pub struct Histogram {
    octaves: [OnceLock<Box<[AtomicU64; STEPS]>>; OCTAVES],
    under: AtomicU64,
    over: AtomicU64,
    sum: Sum,
    min: Sum,
    max: Sum,
}

#[derive(Debug)]
struct Sum(AtomicF64);

impl Default for Sum {
    fn default() -> Self {
        Self(AtomicF64::none())
    }
}

/// A distribution as plain numbers, to be kept or sent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// Number of each bucket that is not empty, ascending, and what is in it.
    pub buckets: Vec<(u32, u64)>,
    /// Sum of all values, in milliseconds.
    pub sum: f64,
    /// The smallest and the largest, in milliseconds.
    pub range: Option<(f64, f64)>,
}

/// Why a snapshot is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotError {
    /// There is no such bucket.
    Bucket,
    /// A sum or an end of the range is no duration, or one is there without the other.
    Number,
}

fn bucket_of(ms: f64) -> usize {
    let exponent = (ms.to_bits() >> 52) as i32 - 1023;
    if exponent < LOWEST {
        return UNDER;
    }
    let octave = (exponent - LOWEST) as usize;
    if octave >= OCTAVES {
        return OVER;
    }
    // The first six bits after the leading one.
    octave * STEPS + (ms.to_bits() >> 46) as usize % STEPS + 1
}

/// The middle of a bucket.
fn value_of(bucket: usize) -> f64 {
    let (octave, step) = ((bucket - 1) / STEPS, (bucket - 1) % STEPS);
    2f64.powi(octave as i32 + LOWEST) * (1.0 + (step as f64 + 0.5) / STEPS as f64)
}

impl Histogram {
    /// Nothing recorded yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn cell(&self, bucket: usize) -> &AtomicU64 {
        match bucket {
            UNDER => &self.under,
            OVER.. => &self.over,
            _ => {
                let new = || Box::new(std::array::from_fn(|_| AtomicU64::new(0)));
                &self.octaves[(bucket - 1) / STEPS].get_or_init(new)[(bucket - 1) % STEPS]
            }
        }
    }

    /// Records a duration; `false` for what is none: negative, infinite, not a number.
    pub fn record(&self, ms: f64) -> bool {
        if !(ms.is_finite() && ms >= 0.0) {
            return false;
        }
        // Zero may come with a sign, which would look like a very large number.
        let ms = ms + 0.0;
        self.widen(ms, ms);
        self.sum.0.update(|sum| sum.unwrap_or(0.0) + ms);
        // Relaxed: counts publish nothing but themselves.
        self.cell(bucket_of(ms)).fetch_add(1, Ordering::Relaxed);
        true
    }

    fn widen(&self, least: f64, most: f64) {
        if self.min.0.get().is_none_or(|min| least < min) {
            self.min.0.update(|min| min.map_or(least, |min| min.min(least)));
        }
        if self.max.0.get().is_none_or(|max| most > max) {
            self.max.0.update(|max| max.map_or(most, |max| max.max(most)));
        }
    }

    fn each(&self, mut visit: impl FnMut(usize, u64)) {
        let mut tell = |bucket: usize, cell: &AtomicU64| {
            let count = cell.load(Ordering::Relaxed);
            if count > 0 {
                visit(bucket, count);
            }
        };
        tell(UNDER, &self.under);
        for (octave, cells) in self.octaves.iter().enumerate() {
            for (step, cell) in cells.get().iter().flat_map(|cells| cells.iter()).enumerate() {
                tell(octave * STEPS + step + 1, cell);
            }
        }
        tell(OVER, &self.over);
    }

    /// Number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        let mut total = 0;
        self.each(|_, count| total += count);
        total
    }

    /// Sum of all values, in milliseconds.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum.0.get().unwrap_or(0.0)
    }

    /// The mean in milliseconds, if there is any value.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum() / count as f64)
    }

    /// The smallest value.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        self.min.0.get()
    }

    /// The largest value.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        self.max.0.get()
    }

    /// The value that a share `q` of all values does not exceed, 0 to 1; `None` if there is no value.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let (least, most) = (self.min()?, self.max()?);
        let mut counts = Vec::new();
        self.each(|bucket, count| counts.push((bucket, count)));
        // From one reading, so that the rank is one of these values even while other threads record.
        let total: u64 = counts.iter().map(|(_, count)| count).sum();
        let rank = ((q.clamp(0.0, 1.0) * total as f64).ceil() as u64).clamp(1, total.max(1));
        if rank == 1 {
            return Some(least);
        }
        if rank == total {
            return Some(most);
        }
        let mut seen = 0;
        for (bucket, count) in counts {
            seen += count;
            if seen >= rank {
                let value = match bucket {
                    UNDER => least,
                    OVER.. => most,
                    _ => value_of(bucket),
                };
                return Some(value.clamp(least, most));
            }
        }
        Some(most)
    }

    /// Adds all that another one holds.
    pub fn merge(&self, other: &Self) {
        self.absorb(&other.snapshot());
    }

    fn absorb(&self, other: &Snapshot) {
        if let Some((least, most)) = other.range {
            self.widen(least, most);
            self.sum.0.update(|sum| sum.unwrap_or(0.0) + other.sum);
        }
        for (bucket, count) in &other.buckets {
            self.cell(*bucket as usize).fetch_add(*count, Ordering::Relaxed);
        }
    }

    /// All that it holds.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut buckets = Vec::new();
        self.each(|bucket, count| buckets.push((bucket as u32, count)));
        Snapshot { buckets, sum: self.sum(), range: self.min().zip(self.max()) }
    }

    /// The distribution of a snapshot.
    ///
    /// # Errors
    /// [`SnapshotError`] for numbers that no distribution has.
    pub fn restore(snapshot: &Snapshot) -> Result<Self, SnapshotError> {
        if snapshot.buckets.iter().any(|(bucket, _)| *bucket as usize > OVER) {
            return Err(SnapshotError::Bucket);
        }
        let duration = |ms: f64| ms.is_finite() && ms >= 0.0;
        let total: u64 = snapshot.buckets.iter().map(|(_, count)| *count).fold(0, u64::saturating_add);
        let range = snapshot.range.is_none_or(|(least, most)| duration(least) && duration(most) && least <= most);
        if !duration(snapshot.sum) || !range || (total > 0) != snapshot.range.is_some() {
            return Err(SnapshotError::Number);
        }
        let new = Self::new();
        new.absorb(snapshot);
        Ok(new)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Histogram {
        let histogram = Histogram::new();
        for value in values {
            assert!(histogram.record(*value));
        }
        histogram
    }

    fn exact(sorted: &[f64], q: f64) -> f64 {
        let rank = (q * sorted.len() as f64).ceil() as usize;
        sorted[rank.clamp(1, sorted.len()) - 1]
    }

    proptest! {
        #[test]
        fn quantiles_are_within_a_hundredth(
            mut values in prop::collection::vec(prop_oneof![0.001f64..10.0, 1.0f64..100_000.0, 1e3f64..3e6], 1..300),
            q in 0.0f64..=1.0,
        ) {
            let histogram = of(&values);
            values.sort_by(f64::total_cmp);
            for q in [q, 0.0, 0.5, 0.95, 0.99, 1.0] {
                let (found, expected) = (histogram.quantile(q).unwrap(), exact(&values, q));
                prop_assert!((found - expected).abs() <= expected * 0.01, "{} for {} at {}", found, expected, q);
            }
            prop_assert_eq!(histogram.count(), values.len() as u64);
            prop_assert_eq!(histogram.max(), values.last().copied());
            prop_assert_eq!(histogram.min(), values.first().copied());
        }

        #[test]
        fn parts_add_up_to_the_whole(
            a in prop::collection::vec(0.0f64..1e5, 0..100),
            b in prop::collection::vec(0.0f64..1e5, 0..100),
        ) {
            let (left, right) = (of(&a), of(&b));
            left.merge(&right);
            let both: Vec<f64> = a.iter().chain(&b).copied().collect();
            let whole = of(&both).snapshot();
            let merged = left.snapshot();
            prop_assert_eq!(&merged.buckets, &whole.buckets);
            prop_assert_eq!(merged.range, whole.range);
            prop_assert!((merged.sum - whole.sum).abs() <= 1e-9 * whole.sum.max(1.0));
            prop_assert_eq!(Histogram::restore(&merged).unwrap().snapshot(), merged);
        }
    }

    #[test]
    fn what_is_out_of_range_is_counted_and_what_is_no_duration_is_not() {
        let histogram = of(&[0.0, -0.0, 1e-9, 1e12]);
        assert_eq!((histogram.count(), histogram.min(), histogram.max()), (4, Some(0.0), Some(1e12)));
        assert_eq!(histogram.quantile(1.0), Some(1e12));
        for bad in [f64::NAN, f64::INFINITY, -1.0, -1e-300] {
            assert!(!histogram.record(bad), "{bad}");
        }
        assert_eq!(histogram.count(), 4);
        let empty = Histogram::new();
        assert_eq!((empty.quantile(0.5), empty.mean(), empty.max(), empty.count()), (None, None, None, 0));
        empty.merge(&empty);
        assert_eq!(empty.snapshot(), Snapshot::default());
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        let good = of(&[1.0, 2.0]).snapshot();
        let bad = [
            Snapshot { buckets: vec![(OVER as u32 + 1, 1)], ..good.clone() },
            Snapshot { sum: f64::NAN, ..good.clone() },
            Snapshot { range: None, ..good.clone() },
            Snapshot { range: Some((2.0, 1.0)), ..good.clone() },
            Snapshot { buckets: vec![], ..good },
        ];
        for snapshot in bad {
            assert!(Histogram::restore(&snapshot).is_err(), "{snapshot:?}");
        }
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let histogram = Histogram::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let histogram = &histogram;
                scope.spawn(move || {
                    for value in 0..5_000 {
                        histogram.record(f64::from(value % 100 + thread));
                    }
                });
            }
        });
        assert_eq!(histogram.count(), 20_000);
        let sum: f64 = (0..4).map(|thread| (0..5_000).map(|value| f64::from(value % 100 + thread)).sum::<f64>()).sum();
        assert_eq!(histogram.sum(), sum);
        assert_eq!(histogram.max(), Some(102.0));
    }
}
