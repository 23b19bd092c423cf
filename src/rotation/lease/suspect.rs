//! Failures that may be the site's fault: ended as suspects, decided once the request is over.

use crate::clock::Clock;
use crate::judge::blame::{Conviction, Doubt};
use crate::judge::outcome::Outcome;
use crate::resilience::Notice;
use crate::resilience::guard::Blamed;
use crate::resilience::standing::SiteOutcome;
use crate::sync::Arc;

use super::{AlreadyClosed, Ending, Lease, References};

/// Failures in a row at a site after which a proxy that is alone goes on there without a rest.
const FREE_FAILURES: u8 = 2;

/// How an attempt ended whose failure may be the site's fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspicion {
    /// Milliseconds that the attempt took.
    pub elapsed_ms: f64,
    /// What it was, if that is settled; else [`conclude`] decides.
    pub outcome: Option<Outcome>,
}

impl<P: References> Lease<P> {
    /// Ends the attempt with a failure that may be the site's fault as well as the proxy's. It is booked as the site's, and
    /// the pair of both rests, until [`conclude`] says more. Without a site there is nothing to weigh: the failure is the
    /// proxy's.
    ///
    /// # Errors
    /// [`AlreadyClosed`] for a second verdict; nothing is recorded then.
    pub fn suspect(&self, ending: &Ending, clock: &dyn Clock) -> Result<Suspicion, AlreadyClosed> {
        if self.taken.at_site.is_none() {
            let elapsed_ms = self.finish(Outcome::ProxyDown, ending, clock)?;
            return Ok(Suspicion { elapsed_ms, outcome: Some(Outcome::ProxyDown) });
        }
        self.close()?;
        self.charge();
        let admitted = self.admitted_here(clock);
        self.pool().guard().note_trouble(clock.steady_coarse());
        let elapsed_ms = ending.elapsed_ms.unwrap_or_else(|| self.elapsed_ms(clock));
        if let Some(verdict) = Outcome::TargetFault.effects().counters.verdict(elapsed_ms) {
            self.strategy().record(self.proxy(), verdict, clock);
        }
        self.settle_at_site(SiteOutcome::Failed { free: if self.is_alone() { FREE_FAILURES } else { 0 } }, clock);
        self.pool().guard().on_inconclusive(self.proxy(), &admitted, clock);
        Ok(Suspicion { elapsed_ms, outcome: None })
    }

    fn doubt(&self) -> Option<Doubt<'_>> {
        let site = self.taken.at_site.as_ref()?.site();
        Some(Doubt { proxy: self.proxy(), site, began: self.taken.began, is_alone: self.is_alone(), results: 1 })
    }

    /// The failures are the proxy's. `is_late`: they have been reported as the site's.
    #[cold]
    pub(super) fn convict(&self, conviction: &Conviction, is_late: bool, clock: &dyn Clock) {
        let Conviction { proxy, results, began, by_row, .. } = conviction;
        let blamed = Blamed { proxy, results: *results, began: *began, by_row: *by_row };
        self.pool().guard().on_blamed(self.pool(), &blamed, clock);
        self.pool().sites().clear_failures_at(self.pool(), &conviction.site, &conviction.proxy, clock);
        if is_late {
            self.tell_of_blame(conviction);
        }
    }

    fn tell_of_blame(&self, conviction: &Conviction) {
        let Conviction { proxy, site, results, .. } = conviction;
        let notices = &self.pool().guard().notices;
        notices.put(|| Notice::Blamed { proxy: proxy.id(), site: site.key().into(), results: *results });
    }
}

/// Decides the failures of one request that is over, as far as there is evidence: what each of the attempts, ended with
/// [`Lease::suspect`], was. `answered_by`: the attempt that the site answered.
#[cold]
pub fn conclude<P: References>(
    suspects: &[&Lease<P>],
    answered_by: Option<&Lease<P>>,
    clock: &dyn Clock,
) -> Vec<Outcome> {
    let is_alike = suspects.iter().any(|lease| !Arc::ptr_eq(lease.proxy(), suspects[0].proxy()));
    let outcome_of = |lease: &&Lease<P>| {
        let Some(doubt) = lease.doubt() else { return Outcome::ProxyDown };
        let now = clock.steady();
        let blame = lease.pool().blame();
        match answered_by {
            // It has brought the answer itself, by another exit or at the second attempt.
            Some(answering) if Arc::ptr_eq(answering.proxy(), doubt.proxy) => return Outcome::TargetFault,
            Some(_) if !doubt.is_alone => {
                let (proxy, site) = (doubt.proxy.clone(), doubt.site.clone());
                let conviction = Conviction { proxy, site, results: 1, began: doubt.began, by_row: false };
                lease.convict(&conviction, false, clock);
                return Outcome::ProxyDown;
            }
            None if is_alike => {
                blame.site_is_at_fault(doubt.site, now);
                return Outcome::TargetFault;
            }
            _ => {}
        }
        let mut outcome = Outcome::TargetFault;
        for mut conviction in blame.enter(&doubt, now) {
            lease.convict(&conviction, false, clock);
            if Arc::ptr_eq(&conviction.site, doubt.site) {
                outcome = Outcome::ProxyDown;
                conviction.results -= 1;
            }
            if conviction.results > 0 {
                lease.tell_of_blame(&conviction);
            }
        }
        outcome
    };
    let outcomes = suspects.iter().map(outcome_of).collect();
    if let Some(lease) = suspects.first() {
        lease.pool().guard().freed();
    }
    outcomes
}
