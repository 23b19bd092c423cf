//! Taking a lease: the strategy chooses, the core admits, Python gets the object.

use pyo3::prelude::*;

use super::Objects;
use super::PyLease;
use super::options::{LeaseOptions, text_of};
use crate::clock::Reading;
use crate::pool::Member;
use crate::pool::context::Context;
use crate::pool::query::{Notes, Query};
use crate::py::attempts::LoggedAttempt;
use crate::py::errors;
use crate::py::foreign::{ContextArgument, PyArguments, pointer_to};
use crate::py::log;
use crate::py::pool::PyPool;
use crate::py::proxy::PyProxy;
use crate::py::strategy::{self, PyStrategy};
use crate::rotation::lease::{Lease, LeaseRequest, Taken};
use crate::strategy::Refusal;

/// What nearly every lease is asked for with.
static NOTHING: Context = Context::nothing(true);

impl PyLease {
    /// Chooses a proxy and takes it. The object is made here, since a lease that is handed on by value is copied at every step.
    #[inline]
    pub(crate) fn take(
        pool: &Bound<'_, PyPool>,
        strategy: &Bound<'_, PyAny>,
        asked: &LeaseOptions<'_, '_>,
        observer: Option<Py<PyAny>>,
        judge: Option<Py<PyAny>>,
    ) -> PyResult<Py<Self>> {
        let strategy = strategy::chooser(strategy)?;
        let lease = if asked.is_nothing() {
            Self::ask(pool, strategy, &NOTHING, asked, observer, judge)
        } else {
            let wanted = asked.context(strategy.get().core().honours_region())?;
            Self::ask(pool, strategy, &wanted, asked, observer, judge)
        };
        // Breakers that were open long enough, and the like, have been noticed on the way.
        pool.get().core.guard().deliver();
        lease
    }

    fn ask(
        pool: &Bound<'_, PyPool>,
        strategy: Bound<'_, PyStrategy>,
        wanted: &Context,
        asked: &LeaseOptions<'_, '_>,
        observer: Option<Py<PyAny>>,
        judge: Option<Py<PyAny>>,
    ) -> PyResult<Py<Self>> {
        let py = pool.py();
        let this = pool.get();
        let url = asked.url.filter(|url| !url.is_none());
        let site = match url {
            Some(url) => this.site_of(py, text_of(url)?.to_str()?)?,
            None => None,
        };
        let context = ContextArgument::Lease {
            base: pointer_to(asked.context),
            url: pointer_to(url),
            tags: pointer_to(asked.demands.tags),
            timeout: pointer_to(asked.timeout),
            attempt: asked.attempt,
        };
        let objects = PyArguments { pool: pool.as_ptr(), context };
        let notes = Notes::default();
        let clock = Reading::now();
        let (site, connects) = (site.as_ref(), asked.connects);
        let request =
            LeaseRequest { context: wanted, site, connects, clock: &clock, foreign: Some((&objects, &notes)) };
        let core = strategy.get().core();
        let strategy = strategy.clone().unbind();
        let made = |member: &Member, taken: Taken| {
            let object = PyPool::member_object(py, member);
            let proxy = match object.and_then(|object| Ok(object.cast_into::<PyProxy>()?)) {
                Ok(proxy) => proxy.unbind(),
                Err(error) => {
                    taken.give_back(&this.core, member.proxy(), &clock);
                    return Err(error);
                }
            };
            let core = Lease::new(Objects { pool: pool.clone().unbind(), proxy, strategy }, taken);
            if notes.any() {
                log::tell_notes(py, &notes, core.strategy().name())?;
            }
            if log::is_on(py) {
                log::tell(py, "selected", core.strategy().name(), core.proxy(), None)?;
            }
            let logged = asked.log.map(|log| LoggedAttempt::begin(log, asked.attempt));
            Py::new(py, Self { core, url: url.map(|url| url.clone().unbind()), logged, observer, judge })
        };
        let refused = |refusal: Refusal, query: &Query<'_>| errors::refusal_of(py, refusal, query, this.core.sites());
        Lease::take_as(&this.core, core, &request, made, refused)
    }
}
