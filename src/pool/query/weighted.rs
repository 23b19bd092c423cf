//! An eligible proxy by weight, or by the weight of its group.

use smallvec::SmallVec;

use super::{Choice, DRAWS, Query, Scope};
use crate::pool::filter::WeightTable;
use crate::pool::index::sampler::Weighting;
use crate::pool::view::IndexSpec;
use crate::random::Random;
use crate::sync::Arc;

impl Query<'_> {
    /// Any proxy, with probabilities in proportion to their weights. `None` if none has a weight.
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
                if let Some(answer) = self.on_masked_view_at_last(|query| query.weighted(weigh, random)) {
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
                // Nearly all of the group is refused. It has been drawn, and keeps its turn if a member of it is left.
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
