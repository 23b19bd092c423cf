//! The end of a lease: counters, liveness and the site learn what came back.

use crate::clock::Clock;
use crate::judge::outcome::{Effects, LivenessEffect, Outcome};
use crate::proxy::health::mark;
use crate::resilience::Notice;
use crate::resilience::site::Site;
use crate::resilience::standing::{Kind, SiteChange, SiteOutcome};
use crate::rotation::site_outcome;
use crate::sync::{Arc, Ordering};

use super::{AlreadyClosed, Lease, References};

/// What is known of a request's end besides its outcome.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ending {
    /// Milliseconds it took; by default since the lease was taken.
    pub elapsed_ms: Option<f64>,
    /// Seconds for which the site is not to be asked through this proxy; by default as the pool's settings say.
    pub hold: Option<f64>,
    /// Whether the outcome was read off an answer or an error, rather than said outright.
    pub judged: bool,
    /// Whether no more is known than that the proxy carried bytes: a success says nothing of the site then.
    pub carried: bool,
    /// Whether it was an answer, so that the site has spoken.
    pub answered: bool,
}

impl Ending {
    /// After that many milliseconds.
    #[must_use]
    pub fn after(ms: f64) -> Self {
        Self { elapsed_ms: Some(ms), ..Self::default() }
    }
}

impl<P: References> Lease<P> {
    /// Ends the lease.
    ///
    /// # Errors
    /// [`AlreadyClosed`] for a second verdict; nothing is recorded then.
    pub fn finish(&self, outcome: Outcome, ending: &Ending, clock: &dyn Clock) -> Result<f64, AlreadyClosed> {
        self.close()?;
        let admitted = self.admitted_here(clock);
        let elapsed = ending.elapsed_ms.unwrap_or_else(|| self.elapsed_ms(clock));
        let effects = outcome.effects();
        let guard = self.pool().guard();
        let (proxy, admitted) = (self.proxy(), &admitted);
        if matches!(effects.liveness, LivenessEffect::Bad | LivenessEffect::NeedsLogin) {
            guard.on_failure(self.pool(), proxy, admitted, effects.liveness == LivenessEffect::NeedsLogin, clock);
        }
        match effects.counters.verdict(elapsed) {
            Some(verdict) => {
                self.charge();
                self.strategy().record(proxy, verdict, clock);
            }
            None => {
                self.charge_if_used();
                proxy.cancel_start(clock);
            }
        }
        if proxy.is_paid() {
            proxy.follow_mean_bytes();
        }
        self.settle_at_site(self.site_outcome(&effects, ending), clock);
        if effects.liveness == LivenessEffect::Good {
            guard.on_success(proxy, admitted, clock.steady_coarse(), clock);
        } else {
            guard.on_inconclusive(proxy, admitted, clock);
        }
        if outcome == Outcome::Success || (ending.answered && effects.is_answer()) {
            self.note_answer(clock);
        }
        Ok(elapsed)
    }

    fn site_outcome(&self, effects: &Effects, ending: &Ending) -> SiteOutcome {
        let site_outcome = site_outcome::site_outcome(effects, ending.hold);
        if ending.carried && site_outcome == SiteOutcome::Welcome {
            return SiteOutcome::Carried;
        }
        if !ending.judged {
            return site_outcome;
        }
        match site_outcome {
            // Another exit carries the next request, whatever this one got.
            SiteOutcome::Banned(None) if self.proxy().is_rotating() => SiteOutcome::ExitRefused(Kind::Banned),
            SiteOutcome::RateLimited(_) if self.proxy().is_rotating() => SiteOutcome::ExitRefused(Kind::RateLimited),
            // To bench the only proxy gains nothing, and it may be a gateway without saying so.
            SiteOutcome::Banned(None) | SiteOutcome::RateLimited(None) if self.pool().len() == 1 => {
                SiteOutcome::Nothing
            }
            site_outcome => site_outcome,
        }
    }

    /// The site has answered through this proxy, which may be evidence about others.
    #[inline]
    fn note_answer(&self, clock: &dyn Clock) {
        if self.proxy().state().has(mark::DOUBTED) {
            self.pool().blame().carried(self.proxy());
        }
        let Some(admission) = &self.taken.at_site else { return };
        let site = admission.site();
        site.note_answer(Arc::as_ptr(self.proxy()) as usize, clock.steady_coarse());
        // Relaxed: a doubt that comes up at this moment is decided by the next answer.
        if site.doubtful.load(Ordering::Relaxed) {
            let (convictions, has_recovered) = self.pool().blame().answered(self.proxy(), site, clock.steady());
            for conviction in &convictions {
                self.convict(conviction, true, clock);
            }
            if has_recovered {
                self.pool().sites().clear_failures_of_all_at(self.pool(), site, clock);
                self.pool().guard().freed();
            }
        }
    }

    pub(super) fn settle_at_site(&self, site_outcome: SiteOutcome, clock: &dyn Clock) {
        let Some(admission) = &self.taken.at_site else { return };
        let effect = self.pool().settle_at(admission, site_outcome, self.taken.began, clock);
        if effect != SiteChange::None {
            self.tell_of(admission.site(), effect);
        }
    }

    #[cold]
    fn tell_of(&self, site: &Site, effect: SiteChange) {
        let benched =
            |seconds, level| Notice::Benched { proxy: self.proxy().id(), site: site.key().into(), seconds, level };
        let notices = &self.pool().guard().notices;
        match effect {
            SiteChange::Benched { seconds, level } => notices.put(|| benched(seconds, level.saturating_sub(1))),
            SiteChange::Held { seconds } => notices.put(|| benched(seconds, 0)),
            SiteChange::Spared { first: true } => notices.put(|| Notice::Panic { site: Some(site.key().into()) }),
            SiteChange::Spared { first: false } | SiteChange::Freed | SiteChange::None => {}
        }
    }

    /// Ends the lease as if the proxy had never been chosen.
    ///
    /// # Errors
    /// [`AlreadyClosed`] after a verdict.
    pub fn release(&self, clock: &dyn Clock) -> Result<(), AlreadyClosed> {
        self.close()?;
        self.charge_if_used();
        if self.is_inherited() {
            return Ok(());
        }
        self.taken.undo(self.pool(), self.proxy(), clock);
        Ok(())
    }
}
