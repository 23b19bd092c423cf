//! The settings at the moment of a request. Those of the transport are read anew after each change of one; those of others
//! each time. So a change holds at once.

use crate::py::once::intern;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType};

use super::changes::Changes;
use super::classes::SeenClass;
use super::is_empty;
use crate::py::chooser::PyChooser;
use crate::py::judge::PyStatusJudge;
use crate::py::policy::{PyRetryPolicy, kept_policy};
use crate::py::wire::asked::past;
use crate::sync::Mutex;

/// Where the settings are.
pub(super) struct Settings {
    transport: Py<PyAny>,
    /// What carried the requests of the transport when this was made.
    pub(super) carrier: Py<PyAny>,
    upkeep: Upkeep,
    engine: Py<PyAny>,
    modules: Py<PyDict>,
    /// The state of a closed client; `None` where its package keeps that in another way.
    closed: Option<Py<PyAny>>,
    /// Counts the changes of the transport; `None` where it does not tell of them.
    changes: Option<Py<Changes>>,
    /// What the transport said last, and at which count.
    read: Mutex<Option<(u64, Said)>>,
    /// A class of policies of which the core has all.
    plain: Mutex<Option<SeenClass>>,
    /// The methods of httpx that mocks replace, and the classes of all of them, where none was replaced.
    genuine: Mutex<Option<(Py<PyList>, Vec<SeenClass>)>>,
}

/// What the transport says.
struct Said {
    /// Whether it leaves all that it could be asked to do besides.
    is_of_all: bool,
    chooser: Option<Py<PyChooser>>,
    judge: Option<Py<PyStatusJudge>>,
    policy: Py<PyAny>,
    raise_on_ban: bool,
    max_body: Option<f64>,
}

/// What is looked after before requests, where there is something.
pub(super) struct Upkeep {
    pub(super) keeping: Py<PyAny>,
    pub(super) lists: Py<PyAny>,
    pub(super) limits: Py<PyAny>,
}

/// What they say.
pub(super) struct Now<'py> {
    pub(super) chooser: Bound<'py, PyChooser>,
    pub(super) judge: Bound<'py, PyStatusJudge>,
    pub(super) given_policy: Bound<'py, PyAny>,
    pub(super) policy: Bound<'py, PyRetryPolicy>,
    pub(super) raise_on_ban: bool,
    pub(super) max_body: Option<f64>,
}

impl Settings {
    pub(super) fn new(
        client: &Bound<'_, PyAny>,
        transport: &Bound<'_, PyAny>,
        upkeep: Upkeep,
        engine: Py<PyAny>,
        modules: Py<PyDict>,
    ) -> PyResult<Self> {
        let py = transport.py();
        // A class of the user's may have properties, which tell of no change.
        let is_known =
            transport.get_type().getattr(intern!(py, "__module__"))?.eq(intern!(py, "proxywhirl.transport"))?;
        let changes = if is_known { transport.getattr_opt(intern!(py, "changes"))? } else { None };
        let closed = match client.getattr_opt(intern!(py, "_state"))? {
            Some(state) => state.get_type().getattr_opt(intern!(py, "CLOSED"))?.map(Bound::unbind),
            None => None,
        };
        Ok(Self {
            transport: transport.clone().unbind(),
            carrier: transport.getattr(intern!(py, "carrier"))?.unbind(),
            upkeep,
            engine,
            modules,
            closed,
            changes: changes.map(|changes| changes.cast_into()).transpose()?.map(Bound::unbind),
            read: Mutex::new(None),
            plain: Mutex::new(None),
            genuine: Mutex::new(None),
        })
    }

    /// `None` where something is to be looked after, asked or told by the layers above.
    pub(super) fn now<'py>(&self, py: Python<'py>, client: &Bound<'py, PyAny>) -> PyResult<Option<Now<'py>>> {
        if !self.upkeep.is_nothing(py)? || !self.adds_nothing(client)? || self.is_mocked(py)? {
            return Ok(None);
        }
        let said = self.said(py)?;
        let (true, Some(chooser), Some(judge)) = (said.is_of_all, said.chooser, said.judge) else { return Ok(None) };
        if !chooser.get().is_unwatched() {
            return Ok(None);
        }
        let given_policy = said.policy.into_bound(py);
        let Some(policy) = self.policy(&given_policy)? else { return Ok(None) };
        let (chooser, judge) = (chooser.into_bound(py), judge.into_bound(py));
        let (raise_on_ban, max_body) = (said.raise_on_ban, said.max_body);
        Ok(Some(Now { chooser, judge, given_policy, policy, raise_on_ban, max_body }))
    }

    /// What the transport says now.
    fn said(&self, py: Python<'_>) -> PyResult<Said> {
        let Some(changes) = &self.changes else { return self.read(py) };
        let count = changes.get().count();
        if let Some((at, said)) = &*self.read.lock()
            && *at == count
        {
            return Ok(said.clone_ref(py));
        }
        let said = self.read(py)?;
        let before = self.read.lock().replace((count, said.clone_ref(py)));
        drop(before);
        Ok(said)
    }

    fn read(&self, py: Python<'_>) -> PyResult<Said> {
        let transport = self.transport.bind(py);
        let first_cookies = transport.getattr(intern!(py, "first_cookies"))?;
        let is_of_all = transport.getattr(intern!(py, "carrier"))?.is(&self.carrier)
            && transport.getattr(intern!(py, "cookies"))?.is_none()
            && transport.getattr(intern!(py, "timeout_for"))?.is_none()
            && !transport.getattr(intern!(py, "allow_direct"))?.is_truthy()?
            && transport.getattr(intern!(py, "read_bodies"))?.is_truthy()?
            && transport.getattr(intern!(py, "_judges_alike"))?.is_truthy()?
            // Anything but a tuple can change in its place.
            && first_cookies.cast_exact::<PyTuple>().is_ok_and(|cookies| cookies.is_empty());
        Ok(Said {
            is_of_all,
            chooser: transport.getattr(intern!(py, "chooser"))?.cast_into().ok().map(Bound::unbind),
            judge: transport.getattr(intern!(py, "_judge"))?.cast_into().ok().map(Bound::unbind),
            policy: transport.getattr(intern!(py, "retry_policy"))?.unbind(),
            raise_on_ban: transport.getattr(intern!(py, "raise_on_ban"))?.is_truthy()?,
            max_body: transport.getattr(intern!(py, "max_body"))?.extract()?,
        })
    }

    /// Whether a client only makes the request: it is open, nothing authenticates, and no hook listens.
    fn adds_nothing(&self, client: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = client.py();
        let auth = past(client, intern!(py, "_auth"), intern!(py, "auth"))?;
        if self.is_closed(client)? || !auth.is_none() {
            return Ok(false);
        }
        let hooks = past(client, intern!(py, "_event_hooks"), intern!(py, "event_hooks"))?;
        let hooks = hooks.cast::<PyDict>()?;
        for name in [intern!(py, "request"), intern!(py, "response")] {
            if !hooks.get_item(name)?.is_none_or(|hooks| is_empty(&hooks).unwrap_or(false)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the client is closed, past its property where that looks at nothing but its state.
    fn is_closed(&self, client: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = client.py();
        if let Some(closed) = &self.closed
            && let Some(state) = client.getattr_opt(intern!(py, "_state"))?
        {
            return Ok(state.is(closed));
        }
        client.getattr(intern!(py, "is_closed"))?.is_truthy()
    }

    /// The policy of the core, where that is all there is to it.
    fn policy<'py>(&self, given: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyRetryPolicy>>> {
        let class = given.get_type();
        if !self.plain.lock().as_ref().is_some_and(|plain| plain.is(&class)) {
            let seen = SeenClass::of(&class);
            if !self.is_plain(&class)? {
                return Ok(None);
            }
            let before = std::mem::replace(&mut *self.plain.lock(), seen);
            drop(before);
        }
        kept_policy(given)
    }

    /// Whether a class of policies has no more to say than its attributes.
    fn is_plain(&self, class: &Bound<'_, PyType>) -> PyResult<bool> {
        let py = class.py();
        // A policy of that class cannot be there before its module; the one that stands for none is plain, too.
        match self.modules.bind(py).get_item(intern!(py, "proxywhirl.retry.policy"))? {
            Some(module) if class.is(&module.getattr(intern!(py, "RetryPolicy"))?) => {
                Ok(class.getattr(intern!(py, "calculate_delay"))?.is(&module.getattr(intern!(py, "_OWN_DELAY"))?))
            }
            _ => class.getattr(intern!(py, "__module__"))?.eq(intern!(py, "proxywhirl.retry._unset")),
        }
    }

    /// Whether a method of httpx may have been replaced by a mock. The module itself says for certain.
    fn is_mocked(&self, py: Python<'_>) -> PyResult<bool> {
        let engine = self.engine.bind(py);
        let missing = engine.getattr(intern!(py, "_missing"))?.cast_into::<PyList>()?;
        let modules = self.modules.bind(py);
        for package in missing {
            if modules.contains(package)? {
                return Ok(true);
            }
        }
        let methods = engine.getattr(intern!(py, "methods"))?.cast_into::<PyList>()?;
        let is_same = |seen: &(Py<PyList>, Vec<SeenClass>)| {
            methods.is(&seen.0) && methods.len() == seen.1.len() && seen.1.iter().all(|class| class.is_unchanged(py))
        };
        if self.genuine.lock().as_ref().is_some_and(is_same) {
            return Ok(false);
        }
        let mut seen = Vec::new();
        for method in &methods {
            let method = method.cast_into::<PyTuple>()?;
            let (class, name, own) = (method.get_item(1)?, method.get_item(2)?, method.get_item(3)?);
            seen.extend(class.cast::<PyType>().ok().and_then(SeenClass::of));
            if !class.getattr(name.cast::<PyString>()?)?.is(&own) {
                return Ok(true);
            }
        }
        let before = self.genuine.lock().replace((methods.unbind(), seen));
        drop(before);
        Ok(false)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Upkeep { keeping, lists, limits } = &self.upkeep;
        for held in [&self.transport, &self.carrier, keeping, lists, limits, &self.engine] {
            visit.call(held)?;
        }
        visit.call(&self.modules)?;
        visit.call(&self.closed)?;
        visit.call(&self.changes)?;
        if let Some(plain) = &*self.plain.lock() {
            plain.traverse(visit)?;
        }
        if let Some((methods, classes)) = &*self.genuine.lock() {
            visit.call(methods)?;
            classes.iter().try_for_each(|class| class.traverse(visit))?;
        }
        let read = self.read.lock();
        let Some((_, said)) = &*read else { return Ok(()) };
        visit.call(&said.chooser)?;
        visit.call(&said.judge)?;
        visit.call(&said.policy)
    }
}

impl Said {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            is_of_all: self.is_of_all,
            chooser: self.chooser.as_ref().map(|chooser| chooser.clone_ref(py)),
            judge: self.judge.as_ref().map(|judge| judge.clone_ref(py)),
            policy: self.policy.clone_ref(py),
            raise_on_ban: self.raise_on_ban,
            max_body: self.max_body,
        }
    }
}

impl Upkeep {
    /// Whether there is nothing to look after.
    fn is_nothing(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.keeping.bind(py).getattr(intern!(py, "autosave"))?.is_none()
            && self.lists.bind(py).getattr(intern!(py, "supply"))?.is_none()
            && self.limits.bind(py).getattr(intern!(py, "_credentials"))?.is_none())
    }
}
