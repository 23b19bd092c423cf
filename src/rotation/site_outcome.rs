//! What an outcome is to the sites.

use crate::judge::outcome::{CounterEffect, Effects, SiteEffect};
use crate::resilience::standing::SiteOutcome;

/// The outcome for the pair of proxy and site; `hold` in seconds.
pub(super) fn site_outcome(effects: &Effects, hold: Option<f64>) -> SiteOutcome {
    match effects.site {
        SiteEffect::Welcome => SiteOutcome::Welcome,
        SiteEffect::Benched => SiteOutcome::Banned(hold),
        SiteEffect::Held => SiteOutcome::RateLimited(hold),
        SiteEffect::Unchanged if effects.counters == CounterEffect::NeverChosen => SiteOutcome::Released,
        SiteEffect::Unchanged => SiteOutcome::Nothing,
    }
}
