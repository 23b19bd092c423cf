//! The same question about part of the pool: the proxies that meet a filter, that a mask leaves, or that are listed.

use super::{Query, Scope};
use crate::pool::filter::Filter;
use crate::pool::mask::SiteMask;
use crate::pool::table::FacetOf;
use crate::sync::Ordering;

impl Query<'_> {
    /// Asks the same about the proxies that match `filter` only.
    pub fn narrowed<R>(&self, filter: &Filter, ask: impl FnOnce(&Query<'_>) -> R) -> R {
        match self.among {
            Scope::View(view) => {
                let both = match &view.filter {
                    None => Some(std::borrow::Cow::Borrowed(filter)),
                    Some(own) => own.and(filter).map(std::borrow::Cow::Owned),
                };
                match both {
                    Some(filter) => {
                        let mask = self.mask.filter(|mask| mask.is_crowded || view.mask.is_some());
                        self.with_view(&filter, mask, ask)
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

    /// Asks the same about the proxies that the site does not hold back, if it holds back so many that a view pays.
    pub fn on_masked_view<R>(&self, ask: impl FnOnce(&Query<'_>) -> R) -> R {
        match (self.mask, self.among) {
            (Some(mask), Scope::View(view)) if mask.is_crowded && view.mask.is_none() => {
                self.with_view(view.filter.as_ref().unwrap_or(&self.table.everyone), Some(mask), ask)
            }
            _ => ask(self),
        }
    }

    /// The same, however many are held back, after draws in vain; `None` without such a view, or if it is asked
    /// already.
    pub(super) fn on_masked_view_at_last<R>(&self, ask: impl FnOnce(&Query<'_>) -> R) -> Option<R> {
        match (self.mask, self.among) {
            (Some(mask), Scope::View(view)) if view.mask.is_none() => {
                let filter = view.filter.as_ref().unwrap_or(&self.table.everyone);
                Some(self.with_view(filter, Some(mask), ask))
            }
            _ => None,
        }
    }

    /// Asks about the proxies that match `filter`, without those that a given site holds back.
    pub(super) fn with_view<R>(
        &self,
        filter: &Filter,
        mask: Option<&SiteMask<'_>>,
        ask: impl FnOnce(&Query<'_>) -> R,
    ) -> R {
        // The list is kept alive instead of the view: that costs no count that threads contend for.
        let facets = self.table.facets.load();
        if let Some(view) = facets.get(&FacetOf { filter, mask: mask.map_or(0, |mask| mask.mask.uid()) }) {
            view.mark_used(self.table.views_made.load(Ordering::Relaxed));
            return ask(&Query { among: Scope::View(view), ..*self });
        }
        let view = self.pool.facet(self.table, filter, mask.map(|mask| mask.mask));
        match view.or_else(|| self.pool.facet(self.table, filter, None)) {
            Some(view) => ask(&Query { among: Scope::View(&view), ..*self }),
            None => ask(self),
        }
    }

    /// Asks the same about these slots only.
    pub fn among<R>(&self, slots: &[u32], ask: impl FnOnce(&Query<'_>) -> R) -> R {
        ask(&Query { among: Scope::List(slots), ..*self })
    }
}
