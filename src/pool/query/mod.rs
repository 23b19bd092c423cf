//! One query to a pool: the eligible proxies, and one of them by a given rule.
//!
//! Every rule has a fast way over a view's structures, which draws and checks, and a plain way over a list of candidates,
//! which is exact whatever is excluded. The fast way gives up after a bounded number of refusals and hands over.

mod least_used;
mod round_robin;
mod unexplored;
mod uniform;
mod views;
mod weighted;

use std::cell::Cell;

use crate::clock::Clock;
use crate::pool::Pool;
use crate::pool::context::{Context, Thresholds};
use crate::pool::mask::{Mask, SiteMask};
use crate::pool::table::{Slot, Table};
use crate::pool::view::View;
use crate::proxy::Proxy;
use crate::proxy::health::reason;
use crate::sync::Arc;

/// Draws before the fast way gives up: a pool in which this many in a row are refused is better listed.
const DRAWS: usize = 64;

pub use round_robin::Cursors;

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

/// The proxies that a query is about.
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
    mask: Option<&'a SiteMask<'a>>,
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
            mask: None,
            connects: false,
            spares_untried: false,
            clock,
            foreign: None,
            notes: None,
        }
    }

    /// The same, passing over the slots that a mask holds back, and carrying what the embedding program's own strategies want to find
    /// and a place for notes.
    // Made in one go: a query is copied by wide loads, which stall on fields that were written one by one just before.
    #[inline]
    #[must_use]
    pub fn asked(
        pool: &'a Pool,
        table: &'a Arc<Table>,
        context: &'a Context,
        mask: Option<&'a SiteMask<'a>>,
        clock: &'a dyn Clock,
        foreign: Option<(&'a dyn std::any::Any, &'a Notes)>,
    ) -> Self {
        Self {
            pool,
            table,
            among: Scope::View(&table.all),
            context,
            thresholds: context.thresholds,
            mask,
            connects: false,
            spares_untried: false,
            clock,
            foreign: foreign.map(|(foreign, _)| foreign),
            notes: foreign.map(|(_, notes)| notes),
        }
    }

    /// The same, passing over the slots that a mask holds back.
    #[inline]
    #[must_use]
    pub fn masked(self, mask: Option<&'a SiteMask<'a>>) -> Self {
        Self { mask, ..self }
    }

    /// Whether the part of the pool asked about has any proxy, eligible or not.
    #[must_use]
    pub fn has_members(&self) -> bool {
        match self.among {
            Scope::View(view) => view.members.iter().next().is_some(),
            Scope::List(list) => !list.is_empty(),
        }
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

    /// The mask, if it holds anything back.
    #[must_use]
    pub fn mask(&self) -> Option<&'a Arc<Mask>> {
        self.mask.map(|mask| mask.mask)
    }

    /// The place for notes, if they are read.
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
    pub(super) fn is_set_aside(&self, slot: u32, proxy: &Proxy) -> bool {
        self.context.excluded.contains(proxy) || self.is_held(slot) || (self.spares_untried && proxy.is_being_tried())
    }

    #[inline]
    pub(super) fn is_held(&self, slot: u32) -> bool {
        self.mask.is_some_and(|mask| mask.holds(slot))
    }

    #[inline]
    pub(super) fn accepts_otherwise(&self, proxy: &Proxy) -> bool {
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

    /// All eligible proxies, in order.
    #[must_use]
    pub fn candidates(&self) -> Vec<u32> {
        let live = |slot: &u32| self.table.proxy(*slot).is_some_and(|proxy| self.accepts(*slot, proxy));
        match self.among {
            Scope::View(view) => view.open().iter().map(|slot| slot as u32).filter(live).collect(),
            Scope::List(list) => list.iter().copied().filter(live).collect(),
        }
    }

    /// Whether no proxy may be chosen now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let live = |slot: u32| self.table.proxy(slot).is_some_and(|proxy| self.accepts(slot, proxy));
        match self.among {
            Scope::View(view) => !view.open().iter().any(|slot| live(slot as u32)),
            Scope::List(list) => !list.iter().any(|slot| live(*slot)),
        }
    }

    /// Whether no proxy would be eligible even without exclusions and thresholds.
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

    pub(super) fn start(&self, slot: u32) -> Option<Choice> {
        self.table.proxy(slot)?.start(self.clock);
        Some(Choice(slot))
    }

    /// Counts a start on a slot that was chosen by other means.
    pub fn take(&self, slot: u32) -> Option<Choice> {
        self.start(slot)
    }

    // ---- in turn -----------------------------------------------------------------------------------------------

    // ---- at random ---------------------------------------------------------------------------------------------

    // ---- by use ------------------------------------------------------------------------------------------------
}
