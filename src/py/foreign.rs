//! A strategy written in Python, as the core sees it. The adapter in the shim has brought it into one form and keeps its
//! errors in; here it is only called, with no lock held.

use std::any::Any;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::clock::Clock;
use crate::pool::Pool;
use crate::pool::query::{Choice, Query};
use crate::proxy::{Proxy, Verdict};
use crate::py::border;
use crate::py::context::{self, Overlay, PyContext};
use crate::py::pool::PyPool;
use crate::py::proxy::PyProxy;
use crate::py::strategy;
use crate::strategy::config::Config;
use crate::strategy::{Common, Narrowing, Refusal, Shared, Strategy};
use crate::sync::Arc;

/// The Python objects a selection was asked with. Lives on the stack of that selection, which keeps them alive. Pointers,
/// because what a query carries must outlive every lifetime that the core could name.
pub(crate) struct PyArguments {
    pub(crate) pool: *mut pyo3::ffi::PyObject,
    pub(crate) context: ContextArgument,
}

/// Where the context that a strategy is given comes from.
pub(crate) enum ContextArgument {
    /// None was given.
    None,
    /// The caller's own, as it is.
    Given(*mut pyo3::ffi::PyObject),
    /// One that is completed for each attempt. All may be null.
    Lease {
        base: *mut pyo3::ffi::PyObject,
        url: *mut pyo3::ffi::PyObject,
        tags: *mut pyo3::ffi::PyObject,
        timeout: *mut pyo3::ffi::PyObject,
        attempt: u64,
    },
}

/// The pointer to an object that may not be there.
pub(crate) fn pointer_to(object: Option<&Bound<'_, PyAny>>) -> *mut pyo3::ffi::PyObject {
    object.map_or(std::ptr::null_mut(), |object| object.as_ptr())
}

/// What a strategy written in Python came to.
enum Answer {
    Chosen(Choice),
    Substitute(Shared),
}

/// See the module.
pub(crate) struct Foreign {
    adapter: Py<PyAny>,
    name: String,
    common: Common,
}

impl Foreign {
    pub(crate) fn new(adapter: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name = adapter.getattr("name").and_then(|name| name.extract()).unwrap_or_else(|_| "strategy".to_owned());
        Ok(Self { adapter: adapter.clone().unbind(), name, common: Common::default() })
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.adapter)
    }

    /// Calls the adapter. While the interpreter ends, the strategy has no proxy to offer.
    fn call<R>(&self, query: &Query<'_>, call: impl FnOnce(Python<'_>) -> PyResult<R>) -> Result<R, Refusal> {
        match border::attach(call) {
            Some(returned) => returned.map_err(foreign),
            None => Err(Refusal::of(query)),
        }
    }

    fn ask(&self, py: Python<'_>, query: &Query<'_>) -> PyResult<Answer> {
        if let Some(notes) = query.notes() {
            notes.asked_python.set(true);
        }
        let asked = query.foreign().and_then(|asked| asked.downcast_ref::<PyArguments>());
        let context = context_of(py, query, asked)?;
        // The context cannot name the proxies that the site holds back, or that are at capacity.
        let chosen = if query.is_narrowed() || query.mask().is_some() || query.hides_proxies() {
            let part = PyPool::of_slots(py, query.table(), &query.candidates())?;
            self.adapter.bind(py).call_method1("offer", (part, context))?
        } else {
            self.adapter.bind(py).call_method1("offer", (pool_of(py, query, asked)?, context))?
        };
        let Ok(proxy) = chosen.cast::<PyProxy>() else {
            return Ok(Answer::Substitute(strategy::shared(&chosen)?));
        };
        let core = &proxy.get().core;
        let slot = match query.pool().find(core.id()) {
            Some((table, slot)) if Arc::ptr_eq(&table, query.table()) => Some(slot),
            // The strategy changed the pool; the slots of this selection are those of before.
            _ => Pool::members(query.table())
                .into_iter()
                .find(|slot| query.table().proxy(*slot).is_some_and(|held| std::ptr::eq(held, &**core))),
        };
        slot.map(|slot| Answer::Chosen(Choice(slot))).ok_or_else(|| {
            core.cancel_start(query.clock());
            crate::py::errors::ProxyPoolEmptyError::new_err("the strategy returned a proxy that is not in the pool")
        })
    }

    fn restrict(&self, py: Python<'_>, query: &Query<'_>) -> PyResult<Vec<u32>> {
        if let Some(notes) = query.notes() {
            notes.asked_python.set(true);
        }
        let asked = query.foreign().and_then(|asked| asked.downcast_ref::<PyArguments>());
        let candidates = query.candidates();
        let objects = PyList::empty(py);
        for slot in &candidates {
            objects.append(PyPool::object(py, query.table(), *slot)?)?;
        }
        let context = context_of(py, query, asked)?;
        let left = self.adapter.bind(py).call_method1("filter", (objects, context))?;
        let mut ids = ahash::AHashSet::new();
        for proxy in left.try_iter()? {
            ids.insert(proxy?.cast::<PyProxy>()?.get().core.id());
        }
        Ok(candidates
            .into_iter()
            .filter(|slot| query.table().proxy(*slot).is_some_and(|proxy| ids.contains(&proxy.id())))
            .collect())
    }
}

fn context_of<'py>(py: Python<'py>, query: &Query<'_>, asked: Option<&PyArguments>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the selection this query belongs to was given the object and is still running.
    let object = |pointer: *mut pyo3::ffi::PyObject| unsafe { Bound::from_borrowed_ptr_or_opt(py, pointer) };
    match asked.map(|asked| &asked.context) {
        Some(ContextArgument::Given(context)) if !context.is_null() => {
            // SAFETY: as above.
            Ok(unsafe { Bound::from_borrowed_ptr(py, *context) })
        }
        Some(ContextArgument::Lease { base, url, tags, timeout, attempt }) => {
            let (base, url, tags, timeout) = (object(*base), object(*url), object(*tags), object(*timeout));
            let overlay = Overlay {
                base: base.as_ref(),
                url: url.as_ref(),
                attempt: *attempt,
                tags: tags.as_ref(),
                timeout: timeout.as_ref(),
            };
            context::complete(py, query.context(), &overlay)
        }
        _ => Ok(Bound::new(py, PyContext::wrap(query.context().clone()))?.into_any()),
    }
}

fn pool_of<'py>(py: Python<'py>, query: &Query<'_>, asked: Option<&PyArguments>) -> PyResult<Bound<'py, PyAny>> {
    match asked {
        Some(asked) if !asked.pool.is_null() => {
            // SAFETY: as in `context_of`.
            Ok(unsafe { Bound::from_borrowed_ptr(py, asked.pool) })
        }
        _ => Ok(PyPool::of_slots(py, query.table(), &query.candidates())?.into_any()),
    }
}

fn foreign(error: PyErr) -> Refusal {
    let error: Box<dyn Any + Send> = Box::new(error);
    Refusal::Foreign(error)
}

impl Strategy for Foreign {
    fn name(&self) -> &str {
        &self.name
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn pick(&self, query: &Query<'_>) -> Result<Choice, Refusal> {
        // An empty list never reaches it.
        if query.is_empty() {
            return Err(Refusal::of(query));
        }
        match self.call(query, |py| self.ask(py, query))? {
            Answer::Chosen(choice) => Ok(choice),
            // Over the same question, so that its turns go on from request to request.
            Answer::Substitute(substitute) => substitute.select(query),
        }
    }

    fn record(&self, proxy: &Arc<Proxy>, verdict: Verdict, clock: &dyn Clock) {
        let (success, ms) = match verdict {
            Verdict::Success(ms) => (true, ms),
            Verdict::Failure(ms) => (false, ms),
            // Neither: the documented shapes of strategies have no word for it.
            Verdict::Refused | Verdict::Elsewhere => return proxy.complete(verdict, None, clock),
        };
        let recorded = border::attach(|py| {
            let object = PyPool::object_of(py, proxy)?;
            self.adapter.bind(py).call_method1("record_result", (object, success, ms)).map(drop)
        });
        if let Some(Ok(())) = recorded {
            return;
        }
        // The adapter keeps a strategy's own errors in, so this is an interrupt, or the interpreter ends: the result still
        // counts, once.
        proxy.complete(verdict, None, clock);
        if let Some(Err(error)) = recorded {
            border::attach(|py| error.write_unraisable(py, None));
        }
    }

    fn configure(&self, _config: &Config) {
        // Adapters are configured by the shim, with the object that the user gave.
    }

    fn narrow(&self, query: &Query<'_>) -> Result<Narrowing, Refusal> {
        self.call(query, |py| self.restrict(py, query)).map(Narrowing::Slots)
    }
}
