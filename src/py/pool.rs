//! `ProxyPool`: the documented members over the core's pool.

use std::collections::BTreeMap;

use pyo3::exceptions::{PyIndexError, PyKeyError, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict, PyList, PyString, PyType};

use crate::clock::{ExactClock, Micros, SystemClock, exact_wall};
use crate::net::address::{Address, Credentials};
use crate::pool::context::Context;
use crate::pool::filter::Filter;
use crate::pool::query::Query;
use crate::pool::{Added, Attachment, AttachmentOps, Member, Pool, Table, Word};
use crate::proxy::health::{Health, Source};
use crate::proxy::{Id, Proxy};
use crate::py::attempts::AttemptLog;
use crate::py::border;
use crate::py::breaker::PyBreaker;
use crate::py::convert::{self, Lazy};
use crate::py::errors::{self, Fault};
use crate::py::guard::{self, Hooks};
use crate::py::lease::{Demands, LeaseOptions, PyLease};
use crate::py::proxy::PyProxy;
use crate::py::queue::{self, WaitingLine};
use crate::py::supply::{self, PyParsed};
use crate::resilience::site::Site;
use crate::rotation::Domain;
use crate::strategy::Strategy;
use crate::strategy::round_robin::RoundRobin;
use crate::sync::{Arc, AtomicI64, Mutex, Ordering};

const FIELDS: [&str; 8] =
    ["id", "name", "proxies", "max_pool_size", "auto_remove_dead", "dead_proxy_threshold", "created_at", "updated_at"];

const DEFAULT_LIMIT: usize = 100;

static PROXY_LIST: Lazy = Lazy::new("proxywhirl._native.proxy_list", "ProxyList");
static EXPLANATION: Lazy = Lazy::new("proxywhirl._native.explain", "Explanation");
static LOADER: Lazy = Lazy::upper("load_pool");
static FILLER: Lazy = Lazy::upper("fill_pool");

/// Gives a reference back: at once on a thread that is attached to the interpreter, else when a thread is next. So no thread
/// waits for the interpreter here, and none has to be left while it ends.
unsafe fn release(word: Word) {
    // SAFETY: the word is a reference to a Python object that `attachment_of` took; `Py` is one non-null pointer.
    drop(unsafe { std::mem::transmute::<Word, Py<PyAny>>(word) });
}

const OPS: AttachmentOps = AttachmentOps { release };

/// Many proxies, in order of insertion, found by id, URL, tag, source and country. Thread-safe; selections take no lock.
///
/// Raises:
///     pydantic.ValidationError: A field is wrong.
#[pyclass(name = "ProxyPool", module = "proxywhirl", frozen, subclass, weakref)]
pub(crate) struct PyPool {
    pub(crate) core: Arc<Domain>,
    id: Mutex<Id>,
    name: Mutex<String>,
    created: AtomicI64,
    round_robin: RoundRobin,
    block: Mutex<Option<Py<PyAny>>>,
    pub(super) hooks: Arc<Hooks>,
    line: Arc<queue::Line>,
}

/// What became of a bulk addition.
#[pyclass(module = "proxywhirl._core", frozen, get_all)]
pub(crate) struct AddReport {
    /// Proxies that are in the pool now and were not before.
    added: usize,
    /// Lines that named a proxy which was there already.
    duplicates: usize,
    /// Lines that could not be read: number from 1, text with credentials masked, reason.
    errors: Vec<(usize, String, String)>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl AddReport {
    fn __repr__(&self) -> String {
        format!("AddReport(added={}, duplicates={}, errors={})", self.added, self.duplicates, self.errors.len())
    }
}

impl PyPool {
    fn with(limit: usize, name: &str, now: Micros) -> Self {
        let core = Domain::new(limit, OPS, now);
        let line = queue::line_of(&core);
        Self {
            core,
            id: Mutex::new(Id::random()),
            name: Mutex::new(name.to_owned()),
            created: AtomicI64::new(now),
            round_robin: RoundRobin::default(),
            block: Mutex::new(None),
            hooks: Arc::default(),
            line,
        }
    }

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
    fn objects<'py>(&self, py: Python<'py>, table: &Table, slots: &[u32]) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for slot in slots {
            list.append(Self::object(py, table, *slot)?)?;
        }
        Ok(list)
    }

    fn put(&self, object: &Bound<'_, PyAny>, proxy: Arc<Proxy>, limited: bool) -> PyResult<bool> {
        Ok(self.core.add(proxy, Some(attachment_of(object)), limited).map_err(errors::add)? == Added::New)
    }

    fn add_text(&self, text: &str, source: Source, limited: bool) -> PyResult<bool> {
        let address = Address::parse_line(text.trim()).map_err(errors::address)?;
        let proxy = made_from(&address, text.trim(), source, &[], exact_wall())?;
        Ok(self.core.add(proxy, None, limited).map_err(errors::add)? == Added::New)
    }

    fn add_any(&self, value: &Bound<'_, PyAny>, limited: bool) -> PyResult<bool> {
        if let Ok(proxy) = value.cast::<PyProxy>() {
            return self.put(value, proxy.get().core.clone(), limited);
        }
        if let Ok(text) = value.cast::<PyString>() {
            return self.add_text(text.to_str()?, Source::User, limited);
        }
        if let Ok(fields) = value.cast::<PyDict>() {
            let object = value.py().get_type::<PyProxy>().call((), Some(fields))?;
            return self.add_any(&object, limited);
        }
        Err(PyTypeError::new_err("a proxy must be a Proxy, a URL or a dict of Proxy's fields"))
    }

    fn rank(&self, index: isize) -> PyResult<(arc_swap::Guard<Arc<Table>>, u32)> {
        let table = self.core.table();
        let len = self.core.len() as isize;
        let rank = if index < 0 { index + len } else { index };
        let slot = usize::try_from(rank).ok().and_then(|rank| Pool::nth(&table, rank));
        slot.map(|slot| (table, slot)).ok_or_else(|| PyIndexError::new_err("list index out of range"))
    }

    fn all(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let table = self.core.table();
        Pool::members(&table).into_iter().map(|slot| Ok(Self::object(py, &table, slot)?.unbind())).collect()
    }

    fn set_all(&self, py: Python<'_>, objects: &[Py<PyAny>]) -> PyResult<()> {
        let mut members = Vec::with_capacity(objects.len());
        for object in objects {
            let object = object.bind(py);
            let proxy = match object.cast::<PyProxy>() {
                Ok(proxy) => proxy.clone(),
                Err(_) if object.is_instance_of::<PyString>() => {
                    let url = object.cast::<PyString>()?.to_str()?.trim().to_owned();
                    let address = Address::parse_line(&url).map_err(errors::address)?;
                    Bound::new(py, PyProxy::wrap(made_from(&address, &url, Source::User, &[], exact_wall())?))?
                }
                Err(_) => return Err(PyTypeError::new_err("a proxy must be a Proxy or a URL")),
            };
            members.push((proxy.get().core.clone(), Some(attachment_of(proxy.as_any()))));
        }
        self.core.replace_all(members);
        Ok(())
    }

    fn total(&self, read: impl Fn(&Proxy) -> u64) -> u64 {
        let table = self.core.table();
        Pool::members(&table).into_iter().filter_map(|slot| table.proxy(slot).map(&read)).sum()
    }

    fn count(&self, test: impl Fn(&Proxy) -> bool) -> usize {
        let table = self.core.table();
        Pool::members(&table).into_iter().filter(|slot| table.proxy(*slot).is_some_and(&test)).count()
    }
}

/// A new reference to an object, as the pool keeps it.
fn attachment_of(object: &Bound<'_, PyAny>) -> Attachment {
    // SAFETY: `Py` is one non-null pointer.
    let word = unsafe { std::mem::transmute::<Py<PyAny>, Word>(object.clone().unbind()) };
    // SAFETY: the reference was made for this attachment, and `release` may run on any thread.
    unsafe { Attachment::new(word, OPS) }
}

/// A proxy of the core for an address from a list.
fn made_from(address: &Address, text: &str, source: Source, tags: &[Box<str>], now: Micros) -> PyResult<Arc<Proxy>> {
    if let Some(local) = source.refuses(&address.host, false) {
        return Err(PyValueError::new_err(errors::not_allowed(local)));
    }
    let proxy = Proxy::new(address, source, now);
    let raw = text.contains("://") && (address.credentials.is_some() || !address.is_written(text));
    if raw || !tags.is_empty() {
        proxy.set_cold(|cold| {
            if raw {
                cold.raw_url = Some(text.into());
            }
            cold.tags = tags.to_vec();
        });
    }
    Ok(Arc::new(proxy))
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyPool {
    #[new]
    #[pyo3(signature = (**fields))]
    fn new(py: Python<'_>, fields: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let pool = Self::with(DEFAULT_LIMIT, "default", exact_wall());
        let Some(fields) = fields else { return Ok(pool) };
        let mut faults = Vec::new();
        for name in FIELDS {
            let Some(value) = fields.get_item(name)? else { continue };
            let checked = match name {
                "proxies" => (|| {
                    let items: Vec<Bound<'_, PyAny>> = value.try_iter()?.collect::<PyResult<_>>()?;
                    for item in &items {
                        // The limit is for add_proxy; the constructor takes what it is given.
                        pool.add_any(item, false)?;
                    }
                    Ok(())
                })(),
                _ => pool.assign(name, &value),
            };
            match checked {
                Ok(()) => {}
                Err(error) if error.is_instance_of::<PyTypeError>(py) || error.is_instance_of::<PyValueError>(py) => {
                    faults.push(Fault::new(name, error.value(py).str()?.to_string(), &value));
                }
                Err(error) => return Err(error),
            }
        }
        if faults.is_empty() { Ok(pool) } else { Err(errors::validation(py, "ProxyPool", faults)) }
    }

    /// Its identifier, a `uuid.UUID`.
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let id = *self.id.lock();
        convert::uuid(py, id)
    }

    #[setter(id)]
    fn set_id(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("id", value)
    }

    /// Its name.
    #[getter]
    fn name(&self) -> String {
        self.name.lock().clone()
    }

    #[setter(name)]
    fn set_name(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("name", value)
    }

    /// Its proxies in order: a list that may be changed in place.
    #[getter]
    fn proxies<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        PROXY_LIST.get(slf.py())?.call1((slf,))
    }

    #[setter(proxies)]
    fn set_proxies(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let objects: Vec<Py<PyAny>> = value.try_iter()?.map(|item| item.map(Bound::unbind)).collect::<PyResult<_>>()?;
        self.set_all(py, &objects)
    }

    /// Most proxies that `add_proxy` will add.
    #[getter]
    fn max_pool_size(&self) -> usize {
        self.core.limit()
    }

    #[setter(max_pool_size)]
    fn set_max_pool_size(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("max_pool_size", value)
    }

    /// Whether proxies that die are removed.
    #[getter]
    fn auto_remove_dead(&self) -> bool {
        self.core.removal_of_dead().0
    }

    #[setter(auto_remove_dead)]
    fn set_auto_remove_dead(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("auto_remove_dead", value)
    }

    /// Failures in a row after which a dead proxy is removed.
    #[getter]
    fn dead_proxy_threshold(&self) -> u32 {
        self.core.removal_of_dead().1
    }

    #[setter(dead_proxy_threshold)]
    fn set_dead_proxy_threshold(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("dead_proxy_threshold", value)
    }

    /// When it was made.
    #[getter]
    fn created_at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDateTime>> {
        convert::datetime(py, self.created.load(Ordering::Relaxed))
    }

    #[setter(created_at)]
    fn set_created_at(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("created_at", value)
    }

    /// When its membership last changed.
    #[getter]
    fn updated_at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDateTime>> {
        convert::datetime(py, self.core.updated())
    }

    #[setter(updated_at)]
    fn set_updated_at(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.assign("updated_at", value)
    }

    /// Number of proxies.
    #[getter]
    fn size(&self) -> usize {
        self.core.len()
    }

    /// Number of proxies whose last request succeeded.
    #[getter]
    fn healthy_count(&self) -> usize {
        self.count(|proxy| proxy.health() == Health::Healthy)
    }

    /// Number of all others, the untried among them.
    #[getter]
    fn unhealthy_count(&self) -> usize {
        self.count(|proxy| proxy.health() != Health::Healthy)
    }

    /// Results recorded over all proxies.
    #[getter]
    fn total_requests(&self) -> u64 {
        self.total(|proxy| proxy.totals().0)
    }

    /// Successes among all results, 0 to 1; 0 without any.
    #[getter]
    fn overall_success_rate(&self) -> f64 {
        let total = self.total(|proxy| proxy.totals().0);
        if total == 0 { 0.0 } else { self.total(|proxy| proxy.totals().1) as f64 / total as f64 }
    }

    /// Adds a proxy at the end. The same address again is ignored, even when the pool is full.
    ///
    /// Args:
    ///     proxy: A `Proxy`, or a URL.
    ///
    /// Raises:
    ///     ValueError: The pool is at its maximum capacity, or the URL is none.
    fn add_proxy(&self, proxy: &Bound<'_, PyAny>) -> PyResult<()> {
        self.add_any(proxy, true).map(|_| ())
    }

    /// Adds many proxies from text; no Python object is made for any of them until one is asked for.
    ///
    /// Args:
    ///     urls: URLs, `host:port`, `user:password@host:port` or `host:port:user:password`. Blank lines and lines that begin
    ///         with `#` are passed over.
    ///     on_error: "raise" adds nothing when a line cannot be read and names those lines; "skip" adds the rest.
    ///     source: Where they came from; by default the user.
    ///     tags: Tags for all of them.
    ///
    /// Returns:
    ///     An `AddReport`.
    ///
    /// Raises:
    ///     ValueError: A line cannot be read and `on_error` is "raise", or the pool would be over its maximum capacity;
    ///         nothing has been added then.
    #[pyo3(signature = (urls, *, on_error="raise", source=None, tags=None))]
    fn add_many(
        &self,
        urls: &Bound<'_, PyAny>,
        on_error: &str,
        source: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<AddReport> {
        if !matches!(on_error, "raise" | "skip") {
            return Err(PyValueError::new_err("on_error must be 'raise' or 'skip'"));
        }
        if urls.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("urls must be an iterable of strings, not one string"));
        }
        let source = source.map(convert::source_of).transpose()?.unwrap_or(Source::User);
        let mut tags = tags.map(convert::texts).transpose()?.unwrap_or_default();
        tags.sort_unstable();
        tags.dedup();
        let mut fresh = Vec::with_capacity(urls.len().unwrap_or(0));
        let mut faults = Vec::new();
        let now = exact_wall();
        for (number, item) in urls.try_iter()?.enumerate() {
            let item = item?;
            let line =
                item.cast::<PyString>().map_err(|_| PyTypeError::new_err("urls must be an iterable of strings"))?;
            let line = line.to_str()?.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let made = Address::parse_line(line).map_err(|error| error.to_string()).and_then(|address| {
                made_from(&address, line, source, &tags, now).map_err(|error| error.value(urls.py()).to_string())
            });
            match made {
                Ok(proxy) => fresh.push(proxy),
                Err(reason) => faults.push((number + 1, crate::supply::excerpt(line), reason)),
            }
        }
        if on_error == "raise" && !faults.is_empty() {
            let shown: Vec<String> =
                faults.iter().take(20).map(|(line, text, why)| format!("line {line} ({text}): {why}")).collect();
            let more = if faults.len() > 20 { format!(" and {} more", faults.len() - 20) } else { String::new() };
            return Err(PyValueError::new_err(format!(
                "{} of the lines cannot be read, nothing was added: {}{more}",
                faults.len(),
                shown.join("; ")
            )));
        }
        let (added, duplicates) = self.core.add_all(fresh).map_err(errors::add)?;
        Ok(AddReport { added, duplicates, errors: faults })
    }

    /// Adds the proxies that a list names, whatever its layout; no Python object is made for any of them.
    ///
    /// Args:
    ///     data: The list: bytes or text as `parse_proxies` reads it, or what that returned.
    ///     source: Where it came from; by default a file of the user's. "fetched" and "api" may not name local addresses.
    ///     tags: Tags for all of them.
    ///     allow_local: Lift that.
    ///     **options: As those of `parse_proxies`.
    ///
    /// Returns:
    ///     An `AddReport`.
    ///
    /// Raises:
    ///     ValueError: An option is none, or the pool would be over its maximum capacity; nothing has been added then.
    ///     TypeError: `data` is neither of those, or an option is unknown.
    #[pyo3(signature = (data, *, source=None, tags=None, allow_local=false, **options))]
    fn load(
        &self,
        data: &Bound<'_, PyAny>,
        source: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
        allow_local: bool,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<AddReport> {
        let read;
        let parsed = if let Ok(parsed) = data.cast::<PyParsed>() {
            parsed.get()
        } else {
            read = supply::read(data, &supply::options_of(options)?)?;
            &read
        };
        self.take_list(data.py(), parsed, source, tags, allow_local)
    }

    /// Adds the proxies of a file: of a saved pool, with what it knows of them, or of any list that `load` reads; it may be
    /// packed with gzip. With any of the options of `parse_proxies` the file is a list.
    ///
    /// Raises:
    ///     OSError: The file cannot be read.
    ///     ValueError: As `load`; or it is a saved pool that is damaged.
    #[pyo3(signature = (path, *, source=None, tags=None, allow_local=false, **options))]
    fn load_file<'py>(
        slf: &Bound<'py, Self>,
        path: &Bound<'py, PyAny>,
        source: Option<&Bound<'py, PyAny>>,
        tags: Option<&Bound<'py, PyAny>>,
        allow_local: bool,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<AddReport> {
        let py = slf.py();
        let found = FILLER.get(py)?.call1((slf, path, source, tags, options))?;
        if let Ok(list) = found.cast::<PyParsed>() {
            return slf.get().take_list(py, list.get(), source, tags, allow_local);
        }
        let (added, duplicates) = found.extract()?;
        Ok(AddReport { added, duplicates, errors: Vec::new() })
    }

    /// Removes a proxy; an unknown identifier does nothing.
    fn remove_proxy(&self, proxy_id: &Bound<'_, PyAny>) -> PyResult<()> {
        let id = convert::id_of(proxy_id).ok_or_else(|| PyValueError::new_err("proxy_id must be a UUID"))?;
        self.core.remove(id);
        Ok(())
    }

    /// Replaces the proxy that has the same identifier, in its place.
    ///
    /// Raises:
    ///     KeyError: There is none.
    fn update_proxy(&self, py: Python<'_>, proxy: &Bound<'_, PyProxy>) -> PyResult<()> {
        let id = proxy.get().core.id();
        let Some((table, slot)) = self.core.find(id) else {
            return Err(PyKeyError::new_err(format!("no proxy with id {id} in the pool")));
        };
        if table.proxy(slot).is_some_and(|held| std::ptr::eq(held, &*proxy.get().core)) {
            return Ok(());
        }
        let all: Vec<Py<PyAny>> = self
            .all(py)?
            .into_iter()
            .map(|object| {
                let same = object.bind(py).cast::<PyProxy>().is_ok_and(|held| held.get().core.id() == id);
                if same { proxy.clone().into_any().unbind() } else { object }
            })
            .collect();
        self.set_all(py, &all)
    }

    /// The proxy of that identifier, or `None`: always the same object.
    fn get_proxy_by_id<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(id) = convert::id_of(id) else { return Ok(None) };
        self.core.find(id).map(|(table, slot)| Self::object(py, &table, slot)).transpose()
    }

    /// The proxy of that URL, or `None`.
    fn get_proxy_by_url<'py>(&self, py: Python<'py>, url: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Ok(address) = Address::parse_line(url) else { return Ok(None) };
        self.core.find_address(&address).map(|(table, slot)| Self::object(py, &table, slot)).transpose()
    }

    /// Those that may be chosen now, in order: not UNHEALTHY, not DEAD, not expired.
    fn get_healthy_proxies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let table = self.core.table();
        self.objects(py, &table, &self.core.eligible(&table, &ExactClock))
    }

    /// All of them, in order.
    fn get_all_proxies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let table = self.core.table();
        self.objects(py, &table, &Pool::members(&table))
    }

    /// Those that have all of these tags, in order.
    fn filter_by_tags<'py>(&self, py: Python<'py>, tags: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let tags = convert::texts(tags)?;
        let (table, slots) = self.core.matching(&Filter::tags(tags.iter().map(|tag| &**tag)));
        self.objects(py, &table, &slots)
    }

    /// Those that came from there, in order.
    fn filter_by_source<'py>(&self, py: Python<'py>, source: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let filter = Filter { source: Some(convert::source_of(source)?), ..Filter::default() };
        let (table, slots) = self.core.matching(&filter);
        self.objects(py, &table, &slots)
    }

    /// Those in that country, in order.
    fn filter_by_country<'py>(&self, py: Python<'py>, code: &str) -> PyResult<Bound<'py, PyList>> {
        let (table, slots) = self.core.matching(&Filter::countries([code]));
        self.objects(py, &table, &slots)
    }

    /// Removes the UNHEALTHY and the DEAD; their number.
    fn clear_unhealthy(&self) -> usize {
        self.core.clear_unhealthy()
    }

    /// Removes those whose time to live is over; their number.
    fn clear_expired(&self) -> usize {
        self.core.clear_expired(&ExactClock)
    }

    /// Number of proxies per source.
    fn get_source_breakdown(&self) -> BTreeMap<&'static str, usize> {
        let table = self.core.table();
        let mut counts = BTreeMap::new();
        for proxy in Pool::members(&table).into_iter().filter_map(|slot| table.proxy(slot)) {
            *counts.entry(proxy.source().as_str()).or_default() += 1;
        }
        counts
    }

    /// Begins the counting window of every proxy anew.
    fn reset_counters(&self) {
        let table = self.core.table();
        for proxy in Pool::members(&table).into_iter().filter_map(|slot| table.proxy(slot)) {
            proxy.reset_window(&ExactClock);
        }
    }

    /// The next proxy in turn; its start is counted.
    ///
    /// Raises:
    ///     ProxyPoolEmptyError: No proxy may be chosen.
    fn select_next<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let table = self.core.table();
        let context = Context::default();
        let query = Query::new(&self.core, &table, &context, &SystemClock);
        self.core.guard().catch_up(&SystemClock);
        let choice = self.round_robin.select(&query).map_err(|refusal| errors::refusal(py, refusal))?;
        Self::object(py, &table, choice.0)
    }

    /// Reads a pool from a file of the documented layout.
    ///
    /// Args:
    ///     path: JSON: an object with `proxies`, a list of proxies, or one proxy per line.
    ///     lazy: Make no Python object until a proxy is selected; always so here, the argument is kept for its users.
    ///     encryption_key: For credentials that are encrypted; by default the key in PROXYWHIRL_KEY.
    ///
    /// Raises:
    ///     FileNotFoundError: There is no such file.
    ///     ValueError: It is damaged, or in no documented form; nothing of it is quoted.
    #[classmethod]
    #[pyo3(signature = (path, lazy=false, *, encryption_key=None))]
    fn from_file<'py>(
        cls: &Bound<'py, PyType>,
        path: &Bound<'py, PyAny>,
        lazy: bool,
        encryption_key: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        LOADER.get(cls.py())?.call1((cls, path, lazy, encryption_key))
    }

    /// Takes a proxy for one piece of work.
    ///
    /// Args:
    ///     strategy: The strategy that chooses.
    ///     url: Where the work goes.
    ///     session_id: The same proxy for the same one, under a session strategy.
    ///     country: Only proxies there.
    ///     region: Only proxies there.
    ///     tags: Only proxies that have all of these.
    ///     protocol: Only proxies that speak this protocol, or one of these.
    ///     exclude: Identifiers of proxies not to be chosen.
    ///     context: What the other arguments are laid over. A strategy written in Python is given a copy that is complete:
    ///         target, number of the attempt, everything excluded so far, tags as `tags`, and the time there is.
    ///     connects: Whether the work holds a connection of the pool's transports, so that it counts against their limit.
    ///     attempt: Which attempt of the request this is, from 1.
    ///     timeout: Milliseconds that the request may take: a number, or what returns one, asked only when a strategy
    ///         written in Python chooses.
    ///     log: Where the attempt is written down when the lease is settled.
    ///     observer: Called once the lease is settled, with the lease, the `Outcome` (`None` if it was released), the
    ///         milliseconds, the error and the status. What it raises is logged.
    ///     judge: What `Lease.report` asks: called with the target, the status or what stands for it, headers, body and
    ///         error, it returns the `Outcome` or `None` for a release, the seconds that the site asks for or `None`, and,
    ///         where the status is not the one given, the status that it judged or `None`.
    ///
    /// Returns:
    ///     A `Lease`; one start is counted.
    ///
    /// Raises:
    ///     ProxyPoolEmptyError: No proxy may be chosen, or none is admitted now.
    ///     StrategyMetadataError: The strategy lacks what it chooses by.
    #[pyo3(signature = (strategy, url=None, *, session_id=None, country=None, region=None, tags=None, protocol=None, exclude=None, context=None, connects=false, attempt=1, timeout=None, log=None, observer=None, judge=None))]
    #[allow(clippy::too_many_arguments)]
    fn lease(
        slf: &Bound<'_, Self>,
        strategy: &Bound<'_, PyAny>,
        url: Option<&Bound<'_, PyAny>>,
        session_id: Option<&str>,
        country: Option<&str>,
        region: Option<&str>,
        tags: Option<&Bound<'_, PyAny>>,
        protocol: Option<&Bound<'_, PyAny>>,
        exclude: Option<&Bound<'_, PyAny>>,
        context: Option<&Bound<'_, PyAny>>,
        connects: bool,
        attempt: u64,
        timeout: Option<&Bound<'_, PyAny>>,
        log: Option<&Bound<'_, AttemptLog>>,
        observer: Option<Py<PyAny>>,
        judge: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyLease>> {
        let wanted = LeaseOptions {
            url,
            session_id,
            demands: Demands { country, region, tags, protocol },
            exclude,
            context,
            connects,
            attempt,
            timeout,
            log,
        };
        PyLease::take(slf, strategy, &wanted, observer, judge)
    }

    /// Which proxies may be chosen now, and why the others may not.
    ///
    /// Args:
    ///     url: The target, for what holds at its site.
    ///     country: Only proxies there would do.
    ///     region: Only proxies there would do.
    ///     tags: Only proxies that have all of these would do.
    ///     protocol: Only proxies that speak this protocol, or one of these, would do.
    ///     exclude: Identifiers of proxies that would not.
    ///     context: What the other arguments are laid over.
    ///     strategy: The strategy that would choose: what a built-in one passes over counts as filtered.
    ///
    /// Returns:
    ///     An `Explanation`: one verdict per proxy, in order.
    #[pyo3(signature = (url=None, *, country=None, region=None, tags=None, protocol=None, exclude=None, context=None, strategy=None))]
    #[allow(clippy::too_many_arguments)]
    fn explain<'py>(
        slf: &Bound<'py, Self>,
        url: Option<&Bound<'py, PyAny>>,
        country: Option<&str>,
        region: Option<&str>,
        tags: Option<&Bound<'py, PyAny>>,
        protocol: Option<&Bound<'py, PyAny>>,
        exclude: Option<&Bound<'py, PyAny>>,
        context: Option<&Bound<'py, PyAny>>,
        strategy: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let rows = Self::_explain(slf, url, country, region, tags, protocol, exclude, context, strategy)?;
        EXPLANATION.get(slf.py())?.call1((rows,))
    }

    #[pyo3(signature = (url=None, *, country=None, region=None, tags=None, protocol=None, exclude=None, context=None, strategy=None))]
    #[allow(clippy::too_many_arguments)]
    fn _explain<'py>(
        slf: &Bound<'py, Self>,
        url: Option<&Bound<'py, PyAny>>,
        country: Option<&str>,
        region: Option<&str>,
        tags: Option<&Bound<'py, PyAny>>,
        protocol: Option<&Bound<'py, PyAny>>,
        exclude: Option<&Bound<'py, PyAny>>,
        context: Option<&Bound<'py, PyAny>>,
        strategy: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let demands = Demands { country, region, tags, protocol };
        let wanted = LeaseOptions { url, demands, exclude, context, ..LeaseOptions::default() };
        guard::explain(slf, &wanted, strategy)
    }

    /// Gives its proxies, and those that join later, a counting window of that many seconds.
    fn _keep_window(&self, seconds: u32) {
        self.core.keep_window(seconds.max(1));
    }

    /// Judges proxies by other settings from now on; what is not given has its default.
    #[pyo3(signature = (**settings))]
    fn _guard_configure(&self, settings: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        guard::configure(self, settings)
    }

    /// The breaker of a proxy.
    fn _breaker_of(&self, proxy_id: &Bound<'_, PyAny>) -> PyResult<PyBreaker> {
        guard::breaker_of(self, proxy_id)
    }

    /// Gives a proxy another breaker.
    fn _set_breaker(&self, proxy_id: &Bound<'_, PyAny>, breaker: &Bound<'_, PyBreaker>) -> PyResult<()> {
        guard::set_breaker(self, proxy_id, breaker.get())
    }

    /// Logs in with these through every proxy, and through those that join from now on.
    fn _log_in(&self, username: &str, password: &str) {
        self.core.log_in(Credentials { username: username.into(), password: password.into() });
    }

    /// The requests that wait for a proxy of this pool: one line for all its users.
    fn _waiting_line(&self) -> WaitingLine {
        WaitingLine::around(&self.line)
    }

    /// Sets the callback for notices: called with name, proxy and facts.
    fn _set_notice(&self, notice: Option<Py<PyAny>>) {
        guard::set_notice(self, notice);
    }

    /// Every pair of proxy and site that is out of favour: the proxy, the site's key, "banned" or "rate_limited", until when
    /// (`None` where the next request is the probe), and how often in a row.
    fn _standings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        guard::standings(self, py)
    }

    /// Seconds until something changes by itself, at any site or everywhere, if anything does.
    fn _next_due(&self) -> Option<f64> {
        let due = [self.core.guard().next_due(&SystemClock), self.core.sites().next_due(&SystemClock)];
        due.into_iter().flatten().min().map(|ahead| ahead as f64 / 1e9)
    }

    fn __contains__(&self, proxy: &Bound<'_, PyAny>) -> bool {
        if let Ok(proxy) = proxy.cast::<PyProxy>() {
            let core = &proxy.get().core;
            return self
                .core
                .find(core.id())
                .is_some_and(|(table, slot)| table.proxy(slot).is_some_and(|held| std::ptr::eq(held, &**core)));
        }
        if let Some(id) = convert::id_of(proxy) {
            return self.core.find(id).is_some();
        }
        let Ok(text) = proxy.cast::<PyString>() else { return false };
        let address = text.to_str().ok().and_then(|text| Address::parse_line(text).ok());
        address.is_some_and(|address| self.core.find_address(&address).is_some())
    }

    fn __len__(&self) -> usize {
        self.core.len()
    }

    fn __bool__(&self) -> bool {
        // As a model: there, whatever it holds.
        true
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.get_all_proxies(py)?.try_iter()?.into_any())
    }

    /// Holds a reentrant lock of the pool for the block: blocks of other threads wait, selections do not.
    fn __enter__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        let lock = slf.get().block_lock(slf.py())?;
        lock.call_method0("acquire")?;
        Ok(slf)
    }

    #[pyo3(signature = (_exc_type=None, _exc_value=None, _traceback=None, /))]
    fn __exit__(
        slf: &Bound<'_, Self>,
        _exc_type: Option<&Bound<'_, PyAny>>,
        _exc_value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        slf.get().block_lock(slf.py())?.call_method0("release")?;
        Ok(())
    }

    fn _item<'py>(&self, py: Python<'py>, index: isize) -> PyResult<Bound<'py, PyAny>> {
        let (table, slot) = self.rank(index)?;
        Self::object(py, &table, slot)
    }

    fn _set_item(&self, py: Python<'_>, index: isize, proxy: Py<PyAny>) -> PyResult<()> {
        self.rank(index)?;
        let mut all = self.all(py)?;
        let place = if index < 0 { index + all.len() as isize } else { index };
        all[place as usize] = proxy;
        self.set_all(py, &all)
    }

    fn _del_item(&self, index: isize) -> PyResult<()> {
        let id = {
            let (table, slot) = self.rank(index)?;
            table.proxy(slot).map(Proxy::id)
        };
        if let Some(id) = id {
            self.core.remove(id);
        }
        Ok(())
    }

    fn _insert(&self, py: Python<'_>, index: isize, proxy: &Bound<'_, PyAny>) -> PyResult<()> {
        let len = self.core.len() as isize;
        let place = if index < 0 { (index + len).max(0) } else { index.min(len) };
        if place == len {
            return self.add_any(proxy, false).map(|_| ());
        }
        let mut all = self.all(py)?;
        all.insert(place as usize, proxy.clone().unbind());
        self.set_all(py, &all)
    }

    fn _replace_all(&self, py: Python<'_>, proxies: Vec<Py<PyAny>>) -> PyResult<()> {
        self.set_all(py, &proxies)
    }

    /// Identifiers to proxies, for callers that read the published index.
    #[getter]
    fn _id_index<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for object in self.all(py)? {
            let object = object.into_bound(py);
            dict.set_item(object.getattr("id")?, object)?;
        }
        Ok(dict)
    }

    #[staticmethod]
    fn _fields() -> Vec<&'static str> {
        FIELDS.to_vec()
    }

    fn _dump<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let py = slf.py();
        let dict = PyDict::new(py);
        for name in FIELDS {
            let value = if name == "proxies" { slf.get().get_all_proxies(py)?.into_any() } else { slf.getattr(name)? };
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    #[classmethod]
    fn _from_state<'py>(cls: &Bound<'py, PyType>, state: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        cls.call((), Some(state))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        Ok((slf.get_type().getattr("_from_state")?, (Self::_dump(slf)?,)))
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
        let same = slf.is(other) || Self::_dump(slf)?.eq(Self::_dump(other)?)?;
        Ok(same.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    fn __hash__(slf: &Bound<'_, Self>) -> isize {
        slf.as_ptr() as isize >> 4
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let class = slf.get_type().name()?;
        let table = this.core.table();
        let eligible = this.core.eligible(&table, &ExactClock).len();
        Ok(format!("{class}(name={:?}, size={}, eligible={eligible})", this.name(), this.core.len()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(lock) = self.block.lock().as_ref() {
            visit.call(lock)?;
        }
        self.hooks.traverse(&visit)?;
        let table = self.core.table();
        for slot in 0..table.len() {
            if let Some(word) = table.slot(slot as u32).and_then(|slot| slot.attachment()) {
                // SAFETY: the table owns this reference; it is looked at, not counted, for the length of the call.
                let object = unsafe { Py::<PyAny>::from_borrowed_ptr_for_visit(word) };
                visit.call(&*object)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        self.hooks.clear();
        self.core.replace_all(Vec::new());
    }
}

/// Borrowing a Python object without touching its count, as a traversal must.
trait BorrowForVisit {
    unsafe fn from_borrowed_ptr_for_visit(word: Word) -> std::mem::ManuallyDrop<Py<PyAny>>;
}

impl BorrowForVisit for Py<PyAny> {
    unsafe fn from_borrowed_ptr_for_visit(word: Word) -> std::mem::ManuallyDrop<Py<PyAny>> {
        // SAFETY: `Py` is one non-null pointer; `ManuallyDrop` keeps the count as it is.
        std::mem::ManuallyDrop::new(unsafe { std::mem::transmute::<Word, Py<PyAny>>(word) })
    }
}

impl PyPool {
    fn take_list(
        &self,
        py: Python<'_>,
        list: &PyParsed,
        source: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
        allow_local: bool,
    ) -> PyResult<AddReport> {
        let source = source.map(convert::source_of).transpose()?.unwrap_or(Source::File);
        let mut tags = tags.map(convert::texts).transpose()?.unwrap_or_default();
        tags.sort_unstable();
        tags.dedup();
        let (proxies, refused) = supply::proxies_of(py, &list.parsed, source, &tags, allow_local);
        let (added, duplicates) = border::detach(py, || {
            if list.parsed.distinct { self.core.add_distinct(proxies) } else { self.core.add_all(proxies) }
        })
        .map_err(errors::add)?;
        let mut errors = supply::errors_of(&list.parsed);
        errors.extend(refused);
        Ok(AddReport { added, duplicates: duplicates + list.parsed.duplicates, errors })
    }

    fn assign(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match name {
            "id" => {
                let id = convert::id_of(value).ok_or_else(|| PyValueError::new_err("Input should be a valid UUID"))?;
                *self.id.lock() = id;
            }
            "name" => {
                let text = convert::text(value)?.into_string();
                *self.name.lock() = text;
            }
            "max_pool_size" => {
                let limit = convert::count(value)?;
                if limit == 0 {
                    return Err(PyValueError::new_err("Input should be greater than 0"));
                }
                self.core.set_limit(usize::try_from(limit).unwrap_or(usize::MAX));
            }
            "auto_remove_dead" => {
                let (_, threshold) = self.core.removal_of_dead();
                self.core.set_removal_of_dead(value.extract()?, threshold);
            }
            "dead_proxy_threshold" => {
                let threshold = u32::try_from(convert::count(value)?).unwrap_or(u32::MAX);
                let (on, _) = self.core.removal_of_dead();
                self.core.set_removal_of_dead(on, threshold);
            }
            "created_at" => self.created.store(convert::micros(value)?, Ordering::Relaxed),
            "updated_at" => self.core.set_updated(convert::micros(value)?),
            _ => return Err(PyTypeError::new_err(format!("ProxyPool has no field {name}"))),
        }
        Ok(())
    }

    /// The site that a URL belongs to, by the pool's own rule where it has one.
    #[inline]
    pub(crate) fn site_of(&self, py: Python<'_>, url: &str) -> PyResult<Option<Arc<Site>>> {
        if self.hooks.has_site_rule() {
            return guard::site_by_rule(self, py, url);
        }
        Ok(self.core.site_of(url))
    }

    fn block_lock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(lock) = self.block.lock().as_ref() {
            return Ok(lock.bind(py).clone());
        }
        let fresh = py.import("threading")?.call_method0("RLock")?.unbind();
        Ok(self.block.lock().get_or_insert(fresh).bind(py).clone())
    }
}
