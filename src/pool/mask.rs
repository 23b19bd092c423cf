//! Slots that selections for one purpose pass over: a site writes which proxies it holds back, queries read it.

use compact_str::CompactString;

use crate::pool::Table;
use crate::pool::marks::{Mark, Marks};
use crate::sync::{Arc, ArcSwapOption, Mutex, global};

/// So few are looked over sooner than a view without them is made.
const FEW: usize = 8;

static UIDS: global::AtomicU64 = global::AtomicU64::new(1);

/// See the module. Written under a lock of its owner's, read without one.
#[derive(Debug)]
pub struct Mask {
    name: CompactString,
    uid: u64,
    marks: ArcSwapOption<Marks>,
    // Generation of the table that has views without the held slots.
    viewed: Mutex<u64>,
}

/// A change of a mask by which views are reindexed: the mask, and the slot.
pub(crate) type MaskChange = (u64, u32);

impl Mask {
    /// A mask that holds nothing back; `name` is what people are shown.
    pub(crate) fn new(name: &str) -> Arc<Self> {
        let uid = UIDS.fetch_add(1, global::Ordering::Relaxed);
        Arc::new(Self { name: name.into(), uid, marks: ArcSwapOption::empty(), viewed: Mutex::new(0) })
    }

    /// What people are shown: the key of the site.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A number that no other mask has.
    #[must_use]
    pub fn uid(&self) -> u64 {
        self.uid
    }

    /// What is said of a slot of a table; `None` where the marks are of another table.
    #[inline]
    pub(crate) fn look(&self, generation: u64, slot: u32) -> Option<Mark> {
        let marks = self.marks.load();
        (*marks).as_ref().filter(|marks| marks.generation == generation).map(|marks| marks.look(slot))
    }

    /// Whether a slot of a table of that generation is to be passed over.
    pub(crate) fn holds(&self, generation: u64, slot: u32) -> bool {
        self.look(generation, slot) == Some(Mark::Held)
    }

    /// The table that the marks are of; `None` without marks.
    pub(crate) fn generation(&self) -> Option<u64> {
        (*self.marks.load()).as_ref().map(|marks| marks.generation)
    }

    /// Replaces all marks. The caller holds its own lock.
    pub(crate) fn publish(&self, marks: Option<Arc<Marks>>) {
        let _viewed = self.viewed.lock();
        self.marks.store(marks);
    }

    /// Changes marks of that generation; whether views have to follow the change. The caller holds its own lock.
    pub(crate) fn write(&self, generation: u64, change: impl FnOnce() -> Option<Arc<Marks>>) -> bool {
        // One step together with `note_view`: a view noted before is reindexed, one noted after reads the mark.
        let viewed = self.viewed.lock();
        if let Some(replaced) = change() {
            self.marks.store(Some(replaced));
        }
        *viewed == generation
    }

    /// A view of a table is about to leave out the held slots: from now on it follows changes. False if the marks are of a
    /// later table.
    pub(crate) fn note_view(&self, generation: u64) -> bool {
        let mut viewed = self.viewed.lock();
        if self.generation().is_some_and(|of_marks| of_marks > generation) {
            return false;
        }
        *viewed = generation;
        true
    }
}

/// The slots that one selection passes over.
pub struct SiteMask<'a> {
    pub(crate) mask: &'a Arc<Mask>,
    marks: arc_swap::Guard<Option<Arc<Marks>>>,
    /// So many that it is better to ask a view without them.
    pub(crate) is_crowded: bool,
    /// How many they are.
    pub(crate) held: usize,
}

impl<'a> SiteMask<'a> {
    /// The mask as it is now, for a selection from `table`; `held` slots are held back. `None` if the marks are of another
    /// table: the owner of the mask catches what should not have been chosen.
    pub(crate) fn new(mask: &'a Arc<Mask>, table: &Table, held: usize) -> Option<Self> {
        let marks = mask.marks.load();
        if (*marks).as_ref().is_none_or(|marks| marks.generation != table.generation) {
            return None;
        }
        let is_crowded = held >= FEW && held * 8 > table.all.dense.len();
        Some(Self { mask, marks, is_crowded, held })
    }

    /// Whether a slot is to be passed over.
    #[inline]
    pub(crate) fn holds(&self, slot: u32) -> bool {
        (*self.marks).as_ref().is_some_and(|marks| marks.holds(slot))
    }
}
