//! `LatencyHistogram`: the core's distribution of durations.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::metrics::histogram::{Histogram, Snapshot};

/// How long requests took, as a distribution of milliseconds. Thread-safe; recording takes no lock.
///
/// Memory is bounded: about half a kilobyte per power of two met, 17 kilobytes at most. A quantile is off by less than 1 % of
/// itself between 0.001 ms and an hour; count, mean, smallest and largest value are exact. Two histograms can be added up,
/// pickled, and kept as plain data.
#[pyclass(name = "LatencyHistogram", module = "proxywhirl._core", frozen)]
pub(crate) struct PyHistogram {
    core: Histogram,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyHistogram {
    #[new]
    fn new() -> Self {
        Self { core: Histogram::new() }
    }

    /// Records a duration.
    ///
    /// Args:
    ///     ms: Milliseconds, zero or more.
    ///
    /// Raises:
    ///     ValueError: `ms` is negative, infinite or not a number.
    fn record(&self, ms: f64) -> PyResult<()> {
        if self.core.record(ms) {
            return Ok(());
        }
        Err(PyValueError::new_err(format!(
            "a duration must be a finite number of milliseconds, zero or more, not {ms}"
        )))
    }

    /// Adds all that another histogram holds; that one stays as it is.
    fn merge(&self, other: &Bound<'_, Self>) {
        self.core.merge(&other.get().core);
    }

    /// The value that a share of all values does not exceed.
    ///
    /// Args:
    ///     q: The share, 0 to 1: 0.5 is the median, 0.99 what one in a hundred exceeds.
    ///
    /// Returns:
    ///     Milliseconds, or `None` if nothing was recorded.
    ///
    /// Raises:
    ///     ValueError: `q` is not between 0 and 1.
    fn quantile(&self, q: f64) -> PyResult<Option<f64>> {
        if !(0.0..=1.0).contains(&q) {
            return Err(PyValueError::new_err(format!("q must be between 0 and 1, not {q}")));
        }
        Ok(self.core.quantile(q))
    }

    getters! {
        /// Number of values.
        count: u64 = self.core.count();
        /// Sum of all values in milliseconds.
        sum: f64 = self.core.sum();
        /// The mean in milliseconds, or `None` if nothing was recorded.
        mean: Option<f64> = self.core.mean();
        /// The smallest value in milliseconds, or `None` if nothing was recorded.
        min: Option<f64> = self.core.min();
        /// The largest value in milliseconds, or `None` if nothing was recorded.
        max: Option<f64> = self.core.max();
    }

    /// All that it holds as plain data that JSON can carry: `count`, `sum`, `min`, `max`, and `buckets`, pairs of a bucket's
    /// number and what is in it.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let snapshot = self.core.snapshot();
        let dict = PyDict::new(py);
        dict.set_item("count", snapshot.buckets.iter().map(|(_, count)| count).sum::<u64>())?;
        dict.set_item("sum", snapshot.sum)?;
        dict.set_item("min", snapshot.range.map(|(least, _)| least))?;
        dict.set_item("max", snapshot.range.map(|(_, most)| most))?;
        let buckets: Vec<[u64; 2]> =
            snapshot.buckets.iter().map(|(bucket, count)| [u64::from(*bucket), *count]).collect();
        dict.set_item("buckets", buckets)?;
        Ok(dict)
    }

    /// The histogram that `to_dict` described.
    ///
    /// Raises:
    ///     ValueError: A part is missing, or no histogram has these numbers.
    #[staticmethod]
    fn from_dict(data: &Bound<'_, PyDict>) -> PyResult<Self> {
        let wrong = |what: &str| PyValueError::new_err(format!("this is no histogram: {what}"));
        let part = |name: &str| data.get_item(name)?.ok_or_else(|| wrong(&format!("{name} is missing")));
        let pairs: Vec<[u64; 2]> = part("buckets")?.extract().map_err(|_| wrong("buckets are pairs of counts"))?;
        let numbered = |[bucket, count]: [u64; 2]| (u32::try_from(bucket).unwrap_or(u32::MAX), count);
        let buckets = pairs.into_iter().map(numbered).collect();
        let number =
            |name: &str| part(name)?.extract::<Option<f64>>().map_err(|_| wrong(&format!("{name} is no number")));
        let (sum, least, most) = (number("sum")?, number("min")?, number("max")?);
        let snapshot = Snapshot { buckets, sum: sum.ok_or_else(|| wrong("sum is no number"))?, range: least.zip(most) };
        let core = Histogram::restore(&snapshot).map_err(|_| wrong("its numbers do not go together"))?;
        Ok(Self { core })
    }

    fn __len__(&self) -> usize {
        usize::try_from(self.core.count()).unwrap_or(usize::MAX)
    }

    fn __bool__(&self) -> bool {
        true
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        Ok((slf.get_type().getattr("from_dict")?, (slf.get().to_dict(slf.py())?,)))
    }

    fn __repr__(&self) -> String {
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
        format!(
            "<LatencyHistogram of {}: median {}, p99 {}, max {}>",
            self.core.count(),
            shown(self.core.quantile(0.5)),
            shown(self.core.quantile(0.99)),
            shown(self.core.max())
        )
    }
}
