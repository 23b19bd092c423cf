//! The slots of a pool: proxies in the order they came, each with a word for whoever embeds the pool.
//!
//! Slots are written once and never reused. A proxy that is removed leaves its slot dead; when too many are dead, or the
//! table is full, the pool builds the next table and swaps it in whole. Readers keep the table they loaded alive, so that
//! nothing they look at is freed under them; what is dead is freed with its table.

use std::ptr::NonNull;

use ahash::RandomState;
use hashbrown::{Equivalent, HashMap};

use crate::pool::filter::Filter;
use crate::pool::view::View;
use crate::proxy::Proxy;
use crate::sync::{Arc, ArcSwap, AtomicPtr, AtomicU64, AtomicUsize, Ordering, global};

/// A word that the embedding program hangs on a proxy in a pool; for Python, the object that stands for it.
pub type Attachment = NonNull<()>;

/// What to do with an attachment that the pool no longer needs, and how to take a second share in one.
#[derive(Debug, Clone, Copy)]
pub struct Keeper {
    /// Gives one share back.
    pub release: unsafe fn(Attachment),
    /// Takes one more share.
    pub retain: unsafe fn(Attachment),
}

fn nothing(_: Attachment) {}

impl Default for Keeper {
    fn default() -> Self {
        Self { release: nothing, retain: nothing }
    }
}

/// One place in the order.
#[derive(Debug)]
pub struct Slot {
    proxy: AtomicPtr<Proxy>,
    attachment: AtomicPtr<()>,
}

impl Slot {
    fn empty() -> Self {
        Self { proxy: AtomicPtr::new(std::ptr::null_mut()), attachment: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// The proxy in it, dead or alive.
    #[inline]
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        // SAFETY: the pointer is null or came from `Arc::into_raw` in `fill`; the table owns that share and gives it
        // back only in its own `drop`. Acquire pairs with the release there.
        unsafe { self.proxy.load(Ordering::Acquire).as_ref() }
    }

    /// A share of the proxy in it.
    #[must_use]
    pub fn share(&self) -> Option<Arc<Proxy>> {
        let pointer = self.proxy.load(Ordering::Acquire);
        if pointer.is_null() {
            return None;
        }
        // SAFETY: as in `proxy`; the count is raised before a second owner is made.
        unsafe {
            Arc::increment_strong_count(pointer);
            Some(Arc::from_raw(pointer))
        }
    }

    /// What hangs on it.
    #[inline]
    #[must_use]
    pub fn attachment(&self) -> Option<Attachment> {
        NonNull::new(self.attachment.load(Ordering::Acquire))
    }

    /// Puts a proxy into an empty slot. The caller holds the pool's writer lock.
    pub(crate) fn fill(&self, proxy: Arc<Proxy>, attachment: Option<Attachment>) {
        debug_assert!(self.proxy.load(Ordering::Relaxed).is_null(), "slots are written once");
        if let Some(word) = attachment {
            self.attachment.store(word.as_ptr(), Ordering::Release);
        }
        // Release: who sees the proxy sees it whole.
        self.proxy.store(Arc::into_raw(proxy).cast_mut(), Ordering::Release);
    }

    /// Hangs something on a slot that has nothing yet. The caller holds the pool's writer lock.
    pub(crate) fn attach(&self, word: Attachment) {
        self.attachment.store(word.as_ptr(), Ordering::Release);
    }
}

/// What a view is found by: the filter, and the site whose outcasts are left out, or zero.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Facet {
    pub(crate) filter: Filter,
    pub(crate) site: u64,
}

/// The same, borrowed.
#[derive(Hash)]
pub(crate) struct FacetOf<'a> {
    pub(crate) filter: &'a Filter,
    pub(crate) site: u64,
}

impl Equivalent<Facet> for FacetOf<'_> {
    fn equivalent(&self, facet: &Facet) -> bool {
        facet.site == self.site && facet.filter == *self.filter
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
    pub(crate) keeper: Keeper,
    // Slots that have been filled, dead ones included.
    pub(crate) used: AtomicUsize,
}

impl Table {
    pub(crate) fn new(capacity: usize, all: View, keeper: Keeper, with_history: bool) -> Self {
        Self {
            generation: GENERATIONS.fetch_add(1, global::Ordering::Relaxed),
            slots: (0..capacity).map(|_| Slot::empty()).collect(),
            all,
            facets: ArcSwap::from_pointee(Facets::default()),
            views_made: AtomicU64::new(0),
            everyone: Filter::default(),
            history: with_history.then(|| (0..capacity).map(|_| crate::sync::AtomicU64::new(u64::MAX)).collect()),
            keeper,
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
            let proxy = slot.proxy.load(Ordering::Acquire);
            if !proxy.is_null() {
                // SAFETY: the share that `fill` put there.
                unsafe { drop(Arc::from_raw(proxy)) };
            }
            if let Some(word) = slot.attachment() {
                // SAFETY: the share that the table was given with the attachment.
                unsafe { (self.keeper.release)(word) };
            }
        }
    }
}
