//! The seven classes of what comes back of an attempt, and the one table of what each of them does.

use crate::proxy::Verdict;

/// What an outcome does to the proxy's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterEffect {
    /// Counts a success.
    Success,
    /// Counts a failure.
    Failure,
    /// Counts a result that is neither, and ends the failures in a row.
    Refused,
    /// Counts a result that is neither.
    Elsewhere,
    /// Takes the start back, as if the proxy had never been chosen.
    NeverChosen,
}

impl CounterEffect {
    /// Whether the result is the proxy's own doing, good or bad, so that its history has it.
    #[must_use]
    pub fn is_of_the_proxy(self) -> bool {
        matches!(self, Self::Success | Self::Failure)
    }

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

/// What an outcome says of the proxy's liveness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LivenessEffect {
    /// The proxy carries bytes.
    Good,
    /// It does not.
    Bad,
    /// It does not without other credentials.
    NeedsLogin,
    /// Nothing.
    Unchanged,
}

/// What an outcome says of the proxy at the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteEffect {
    /// The site serves the proxy.
    Welcome,
    /// The site refuses the proxy: it is benched there.
    Benched,
    /// The site asks for a pause: the proxy is held there.
    Held,
    /// Nothing.
    Unchanged,
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
    /// On the counters.
    pub counters: CounterEffect,
    /// On the proxy's liveness.
    pub liveness: LivenessEffect,
    /// On the pair of proxy and site.
    pub site: SiteEffect,
    /// Whether the time counts for the latency average.
    pub latency_average: bool,
    /// Whether the request is worth another proxy.
    pub try_another: TryAnother,
}

impl Effects {
    /// Whether it takes an answer of the site to have this outcome, where it was read off an answer at all.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(self.counters, CounterEffect::Success | CounterEffect::Refused | CounterEffect::Elsewhere)
    }

    /// Whether another proxy is the remedy, so that the cause lies with this one: its connections are of no more use.
    #[must_use]
    pub fn is_about_the_proxy(&self) -> bool {
        self.try_another == TryAnother::Yes
    }

    /// Whether the answer is the site's word to this proxy: returned at the end rather than raised as an error.
    #[must_use]
    pub fn is_sites_word(&self) -> bool {
        matches!(self.site, SiteEffect::Benched | SiteEffect::Held)
    }

    /// Whether the proxy was refused, by itself or by the site: the same proxy fares no better in a moment.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.is_sites_word() || self.liveness == LivenessEffect::NeedsLogin
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
        use CounterEffect as Counters;
        use LivenessEffect::{Bad, Good, NeedsLogin};
        use SiteEffect::{Benched, Held, Welcome};
        use TryAnother::{ByPolicy, No, Yes};
        let (counters, liveness, site, try_another) = match self {
            Self::Success => (Counters::Success, Good, Welcome, No),
            Self::ProxyDown => (Counters::Failure, Bad, SiteEffect::Unchanged, Yes),
            Self::ProxyAuth => (Counters::Failure, NeedsLogin, SiteEffect::Unchanged, Yes),
            Self::Banned => (Counters::Refused, Good, Benched, Yes),
            Self::RateLimited => (Counters::Refused, Good, Held, Yes),
            Self::TargetFault => (Counters::Elsewhere, LivenessEffect::Unchanged, SiteEffect::Unchanged, ByPolicy),
            Self::ClientFault => (Counters::NeverChosen, LivenessEffect::Unchanged, SiteEffect::Unchanged, No),
        };
        // The time to an answer is the proxy's only where it has brought the answer that was wanted.
        Effects { counters, liveness, site, latency_average: matches!(self, Self::Success), try_another }
    }
}

/// What is known of an attempt by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// Its outcome.
    Known(Outcome),
    /// A failure that may be the site's as well as the proxy's: evidence decides.
    Ambiguous,
}

impl Judgement {
    /// The outcome, if it is known.
    #[must_use]
    pub const fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Known(outcome) => Some(outcome),
            Self::Ambiguous => None,
        }
    }

    fn has(self, property: impl FnOnce(&Effects) -> bool) -> bool {
        self.outcome().is_some_and(|outcome| property(&outcome.effects()))
    }

    /// Whether another proxy is the remedy: of an ambiguous failure too.
    #[must_use]
    pub fn is_about_the_proxy(self) -> bool {
        self == Self::Ambiguous || self.has(Effects::is_about_the_proxy)
    }

    /// Whether the proxy's connections are of no more use: another exit may answer.
    #[must_use]
    pub fn spends_connections(self) -> bool {
        self.has(Effects::is_about_the_proxy)
    }

    /// Whether a ban rule may take a failure for a refusal by the site: not what is at fault on this side.
    #[must_use]
    pub fn may_be_a_ban(self) -> bool {
        self != Self::Known(Outcome::ClientFault)
    }

    /// For how many seconds the pair is held: as long as was `asked`, where the outcome is a hold at all.
    #[must_use]
    pub fn hold(self, asked: impl FnOnce() -> Option<f64>) -> Option<f64> {
        if self.has(|effects| effects.site == SiteEffect::Held) { asked() } else { None }
    }

    /// As [`Effects::is_sites_word`].
    #[must_use]
    pub fn is_sites_word(self) -> bool {
        self.has(Effects::is_sites_word)
    }

    /// As [`Effects::is_refusal`].
    #[must_use]
    pub fn is_refusal(self) -> bool {
        self.has(Effects::is_refusal)
    }
}

impl From<Outcome> for Judgement {
    fn from(outcome: Outcome) -> Self {
        Self::Known(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Banned, ClientFault, ProxyAuth, ProxyDown, RateLimited, Success, TargetFault};
    use super::{Judgement, Outcome};

    #[test]
    fn classes_of_the_retry_loop_follow_from_the_table() {
        let all = Outcome::ALL.map(Judgement::Known).into_iter().chain([Judgement::Ambiguous]);
        let having = |property: fn(Judgement) -> bool| -> Vec<Option<Outcome>> {
            all.clone().filter(|judgement| property(*judgement)).map(Judgement::outcome).collect()
        };
        let at_fault = [ProxyDown, ProxyAuth, Banned, RateLimited].map(Some);
        assert_eq!(having(Judgement::spends_connections), at_fault);
        assert_eq!(having(Judgement::is_about_the_proxy), [at_fault.as_slice(), &[None]].concat());
        assert_eq!(having(Judgement::is_sites_word), [Banned, RateLimited].map(Some));
        assert_eq!(having(|judgement| judgement.hold(|| Some(7.0)).is_some()), [Some(RateLimited)]);
        assert_eq!(having(Judgement::is_refusal), [ProxyAuth, Banned, RateLimited].map(Some));
        let silent = [Success, TargetFault, ClientFault].map(Judgement::Known);
        assert!(silent.iter().all(|judgement| !judgement.is_about_the_proxy()));
    }
}
