//! What a request's end says about the proxy that carried it.

use crate::proxy::Verdict;
use crate::resilience::standing::SiteOutcome;

/// What an outcome does to the proxy's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterEffect {
    /// As a recorded success.
    Success,
    /// As a recorded failure.
    Failure,
    /// Completed, neither success nor failure; no failure in a row any more.
    Refused,
    /// Completed, and nothing else.
    Elsewhere,
    /// As if it had never been chosen.
    NeverChosen,
}

impl CounterEffect {
    /// The entry, with the milliseconds it took; `None` takes the start back.
    #[must_use]
    pub fn verdict(self, elapsed_ms: f64) -> Option<Verdict> {
        match self {
            Self::Success => Some(Verdict::Success(elapsed_ms)),
            Self::Failure => Some(Verdict::Failure(elapsed_ms)),
            Self::Refused => Some(Verdict::Refused),
            Self::Elsewhere => Some(Verdict::Elsewhere),
            Self::NeverChosen => None,
        }
    }
}

/// What it says of whether the proxy can carry bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LivenessEffect {
    /// It can.
    Good,
    /// It cannot.
    Bad,
    /// Not without other credentials.
    NeedsLogin,
    /// Nothing.
    Unchanged,
}

/// What it says of whether the proxy is welcome at the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteEffect {
    /// It is.
    Welcome,
    /// It is not, for a while.
    Benched,
    /// It is to pause.
    Held,
    /// Nothing.
    Unchanged,
}

impl SiteEffect {
    /// What the books on standing are told; `hold` in seconds.
    #[must_use]
    pub fn finding(self, hold: Option<f64>, books: CounterEffect) -> SiteOutcome {
        match self {
            Self::Welcome => SiteOutcome::Welcome,
            Self::Benched => SiteOutcome::Banned(hold),
            Self::Held => SiteOutcome::RateLimited(hold),
            Self::Unchanged if books == CounterEffect::NeverChosen => SiteOutcome::Released,
            Self::Unchanged => SiteOutcome::Nothing,
        }
    }
}

/// Whether the request is worth another proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryAnother {
    /// It is.
    Yes,
    /// Where the retry policy says so.
    ByPolicy,
    /// It is not.
    No,
}

/// What follows from an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effects {
    /// The counters.
    pub books: CounterEffect,
    /// Can it carry bytes.
    pub liveness: LivenessEffect,
    /// Is it welcome at the site.
    pub standing: SiteEffect,
    /// Whether the time counts for the latency average.
    pub latency_average: bool,
    /// Whether the request is worth another proxy.
    pub try_another: TryAnother,
}

impl Effects {
    /// Whether it takes an answer of the site to have this outcome, where it was read off an answer at all.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(self.books, CounterEffect::Success | CounterEffect::Refused | CounterEffect::Elsewhere)
    }
}

/// The documented outcome classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An answer the site meant.
    Success,
    /// The proxy did not carry the request.
    ProxyDown,
    /// The proxy wants a login, or refuses the one it got.
    ProxyAuth,
    /// The site refuses this proxy.
    Banned,
    /// The site asks for a pause.
    RateLimited,
    /// The site is in trouble.
    TargetFault,
    /// The fault is on this side.
    ClientFault,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Success,
        Self::ProxyDown,
        Self::ProxyAuth,
        Self::Banned,
        Self::RateLimited,
        Self::TargetFault,
        Self::ClientFault,
    ];

    /// The documented value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ProxyDown => "proxy_down",
            Self::ProxyAuth => "proxy_auth",
            Self::Banned => "banned",
            Self::RateLimited => "rate_limited",
            Self::TargetFault => "target_fault",
            Self::ClientFault => "client_fault",
        }
    }

    /// The outcome of that value, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str().eq_ignore_ascii_case(name))
    }

    /// What follows from it. The documented table, and the only place where it is written down.
    #[must_use]
    pub const fn effects(self) -> Effects {
        use LivenessEffect::{Bad, Good, NeedsLogin};
        use SiteEffect::{Benched, Held, Welcome};
        use TryAnother::{ByPolicy, No, Yes};
        let (books, liveness, standing, try_another) = match self {
            Self::Success => (CounterEffect::Success, Good, Welcome, No),
            Self::ProxyDown => (CounterEffect::Failure, Bad, SiteEffect::Unchanged, Yes),
            Self::ProxyAuth => (CounterEffect::Failure, NeedsLogin, SiteEffect::Unchanged, Yes),
            Self::Banned => (CounterEffect::Refused, Good, Benched, Yes),
            Self::RateLimited => (CounterEffect::Refused, Good, Held, Yes),
            Self::TargetFault => (CounterEffect::Elsewhere, LivenessEffect::Unchanged, SiteEffect::Unchanged, ByPolicy),
            Self::ClientFault => (CounterEffect::NeverChosen, LivenessEffect::Unchanged, SiteEffect::Unchanged, No),
        };
        // The time to an answer is the proxy's only where it has brought the answer that was wanted.
        Effects { books, liveness, standing, latency_average: matches!(self, Self::Success), try_another }
    }

    /// What an answer says by its status; `None` for what evidence has to decide. A 502, 503 or 504 through a tunnel comes
    /// from the site; through a forward proxy it may be either's. A 407 in a tunnel comes from the site too: the proxy has
    /// agreed long before. `retry_after`: the answer says when to come back. `ban`: the ban rules name this status.
    #[must_use]
    pub fn of_status(status: u16, tunnelled: bool, retry_after: bool, ban: bool) -> Option<Self> {
        Some(match status {
            407 if !tunnelled => Self::ProxyAuth,
            429 | 503 if retry_after => Self::RateLimited,
            429 if ban => Self::RateLimited,
            _ if ban => Self::Banned,
            502..=504 if !tunnelled => return None,
            500..=599 => Self::TargetFault,
            _ => Self::Success,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{self, Banned, ProxyAuth, RateLimited, Success, TargetFault};

    #[test]
    fn the_table_of_statuses() {
        let rows = [
            (200, [Some(Success), Some(Success)], false, false),
            (404, [Some(Success), Some(Success)], false, false),
            (403, [Some(Success), Some(Success)], false, false),
            (403, [Some(Banned), Some(Banned)], false, true),
            (200, [Some(Banned), Some(Banned)], false, true),
            (407, [Some(ProxyAuth), Some(Success)], false, false),
            (429, [Some(Success), Some(Success)], false, false),
            (429, [Some(RateLimited), Some(RateLimited)], false, true),
            (429, [Some(RateLimited), Some(RateLimited)], true, false),
            (500, [Some(TargetFault), Some(TargetFault)], false, false),
            (502, [None, Some(TargetFault)], false, false),
            (503, [None, Some(TargetFault)], false, false),
            (503, [Some(RateLimited), Some(RateLimited)], true, false),
            (503, [Some(Banned), Some(Banned)], false, true),
            (504, [None, Some(TargetFault)], true, false),
            (505, [Some(TargetFault), Some(TargetFault)], false, false),
        ];
        for (status, expected, retry_after, ban) in rows {
            let found = [false, true].map(|tunnelled| Outcome::of_status(status, tunnelled, retry_after, ban));
            assert_eq!(found, expected, "{status}, retry_after {retry_after}, ban {ban}");
        }
    }
}
