//! The attempts of one request, written down as its leases are settled.

use crate::proxy::Id;
use crate::sync::{Arc, AtomicU64, Ordering};

use super::attempts::{Attempt, AttemptOutcome, Attempts, Label};
use super::groups::Metrics;

/// The attempts of one request, written down as its leases are settled.
#[derive(Debug)]
pub struct RequestLog {
    book: Arc<Attempts>,
    metrics: Option<Arc<Metrics>>,
    request: u64,
    // When the last attempt ended, in microseconds since the epoch; zero before that.
    ended: AtomicU64,
}

/// How an attempt ended, for its log.
#[derive(Debug, Clone, Copy)]
pub struct AttemptEnd<'a> {
    /// Which attempt of the request, from 0.
    pub number: u32,
    /// Pause before it, in seconds.
    pub delay: f64,
    /// The proxy.
    pub proxy: Id,
    /// When it ended, in microseconds since the epoch.
    pub at: i64,
    /// Whether it succeeded.
    pub success: bool,
    /// Status of the answer.
    pub status: Option<u16>,
    /// Milliseconds that it took.
    pub elapsed_ms: f64,
    /// The name of its error and what it says.
    pub error: Option<(&'a str, &'a str)>,
}

impl RequestLog {
    pub(super) fn new(book: Arc<Attempts>, metrics: Option<Arc<Metrics>>, request: u64) -> Self {
        Self { book, metrics, request, ended: AtomicU64::new(0) }
    }

    /// The pause between the attempt before and one that begins now; none is known while that one is not settled.
    #[must_use]
    pub fn delay(&self, number: u32, now: i64) -> f64 {
        // Relaxed: an attempt begins after the one before was settled, on the same way.
        let ended = self.ended.load(Ordering::Relaxed) as i64;
        if number == 0 || ended == 0 { 0.0 } else { (now - ended).max(0) as f64 / 1e6 }
    }

    /// The metrics that attempts are counted in besides, if there are any.
    #[must_use]
    pub fn metrics(&self) -> Option<&Arc<Metrics>> {
        self.metrics.as_ref()
    }

    /// Writes an attempt down.
    pub fn note(&self, end: &AttemptEnd<'_>) {
        self.ended.store(end.at.max(0) as u64, Ordering::Relaxed);
        let outcome = match end.error {
            _ if end.success => AttemptOutcome::Success,
            Some((name, _)) => AttemptOutcome::of_failure(name),
            None => AttemptOutcome::Failure,
        };
        self.book.record(Attempt {
            request: Label::Number(self.request),
            number: end.number,
            proxy: Label::Proxy(end.proxy),
            at: end.at as f64 / 1e6,
            outcome,
            status: end.status,
            delay: end.delay,
            latency: end.elapsed_ms / 1e3,
            error: end.error.map(|(_, text)| text.into()),
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_log_tells_the_pause_between_two_attempts() {
        let book = Arc::new(Attempts::new(24, 10, 10));
        let log = book.begin();
        assert_eq!(log.delay(1, 5_000_000), 0.0, "nothing has ended yet");
        let end = AttemptEnd {
            number: 0,
            delay: 0.0,
            proxy: Id(0, 1),
            at: 1_000_000,
            success: false,
            status: None,
            elapsed_ms: 20.0,
            error: Some(("ReadTimeout", "ReadTimeout: slow")),
        };
        log.note(&end);
        assert_eq!(log.delay(1, 1_500_000), 0.5);
        let recent = book.recent();
        assert_eq!((recent[0].outcome, recent[0].latency), (AttemptOutcome::Timeout, 0.02));
    }
}
