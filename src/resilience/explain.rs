//! Why no proxy may be chosen, and when that changes: counted without a list, or proxy by proxy on demand.

use std::fmt;

use smallvec::SmallVec;

use crate::clock::Clock;
use crate::pool::query::Query;
use crate::proxy::Proxy;
use crate::proxy::health::{mark, reason};
use crate::resilience::standing::{Kind, SiteBans};

/// A group of reasons, by the name that users know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Why {
    /// Its health forbids it.
    Unhealthy,
    /// Left alone after failures, or on trial with the one request under way.
    Resting,
    /// Its time to live is over.
    Expired,
    /// Its breaker is open, or on trial with the one request under way.
    BreakerOpen,
    /// Benched at this site.
    BannedHere,
    /// To pause at this site, or out of tokens for it.
    RateLimitedHere,
    /// At rest at this site, where requests through it fail.
    RestingHere,
    /// As many requests in flight, or connections in use, as it may have.
    AtCapacity,
    /// Out of tokens.
    NoTokens,
    /// The budget has no room for its price.
    OverBudget,
    /// It does not meet the filters of this request.
    Filtered,
    /// This request excludes it.
    Excluded,
}

impl Why {
    /// Every group, in the order of its number.
    pub const ALL: [Self; 12] = [
        Self::Unhealthy,
        Self::Resting,
        Self::Expired,
        Self::BreakerOpen,
        Self::BannedHere,
        Self::RateLimitedHere,
        Self::RestingHere,
        Self::AtCapacity,
        Self::NoTokens,
        Self::OverBudget,
        Self::Filtered,
        Self::Excluded,
    ];

    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unhealthy => "unhealthy",
            Self::Resting => "resting",
            Self::Expired => "expired",
            Self::BreakerOpen => "breaker_open",
            Self::BannedHere => "banned_here",
            Self::RateLimitedHere => "rate_limited_here",
            Self::RestingHere => "resting_here",
            Self::AtCapacity => "at_capacity",
            Self::NoTokens => "no_tokens",
            Self::OverBudget => "over_budget",
            Self::Filtered => "filtered",
            Self::Excluded => "excluded",
        }
    }

    /// The name in a sentence.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::BreakerOpen => "with an open breaker",
            Self::BannedHere => "banned at this site",
            Self::RateLimitedHere => "held at this site",
            Self::RestingHere => "resting at this site",
            Self::AtCapacity => "at capacity",
            Self::NoTokens => "out of tokens",
            Self::OverBudget => "over the budget",
            Self::Filtered => "not matching the request's filters",
            Self::Excluded => "excluded by the request",
            Self::Unhealthy | Self::Resting | Self::Expired => self.as_str(),
        }
    }

    /// Whether waiting helps against it: a request may be admitted later that is refused now.
    const fn is_admission(self) -> bool {
        matches!(self, Self::BannedHere | Self::RateLimitedHere | Self::AtCapacity | Self::NoTokens)
    }
}

/// The longest rest at a failing site that a request waits for, in nanoseconds.
const SHORT: u64 = 2_000_000_000;

/// What speaks against one proxy: the group, until when by itself (on the steady clock), and whether the end of a request
/// can change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// The group.
    pub why: Why,
    /// Until when, if that is known.
    pub until: Option<u64>,
    /// Whether the end of a request under way can change it.
    pub may_free: bool,
}

impl Reason {
    /// A reason with an end that is known, or without.
    #[must_use]
    pub fn new(why: Why, until: Option<u64>) -> Self {
        Self { why, until, may_free: false }
    }

    /// Whether waiting from `now` on helps against it.
    fn is_worth_waiting(&self, now: u64) -> bool {
        // Where requests fail, a short rest is waited for like any pause, and a long one is an answer: the site is gone.
        let is_short = || self.why == Why::RestingHere && self.until.is_some_and(|until| until <= now + SHORT);
        self.why.is_admission() || self.may_free || is_short()
    }
}

/// All that speaks against a proxy by itself but the reasons `ignored`; empty if it is eligible.
#[must_use]
pub fn reasons_against(proxy: &Proxy, ignored: u32, clock: &dyn Clock) -> SmallVec<[Reason; 2]> {
    let mut found = SmallVec::new();
    let state = proxy.state().with(ignored, false);
    let expired = proxy.is_expired(clock);
    if state.reasons() == 0 && !expired {
        return found;
    }
    let record = proxy.liveness();
    let until = |read: fn(&crate::proxy::liveness::Liveness) -> u64| record.map(read);
    if state.has(reason::RESTING) {
        found.push(Reason::new(Why::Resting, until(|record| record.rest_until())));
    } else if state.has(reason::UNHEALTHY) || state.has(reason::DRAINING) {
        found.push(Reason::new(Why::Unhealthy, None));
    }
    if state.has(reason::EXPIRED) || expired {
        found.push(Reason::new(Why::Expired, None));
    }
    if state.has(reason::BREAKER) {
        let until = record.and_then(|record| record.breaker().as_ref().and_then(|breaker| breaker.open_until()));
        found.push(Reason::new(Why::BreakerOpen, until));
    }
    if state.has(reason::PROBE_OUT) {
        let why = if state.has(mark::BREAKER_TRIAL) { Why::BreakerOpen } else { Why::Resting };
        found.push(Reason { why, until: until(|record| record.probe_until()), may_free: true });
    }
    if state.has(reason::AT_CAPACITY | reason::NO_CONNECTION) {
        found.push(Reason { why: Why::AtCapacity, until: None, may_free: true });
    }
    if state.has(reason::NO_TOKENS) {
        found.push(Reason::new(Why::NoTokens, until(|record| record.tokens_at())));
    }
    found
}

/// All that speaks against a proxy for one request.
fn reasons_for(query: &Query<'_>, proxy: &Proxy) -> SmallVec<[Reason; 2]> {
    let mut found = reasons_against(proxy, query.ignored(), query.clock());
    let context = query.context();
    let matches = context.required.as_ref().is_none_or(|filter| filter.matches(proxy))
        && (!context.thresholds.any() || context.thresholds.admit(proxy));
    if context.is_unpaid && proxy.is_paid() {
        found.push(Reason::new(Why::OverBudget, None));
    } else if !matches {
        found.push(Reason::new(Why::Filtered, None));
    }
    if context.excluded.contains(proxy) {
        found.push(Reason::new(Why::Excluded, None));
    }
    found
}

/// Visits every proxy of the pool with what speaks against it for this request.
pub fn explain(query: &Query<'_>, sites: &SiteBans, mut visit: impl FnMut(u32, &[Reason])) {
    let clock = query.clock();
    let bars = query.mask().map(|mask| sites.exclusions_at(query.table(), mask, clock)).unwrap_or_default();
    let now = clock.steady();
    for slot in query.table().all.members.iter() {
        let slot = slot as u32;
        let Some(proxy) = query.table().proxy(slot) else { continue };
        let mut reasons = reasons_for(query, proxy);
        if let Some(bar) = bars.get(&slot) {
            let why = match bar.kind {
                Kind::Banned => Why::BannedHere,
                Kind::RateLimited => Why::RateLimitedHere,
                Kind::Failing => Why::RestingHere,
            };
            reasons.push(Reason { why, until: Some(now.saturating_add(bar.wait)), may_free: bar.probing });
        }
        visit(slot, &reasons);
    }
}

/// How many proxies are out for which reason.
#[must_use]
pub fn tally(query: &Query<'_>, sites: &SiteBans) -> Tally {
    let mut tally = Tally::at(query.clock().steady());
    explain(query, sites, |_, reasons| tally.count(reasons));
    tally
}

/// How many proxies are out for which reason, and when waiting may help.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    counts: [usize; Why::ALL.len()],
    next: [Option<u64>; Why::ALL.len()],
    // Of the proxies that the request could have had: with an open breaker, and out for other reasons alone.
    shut: usize,
    otherwise: usize,
    free_at: Option<u64>,
    may_free: bool,
    now: u64,
}

impl Tally {
    /// Nothing counted yet, at `now` on the steady clock.
    #[must_use]
    pub fn at(now: u64) -> Self {
        Self { now, ..Self::default() }
    }

    /// Counts one proxy with what speaks against it.
    pub fn count(&mut self, reasons: &[Reason]) {
        if !reasons.iter().any(|reason| matches!(reason.why, Why::OverBudget | Why::Filtered | Why::Excluded)) {
            let shut = reasons.iter().any(|reason| reason.why == Why::BreakerOpen);
            *(if shut { &mut self.shut } else { &mut self.otherwise }) += 1;
        }
        for reason in reasons {
            let group = reason.why as usize;
            self.counts[group] += 1;
            if let Some(until) = reason.until {
                self.next[group] = Some(self.next[group].map_or(until, |next| next.min(until)));
            }
        }
        if reasons.is_empty() || !reasons.iter().all(|reason| reason.is_worth_waiting(self.now)) {
            return;
        }
        // It is free when the last of its reasons is gone; what has no time of its own goes with a request under way.
        let free_at = reasons.iter().filter_map(|reason| reason.until).max();
        if reasons.iter().any(|reason| reason.may_free) {
            self.may_free = true;
        }
        if reasons.iter().all(|reason| reason.until.is_some())
            && let Some(at) = free_at
        {
            self.free_at = Some(self.free_at.map_or(at, |earliest| earliest.min(at)));
        }
    }

    /// How many are out for that reason.
    #[must_use]
    pub fn of(&self, why: Why) -> usize {
        self.counts[why as usize]
    }

    /// Every group that is not empty.
    pub fn groups(&self) -> impl Iterator<Item = (Why, usize)> + '_ {
        Why::ALL.into_iter().map(|why| (why, self.of(why))).filter(|(_, count)| *count > 0)
    }

    /// Seconds until waiting has helped, if that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<f64> {
        self.free_at.map(|at| seconds(at, self.now))
    }

    /// Whether the end of a request under way can help.
    #[must_use]
    pub fn may_free(&self) -> bool {
        self.may_free
    }

    /// Whether breakers alone exclude every proxy that the request could have had.
    #[must_use]
    pub fn all_breakers_open(&self) -> bool {
        self.shut > 0 && self.otherwise == 0
    }
}

fn seconds(at: u64, now: u64) -> f64 {
    at.saturating_sub(now) as f64 / 1e9
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (why, count)) in self.groups().enumerate() {
            if number > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{count} {}", why.words())?;
            if let Some(next) = self.next[why as usize] {
                write!(f, " (next in {:.0} s)", seconds(next, self.now).ceil())?;
            }
        }
        Ok(())
    }
}
