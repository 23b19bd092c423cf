//! Taking a lease: choose, admit, count the start; until an admission holds.

use std::any::Any;

use crate::clock::Clock;
use crate::fork;
use crate::pool::context::Context;
use crate::pool::filter::Filter;
use crate::pool::mask::SiteMask;
use crate::pool::query::{Notes, Query};
use crate::pool::{Member, Pool, Table};
use crate::proxy::money::Money;
use crate::resilience::site::Site;
use crate::rotation::Domain;
use crate::strategy::{Refusal, Shared, choose};
use crate::sync::Arc;

use super::{Lease, Owned, Taken};

/// Choices lost to other threads before a strategy is taken to choose without regard for eligibility.
const TRIES: usize = 64;

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
    fn query<'b>(
        &self,
        pool: &'b Pool,
        table: &'b Arc<Table>,
        context: &'b Context,
        mask: Option<&'b SiteMask<'b>>,
    ) -> Query<'b>
    where
        'a: 'b,
    {
        Query::asked(pool, table, context, mask, self.clock, self.foreign)
    }
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
        // Once the budget has no room for the proxy chosen, the request goes on as if no proxy were paid for.
        let mut unpaid: Option<Box<Context>> = None;
        // A session keeps its proxy, proven or not.
        let mut spares_untried =
            request.connects && request.context.session_id.is_none() && guard.is_in_trouble(clock.steady_coarse());
        loop {
            // Loaded anew each time: the newest table has what changed meanwhile.
            guard.catch_up(clock);
            let table = pool.table();
            let mask = request.site.and_then(|site| pool.mask_of(&table, site, clock));
            let context = unpaid.as_deref().unwrap_or(request.context);
            let mut query = request.query(pool, &table, context, mask.as_ref());
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
                Err(refusal) if unpaid.is_some() => return Err(refused(without_money(pool, refusal, &query), &query)),
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
            let taken_in = fork::generation() as u32;
            let mut price = Money::ZERO;
            if proxy.is_paid() {
                let Some(reserved) = pool.spending().reserve(proxy) else {
                    Taken { admitted, at_site, began, price, taken_in }.undo(pool, proxy, clock);
                    if unpaid.is_none() {
                        unpaid = Some(Box::new(request.context.unpaid()));
                        tries = 0;
                    }
                    continue;
                };
                price = reserved;
            }
            let taken = Taken { admitted, at_site, began, price, taken_in };
            return made(member, taken);
        }
    }
}

/// Why a request that the budget leaves only free proxies has none of those.
#[cold]
fn without_money(pool: &Domain, refusal: Refusal, query: &Query<'_>) -> Refusal {
    let is_met = |filter: &Filter| query.narrowed(filter, |within| within.has_members());
    let Some(budget) = pool.spending().budget() else { return refusal };
    // Free proxies that rest, or are busy, are worth waiting for.
    if !refusal.is_shortage() || query.context().required.as_ref().is_some_and(is_met) {
        return refusal;
    }
    Refusal::BudgetExceeded { budget, spent: pool.spending().spent() }
}
