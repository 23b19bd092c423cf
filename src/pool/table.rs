//! The slots of a pool: its members in the order in which they came.
//!
//! Slots are written once and never reused. A proxy that is removed leaves its slot dead; when too many are dead, or the
//! table is full, the pool builds the next table and swaps it in whole. Readers keep the table they loaded alive, so that
//! nothing they look at is freed under them; what is dead is freed with its table.

use ahash::RandomState;
use hashbrown::{Equivalent, HashMap};

use crate::pool::filter::Filter;
use crate::pool::index::SlotIndex;
use crate::pool::member::{AttachmentOps, Member, Word};
use crate::pool::view::View;
use crate::proxy::{Id, Key, Proxy};
use crate::sync::{Arc, ArcSwap, AtomicPtr, AtomicU64, AtomicUsize, Ordering, global};

/// One place in the order: a share of a member.
#[derive(Debug)]
pub struct Slot {
    // The member's own pointer, here as well because selections go from slot to proxy all the time.
    proxy: AtomicPtr<Proxy>,
    member: AtomicPtr<Member>,
}

impl Slot {
    fn empty() -> Self {
        Self { proxy: AtomicPtr::new(std::ptr::null_mut()), member: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// The proxy in it, dead or alive.
    #[inline]
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        // SAFETY: the pointer is null or that of the proxy of the member that `fill` put here, whose share the table gives
        // back only in its own `drop`. Acquire pairs with the release there.
        unsafe { self.proxy.load(Ordering::Acquire).as_ref() }
    }

    /// The member in it.
    #[inline]
    #[must_use]
    pub fn member(&self) -> Option<&Member> {
        // SAFETY: the pointer is null or came from `Arc::into_raw` in `fill`; the rest as in `proxy`.
        unsafe { self.member.load(Ordering::Acquire).as_ref() }
    }

    /// A share of the proxy in it.
    #[must_use]
    pub fn share(&self) -> Option<Arc<Proxy>> {
        self.member().map(|member| member.proxy().clone())
    }

    /// A share of the member in it.
    pub(crate) fn member_share(&self) -> Option<Arc<Member>> {
        let pointer = self.member.load(Ordering::Acquire);
        if pointer.is_null() {
            return None;
        }
        // SAFETY: as in `member`; the count is raised before a second owner is made.
        unsafe {
            Arc::increment_strong_count(pointer);
            Some(Arc::from_raw(pointer))
        }
    }

    /// What is attached to the member in it.
    #[inline]
    #[must_use]
    pub fn attachment(&self) -> Option<Word> {
        self.member()?.attached()
    }

    /// Puts a member into an empty slot. Only one thread fills the slots of a table: its builder, or the
    /// holder of the pool's writer lock.
    pub(crate) fn fill(&self, member: Arc<Member>) {
        debug_assert!(self.proxy.load(Ordering::Relaxed).is_null(), "slots are written once");
        let proxy = Arc::as_ptr(member.proxy()).cast_mut();
        self.member.store(Arc::into_raw(member).cast_mut(), Ordering::Release);
        // Release: a thread that sees the proxy sees it whole, and its member.
        self.proxy.store(proxy, Ordering::Release);
    }
}

/// What a view is found by: the filter, and the mask whose slots are left out, or zero.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Facet {
    pub(crate) filter: Filter,
    pub(crate) mask: u64,
}

/// The same, borrowed.
#[derive(Hash)]
pub(crate) struct FacetOf<'a> {
    pub(crate) filter: &'a Filter,
    pub(crate) mask: u64,
}

impl Equivalent<Facet> for FacetOf<'_> {
    fn equivalent(&self, facet: &Facet) -> bool {
        facet.mask == self.mask && facet.filter == *self.filter
    }
}

pub(crate) type Facets = HashMap<Facet, Arc<View>, RandomState>;

static GENERATIONS: global::AtomicU64 = global::AtomicU64::new(1);

/// See the module.
#[derive(Debug)]
pub struct Table {
    /// Later tables of one pool have higher numbers.
    pub(crate) generation: u64,
    pub(crate) slots: Box<[Slot]>,
    pub(crate) all: View,
    pub(crate) facets: ArcSwap<Facets>,
    /// Counts the views made: by it, uses are before or after each other.
    pub(crate) views_made: AtomicU64,
    /// The filter everyone meets.
    pub(crate) everyone: Filter,
    /// Position in the pool's whole history of each slot, where that is not the slot's own number.
    pub(crate) history: Option<Box<[crate::sync::AtomicU64]>>,
    pub(crate) by_id: SlotIndex,
    pub(crate) by_address: SlotIndex,
    pub(crate) ops: AttachmentOps,
    // Slots that have been filled, dead ones included.
    pub(crate) used: AtomicUsize,
}

impl Table {
    pub(crate) fn new(capacity: usize, all: View, ops: AttachmentOps, with_history: bool) -> Self {
        Self {
            generation: GENERATIONS.fetch_add(1, global::Ordering::Relaxed),
            slots: (0..capacity).map(|_| Slot::empty()).collect(),
            all,
            facets: ArcSwap::from_pointee(Facets::default()),
            views_made: AtomicU64::new(0),
            everyone: Filter::default(),
            history: with_history.then(|| (0..capacity).map(|_| crate::sync::AtomicU64::new(u64::MAX)).collect()),
            by_id: SlotIndex::new(capacity),
            by_address: SlotIndex::new(capacity),
            ops,
            used: AtomicUsize::new(0),
        }
    }

    /// Number of slots, in use or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are no slots; there always are some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The slot of that number.
    #[inline]
    #[must_use]
    pub fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.get(number as usize)
    }

    /// The proxy in the slot of that number.
    #[inline]
    #[must_use]
    pub fn proxy(&self, number: u32) -> Option<&Proxy> {
        self.slot(number)?.proxy()
    }

    /// The slot of the member with that identifier. Takes no lock.
    #[must_use]
    pub fn find(&self, id: Id) -> Option<u32> {
        self.by_id
            .find(id_hash(id), |slot| self.is_member(slot) && self.proxy(slot).is_some_and(|proxy| proxy.id() == id))
    }

    /// The slot of the member with that address. Takes no lock of the pool.
    pub(crate) fn find_key(&self, hash: u32, key: Key<'_>) -> Option<u32> {
        let same = |slot| self.proxy(slot).is_some_and(|proxy| proxy.with_key(|own| own == key));
        self.by_address.find(mix(hash), |slot| self.is_member(slot) && same(slot))
    }

    /// Whether one more slot can be filed.
    pub(crate) fn can_file(&self) -> bool {
        self.by_id.has_room() && self.by_address.has_room()
    }

    /// Reconciles a slot with its proxy in every view; `None` when the proxy has left.
    pub(crate) fn reindex(&self, number: u32, proxy: Option<&Proxy>) {
        self.all.reindex(number, proxy);
        for view in self.facets.load().values() {
            view.reindex(number, proxy);
        }
    }

    /// Whether a slot's proxy is in the pool.
    pub(crate) fn is_member(&self, slot: u32) -> bool {
        self.all.members.contains(slot as usize)
    }

    /// Whether that very proxy is in that slot.
    pub(crate) fn holds(&self, slot: u32, proxy: &Proxy) -> bool {
        self.proxy(slot).is_some_and(|held| std::ptr::eq(held, proxy))
    }

    /// Files a slot under its proxy's present identifier and address; false if an index is full. The caller is the one
    /// thread that fills the table's slots.
    #[must_use]
    pub(crate) fn file(&self, slot: u32, proxy: &Proxy) -> bool {
        let (id, address) = (id_hash(proxy.id()), mix(proxy.with_key(|key| key.hash())));
        let filed =
            |index: &SlotIndex, hash| index.find(hash, |other| other == slot).is_some() || index.insert(hash, slot);
        filed(&self.by_id, id) && filed(&self.by_address, address)
    }

    /// The same for a slot that is filed nowhere yet, under the address whose hash is given.
    #[must_use]
    pub(crate) fn file_new(&self, slot: u32, id: Id, address: u32) -> bool {
        self.by_id.insert(id_hash(id), slot) && self.by_address.insert(mix(address), slot)
    }

    /// Where in the pool's history a slot stands. Round-robin remembers this, since slots move when a table is rebuilt.
    pub(crate) fn position(&self, slot: usize) -> u64 {
        match &self.history {
            None => slot as u64,
            Some(history) => history[slot].load(Ordering::Acquire),
        }
    }

    /// The slot that stands at that very position, if its proxy still is in the pool.
    pub(crate) fn slot_at(&self, position: u64) -> Option<u32> {
        let slot = self.slot_from(position);
        let there = slot < self.slots.len() && self.position(slot) == position && self.all.members.contains(slot);
        there.then_some(slot as u32)
    }

    /// The first slot that stands at `position` or later.
    pub(crate) fn slot_from(&self, position: u64) -> usize {
        match &self.history {
            None => usize::try_from(position).unwrap_or(usize::MAX),
            Some(history) => history.partition_point(|at| at.load(Ordering::Acquire) < position),
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        for slot in &self.slots {
            let member = slot.member.load(Ordering::Acquire);
            if !member.is_null() {
                // SAFETY: the share that `fill` put there.
                unsafe { drop(Arc::from_raw(member)) };
            }
        }
    }
}

pub(crate) fn id_hash(id: Id) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = crate::random::hasher();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Spreads the hash of an address over 64 bits.
pub(crate) fn mix(hash: u32) -> u64 {
    // The index takes its place from the top bits.
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
