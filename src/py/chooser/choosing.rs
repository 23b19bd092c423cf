//! One attempt: upkeep before the choice, the choice, and its report to observers and the log.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::clock::{Clock, SystemClock};
use crate::py::attempts::AttemptLog;
use crate::py::chooser::PyChooser;
use crate::py::chooser::gate;
use crate::py::chooser::handle::PyHandle;
use crate::py::chooser::surroundings::Surroundings;
use crate::py::chooser::wishes::PyWishes;
use crate::py::convert::Lazy;
use crate::py::errors::ProxyPoolEmptyError;
use crate::py::lease::{LeaseOptions, PyLease};
use crate::py::log::Level;
use crate::rotation::chooser::{Active, Stay, choose_with};

static DEBUG: Level = Level::new("proxywhirl.rotation", 10);
static TELL_SELECTED: Lazy = Lazy::upper("proxy_selected");
static TELL_EMPTY: Lazy = Lazy::upper("pool_empty");

/// One attempt of a request that wants a proxy.
pub(super) struct Wanted<'a, 'py> {
    pub(super) url: Option<&'a Bound<'py, PyAny>>,
    pub(super) wishes: Option<&'a Bound<'py, PyWishes>>,
    pub(super) exclude: Bound<'py, PyList>,
    pub(super) method: Option<&'a Bound<'py, PyAny>>,
    pub(super) attempt: u64,
    pub(super) judge: Option<&'a Bound<'py, PyAny>>,
    pub(super) log: Option<&'a Bound<'py, AttemptLog>>,
    pub(super) connects: bool,
    pub(super) timeout: Option<&'a Bound<'py, PyAny>>,
}

impl PyChooser {
    /// Takes a lease that may be used.
    pub(super) fn take<'py>(slf: &Bound<'py, Self>, wanted: &Wanted<'_, 'py>) -> PyResult<Py<PyLease>> {
        let around = slf.get().around.load();
        match &around.gate {
            None => slf.get().choose(slf.py(), &around, wanted),
            Some(gate) => {
                let gate = gate.bind(slf.py());
                let is_sticky = match wanted.wishes {
                    Some(wishes) => wishes.get().session_of(slf.py())?.is_some(),
                    None => false,
                };
                let choose = |wanted: &Wanted<'_, 'py>| slf.get().choose(slf.py(), &around, wanted);
                let lease = gate::pass(gate, wanted, is_sticky, choose)?;
                if let Some(watch) = &around.watch {
                    // Only now: the gate may have passed over others.
                    let name = slf.get().core.active().given().name.clone();
                    let told = (lease.bind(slf.py()), name, wanted.url, wanted.method, wanted.attempt);
                    watch.bind(slf.py()).call_method1("chosen", told)?;
                }
                Ok(lease)
            }
        }
    }

    fn choose<'py>(&self, py: Python<'py>, around: &Surroundings, wanted: &Wanted<'_, 'py>) -> PyResult<Py<PyLease>> {
        let active = self.core.active();
        let chosen = match &around.sources {
            None => self.choose_once(py, &active, around, wanted),
            Some(sources) => self.choose_from(py, &active, around, sources.bind(py), wanted),
        };
        let lease = match chosen {
            Err(error) if error.is_instance_of::<ProxyPoolEmptyError>(py) => {
                return Err(self.without_proxy(py, error, around, wanted)?);
            }
            chosen => chosen?,
        };
        if DEBUG.is_on(py)? {
            let kwargs = PyDict::new(py);
            kwargs.set_item("excluded", wanted.exclude.len())?;
            let proxy = lease.bind(py).getattr("proxy")?;
            TELL_SELECTED.get(py)?.call((proxy, &active.given().name), Some(&kwargs))?;
        }
        Ok(lease)
    }

    /// Looks after the lists and gateways first, and chooses once more where one of them has a proxy to offer.
    #[cold]
    fn choose_from<'py>(
        &self,
        py: Python<'py>,
        active: &Active<PyHandle>,
        around: &Surroundings,
        sources: &Bound<'py, PyAny>,
        wanted: &Wanted<'_, 'py>,
    ) -> PyResult<Py<PyLease>> {
        let replaced = std::cell::RefCell::new(py.None().into_bound(py));
        let choose = || {
            let before = sources.call_method0("before")?;
            replaced.replace(before);
            self.choose_once(py, active, around, wanted)
        };
        let provide = |error: &PyErr| {
            if !error.is_instance_of::<ProxyPoolEmptyError>(py) {
                return Ok(false);
            }
            // What a first attempt excludes has not failed: the caller only wants another.
            let failed = if wanted.attempt > 1 { wanted.exclude.clone() } else { PyList::empty(py) };
            sources.call_method1("in_need", (error.value(py), &*replaced.borrow(), failed))?.is_truthy()
        };
        choose_with(choose, provide)
    }

    fn choose_once<'py>(
        &self,
        py: Python<'py>,
        active: &Active<PyHandle>,
        around: &Surroundings,
        wanted: &Wanted<'_, 'py>,
    ) -> PyResult<Py<PyLease>> {
        match &around.watch {
            None => self.lease_from(py, active, wanted, None),
            Some(watch) => {
                let watch = watch.bind(py);
                let name = &active.given().name;
                let observer = watch.call_method1("attempt", (name, wanted.url, wanted.method, wanted.attempt))?;
                let began = SystemClock.steady_now();
                let lease = self.lease_from(py, active, wanted, Some(observer.unbind()))?;
                let elapsed_ms = SystemClock.steady_now().saturating_sub(began) as f64 / 1e6;
                let is_final = around.gate.is_none();
                let told = (lease.bind(py), name, wanted.url, wanted.method, wanted.attempt, elapsed_ms, is_final);
                watch.call_method1("taken", told)?;
                Ok(lease)
            }
        }
    }

    fn lease_from<'py>(
        &self,
        py: Python<'py>,
        active: &Active<PyHandle>,
        wanted: &Wanted<'_, 'py>,
        observer: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyLease>> {
        let judge = wanted.judge.map(|judge| judge.clone().unbind());
        let exclude = Some(wanted.exclude.as_any());
        let Wanted { url, connects, attempt, timeout, log, .. } = *wanted;
        let rest = LeaseOptions { url, exclude, connects, attempt, timeout, log, ..LeaseOptions::default() };
        let pool = self.pool.bind(py);
        let Some(wishes) = wanted.wishes.map(Bound::get) else {
            return PyLease::take(pool, active.given().object.bind(py), &rest, observer, judge);
        };
        let stay = wishes.stay(py, &wanted.exclude)?;
        let serving = active.serving(self.core.domain(), stay, &SystemClock)?;
        let session = if stay == Stay::InSession { wishes.session_of(py)? } else { None };
        let session = session.as_ref().map(|session| session.extract::<&str>()).transpose()?;
        let demands = wishes.demands(py)?;
        let context = wishes.context.as_ref().map(|context| context.bind(py));
        let asked = LeaseOptions { session_id: serving.session_id().or(session), demands, context, ..rest };
        PyLease::take(pool, serving.handle.object.bind(py), &asked, observer, judge)
    }

    /// The error for a request without a proxy; an empty pool is logged.
    #[cold]
    fn without_proxy(
        &self,
        py: Python<'_>,
        error: PyErr,
        around: &Surroundings,
        wanted: &Wanted<'_, '_>,
    ) -> PyResult<PyErr> {
        let value = error.value(py);
        let may_come = !value.getattr("retry_after")?.is_none() || value.getattr("may_free")?.is_truthy()?;
        let is_plain = match wanted.wishes {
            Some(wishes) => wishes.get().core(py)?.is_plain(),
            None => true,
        };
        let size = self.core.domain().len();
        // A request that asks for a part of the pool, or may come back later, has not found the pool empty.
        if !may_come && wanted.exclude.is_empty() && is_plain {
            TELL_EMPTY.get(py)?.call1((size, self.seldom.bind(py)))?;
        }
        if size > 0 {
            return Ok(error);
        }
        let text = around.when_empty.as_ref().map(|text| text.clone_ref(py));
        let told = ProxyPoolEmptyError::new_err((text,));
        told.set_cause(py, Some(error));
        Ok(told)
    }
}
