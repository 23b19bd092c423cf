//! A lease: one proxy, taken for one piece of work, until its outcome is reported.

use std::any::Any;

use crate::clock::{Clock, SystemClock};
use crate::fork;
use crate::judge::blame::{Conviction, Doubt};
use crate::judge::outcome::{Effects, LivenessEffect, Outcome};
use crate::pool::context::Context;
use crate::pool::mask::SiteMask;
use crate::pool::query::{Notes, Query};
use crate::pool::{Member, Pool, Table};
use crate::proxy::Proxy;
use crate::proxy::health::mark;
use crate::resilience::Notice;
use crate::resilience::guard::{Admitted, Blamed};
use crate::resilience::site::Site;
use crate::resilience::standing::{Admission, Kind, SiteChange, SiteOutcome};
use crate::rotation::{Domain, site_outcome};
use crate::strategy::{Refusal, Shared, choose};
use crate::sync::{Arc, AtomicBool, Ordering};

/// Choices lost to other threads before a strategy is taken to choose without regard for eligibility.
const TRIES: usize = 64;
/// Failures in a row at a site after which a proxy that is alone goes on there without a rest.
const FREE_FAILURES: u8 = 2;

/// What a lease is about. An embedding program that keeps all three alive by objects of its own gives those: a lease then
/// touches no count that threads contend for.
pub trait References: Send + Sync {
    /// The pool that the proxy was taken from.
    fn pool(&self) -> &Arc<Domain>;
    /// The proxy.
    fn proxy(&self) -> &Arc<Proxy>;
    /// The strategy that chose it.
    fn strategy(&self) -> &Shared;
}

/// The three themselves.
pub struct Owned {
    pool: Arc<Domain>,
    proxy: Arc<Proxy>,
    strategy: Shared,
}

impl References for Owned {
    fn pool(&self) -> &Arc<Domain> {
        &self.pool
    }

    fn proxy(&self) -> &Arc<Proxy> {
        &self.proxy
    }

    fn strategy(&self) -> &Shared {
        &self.strategy
    }
}

/// One started request on one proxy. The first verdict ends it; dropped without one, it counts as if the proxy had
/// never been chosen.
pub struct Lease<P: References = Owned> {
    references: P,
    taken: Taken,
    closed: AtomicBool,
}

/// What was taken for a request: the start that is counted on the proxy, and more.
pub struct Taken {
    admitted: Admitted,
    at_site: Option<Admission>,
    began: u64,
    // The fork generation of the process that took it.
    taken_in: u32,
}

impl Taken {
    /// Gives it back as if the proxy had never been chosen.
    pub fn give_back(&self, pool: &Domain, proxy: &Arc<Proxy>, clock: &dyn Clock) {
        proxy.cancel_start(clock);
        if let Some(admission) = &self.at_site {
            pool.settle_at(admission, SiteOutcome::Released, self.began, clock);
        }
        pool.guard().on_inconclusive(proxy, &self.admitted, clock);
    }
}

/// What a lease is asked for with.
pub struct LeaseRequest<'a> {
    /// What the caller wants.
    pub context: &'a Context,
    /// Where the request goes.
    pub site: Option<&'a Arc<Site>>,
    /// Whether the request holds a connection of the pool's own transports until its end.
    pub connects: bool,
    /// The time.
    pub clock: &'a dyn Clock,
    /// What strategies of the embedding program want to find, and a place for notes.
    pub foreign: Option<(&'a dyn Any, &'a Notes)>,
}

impl<'a> LeaseRequest<'a> {
    #[inline]
    fn query<'b>(&self, pool: &'b Pool, table: &'b Arc<Table>, mask: Option<&'b SiteMask<'b>>) -> Query<'b>
    where
        'a: 'b,
    {
        Query::asked(pool, table, self.context, mask, self.clock, self.foreign)
    }
}

/// The lease had its verdict already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadyClosed;

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

/// How an attempt ended whose failure may be the site's fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspicion {
    /// Milliseconds that the attempt took.
    pub elapsed_ms: f64,
    /// What it was, if that is settled; else [`conclude`] decides.
    pub outcome: Option<Outcome>,
}

impl Lease {
    /// Chooses, admits and counts the start.
    ///
    /// # Errors
    /// What `refused` makes of the [`Refusal`] of the strategy, or of choices that are never admitted.
    pub fn take<E>(
        pool: &Arc<Domain>,
        strategy: Shared,
        request: &LeaseRequest<'_>,
        refused: impl FnOnce(Refusal, &Query<'_>) -> E,
    ) -> Result<Self, E> {
        let owned = |member: &Member, taken| {
            let references = Owned { pool: pool.clone(), proxy: member.proxy().clone(), strategy: strategy.clone() };
            Ok(Self::new(references, taken))
        };
        Self::take_as(pool, &strategy, request, owned, refused)
    }

    /// The same; what is returned is made by `made` of the member chosen and what was taken on its proxy.
    ///
    /// # Errors
    /// As of [`Lease::take`], and those of `made`.
    // The lease is made in its last place: handed on by value through results, it would be copied at every step.
    #[inline]
    pub fn take_as<R, E>(
        pool: &Arc<Domain>,
        strategy: &Shared,
        request: &LeaseRequest<'_>,
        made: impl FnOnce(&Member, Taken) -> Result<R, E>,
        refused: impl FnOnce(Refusal, &Query<'_>) -> E,
    ) -> Result<R, E> {
        let clock = request.clock;
        let guard = pool.guard();
        let mut tries = 0;
        // A session keeps its proxy, proven or not.
        let mut spares_untried =
            request.connects && request.context.session_id.is_none() && guard.is_in_trouble(clock.steady_coarse());
        loop {
            // Loaded anew each time: the newest table has what changed meanwhile.
            guard.catch_up(clock);
            let table = pool.table();
            let mask = request.site.and_then(|site| pool.mask_of(&table, site, clock));
            let mut query = request.query(pool, &table, mask.as_ref());
            if request.connects {
                query = query.connecting(spares_untried);
            }
            if tries == TRIES {
                return Err(refused(Refusal::NotAdmitted { tries }, &query));
            }
            tries += 1;
            let choice = match choose(&**strategy, &query) {
                Ok(choice) => choice,
                // Better one that another request is trying than none.
                Err(refusal) if spares_untried && refusal.is_shortage() => {
                    spares_untried = false;
                    continue;
                }
                Err(refusal) => return Err(refused(refusal, &query)),
            };
            let Some(member) = query.slot(choice).and_then(|slot| slot.member()) else { continue };
            let proxy = member.proxy();
            // A faster thread has left a reason on the proxy, or a mark at the site: the next choice is another.
            let Ok(admitted) = guard.admit(proxy, request.connects, clock) else {
                proxy.cancel_start(clock);
                continue;
            };
            let at_site = match request.site.map(|site| pool.admit_at(&table, site, choice.0, clock)) {
                None => None,
                Some(Ok(admission)) => Some(admission),
                Some(Err(_)) => {
                    proxy.cancel_start(clock);
                    guard.undo(proxy, &admitted, clock);
                    continue;
                }
            };
            // A strategy written in Python takes its time, which is not the lease's.
            let slow = request.foreign.is_some_and(|(_, notes)| notes.asked_python.get());
            let began = if slow { clock.steady_now() } else { clock.steady() };
            return made(member, Taken { admitted, at_site, began, taken_in: fork::generation() as u32 });
        }
    }
}

impl<P: References> Lease<P> {
    /// An open lease.
    #[inline]
    #[must_use]
    pub fn new(references: P, taken: Taken) -> Self {
        Self { references, taken, closed: AtomicBool::new(false) }
    }

    /// What it is about.
    #[inline]
    #[must_use]
    pub fn references(&self) -> &P {
        &self.references
    }

    /// The proxy.
    #[inline]
    #[must_use]
    pub fn proxy(&self) -> &Arc<Proxy> {
        self.references.proxy()
    }

    /// The site that it was taken for.
    #[must_use]
    pub fn site(&self) -> Option<&Arc<Site>> {
        self.taken.at_site.as_ref().map(Admission::site)
    }

    /// The strategy that chose it.
    #[inline]
    #[must_use]
    pub fn strategy(&self) -> &Shared {
        self.references.strategy()
    }

    /// A closed lease of the same references, to inspect one that is gone.
    #[must_use]
    pub fn remains(&self, references: P) -> Self {
        let Taken { began, taken_in, .. } = self.taken;
        let taken = Taken { admitted: Admitted::default(), at_site: None, began, taken_in };
        Self { references, taken, closed: AtomicBool::new(true) }
    }

    /// Whether the verdict has been given.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Milliseconds since it was taken.
    #[must_use]
    pub fn elapsed_ms(&self, clock: &dyn Clock) -> f64 {
        clock.steady().saturating_sub(self.taken.began) as f64 / 1e6
    }

    /// Whether it was taken before a fork: its start is counted in the parent.
    #[inline]
    fn is_inherited(&self) -> bool {
        self.taken.taken_in != fork::generation() as u32
    }

    /// Claims the right to end the lease.
    fn close(&self) -> Result<(), AlreadyClosed> {
        // Acquire and release are not needed: the flag guards nothing but the right to record, which uses its own atomics.
        if self.closed.swap(true, Ordering::Relaxed) { Err(AlreadyClosed) } else { Ok(()) }
    }

    /// What was admitted, as this process counts it. A fork's child has forgotten the start with all others: it counts after
    /// all, with its end, and the connection stays the parent's.
    fn admitted_here(&self, clock: &dyn Clock) -> Admitted {
        if !self.is_inherited() {
            return self.taken.admitted;
        }
        self.proxy().start(clock);
        self.taken.admitted.without_connection()
    }

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
            Some(verdict) => self.strategy().record(proxy, verdict, clock),
            None => proxy.cancel_start(clock),
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

    /// Whether a new connection may leave by another exit: a gateway's does, and the only proxy may be a gateway without
    /// saying so, unless the site has named a time for it (`is_held`).
    #[must_use]
    pub fn has_exits(&self, is_held: bool) -> bool {
        self.proxy().is_rotating() || (!is_held && self.pool().len() == 1)
    }

    /// Whether only a row of sites can lay failures at the door of the proxy: there is no other to compare it with, or it
    /// has many exits.
    fn is_alone(&self) -> bool {
        self.pool().len() == 1 || self.proxy().is_rotating()
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
    fn convict(&self, conviction: &Conviction, is_late: bool, clock: &dyn Clock) {
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

    fn settle_at_site(&self, site_outcome: SiteOutcome, clock: &dyn Clock) {
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
        if self.is_inherited() {
            return Ok(());
        }
        self.taken.give_back(self.pool(), self.proxy(), clock);
        Ok(())
    }

    /// The pool it was taken from.
    #[inline]
    #[must_use]
    pub fn pool(&self) -> &Arc<Domain> {
        self.references.pool()
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

impl<P: References> Drop for Lease<P> {
    fn drop(&mut self) {
        if !self.is_closed() {
            // An open lease can only be given back: its outcome is not known any more.
            let _ = self.release(&SystemClock);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::clock::ManualClock;
    use crate::net::address::Address;
    use crate::pool::AttachmentOps;
    use crate::proxy::Id;
    use crate::proxy::health::Source;
    use crate::strategy::round_robin::RoundRobin;
    use crate::sync::model;
    use loom::thread;

    // Fails when `close` looks and then stores.
    #[test]
    fn of_two_verdicts_and_a_drop_one_counts() {
        model(|| {
            let clock = ManualClock::at(0);
            let proxy = Arc::new(Proxy::new(&Address::parse("http://10.0.0.1:80").unwrap(), Source::User, 0));
            let pool = Domain::new(1, AttachmentOps::default(), 0);
            proxy.set_id(Id(0, 1));
            pool.add(proxy.clone(), None, true).unwrap();
            let request = LeaseRequest {
                context: &Context::default(),
                site: None,
                connects: false,
                clock: &clock,
                foreign: None,
            };
            let taken = Lease::take(&pool, Arc::new(RoundRobin::default()), &request, |refusal, _| refusal);
            let lease = Arc::new(taken.unwrap());
            let other = thread::spawn({
                let lease = lease.clone();
                move || lease.finish(Outcome::TargetFault, &Ending::default(), &ManualClock::at(0)).is_ok()
            });
            let mine = lease.release(&clock).is_ok();
            // Whichever of the two lets go last drops the lease, which must add nothing.
            drop(lease);
            let theirs = other.join().unwrap();
            assert!(mine != theirs, "{mine} and {theirs}");
            let expected = if theirs { ((1, 1, 0), (1, 0, 0)) } else { ((0, 0, 0), (0, 0, 0)) };
            assert_eq!((proxy.usage(), proxy.totals()), expected);
        });
    }
}
