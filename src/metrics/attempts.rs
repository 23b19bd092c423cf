//! What became of attempts: the latest one by one, older ones by the hour. Bounded, whatever comes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use ahash::AHashMap;

use crate::proxy::Id;
use crate::sync::{Arc, ArcSwapOption, AtomicU64, Mutex, Ordering};

use super::groups::Metrics;
use super::request_log::RequestLog;

/// Seconds of an hour.
const HOUR: f64 = 3600.0;

/// How an attempt ended, as the metrics of retries tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It succeeded.
    Success,
    /// It failed.
    Failure,
    /// Time ran out.
    Timeout,
    /// It was not made: the breaker was open.
    CircuitOpen,
}

impl AttemptOutcome {
    /// Every outcome, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Success, Self::Failure, Self::Timeout, Self::CircuitOpen];

    /// The documented value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Timeout => "timeout",
            Self::CircuitOpen => "circuit_open",
        }
    }

    /// The outcome of that value.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == value)
    }

    /// How an attempt failed, by the name or the text of its error.
    #[must_use]
    pub fn of_failure(error: &str) -> Self {
        let lowered = error.to_lowercase();
        if lowered.contains("timeout") || lowered.contains("timed out") { Self::Timeout } else { Self::Failure }
    }
}

/// What an attempt is counted under: a number of ours, or what a caller named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Label {
    /// A request of this process.
    Number(u64),
    /// A proxy.
    Proxy(Id),
    /// Any text.
    Text(Box<str>),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Proxy(id) => id.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// One attempt of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The request it belongs to.
    pub request: Label,
    /// Which attempt of that request, from 0.
    pub number: u32,
    /// The proxy.
    pub proxy: Label,
    /// When it ended, in seconds since the epoch.
    pub at: f64,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Status of the answer, if there was one.
    pub status: Option<u16>,
    /// Pause before it, in seconds.
    pub delay: f64,
    /// Time that it took, in seconds.
    pub latency: f64,
    /// What went wrong; it may hold credentials.
    pub error: Option<Box<str>>,
}

/// Attempts of one proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Attempts.
    pub attempts: u64,
    /// Successful ones.
    pub successes: u64,
    /// Seconds that they took.
    pub seconds: f64,
}

/// Sums of one hour.
#[derive(Debug, Clone, Default)]
pub struct Hour {
    /// Requests whose first attempt ended in it.
    pub requests: u64,
    /// Further attempts.
    pub retries: u64,
    /// Seconds that all of them took.
    pub seconds: f64,
    /// Successful attempts by number.
    pub successes: BTreeMap<u32, u64>,
    /// Failed attempts by status or outcome.
    pub failures: BTreeMap<String, u64>,
    by_proxy: AHashMap<Label, Counts>,
}

impl Hour {
    fn add(&mut self, attempt: &Attempt, most_proxies: usize) {
        *(if attempt.number == 0 { &mut self.requests } else { &mut self.retries }) += 1;
        self.seconds += attempt.latency;
        let success = attempt.outcome == AttemptOutcome::Success;
        if success {
            *self.successes.entry(attempt.number).or_default() += 1;
        } else {
            let reason = attempt.status.map(|status| format!("status_{status}"));
            *self.failures.entry(reason.unwrap_or_else(|| attempt.outcome.as_str().to_owned())).or_default() += 1;
        }
        // A list of a million public proxies must not fill the memory.
        let known = self.by_proxy.contains_key(&attempt.proxy) || self.by_proxy.len() < most_proxies;
        if known {
            let counts = self.by_proxy.entry(attempt.proxy.clone()).or_default();
            counts.attempts += 1;
            counts.successes += u64::from(success);
            counts.seconds += attempt.latency;
        }
    }
}

struct Book {
    recent: VecDeque<Attempt>,
    hours: BTreeMap<i64, Hour>,
}

/// See the module. Thread-safe: a lock is held for as long as it takes to count.
pub struct Attempts {
    retention_hours: usize,
    most_recent: usize,
    most_proxies: usize,
    requests: AtomicU64,
    metrics: ArcSwapOption<Metrics>,
    book: Mutex<Book>,
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts").field("most_recent", &self.most_recent).finish_non_exhaustive()
    }
}

impl Attempts {
    /// Keeps the sums of so many hours, so many attempts one by one, and so many proxies in an hour.
    #[must_use]
    pub fn new(retention_hours: usize, most_recent: usize, most_proxies: usize) -> Self {
        let book = Mutex::new(Book { recent: VecDeque::new(), hours: BTreeMap::new() });
        let metrics = ArcSwapOption::empty();
        Self { retention_hours, most_recent, most_proxies, requests: AtomicU64::new(1), metrics, book }
    }

    /// Has the attempts of requests that begin from now on counted there too.
    pub fn count_into(&self, metrics: Option<Arc<Metrics>>) {
        self.metrics.store(metrics);
    }

    /// The log of a request that begins now.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> RequestLog {
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        RequestLog::new(self.clone(), self.metrics.load_full(), request)
    }

    /// Counts an attempt.
    pub fn record(&self, attempt: Attempt) {
        let start = (attempt.at / HOUR).floor() as i64;
        let gone = {
            let mut book = self.book.lock();
            book.hours.entry(start).or_default().add(&attempt, self.most_proxies);
            // The hours that readers look at, the one that runs and one in which the clock may be ahead.
            let forgotten = if book.hours.len() > self.retention_hours + 3 { book.hours.pop_first() } else { None };
            if book.recent.len() >= self.most_recent {
                book.recent.pop_front();
            }
            book.recent.push_back(attempt);
            forgotten
        };
        drop(gone);
    }

    /// Number of attempts kept one by one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.book.lock().recent.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The attempts kept one by one, oldest first.
    #[must_use]
    pub fn recent(&self) -> Vec<Attempt> {
        self.book.lock().recent.iter().cloned().collect()
    }

    /// Forgets hours before and after these moments, in seconds since the epoch.
    pub fn keep_between(&self, first: f64, last: f64) {
        let mut gone = Vec::new();
        let mut book = self.book.lock();
        let kept = |start: i64| (first..=last).contains(&(start as f64 * HOUR));
        let starts: Vec<i64> = book.hours.keys().copied().filter(|start| !kept(*start)).collect();
        gone.extend(starts.iter().map(|start| book.hours.remove(start)));
        drop(book);
    }

    /// The sums of the hours from that moment on, by their beginning in seconds since the epoch.
    #[must_use]
    pub fn hours(&self, since: f64) -> Vec<(i64, Hour)> {
        let begin = |start: i64| start * HOUR as i64;
        let book = self.book.lock();
        let kept = book.hours.iter().filter(|(start, _)| **start as f64 * HOUR >= since);
        // Without the proxies, which have a question of their own.
        let copied = |hour: &Hour| Hour {
            successes: hour.successes.clone(),
            failures: hour.failures.clone(),
            by_proxy: AHashMap::new(),
            ..*hour
        };
        kept.map(|(start, hour)| (begin(*start), copied(hour))).collect()
    }

    /// The attempts of each proxy in the hours from that moment on.
    #[must_use]
    pub fn by_proxy(&self, since: f64) -> AHashMap<Label, Counts> {
        let mut sums: AHashMap<Label, Counts> = AHashMap::new();
        for (_, hour) in self.book.lock().hours.iter().filter(|(start, _)| **start as f64 * HOUR >= since) {
            for (proxy, counts) in &hour.by_proxy {
                let sum = sums.entry(proxy.clone()).or_default();
                sum.attempts += counts.attempts;
                sum.successes += counts.successes;
                sum.seconds += counts.seconds;
            }
        }
        sums
    }

    /// Seconds that the latest `last` successful attempts of a proxy took on average, for each of `proxies` that has any
    /// among the attempts kept one by one.
    #[must_use]
    pub fn mean_latencies(&self, proxies: &[Label], last: usize) -> Vec<(usize, f64)> {
        let numbers: AHashMap<&Label, usize> = proxies.iter().enumerate().map(|(number, it)| (it, number)).collect();
        let mut sums = vec![(0usize, 0.0); proxies.len()];
        for attempt in self.book.lock().recent.iter().rev() {
            if attempt.outcome != AttemptOutcome::Success {
                continue;
            }
            let Some((count, sum)) = numbers.get(&attempt.proxy).map(|number| &mut sums[*number]) else { continue };
            if *count < last {
                *count += 1;
                *sum += attempt.latency;
            }
        }
        let mean = |(number, (count, sum)): (usize, (usize, f64))| (number, sum / count as f64);
        sums.into_iter().enumerate().filter(|(_, (count, _))| *count > 0).map(mean).collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn attempt(number: u32, proxy: u64, at: f64) -> Attempt {
        Attempt {
            request: Label::Number(1),
            number,
            proxy: Label::Number(proxy),
            at,
            outcome: AttemptOutcome::Success,
            status: None,
            delay: 0.0,
            latency: 0.5,
            error: None,
        }
    }

    #[test]
    fn each_attempt_counts_once_in_its_hour_and_within_bounds() {
        let book = Attempts::new(2, 3, 2);
        for number in 0..10 {
            book.record(attempt(0, number, 7200.0 + number as f64));
        }
        assert_eq!(book.len(), 3);
        let hours = book.hours(0.0);
        assert_eq!((hours.len(), hours[0].0, hours[0].1.requests), (1, 7200, 10));
        assert_eq!(book.by_proxy(0.0).len(), 2);
        for hour in 0..100 {
            book.record(attempt(1, 0, f64::from(hour) * 3600.0));
        }
        assert_eq!(book.hours(0.0).len(), 5);
        book.keep_between(97.0 * 3600.0, 98.0 * 3600.0);
        assert_eq!(book.hours(0.0).iter().map(|(start, _)| start / 3600).collect::<Vec<_>>(), [97, 98]);
    }
}
