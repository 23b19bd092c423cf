//! One question to a pool: who may be chosen, and one of them by this or that rule.
//!
//! Every rule has a fast way over a view's structures, which draws and checks, and a plain way over a list of candidates,
//! which is exact whatever is excluded. The fast way gives up after a bounded number of refusals and hands over.

use std::cell::Cell;

use smallvec::SmallVec;

use crate::clock::Clock;
use crate::pool::Pool;
use crate::pool::bits::Bits;
use crate::pool::context::{Context, Thresholds};
use crate::pool::filter::{Filter, WeightTable};
use crate::pool::order::TieBreak;
use crate::pool::sampler::Weighting;
use crate::pool::table::{FacetOf, Slot, Table};
use crate::pool::view::{IndexSpec, View};
use crate::proxy::health::reason;
use crate::proxy::{Id, Proxy};
use crate::random::Random;
use crate::resilience::site::Site;
use crate::resilience::standing::SiteMask;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};

/// Draws before the fast way gives up: a pool in which this many in a row are refused is better listed.
const DRAWS: usize = 64;

/// So many proxies held back at a site are too many for the order of use, which sets each aside and puts it back.
const TOO_MANY_ASIDE: usize = 16;

/// Where a choice was made: a slot of the query's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice(pub u32);

/// What happened on the way to a choice that its reader may want to tell.
#[derive(Debug, Default)]
pub struct Notes {
    /// A session was moved to another proxy.
    pub session_moved: Cell<bool>,
    /// A fallback served.
    pub fell_back: Cell<bool>,
    /// A strategy written in Python was asked.
    pub asked_python: Cell<bool>,
}

impl Notes {
    /// Whether there is anything to tell.
    #[must_use]
    pub fn any(&self) -> bool {
        self.session_moved.get() || self.fell_back.get()
    }
}

/// Whom a question is about.
#[derive(Clone, Copy)]
enum Scope<'a> {
    View(&'a View),
    List(&'a [u32]),
}

/// See the module. A query is made for one selection and lives on the stack.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    pool: &'a Pool,
    table: &'a Arc<Table>,
    among: Scope<'a>,
    context: &'a Context,
    thresholds: Thresholds,
    sited: Option<&'a SiteMask<'a>>,
    connects: bool,
    spares_untried: bool,
    clock: &'a dyn Clock,
    foreign: Option<&'a dyn std::any::Any>,
    notes: Option<&'a Notes>,
}

impl<'a> Query<'a> {
    /// A question about all of a pool, under a context.
    #[must_use]
    pub fn new(pool: &'a Pool, table: &'a Arc<Table>, context: &'a Context, clock: &'a dyn Clock) -> Self {
        Self {
            pool,
            table,
            among: Scope::View(&table.all),
            context,
            thresholds: context.thresholds,
            sited: None,
            connects: false,
            spares_untried: false,
            clock,
            foreign: None,
            notes: None,
        }
    }

    /// The same, passing over whom a site holds back, and carrying what the embedding program's own strategies want to find
    /// and a place for notes.
    // Made in one go: a query is copied by wide loads, which stall on fields that were written one by one just before.
    #[inline]
    #[must_use]
    pub fn asked(
        pool: &'a Pool,
        table: &'a Arc<Table>,
        context: &'a Context,
        sited: Option<&'a SiteMask<'a>>,
        clock: &'a dyn Clock,
        foreign: Option<(&'a dyn std::any::Any, &'a Notes)>,
    ) -> Self {
        Self {
            pool,
            table,
            among: Scope::View(&table.all),
            context,
            thresholds: context.thresholds,
            sited,
            connects: false,
            spares_untried: false,
            clock,
            foreign: foreign.map(|(foreign, _)| foreign),
            notes: foreign.map(|(_, notes)| notes),
        }
    }

    /// The same, passing over whom a site holds back.
    #[inline]
    #[must_use]
    pub fn at(self, sited: Option<&'a SiteMask<'a>>) -> Self {
        Self { sited, ..self }
    }

    /// The same for a request that takes one of the counted connections; `spares_untried`: it passes over proxies that have
    /// never succeeded and have a request in flight.
    #[inline]
    #[must_use]
    pub fn connecting(self, spares_untried: bool) -> Self {
        Self { connects: true, spares_untried, ..self }
    }

    /// Whether the request takes one of the counted connections.
    #[must_use]
    pub fn connects(&self) -> bool {
        self.connects
    }

    /// The reasons that do not count against a proxy for this request.
    #[inline]
    pub(crate) fn ignored(&self) -> u32 {
        if self.connects { 0 } else { reason::NO_CONNECTION }
    }

    /// The slots of proxies that nothing but their connections in use keeps out of the index.
    #[cold]
    #[must_use]
    pub fn without_connection(&self) -> Vec<u32> {
        let is_full = |slot: &u32| self.table.proxy(*slot).is_some_and(|it| it.reasons() == reason::NO_CONNECTION);
        self.table.all.members.iter().map(|slot| slot as u32).filter(is_full).collect()
    }

    /// The site asked for, if it holds anybody back.
    #[must_use]
    pub fn site(&self) -> Option<&'a Arc<Site>> {
        self.sited.map(|sited| sited.site)
    }

    /// The place for notes, if anybody reads them.
    #[must_use]
    pub fn notes(&self) -> Option<&'a Notes> {
        self.notes
    }

    /// What [`Query::asked`] was given for foreign strategies.
    #[must_use]
    pub fn foreign(&self) -> Option<&'a dyn std::any::Any> {
        self.foreign
    }

    /// The pool asked.
    #[must_use]
    pub fn pool(&self) -> &'a Pool {
        self.pool
    }

    /// The snapshot asked.
    #[must_use]
    pub fn table(&self) -> &'a Arc<Table> {
        self.table
    }

    /// What the caller wants of this selection.
    #[must_use]
    pub fn context(&self) -> &'a Context {
        self.context
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &'a dyn Clock {
        self.clock
    }

    /// What the part of the pool asked about has in common, for people.
    #[must_use]
    pub fn filter_text(&self) -> String {
        match self.among {
            Scope::View(View { filter: Some(filter), .. }) => filter.to_string(),
            _ => "the filters of this request".to_owned(),
        }
    }

    /// Whether only part of the pool is asked about.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        match self.among {
            Scope::View(view) => view.filter.is_some(),
            Scope::List(_) => true,
        }
    }

    /// The same question without thresholds.
    #[must_use]
    pub fn without_thresholds(self) -> Self {
        Self { thresholds: Thresholds::default(), ..self }
    }

    /// The same question with thresholds of the strategy's own, where the context has none.
    #[must_use]
    pub fn or_thresholds(self, own: Thresholds) -> Self {
        Self { thresholds: self.thresholds.or(own), ..self }
    }

    /// Whether any threshold is set.
    #[must_use]
    pub fn has_thresholds(&self) -> bool {
        self.thresholds.any()
    }

    /// Asks the same about those only who meet `filter`.
    pub fn narrowed<R>(&self, filter: &Filter, ask: impl FnOnce(&Query<'_>) -> R) -> R {
        match self.among {
            Scope::View(view) => {
                let both = match &view.filter {
                    None => Some(std::borrow::Cow::Borrowed(filter)),
                    Some(own) => own.and(filter).map(std::borrow::Cow::Owned),
                };
                match both {
                    Some(filter) => {
                        let site = self.sited.filter(|sited| sited.is_crowded || view.site.is_some());
                        self.with_view(&filter, site, ask)
                    }
                    None => ask(&Query { among: Scope::List(&[]), ..*self }),
                }
            }
            Scope::List(list) => {
                let meets = |slot: &&u32| self.table.proxy(**slot).is_some_and(|proxy| filter.matches(proxy));
                let rest: Vec<u32> = list.iter().filter(meets).copied().collect();
                ask(&Query { among: Scope::List(&rest), ..*self })
            }
        }
    }

    /// Asks the same about those only whom the site does not hold back, if they are so many that this is worth a view.
    pub fn on_masked_view<R>(&self, ask: impl FnOnce(&Query<'_>) -> R) -> R {
        match (self.sited, self.among) {
            (Some(sited), Scope::View(view)) if sited.is_crowded && view.site.is_none() => {
                self.with_view(view.filter.as_ref().unwrap_or(&self.table.everyone), Some(sited), ask)
            }
            _ => ask(self),
        }
    }

    /// The same, however many they are, for who has drawn in vain; `None` where there is no such view, or it is asked already.
    fn over_site_at_last<R>(&self, ask: impl FnOnce(&Query<'_>) -> R) -> Option<R> {
        match (self.sited, self.among) {
            (Some(sited), Scope::View(view)) if view.site.is_none() => {
                let filter = view.filter.as_ref().unwrap_or(&self.table.everyone);
                Some(self.with_view(filter, Some(sited), ask))
            }
            _ => None,
        }
    }

    /// Asks about those who meet `filter`, without whom the site holds back if one is given.
    fn with_view<R>(&self, filter: &Filter, sited: Option<&SiteMask<'_>>, ask: impl FnOnce(&Query<'_>) -> R) -> R {
        // The list is kept alive instead of the view: that costs no count that threads contend for.
        let facets = self.table.facets.load();
        if let Some(view) = facets.get(&FacetOf { filter, site: sited.map_or(0, |sited| sited.site.uid) }) {
            view.mark_used(self.table.views_made.load(Ordering::Relaxed));
            return ask(&Query { among: Scope::View(view), ..*self });
        }
        let view = self.pool.facet(self.table, filter, sited.map(|sited| sited.site));
        match view.or_else(|| self.pool.facet(self.table, filter, None)) {
            Some(view) => ask(&Query { among: Scope::View(&view), ..*self }),
            None => ask(self),
        }
    }

    /// Asks the same about these slots only.
    pub fn among<R>(&self, slots: &[u32], ask: impl FnOnce(&Query<'_>) -> R) -> R {
        ask(&Query { among: Scope::List(slots), ..*self })
    }

    /// The slot of a choice.
    #[must_use]
    pub fn slot(&self, choice: Choice) -> Option<&'a Slot> {
        self.table.slot(choice.0)
    }

    /// The proxy chosen.
    #[must_use]
    pub fn proxy(&self, choice: Choice) -> Option<&'a Proxy> {
        self.table.proxy(choice.0)
    }

    /// Whether a proxy may be chosen now. Also notices that its time to live is over.
    #[inline]
    #[must_use]
    pub fn accepts(&self, slot: u32, proxy: &Proxy) -> bool {
        !self.is_set_aside(slot, proxy) && self.accepts_otherwise(proxy)
    }

    /// Whether this request cannot have a proxy that others can: it excludes it, leaves its first request alone, or asks for
    /// a site that holds it back.
    #[inline]
    fn is_set_aside(&self, slot: u32, proxy: &Proxy) -> bool {
        self.context.excluded.contains(proxy) || self.is_held(slot) || (self.spares_untried && proxy.is_being_tried())
    }

    #[inline]
    fn is_held(&self, slot: u32) -> bool {
        self.sited.is_some_and(|sited| sited.holds(slot))
    }

    #[inline]
    fn accepts_otherwise(&self, proxy: &Proxy) -> bool {
        if proxy.reasons() & !self.ignored() != 0 {
            return false;
        }
        if proxy.is_expired(self.clock) {
            Pool::expire(proxy);
            return false;
        }
        !self.thresholds.any() || self.thresholds.admit(proxy)
    }

    /// Whether the pool itself shows proxies that this request cannot have, for reasons that its public state does not tell.
    #[must_use]
    pub fn hides_proxies(&self) -> bool {
        let all = &self.table.all;
        self.spares_untried
            || (all.dense.len() < self.pool.len()
                && all.members.iter().any(|slot| {
                    let full = reason::AT_CAPACITY | (reason::NO_CONNECTION & !self.ignored());
                    self.table.proxy(slot as u32).is_some_and(|proxy| proxy.state().has(full))
                }))
    }

    /// Whether a proxy is among those asked about and may be chosen now.
    #[must_use]
    pub fn admits(&self, slot: u32) -> bool {
        let Some(proxy) = self.table.proxy(slot) else { return false };
        let inside = match self.among {
            Scope::View(view) => {
                view.open().contains(slot as usize)
                    || (view.members.contains(slot as usize) && proxy.reasons() & self.ignored() != 0)
            }
            Scope::List(list) => list.contains(&slot),
        };
        inside && self.accepts(slot, proxy)
    }

    /// Everyone who may be chosen now, in order.
    #[must_use]
    pub fn candidates(&self) -> Vec<u32> {
        let live = |slot: &u32| self.table.proxy(*slot).is_some_and(|proxy| self.accepts(*slot, proxy));
        match self.among {
            Scope::View(view) => view.open().iter().map(|slot| slot as u32).filter(live).collect(),
            Scope::List(list) => list.iter().copied().filter(live).collect(),
        }
    }

    /// Whether nobody may be chosen now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let live = |slot: u32| self.table.proxy(slot).is_some_and(|proxy| self.accepts(slot, proxy));
        match self.among {
            Scope::View(view) => !view.open().iter().any(|slot| live(slot as u32)),
            Scope::List(list) => !list.iter().any(|slot| live(*slot)),
        }
    }

    /// Whether nobody would be eligible even with nothing excluded and no thresholds.
    #[must_use]
    pub fn has_no_eligible(&self) -> bool {
        let live = |slot: u32| {
            let free = |proxy: &Proxy| proxy.reasons() & !self.ignored() == 0 && !proxy.is_expired(self.clock);
            self.table.proxy(slot).is_some_and(free)
        };
        match self.among {
            Scope::View(view) => !view.eligible.iter().any(|slot| live(slot as u32)),
            Scope::List(list) => !list.iter().any(|slot| live(*slot)),
        }
    }

    fn start(&self, slot: u32) -> Option<Choice> {
        self.table.proxy(slot)?.start(self.clock);
        Some(Choice(slot))
    }

    /// Counts a start on a slot that was chosen by other means.
    pub fn take(&self, slot: u32) -> Option<Choice> {
        self.start(slot)
    }

    // ---- in turn -----------------------------------------------------------------------------------------------

    /// The next in turn after the one chosen last under the same cursors.
    ///
    /// Whoever may not be chosen loses the turn; whom only this request cannot have keeps it, and the others go round by a
    /// cursor of their own meanwhile. Otherwise requests that exclude the same proxy now and then could meet its turn every
    /// time, and it would never be chosen; nor would who is banned at a site that every other request is for.
    pub fn round_robin(&self, cursors: &Cursors) -> Option<Choice> {
        // A list has no name of its own: its turns are kept under that of the whole pool. A site that holds somebody back has
        // rounds of its own: requests that alternate between it and another would else meet the same proxies each time.
        let uid = match self.among {
            Scope::View(view) => view.uid,
            Scope::List(_) => self.table.all.uid,
        };
        let uid = self.sited.map_or(uid, |sited| uid | sited.site.uid << 32);
        let (eligible, open) = match self.among {
            Scope::View(view) => (Some(&view.eligible), Some(view.open())),
            Scope::List(_) => (None, None),
        };
        cursors.at(uid, |turns| {
            loop {
                let position = turns.next.load(Ordering::Relaxed);
                let due = self.first_from(position, eligible, |_, proxy| self.accepts_otherwise(proxy))?;
                let (cursor, position, found) = if self.table.proxy(due).is_some_and(|it| self.is_set_aside(due, it)) {
                    let position = turns.detour_at(position);
                    (&turns.detour, position, self.first_from(position, open, |slot, it| self.accepts(slot, it))?)
                } else {
                    (&turns.next, position, due)
                };
                let after = self.table.position(found as usize) + 1;
                // Relaxed: the cursor orders nothing but itself. One thread wins each position, so turns are exact.
                if cursor.compare_exchange(position, after, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                    return self.start(found);
                }
            }
        })
    }

    /// The first from that position in the pool's history on, and around, whom `accept` takes.
    #[inline]
    fn first_from(&self, position: u64, among: Option<&Bits>, accept: impl Fn(u32, &Proxy) -> bool) -> Option<u32> {
        let acceptable = |slot: u32| self.table.proxy(slot).is_some_and(|proxy| accept(slot, proxy));
        match (self.among, among) {
            (Scope::View(_), Some(bits)) => {
                let begin = self.table.slot_from(position);
                let search = |mut from: usize, end: usize| {
                    loop {
                        let slot = bits.next(from).filter(|slot| *slot < end)?;
                        if acceptable(slot as u32) {
                            return Some(slot as u32);
                        }
                        from = slot + 1;
                    }
                };
                search(begin, usize::MAX).or_else(|| search(0, begin))
            }
            (Scope::View(_), None) => None,
            (Scope::List(list), _) => {
                // Whoever made the list may have sorted it by anything; turns go by the order of the pool.
                let turn = |slot: &u32| {
                    let at = self.table.position(*slot as usize);
                    (at < position, at)
                };
                list.iter().copied().filter(|slot| acceptable(*slot)).min_by_key(turn)
            }
        }
    }

    // ---- at random ---------------------------------------------------------------------------------------------

    /// Anybody, all with the same probability.
    pub fn uniform(&self, random: &Random) -> Option<Choice> {
        if let Scope::View(view) = self.among {
            for _ in 0..DRAWS {
                let len = view.dense.len();
                if len == 0 {
                    return None;
                }
                // Where most slots may be chosen, a slot drawn straight away is as likely as any other and saves a look at
                // the list of those that may.
                let used = self.table.used.load(Ordering::Acquire);
                let slot = if len * 2 >= used {
                    let slot = random.below(used);
                    if !view.open().contains(slot) {
                        continue;
                    }
                    slot as u32
                } else {
                    let Some(slot) = view.dense.get(random.below(len)) else { continue };
                    slot
                };
                if self.table.proxy(slot).is_some_and(|proxy| self.accepts(slot, proxy)) {
                    return self.start(slot);
                }
            }
            if let Some(answer) = self.over_site_at_last(|query| query.uniform(random)) {
                return answer;
            }
        }
        let candidates = self.candidates();
        if candidates.is_empty() {
            return None;
        }
        self.start(candidates[random.below(candidates.len())])
    }

    /// Anybody, with probabilities in proportion to their weights. `None` if nobody has a weight.
    pub fn weighted(&self, weigh: &Weighting, random: &Random) -> Option<Choice> {
        if let Scope::View(view) = self.among {
            let sampler = view.sampler(weigh).or_else(|| {
                self.pool.demand(self.table, view, &IndexSpec::Weighed(weigh.clone()));
                view.sampler(weigh)
            });
            if let Some(sampler) = sampler {
                let accept = |slot, proxy| self.accepts(slot, proxy);
                let drawn = sampler.draw(random, DRAWS, |slot| self.table.proxy(slot), accept);
                if let Some(slot) = drawn {
                    return self.start(slot);
                }
                if sampler.is_empty() {
                    return None;
                }
                if let Some(answer) = self.over_site_at_last(|query| query.weighted(weigh, random)) {
                    return answer;
                }
            }
        }
        let candidates = self.candidates();
        let weights = candidates.iter().map(|slot| self.table.proxy(*slot).map_or(0.0, |proxy| weigh.weight_of(proxy)));
        self.start(pick(&candidates, weights, random)?)
    }

    /// First a tag group in proportion to its value among those that have a candidate, then a member of it.
    pub fn grouped(&self, groups: &Arc<WeightTable>, random: &Random) -> Option<Choice> {
        if let Scope::View(view) = self.among {
            let kept = view.groups(groups).or_else(|| {
                self.pool.demand(self.table, view, &IndexSpec::Grouped(groups.clone()));
                view.groups(groups)
            });
            if let Some(kept) = kept {
                let alive =
                    |number: usize| if kept.samplers[number].is_empty() { 0.0 } else { groups.groups[number].1 };
                let numbers: SmallVec<[u32; 8]> = (0..groups.groups.len() as u32).collect();
                let number = pick(&numbers, numbers.iter().map(|number| alive(*number as usize)), random)? as usize;
                let drawn = kept.samplers[number].draw(
                    random,
                    DRAWS,
                    |slot| self.table.proxy(slot),
                    |slot, proxy| self.accepts(slot, proxy),
                );
                if let Some(slot) = drawn {
                    return self.start(slot);
                }
                // Nearly all of the group is refused. It has been drawn, and keeps its turn if anybody of it is left.
                return self.grouped_plainly(groups, random, Some(number));
            }
        }
        self.grouped_plainly(groups, random, None)
    }

    fn grouped_plainly(&self, groups: &Arc<WeightTable>, random: &Random, drawn: Option<usize>) -> Option<Choice> {
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); groups.groups.len()];
        for slot in self.candidates() {
            if let Some(number) = self.table.proxy(slot).and_then(|proxy| groups.group_of(proxy)) {
                members[number].push(slot);
            }
        }
        let numbers: Vec<u32> = (0..members.len() as u32).collect();
        let value =
            |number: &u32| if members[*number as usize].is_empty() { 0.0 } else { groups.groups[*number as usize].1 };
        let number = match drawn.filter(|number| !members[*number].is_empty()) {
            Some(number) => number,
            None => pick(&numbers, numbers.iter().map(value), random)? as usize,
        };
        let inside = &members[number];
        let single = groups.names_single_proxies();
        let weigh = Weighting::Table(groups.clone());
        let weight = |slot: &u32| {
            if single { self.table.proxy(*slot).map_or(0.0, |proxy| weigh.weight_of(proxy)) } else { 1.0 }
        };
        self.start(pick(inside, inside.iter().map(weight), random)?)
    }

    /// Anybody with fewer than `limit` results, all with the same probability.
    pub fn unexplored(&self, limit: u64, random: &Random) -> Option<Choice> {
        if limit == 0 {
            return None;
        }
        if let Scope::View(view) = self.among {
            let unexplored = view.unexplored(limit).or_else(|| {
                self.pool.demand(self.table, view, &IndexSpec::Unexplored(limit));
                view.unexplored(limit)
            });
            if let Some(unexplored) = unexplored {
                for _ in 0..DRAWS {
                    let len = unexplored.set.len();
                    if len == 0 {
                        return None;
                    }
                    let Some(slot) = unexplored.set.get(random.below(len)) else { continue };
                    let Some(proxy) = self.table.proxy(slot) else { continue };
                    if proxy.total() >= limit {
                        // Proven meanwhile; nobody told the set, since results are not to pay for it.
                        proxy.reindex_in_pools();
                        continue;
                    }
                    if self.accepts(slot, proxy) {
                        return self.start(slot);
                    }
                }
                if let Some(answer) = self.over_site_at_last(|query| query.unexplored(limit, random)) {
                    return answer;
                }
            }
        }
        let fresh = |slot: &u32| self.table.proxy(*slot).is_some_and(|proxy| proxy.total() < limit);
        let candidates: Vec<u32> = self.candidates().into_iter().filter(fresh).collect();
        if candidates.is_empty() {
            return None;
        }
        self.start(candidates[random.below(candidates.len())])
    }

    // ---- by use ------------------------------------------------------------------------------------------------

    /// Whoever has started the fewest requests; choosing and counting are one step.
    pub fn least_used(&self, tie: TieBreak, random: &Random, list_lock: &Mutex<()>) -> Option<Choice> {
        if self.sited.is_some_and(|sited| sited.held > TOO_MANY_ASIDE)
            && let Some(answer) = self.over_site_at_last(|query| query.least_used_of(tie, random, list_lock))
        {
            return answer;
        }
        self.least_used_of(tie, random, list_lock)
    }

    fn least_used_of(&self, tie: TieBreak, random: &Random, list_lock: &Mutex<()>) -> Option<Choice> {
        match self.among {
            Scope::View(view) => {
                let order = view.order(tie).or_else(|| {
                    self.pool.demand(self.table, view, &IndexSpec::Ordered(tie));
                    view.order(tie)
                })?;
                for slot in order.windows_over(self.clock) {
                    if let Some(proxy) = self.table.proxy(slot) {
                        proxy.renew_if_expired(self.clock);
                        order.expect_window_end(slot, proxy);
                    }
                }
                // Whose time is over is marked after the order's lock is gone: marking goes back to the pool.
                let expired: Cell<SmallVec<[u32; 4]>> = Cell::default();
                let found = order.take(
                    random,
                    self.clock,
                    |slot| self.table.proxy(slot),
                    |slot, proxy| {
                        if proxy.is_expired(self.clock) {
                            let mut list = expired.take();
                            list.push(slot);
                            expired.set(list);
                            return false;
                        }
                        !self.is_set_aside(slot, proxy) && (!self.thresholds.any() || self.thresholds.admit(proxy))
                    },
                );
                for slot in expired.take() {
                    if let Some(proxy) = self.table.proxy(slot) {
                        Pool::expire(proxy);
                    }
                }
                let (slot, fell) = found?;
                if fell && let Some(proxy) = self.table.proxy(slot) {
                    proxy.reindex_in_pools();
                }
                Some(Choice(slot))
            }
            Scope::List(_) => {
                let candidates = self.candidates();
                for slot in &candidates {
                    if let Some(proxy) = self.table.proxy(*slot) {
                        proxy.renew_if_expired(self.clock);
                    }
                }
                // Choosing and counting must be one step here as well.
                let _turn = list_lock.lock();
                let key = |slot: u32| {
                    self.table.proxy(slot).map_or((u64::MAX, Id(0, 0)), |proxy| (proxy.use_count(), proxy.id()))
                };
                let least = candidates.iter().copied().min_by_key(|slot| key(*slot))?;
                let chosen = match tie {
                    TieBreak::LowestId => least,
                    TieBreak::Random => {
                        let count = key(least).0;
                        let equals: Vec<u32> =
                            candidates.iter().copied().filter(|slot| key(*slot).0 == count).collect();
                        equals[random.below(equals.len())]
                    }
                };
                self.start(chosen)
            }
        }
    }
}

/// One of `items` in proportion to `weights`; `None` if none of them is positive.
fn pick(items: &[u32], weights: impl Iterator<Item = f64> + Clone, random: &Random) -> Option<u32> {
    let usable = |weight: f64| if weight.is_finite() && weight > 0.0 { weight } else { 0.0 };
    let total: f64 = weights.clone().map(usable).sum();
    if total <= 0.0 {
        return None;
    }
    let mut point = random.unit() * total;
    let mut last = None;
    for (item, weight) in items.iter().zip(weights.map(usable)) {
        if weight <= 0.0 {
            continue;
        }
        last = Some(*item);
        if point < weight {
            break;
        }
        point -= weight;
    }
    last
}

/// Where a strategy stands in its rounds, one position per view. Two pools, or two countries, do not disturb each other.
#[derive(Debug, Default)]
pub struct Cursors {
    // The view asked first, so that the usual case takes no lock.
    first_uid: AtomicU64,
    first: Cursor,
    others: Mutex<ahash::AHashMap<u64, Arc<Cursor>>>,
}

/// Positions in one view's rounds.
#[derive(Debug, Default)]
struct Cursor {
    next: AtomicU64,
    // For requests that exclude whoever is due, and where `due` stood when these went aside.
    detour: AtomicU64,
    detour_from: AtomicU64,
}

impl Cursor {
    /// Where those who go aside go on: where they went aside, or after the last of them.
    fn detour_at(&self, due: u64) -> u64 {
        // Relaxed: two threads that leave at once begin at the same place, and one of them wins it.
        if self.detour_from.swap(due, Ordering::Relaxed) != due {
            self.detour.store(due, Ordering::Relaxed);
        }
        self.detour.load(Ordering::Relaxed)
    }
}

/// Positions kept for views other than the first; more than a pool keeps views.
const CURSORS: usize = 1024;

impl Cursors {
    fn at<R>(&self, uid: u64, ask: impl FnOnce(&Cursor) -> R) -> R {
        // Relaxed: the name is set once, and the position starts at zero for whoever sees it.
        let owner = self.first_uid.load(Ordering::Relaxed);
        let mine = owner == uid
            || (owner == 0 && self.first_uid.compare_exchange(0, uid, Ordering::Relaxed, Ordering::Relaxed).is_ok())
            || self.first_uid.load(Ordering::Relaxed) == uid;
        if mine {
            return ask(&self.first);
        }
        let turns = {
            let mut others = self.others.lock();
            if others.len() >= CURSORS && !others.contains_key(&uid) {
                others.clear();
            }
            others.entry(uid).or_default().clone()
        };
        ask(&turns)
    }
}
