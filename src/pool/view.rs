//! The eligible proxies of a pool, or of the part of it that meets a filter, ready for every way of choosing.

use smallvec::SmallVec;

use crate::pool::bits::Bits;
use crate::pool::dense::Dense;
use crate::pool::filter::{Filter, WeightTable};
use crate::pool::order::{Order, TieBreak};
use crate::pool::sampler::{Sampler, Weigh};
use crate::proxy::{Proxy, watch};
use crate::sync::global;
use crate::sync::{Arc, ArcSwap, AtomicU64, Ordering};

/// Proxies with fewer results than a limit: those to be tried first.
#[derive(Debug)]
pub(crate) struct Unproven {
    pub(crate) limit: u64,
    pub(crate) set: Dense,
}

/// One sampler per tag group.
#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) table: Arc<WeightTable>,
    pub(crate) samplers: Vec<Sampler>,
}

/// What has been asked of a view so far; made on first demand and kept up to date from then on.
#[derive(Debug, Default, Clone)]
pub(crate) struct Extras {
    pub(crate) samplers: SmallVec<[Arc<Sampler>; 2]>,
    pub(crate) groups: SmallVec<[Arc<Groups>; 1]>,
    pub(crate) orders: SmallVec<[Arc<Order>; 1]>,
    pub(crate) unproven: SmallVec<[Arc<Unproven>; 1]>,
}

impl Extras {
    pub(crate) fn sampler(&self, weigh: &Weigh) -> Option<&Sampler> {
        self.samplers.iter().find(|sampler| sampler.weigh == *weigh).map(|sampler| &**sampler)
    }

    pub(crate) fn groups(&self, table: &Arc<WeightTable>) -> Option<&Groups> {
        self.groups.iter().find(|groups| Arc::ptr_eq(&groups.table, table)).map(|groups| &**groups)
    }

    pub(crate) fn order(&self, tie: TieBreak) -> Option<&Order> {
        self.orders.iter().find(|order| order.tie == tie).map(|order| &**order)
    }

    pub(crate) fn unproven(&self, limit: u64) -> Option<&Unproven> {
        self.unproven.iter().find(|unproven| unproven.limit == limit).map(|unproven| &**unproven)
    }

    fn has(&self, what: &Demand) -> bool {
        match what {
            Demand::Weighed(weigh) => self.sampler(weigh).is_some(),
            Demand::Grouped(table) => self.groups(table).is_some(),
            Demand::Ordered(tie) => self.order(*tie).is_some(),
            Demand::Unproven(limit) => self.unproven(*limit).is_some(),
        }
    }
}

/// How many structures of one kind a view keeps; strategies that come and go replace each other's.
const KEPT: usize = 16;

/// See the module. Writes happen under the pool's writer lock; readers never wait.
#[derive(Debug)]
pub(crate) struct View {
    /// The same for all generations of one view: what strategies remember a position under.
    pub(crate) uid: u64,
    pub(crate) filter: Option<Filter>,
    /// Everyone who meets the filter.
    pub(crate) members: Bits,
    /// Those who are eligible, too.
    pub(crate) eligible: Bits,
    pub(crate) dense: Dense,
    pub(crate) extras: ArcSwap<Extras>,
    pub(crate) last_used: AtomicU64,
    capacity: usize,
}

static UIDS: global::AtomicU64 = global::AtomicU64::new(1);

impl View {
    pub(crate) fn new(filter: Option<Filter>, capacity: usize) -> Self {
        Self::with_uid(UIDS.fetch_add(1, global::Ordering::Relaxed), filter, capacity)
    }

    fn with_uid(uid: u64, filter: Option<Filter>, capacity: usize) -> Self {
        Self {
            uid,
            filter,
            members: Bits::new(capacity),
            eligible: Bits::new(capacity),
            dense: Dense::new(capacity),
            extras: ArcSwap::from_pointee(Extras::default()),
            last_used: AtomicU64::new(0),
            capacity,
        }
    }

    /// An empty view with the same name, filter and demands, for a table of another size.
    pub(crate) fn successor(&self, capacity: usize) -> Self {
        let next = Self::with_uid(self.uid, self.filter.clone(), capacity);
        let old = self.extras.load();
        next.extras.store(Arc::new(Extras {
            samplers: old.samplers.iter().map(|s| Arc::new(Sampler::new(s.weigh.clone(), capacity))).collect(),
            groups: old.groups.iter().map(|g| Arc::new(Groups::new(g.table.clone(), capacity))).collect(),
            orders: old.orders.iter().map(|o| Arc::new(Order::new(o.tie, capacity))).collect(),
            unproven: old
                .unproven
                .iter()
                .map(|u| Arc::new(Unproven { limit: u.limit, set: Dense::new(capacity) }))
                .collect(),
        }));
        next.last_used.store(self.last_used.load(Ordering::Relaxed), Ordering::Relaxed);
        next
    }

    /// Reconciles everything kept about a slot with its proxy; `None` when it is no longer in the pool.
    /// The caller holds the pool's writer lock.
    pub(crate) fn place(&self, slot: u32, proxy: Option<&Proxy>) {
        let member = proxy.filter(|proxy| self.filter.as_ref().is_none_or(|filter| filter.matches(proxy)));
        if member.is_some() != self.members.contains(slot as usize) {
            if member.is_some() { self.members.insert(slot as usize) } else { self.members.remove(slot as usize) }
        }
        let eligible = member.filter(|proxy| proxy.reasons() == 0);
        if eligible.is_some() != self.eligible.contains(slot as usize) {
            if eligible.is_some() { self.eligible.insert(slot as usize) } else { self.eligible.remove(slot as usize) }
        }
        self.dense.set(slot, eligible.is_some());
        let extras = self.extras.load();
        for sampler in &extras.samplers {
            sampler.place(slot, eligible);
        }
        for groups in &extras.groups {
            groups.place(slot, eligible);
        }
        for order in &extras.orders {
            order.place(slot, eligible);
        }
        for unproven in &extras.unproven {
            unproven.place(slot, eligible);
        }
    }

    /// Adds a structure, filled with what is eligible now. The caller holds the pool's writer lock.
    pub(crate) fn demand<'p>(&self, what: &Demand, proxy: impl Fn(u32) -> Option<&'p Proxy>) {
        if self.extras.load().has(what) {
            return;
        }
        let mut extras = Extras::clone(&self.extras.load());
        let members = || self.members.iter().filter_map(|slot| Some((slot as u32, proxy(slot as u32)?)));
        let fill = |place: &dyn Fn(u32, Option<&Proxy>), bits: u8| {
            for (slot, proxy) in members() {
                proxy.add_watch(bits);
                // The watch is set first: a change from now on is reported, one from before is seen here.
                place(slot, (proxy.reasons() == 0).then_some(proxy));
            }
        };
        match what {
            Demand::Weighed(weigh) => {
                let sampler = Arc::new(Sampler::new(weigh.clone(), self.capacity));
                fill(&|slot, proxy| sampler.place(slot, proxy), weigh.watches());
                keep(&mut extras.samplers, sampler);
            }
            Demand::Grouped(table) => {
                let groups = Arc::new(Groups::new(table.clone(), self.capacity));
                fill(&|slot, proxy| groups.place(slot, proxy), watch::RATE);
                keep(&mut extras.groups, groups);
            }
            Demand::Ordered(tie) => {
                let order = Arc::new(Order::new(*tie, self.capacity));
                // In the order of identifiers, so that the queues start sorted.
                let mut all: Vec<(u32, &Proxy)> = members().collect();
                all.sort_unstable_by_key(|(_, proxy)| proxy.id());
                for (slot, proxy) in all {
                    proxy.add_watch(watch::COUNTS);
                    order.place(slot, (proxy.reasons() == 0).then_some(proxy));
                }
                keep(&mut extras.orders, order);
            }
            Demand::Unproven(limit) => {
                let unproven = Arc::new(Unproven { limit: *limit, set: Dense::new(self.capacity) });
                fill(&|slot, proxy| unproven.place(slot, proxy), watch::TOTALS);
                keep(&mut extras.unproven, unproven);
            }
        }
        self.extras.store(Arc::new(extras));
    }

    /// The bits that new members have to watch.
    pub(crate) fn watches(&self) -> u8 {
        let extras = self.extras.load();
        let mut bits = 0;
        for sampler in &extras.samplers {
            bits |= sampler.weigh.watches();
        }
        if !extras.groups.is_empty() {
            bits |= watch::RATE;
        }
        if !extras.orders.is_empty() {
            bits |= watch::COUNTS;
        }
        if !extras.unproven.is_empty() {
            bits |= watch::TOTALS;
        }
        bits
    }
}

fn keep<A: smallvec::Array<Item = Arc<T>>, T>(list: &mut SmallVec<A>, item: Arc<T>) {
    if list.len() >= KEPT {
        list.remove(0);
    }
    list.push(item);
}

/// Something a strategy needs a view to keep.
#[derive(Debug, Clone)]
pub(crate) enum Demand {
    Weighed(Weigh),
    Grouped(Arc<WeightTable>),
    Ordered(TieBreak),
    Unproven(u64),
}

impl Unproven {
    fn place(&self, slot: u32, proxy: Option<&Proxy>) {
        self.set.set(slot, proxy.is_some_and(|proxy| proxy.total() < self.limit));
    }
}

impl Groups {
    fn new(table: Arc<WeightTable>, capacity: usize) -> Self {
        let inside = if table.names_single_proxies() { Weigh::Table(table.clone()) } else { Weigh::Even };
        let samplers = table.groups.iter().map(|_| Sampler::new(inside.clone(), capacity)).collect();
        Self { table, samplers }
    }

    fn place(&self, slot: u32, proxy: Option<&Proxy>) {
        let own = proxy.and_then(|proxy| self.table.group_of(proxy));
        for (number, sampler) in self.samplers.iter().enumerate() {
            sampler.place(slot, if own == Some(number) { proxy } else { None });
        }
    }
}
