//! The Python object of a proxy in a pool: one for each proxy, made on first demand and kept by its member.

use std::mem::ManuallyDrop;

use pyo3::exceptions::PyIndexError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::clock::exact_wall;
use crate::pool::{Attachment, AttachmentOps, Member, Pool, Table, Word};
use crate::proxy::Proxy;
use crate::py::errors;
use crate::py::pool::PyPool;
use crate::py::proxy::PyProxy;
use crate::rotation::Domain;
use crate::sync::Arc;

/// Gives a reference back: at once on a thread that is attached to the interpreter, else when a thread is next. So no thread
/// waits for the interpreter here, and none has to be left while it ends.
unsafe fn release(word: Word) {
    // SAFETY: the word is a reference to a Python object that `attachment_of` took; `Py` is one non-null pointer.
    drop(unsafe { std::mem::transmute::<Word, Py<PyAny>>(word) });
}

pub(super) const OPS: AttachmentOps = AttachmentOps { release };

impl PyPool {
    /// The Python object of a slot: always the same one, made on first demand.
    #[inline]
    pub(crate) fn object<'py>(py: Python<'py>, table: &Table, slot: u32) -> PyResult<Bound<'py, PyAny>> {
        let member = table.slot(slot).and_then(|slot| slot.member());
        Self::member_object(py, member.ok_or_else(|| PyIndexError::new_err("no such slot"))?)
    }

    /// The Python object of a member. The borrow of the member keeps it alive.
    #[inline]
    pub(crate) fn member_object<'py>(py: Python<'py>, member: &Member) -> PyResult<Bound<'py, PyAny>> {
        let word = match member.attached() {
            Some(word) => word,
            None => Self::materialise(py, member)?,
        };
        // SAFETY: the member keeps the reference for as long as it lives, and the table's borrow keeps the member.
        Ok(unsafe { Bound::from_borrowed_ptr(py, word.as_ptr().cast()) })
    }

    /// Attaches an object to a member that has none. Of two threads at once, one attaches its object and both get it.
    #[cold]
    fn materialise(py: Python<'_>, member: &Member) -> PyResult<Word> {
        let object = Bound::new(py, PyProxy::wrap(member.proxy().clone()))?;
        Ok(member.attach(attachment_of(object.as_any())))
    }

    /// Makes an object the one that stands for its proxy in a pool that holds the proxy and has no object for it.
    pub(crate) fn adopt(pool: &Pool, object: &Bound<'_, PyProxy>) {
        if let Some((table, slot)) = pool.find(object.get().core.id())
            && let Some(member) = table.slot(slot).and_then(|slot| slot.member())
            && Arc::ptr_eq(member.proxy(), &object.get().core)
        {
            member.attach(attachment_of(object.as_any()));
        }
    }

    /// The Python object of a proxy in any pool, or a new one for a proxy that has left them all.
    pub(crate) fn object_of<'py>(py: Python<'py>, proxy: &Arc<Proxy>) -> PyResult<Bound<'py, PyAny>> {
        for observer in proxy.observers() {
            let Some(pool) = observer.as_any().downcast_ref::<Domain>() else { continue };
            if let Some((table, slot)) = pool.find(proxy.id())
                && table.slot(slot).and_then(|slot| slot.proxy()).is_some_and(|held| std::ptr::eq(held, &**proxy))
            {
                return Self::object(py, &table, slot);
            }
        }
        Ok(Bound::new(py, PyProxy::wrap(proxy.clone()))?.into_any())
    }

    /// A pool of its own that holds the proxies of some slots, for a foreign strategy that is to see only those.
    pub(crate) fn of_slots<'py>(py: Python<'py>, table: &Arc<Table>, slots: &[u32]) -> PyResult<Bound<'py, PyAny>> {
        let part = Self::with(usize::MAX, "candidates", exact_wall());
        for slot in slots {
            let Some(proxy) = table.slot(*slot).and_then(|slot| slot.share()) else { continue };
            let object = Self::object_of(py, &proxy)?;
            part.put(&object, proxy, false)?;
        }
        Ok(Bound::new(py, part)?.into_any())
    }

    /// A pool of the core that holds the proxies of some objects, each of which stands for its proxy there.
    pub(crate) fn of_objects(objects: &[Bound<'_, PyAny>]) -> PyResult<Arc<Domain>> {
        let pool = Domain::new(usize::MAX, OPS, 0);
        pool.reserve(objects.len());
        for object in objects {
            let proxy = object.cast::<PyProxy>()?.get().core.clone();
            pool.add(proxy, Some(attachment_of(object)), false).map_err(errors::add)?;
        }
        Ok(pool)
    }

    /// The objects of some slots.
    pub(super) fn objects<'py>(&self, py: Python<'py>, table: &Table, slots: &[u32]) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for slot in slots {
            list.append(Self::object(py, table, *slot)?)?;
        }
        Ok(list)
    }
}

/// A new reference to an object, as the pool keeps it.
pub(super) fn attachment_of(object: &Bound<'_, PyAny>) -> Attachment {
    // SAFETY: `Py` is one non-null pointer.
    let word = unsafe { std::mem::transmute::<Py<PyAny>, Word>(object.clone().unbind()) };
    // SAFETY: the reference was made for this attachment, and `release` may run on any thread.
    unsafe { Attachment::new(word, OPS) }
}

/// Visits the objects of a table for the garbage collector.
pub(super) fn visit_objects(table: &Table, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
    for slot in 0..table.len() {
        if let Some(word) = table.slot(slot as u32).and_then(|slot| slot.attachment()) {
            // SAFETY: the table owns this reference, and `Py` is one non-null pointer. `ManuallyDrop` keeps the count as it is: a
            // traversal must not touch it.
            let object = ManuallyDrop::new(unsafe { std::mem::transmute::<Word, Py<PyAny>>(word) });
            visit.call(&*object)?;
        }
    }
    Ok(())
}
