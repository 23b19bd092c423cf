//! The eligible proxies of a pool, or of the part of it that meets a filter, ready for every way of choosing.

use smallvec::SmallVec;

use crate::pool::filter::{Filter, WeightTable};
use crate::pool::index::bits::Bits;
use crate::pool::index::dense::Dense;
use crate::pool::index::groups::Groups;
use crate::pool::index::order::{Order, TieBreak};
use crate::pool::index::sampler::{Sampler, Weighting};
use crate::pool::index::unexplored::Unexplored;
use crate::pool::mask::Mask;
use crate::proxy::{Proxy, watch};
use crate::sync::global;
use crate::sync::{Arc, ArcSwap, AtomicU64, OnceLock, Ordering};

/// What nearly every strategy asks for, one of each: found by one read.
#[derive(Debug, Default)]
struct BuiltinIndexes {
    latency: OnceLock<Sampler>,
    rate: OnceLock<Sampler>,
    order: OnceLock<Order>,
    unexplored: OnceLock<Unexplored>,
}

/// What else has been asked of a view so far; made on first demand and kept up to date from then on.
#[derive(Debug, Default, Clone)]
pub(crate) struct OtherIndexes {
    pub(crate) samplers: SmallVec<[Arc<Sampler>; 2]>,
    pub(crate) groups: SmallVec<[Arc<Groups>; 1]>,
    pub(crate) orders: SmallVec<[Arc<Order>; 1]>,
    pub(crate) unexplored: SmallVec<[Arc<Unexplored>; 1]>,
}

/// A structure of a view, borrowed from it or from the list it is in.
pub(crate) enum IndexRef<'a, T> {
    Builtin(&'a T),
    Listed(Arc<T>),
}

impl<T> std::ops::Deref for IndexRef<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Builtin(it) => it,
            Self::Listed(it) => it,
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
    /// The mask whose slots are left out, and the generation of the table.
    pub(crate) mask: Option<(Arc<Mask>, u64)>,
    /// The proxies that match the filter.
    pub(crate) members: Bits,
    /// The eligible ones of them.
    pub(crate) eligible: Bits,
    // Those that the mask does not hold back either; the same as the eligible without a mask.
    open: Option<Bits>,
    /// The same without gaps.
    pub(crate) dense: Dense,
    usual: BuiltinIndexes,
    extras: ArcSwap<OtherIndexes>,
    used: AtomicU64,
    capacity: usize,
}

static UIDS: global::AtomicU64 = global::AtomicU64::new(1);

impl View {
    pub(crate) fn new(filter: Option<Filter>, capacity: usize) -> Self {
        Self::with_uid(Self::next_uid(), filter, capacity, None)
    }

    /// A name that no view has had.
    pub(crate) fn next_uid() -> u64 {
        UIDS.fetch_add(1, global::Ordering::Relaxed)
    }

    /// A view that shares its rounds with another of the same filter: both have that `uid`.
    pub(crate) fn with_uid(uid: u64, filter: Option<Filter>, capacity: usize, mask: Option<(Arc<Mask>, u64)>) -> Self {
        Self {
            uid,
            filter,
            members: Bits::new(capacity),
            eligible: Bits::new(capacity),
            open: mask.is_some().then(|| Bits::new(capacity)),
            mask,
            dense: Dense::new(capacity),
            usual: BuiltinIndexes::default(),
            extras: ArcSwap::from_pointee(OtherIndexes::default()),
            used: AtomicU64::new(0),
            capacity,
        }
    }

    /// The proxies that may be chosen.
    #[inline]
    pub(crate) fn open(&self) -> &Bits {
        self.open.as_ref().unwrap_or(&self.eligible)
    }

    /// Notes a use at that time; writes only if that is news, since many threads come this way.
    #[inline]
    pub(crate) fn mark_used(&self, time: u64) {
        if self.used.load(Ordering::Relaxed) != time {
            self.used.store(time, Ordering::Relaxed);
        }
    }

    /// When it was used last.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// About how much memory it has written to.
    pub(crate) fn bytes(&self) -> usize {
        // Bits of three sets with their summaries, and a set without gaps.
        const BASE: usize = 9;
        const SAMPLER: usize = 20;
        const ORDER: usize = 40;
        const DENSE: usize = 8;
        let extras = self.extras.load();
        let samplers = usize::from(self.usual.latency.get().is_some())
            + usize::from(self.usual.rate.get().is_some())
            + extras.samplers.len()
            + extras.groups.iter().map(|groups| groups.samplers.len()).sum::<usize>();
        let orders = usize::from(self.usual.order.get().is_some()) + extras.orders.len();
        let unexplored = usize::from(self.usual.unexplored.get().is_some()) + extras.unexplored.len();
        self.capacity * (BASE + samplers * SAMPLER + orders * ORDER + unexplored * DENSE)
    }

    /// Whether a proxy of the view may be chosen as far as its reasons and the mask are concerned.
    fn is_open(&self, slot: u32, proxy: &Proxy) -> bool {
        proxy.reasons() == 0 && self.mask.as_ref().is_none_or(|(mask, table)| !mask.holds(*table, slot))
    }

    /// An empty view with the same name, filter and demands, for a table of another size. Not for one under a mask, whose marks
    /// are of one table.
    pub(crate) fn successor(&self, capacity: usize) -> Self {
        let next = Self::with_uid(self.uid, self.filter.clone(), capacity, None);
        next.mark_used(self.used());
        let again = |weigh: &Weighting| Sampler::new(weigh.clone(), capacity);
        if self.usual.latency.get().is_some() {
            let _ = next.usual.latency.set(again(&Weighting::Latency));
        }
        if self.usual.rate.get().is_some() {
            let _ = next.usual.rate.set(again(&Weighting::Rate));
        }
        if let Some(order) = self.usual.order.get() {
            let _ = next.usual.order.set(Order::new(order.tie, capacity));
        }
        if let Some(unexplored) = self.usual.unexplored.get() {
            let _ = next.usual.unexplored.set(Unexplored::new(unexplored.limit, capacity));
        }
        let old = self.extras.load();
        next.extras.store(Arc::new(OtherIndexes {
            samplers: old.samplers.iter().map(|s| Arc::new(Sampler::new(s.weigh.clone(), capacity))).collect(),
            groups: old.groups.iter().map(|g| Arc::new(Groups::new(g.table.clone(), capacity))).collect(),
            orders: old.orders.iter().map(|o| Arc::new(Order::new(o.tie, capacity))).collect(),
            unexplored: old.unexplored.iter().map(|u| Arc::new(Unexplored::new(u.limit, capacity))).collect(),
        }));
        next
    }

    /// Reconciles everything kept about a slot with its proxy; `None` when it is no longer in the pool.
    /// The caller holds the pool's writer lock.
    pub(crate) fn reindex(&self, slot: u32, proxy: Option<&Proxy>) {
        let member = proxy.filter(|proxy| self.filter.as_ref().is_none_or(|filter| filter.matches(proxy)));
        if member.is_some() != self.members.contains(slot as usize) {
            if let Some(proxy) = member {
                // Before anything is read of it: a change from now on is reported, one from before is seen here.
                proxy.add_watch(self.watches());
                self.members.insert(slot as usize);
            } else {
                self.members.remove(slot as usize);
            }
        }
        let eligible = member.filter(|proxy| proxy.reasons() == 0);
        if eligible.is_some() != self.eligible.contains(slot as usize) {
            if eligible.is_some() { self.eligible.insert(slot as usize) } else { self.eligible.remove(slot as usize) }
        }
        let open = eligible.filter(|proxy| self.is_open(slot, proxy));
        if let Some(bits) = self.open.as_ref().filter(|bits| bits.contains(slot as usize) != open.is_some()) {
            if open.is_some() { bits.insert(slot as usize) } else { bits.remove(slot as usize) }
        }
        let eligible = open;
        self.dense.set(slot, eligible.is_some());
        for sampler in [&self.usual.latency, &self.usual.rate] {
            if let Some(sampler) = sampler.get() {
                sampler.reindex(slot, eligible);
            }
        }
        if let Some(order) = self.usual.order.get() {
            order.reindex(slot, eligible);
        }
        if let Some(unexplored) = self.usual.unexplored.get() {
            unexplored.reindex(slot, eligible);
        }
        let extras = self.extras.load();
        for sampler in &extras.samplers {
            sampler.reindex(slot, eligible);
        }
        for groups in &extras.groups {
            groups.reindex(slot, eligible);
        }
        for order in &extras.orders {
            order.reindex(slot, eligible);
        }
        for unexplored in &extras.unexplored {
            unexplored.reindex(slot, eligible);
        }
    }

    /// The sampler of those weights, if it has been demanded.
    #[inline]
    pub(crate) fn sampler(&self, weigh: &Weighting) -> Option<IndexRef<'_, Sampler>> {
        match weigh {
            Weighting::Latency => self.usual.latency.get().map(IndexRef::Builtin),
            Weighting::Rate => self.usual.rate.get().map(IndexRef::Builtin),
            _ => self
                .extras
                .load()
                .samplers
                .iter()
                .find(|sampler| sampler.weigh == *weigh)
                .cloned()
                .map(IndexRef::Listed),
        }
    }

    /// The samplers of a table's groups, if they have been demanded.
    pub(crate) fn groups(&self, table: &Arc<WeightTable>) -> Option<IndexRef<'_, Groups>> {
        self.extras.load().groups.iter().find(|groups| Arc::ptr_eq(&groups.table, table)).cloned().map(IndexRef::Listed)
    }

    /// The order with that rule among equals, if it has been demanded.
    #[inline]
    pub(crate) fn order(&self, tie: TieBreak) -> Option<IndexRef<'_, Order>> {
        match self.usual.order.get().filter(|order| order.tie == tie) {
            Some(order) => Some(IndexRef::Builtin(order)),
            None => self.extras.load().orders.iter().find(|order| order.tie == tie).cloned().map(IndexRef::Listed),
        }
    }

    /// The set of those with fewer results than `limit`, if it has been demanded.
    #[inline]
    pub(crate) fn unexplored(&self, limit: u64) -> Option<IndexRef<'_, Unexplored>> {
        match self.usual.unexplored.get().filter(|unexplored| unexplored.limit == limit) {
            Some(unexplored) => Some(IndexRef::Builtin(unexplored)),
            None => self
                .extras
                .load()
                .unexplored
                .iter()
                .find(|unexplored| unexplored.limit == limit)
                .cloned()
                .map(IndexRef::Listed),
        }
    }

    fn has(&self, what: &IndexSpec) -> bool {
        match what {
            IndexSpec::Weighed(weigh) => self.sampler(weigh).is_some(),
            IndexSpec::Grouped(table) => self.groups(table).is_some(),
            IndexSpec::Ordered(tie) => self.order(*tie).is_some(),
            IndexSpec::Unexplored(limit) => self.unexplored(*limit).is_some(),
        }
    }

    /// Adds a structure, filled with what is eligible now. The caller holds the pool's writer lock.
    pub(crate) fn demand<'p>(&self, what: &IndexSpec, proxy: impl Fn(u32) -> Option<&'p Proxy>) {
        if self.has(what) {
            return;
        }
        let mut extras = OtherIndexes::clone(&self.extras.load());
        let members = || self.members.iter().filter_map(|slot| Some((slot as u32, proxy(slot as u32)?)));
        let fill = |place: &dyn Fn(u32, Option<&Proxy>), bits: u8| {
            for (slot, proxy) in members() {
                proxy.add_watch(bits);
                // The watch is set first: a change from now on is reported, one from before is seen here.
                place(slot, self.is_open(slot, proxy).then_some(proxy));
            }
        };
        match what {
            IndexSpec::Weighed(weigh) => {
                let sampler = Sampler::new(weigh.clone(), self.capacity);
                fill(&|slot, proxy| sampler.reindex(slot, proxy), weigh.watches());
                let left = match weigh {
                    Weighting::Latency => self.usual.latency.set(sampler),
                    Weighting::Rate => self.usual.rate.set(sampler),
                    _ => Err(sampler),
                };
                if let Err(sampler) = left {
                    keep(&mut extras.samplers, Arc::new(sampler));
                }
            }
            IndexSpec::Grouped(table) => {
                let groups = Arc::new(Groups::new(table.clone(), self.capacity));
                fill(&|slot, proxy| groups.reindex(slot, proxy), watch::RATE);
                keep(&mut extras.groups, groups);
            }
            IndexSpec::Ordered(tie) => {
                let order = Order::new(*tie, self.capacity);
                // In the order of identifiers, so that the queues start sorted.
                let mut all: Vec<(u32, &Proxy)> = members().collect();
                all.sort_unstable_by_key(|(_, proxy)| proxy.id());
                for (slot, proxy) in all {
                    proxy.add_watch(watch::COUNTS);
                    order.reindex(slot, self.is_open(slot, proxy).then_some(proxy));
                }
                if let Err(order) = self.usual.order.set(order) {
                    keep(&mut extras.orders, Arc::new(order));
                }
            }
            IndexSpec::Unexplored(limit) => {
                let unexplored = Unexplored::new(*limit, self.capacity);
                fill(&|slot, proxy| unexplored.reindex(slot, proxy), watch::TOTALS);
                if let Err(unexplored) = self.usual.unexplored.set(unexplored) {
                    keep(&mut extras.unexplored, Arc::new(unexplored));
                }
            }
        }
        self.extras.store(Arc::new(extras));
    }

    /// The bits that new members have to watch.
    pub(crate) fn watches(&self) -> u8 {
        let extras = self.extras.load();
        let mut bits = 0;
        for (present, bit) in [
            (self.usual.latency.get().is_some(), watch::LATENCY),
            (self.usual.rate.get().is_some() || !extras.groups.is_empty(), watch::RATE),
            (self.usual.order.get().is_some() || !extras.orders.is_empty(), watch::COUNTS),
            (self.usual.unexplored.get().is_some() || !extras.unexplored.is_empty(), watch::TOTALS),
        ] {
            if present {
                bits |= bit;
            }
        }
        extras.samplers.iter().fold(bits, |bits, sampler| bits | sampler.weigh.watches())
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
pub(crate) enum IndexSpec {
    Weighed(Weighting),
    Grouped(Arc<WeightTable>),
    Ordered(TieBreak),
    Unexplored(u64),
}
