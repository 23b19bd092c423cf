//! Attempts by proxy, by site and by outcome, with real quantiles.
//!
//! The memory is bounded whatever comes: a histogram has a fixed number of buckets, and beyond so many proxies or sites the
//! least recently used one is added to a group for the rest.

use std::fmt;

use ahash::AHashMap;

use crate::judge::outcome::Outcome;
use crate::proxy::money::Money;
use crate::sync::Mutex;

use super::attempts::Label;
use super::histogram::Histogram;

/// Seconds over which the rate of requests is taken.
const WINDOW: usize = 60;
const OUTCOMES: usize = Outcome::ALL.len();

/// Bytes, and what they and their requests cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// Money.
    pub spent: Money,
}

impl Traffic {
    fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.spent = self.spent + other.spent;
    }
}

/// Attempts of one kind.
#[derive(Debug, Default)]
pub struct Tally {
    traffic: Traffic,
    requests: u64,
    successes: u64,
    outcomes: [u64; OUTCOMES],
    latency: Histogram,
}

/// A tally as plain numbers; latencies are those of the successful attempts, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Attempts.
    pub requests: u64,
    /// Successful ones.
    pub successes: u64,
    /// Mean latency.
    pub mean: f64,
    /// The quantiles 0.5, 0.95 and 0.99.
    pub quantiles: [f64; 3],
    /// Attempts by outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; OUTCOMES],
    /// Their bytes and their cost, with those of attempts that were given back.
    pub traffic: Traffic,
}

impl Tally {
    /// The latency counts only for a success, so that a quick refusal does not look fast.
    fn record(&mut self, outcome: Outcome, elapsed_ms: f64) {
        self.requests += 1;
        self.outcomes[outcome as usize] += 1;
        if outcome == Outcome::Success {
            self.successes += 1;
            self.latency.record(elapsed_ms);
        }
    }

    /// Counts attempts as what they turned out to be; neither outcome is a success.
    fn move_between(&mut self, before: Outcome, after: Outcome, count: u64) {
        let moved = count.min(self.outcomes[before as usize]);
        self.outcomes[before as usize] -= moved;
        self.outcomes[after as usize] += moved;
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.successes += other.successes;
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
        self.latency.merge(&other.latency);
        self.traffic.add(&other.traffic);
    }

    fn report(&self) -> Report {
        let quantile = |q: f64| self.latency.quantile(q).unwrap_or(0.0);
        Report {
            requests: self.requests,
            successes: self.successes,
            mean: self.latency.mean().unwrap_or(0.0),
            quantiles: [quantile(0.5), quantile(0.95), quantile(0.99)],
            outcomes: self.outcomes,
            traffic: self.traffic,
        }
    }
}

/// Tallies by key, and one for all that were evicted.
#[derive(Debug)]
struct Groups {
    most: usize,
    tallies: AHashMap<Label, (u64, Box<Tally>)>,
    other: Option<Box<Tally>>,
    // Counts uses, for the order of eviction.
    turn: u64,
}

impl Groups {
    fn new(most: usize) -> Self {
        Self { most, tallies: AHashMap::new(), other: None, turn: 0 }
    }

    fn record(&mut self, key: &Label, outcome: Outcome, elapsed_ms: f64) {
        self.change(key, |tally| tally.record(outcome, elapsed_ms));
    }

    fn change(&mut self, key: &Label, change: impl FnOnce(&mut Tally)) {
        self.turn += 1;
        if let Some((used, tally)) = self.tallies.get_mut(key) {
            *used = self.turn;
            change(tally);
            return;
        }
        if self.tallies.len() >= self.most {
            // A look at all of them, which only a new key pays for.
            let idle = self.tallies.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            if let Some((_, tally)) = idle.and_then(|key| self.tallies.remove(&key)) {
                self.other.get_or_insert_default().merge(&tally);
            }
        }
        let mut tally = Box::<Tally>::default();
        change(&mut tally);
        self.tallies.insert(key.clone(), (self.turn, tally));
    }

    fn move_between(&mut self, key: &Label, before: Outcome, after: Outcome, count: u64) {
        let tally = match self.tallies.get_mut(key) {
            Some((_, tally)) => Some(tally),
            None => self.other.as_mut(),
        };
        if let Some(tally) = tally {
            tally.move_between(before, after, count);
        }
    }

    fn report(&self) -> (Vec<(Label, Report)>, Option<Report>) {
        let each = self.tallies.iter().map(|(key, (_, tally))| (key.clone(), tally.report())).collect();
        (each, self.other.as_ref().map(|tally| tally.report()))
    }
}

/// Events per second over the last [`WINDOW`] seconds, in buckets of one second.
#[derive(Debug)]
struct Rate {
    counts: [u64; WINDOW],
    seconds: [i64; WINDOW],
    first: Option<f64>,
}

impl Rate {
    fn add(&mut self, now: f64) {
        self.first.get_or_insert(now);
        let second = now.floor() as i64;
        let slot = second.rem_euclid(WINDOW as i64) as usize;
        if self.seconds[slot] != second {
            self.seconds[slot] = second;
            self.counts[slot] = 0;
        }
        self.counts[slot] += 1;
    }

    fn per_second(&self, now: f64) -> f64 {
        let Some(first) = self.first else { return 0.0 };
        let second = now.floor() as i64;
        let recent = |at: i64| second - (WINDOW as i64) < at && at <= second;
        let total: u64 =
            self.seconds.iter().zip(self.counts).filter(|(at, _)| recent(**at)).map(|(_, count)| count).sum();
        // Less than a second of traffic says little about a second; it is taken for one.
        total as f64 / (now - first).max(1.0).min(WINDOW as f64)
    }
}

struct Totals {
    total: Tally,
    proxies: Groups,
    sites: Groups,
    outcomes: [Option<Box<Tally>>; OUTCOMES],
    rate: Rate,
}

/// How the counts are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// By proxy.
    Proxy,
    /// By site.
    Site,
    /// By outcome.
    Outcome,
}

/// The counts of one rotator. Thread-safe: a lock is held for as long as it takes to count.
pub struct Metrics {
    totals: Mutex<Totals>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Counts so many proxies, and so many sites, apart.
    #[must_use]
    pub fn new(most_groups: usize) -> Self {
        let totals = Totals {
            total: Tally::default(),
            proxies: Groups::new(most_groups),
            sites: Groups::new(most_groups),
            outcomes: Default::default(),
            rate: Rate { counts: [0; WINDOW], seconds: [i64::MIN; WINDOW], first: None },
        };
        Self { totals: Mutex::new(totals) }
    }

    /// Counts one attempt that ended at `now`, in seconds on a steady clock.
    pub fn record(&self, proxy: &Label, site: Option<&Label>, outcome: Outcome, elapsed_ms: f64, now: f64) {
        let mut totals = self.totals.lock();
        totals.total.record(outcome, elapsed_ms);
        totals.proxies.record(proxy, outcome, elapsed_ms);
        if let Some(site) = site {
            totals.sites.record(site, outcome, elapsed_ms);
        }
        totals.outcomes[outcome as usize].get_or_insert_default().record(outcome, elapsed_ms);
        totals.rate.add(now);
    }

    /// Counts bytes and money, of attempts that are counted by themselves.
    pub fn charge(&self, proxy: &Label, site: Option<&Label>, traffic: &Traffic) {
        let mut totals = self.totals.lock();
        totals.total.traffic.add(traffic);
        totals.proxies.change(proxy, |tally| tally.traffic.add(traffic));
        if let Some(site) = site {
            totals.sites.change(site, |tally| tally.traffic.add(traffic));
        }
    }

    /// Counts attempts as what they turned out to be; neither outcome is a success.
    pub fn move_between(&self, proxy: &Label, site: &Label, before: Outcome, after: Outcome, count: u64) {
        let mut totals = self.totals.lock();
        totals.total.move_between(before, after, count);
        totals.proxies.move_between(proxy, before, after, count);
        totals.sites.move_between(site, before, after, count);
        let Some(tally) = &mut totals.outcomes[before as usize] else { return };
        let moved = count.min(tally.requests);
        tally.requests -= moved;
        tally.outcomes[before as usize] -= moved;
        let tally = totals.outcomes[after as usize].get_or_insert_default();
        tally.requests += moved;
        tally.outcomes[after as usize] += moved;
    }

    /// Everything together, and requests per second at `now`.
    #[must_use]
    pub fn totals(&self, now: f64) -> (Report, f64) {
        let totals = self.totals.lock();
        (totals.total.report(), totals.rate.per_second(now))
    }

    /// The counts by group, and those of groups that are no longer kept apart.
    #[must_use]
    pub fn groups(&self, by: By) -> (Vec<(Label, Report)>, Option<Report>) {
        let totals = self.totals.lock();
        match by {
            By::Proxy => totals.proxies.report(),
            By::Site => totals.sites.report(),
            By::Outcome => {
                let named = |outcome: Outcome| {
                    let tally = totals.outcomes[outcome as usize].as_ref()?;
                    Some((Label::Text(outcome.as_str().into()), tally.report()))
                };
                (Outcome::ALL.into_iter().filter_map(named).collect(), None)
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_group_is_merged_into_the_rest() {
        let metrics = Metrics::new(2);
        let count = |proxy: u64| metrics.record(&Label::Number(proxy), None, Outcome::Success, 5.0, 0.0);
        for proxy in [1, 2, 1, 3] {
            count(proxy);
        }
        let (each, other) = metrics.groups(By::Proxy);
        let mut numbers: Vec<String> = each.iter().map(|(key, _)| key.to_string()).collect();
        numbers.sort();
        assert_eq!(numbers, ["1", "3"], "2 was idle longest");
        assert_eq!(other.map(|report| report.requests), Some(1));
        assert_eq!(metrics.totals(0.0).0.requests, 4);
    }

    #[test]
    fn attempts_that_were_booked_as_the_sites_fault_move() {
        let metrics = Metrics::new(10);
        let (proxy, site) = (Label::Number(1), Label::Text("shop.test".into()));
        for _ in 0..3 {
            metrics.record(&proxy, Some(&site), Outcome::TargetFault, 1.0, 0.0);
        }
        metrics.move_between(&proxy, &site, Outcome::TargetFault, Outcome::ProxyDown, 2);
        let (total, _) = metrics.totals(0.0);
        assert_eq!(total.outcomes[Outcome::TargetFault as usize], 1);
        assert_eq!(total.outcomes[Outcome::ProxyDown as usize], 2);
        let (by_outcome, _) = metrics.groups(By::Outcome);
        let counts: Vec<(String, u64)> =
            by_outcome.into_iter().map(|(name, report)| (name.to_string(), report.requests)).collect();
        assert_eq!(counts, [("proxy_down".to_owned(), 2), ("target_fault".to_owned(), 1)]);
    }
}
