//! Saving and loading pools: the long work of `_pool_file.py`, done detached from the interpreter.

use std::io::{self, BufWriter, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, RawFd};

use ahash::{AHashMap, AHashSet};
use flate2::Compression;
use flate2::write::GzEncoder;
use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyDict;
use serde_json::value::RawValue;

use crate::clock::{SystemClock, exact_wall};
use crate::pool::{Pool, Table};
use crate::proxy::{Id, Proxy};
use crate::py::border;
use crate::py::pool::PyPool;
use crate::py::proxy::PyProxy;
use crate::resilience::standing::SavedHold;
use crate::rotation::Domain;
use crate::storage::{
    Entry, Extra, Image, Marks, Options, Seals, Secrets, Shape, Unsealed, WriteError, binding, binding_of,
    protocol_said, write,
};
use crate::sync::{Arc, Mutex};

/// Proxies to be written: a pool as it is in this moment, or a list.
enum Members {
    Pool(Arc<Domain>, Arc<Table>, Vec<u32>),
    List(Vec<Arc<Proxy>>),
}

impl Members {
    fn of(py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(pool) = source.cast::<PyPool>() {
            let core = pool.get().core.clone();
            return Ok(border::detach(py, || {
                let table = Arc::clone(&core.table());
                let slots = Pool::members(&table);
                Self::Pool(core.clone(), table, slots)
            }));
        }
        let items = source.try_iter()?.map(|item| {
            let item = item?;
            let proxy = item.cast::<PyProxy>().map_err(|_| PyTypeError::new_err("a list of Proxy is needed"))?;
            Ok(proxy.get().core.clone())
        });
        Ok(Self::List(items.collect::<PyResult<_>>()?))
    }

    fn iter(&self) -> Box<dyn Iterator<Item = &Proxy> + '_> {
        match self {
            Self::Pool(_, table, slots) => Box::new(slots.iter().filter_map(|slot| table.proxy(*slot))),
            Self::List(proxies) => Box::new(proxies.iter().map(|proxy| &**proxy)),
        }
    }
}

impl Members {
    /// What sites hold against them; nothing is known of a list.
    fn held(&self) -> AHashMap<Id, Vec<SavedHold>> {
        match self {
            Self::Pool(pool, ..) => pool.sites().held(pool, &SystemClock),
            Self::List(_) => AHashMap::new(),
        }
    }
}

/// A secret text of a proxy that has to be encrypted before it is saved.
#[pyclass(module = "proxywhirl._core", frozen)]
pub(crate) struct UnsealedText(Unsealed);

#[proxywhirl_macros::border]
#[pymethods]
impl UnsealedText {
    /// The text.
    #[getter]
    fn text(&self) -> &str {
        &self.0.text
    }

    /// What it must be bound to.
    #[getter]
    fn binding(&self) -> String {
        self.0.binding()
    }
}

/// What stands for each secret of a proxy in a file; kept between saves, so that what has not changed is not sealed
/// again.
#[pyclass(module = "proxywhirl._core", frozen)]
#[derive(Default)]
pub(crate) struct SealedTexts(Mutex<Seals>);

#[proxywhirl_macros::border]
#[pymethods]
impl SealedTexts {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// The secrets of a pool, or of a list of proxies, that have no seal yet. Those of proxies long gone are dropped.
    fn missing(&self, py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<Vec<UnsealedText>> {
        let members = Members::of(py, source)?;
        Ok(border::detach(py, || self.0.lock().missing(members.iter()).into_iter().map(UnsealedText).collect()))
    }

    /// Sets what stands for a secret.
    fn put(&self, secret: &Bound<'_, UnsealedText>, seal: String) {
        self.0.lock().put(secret.get().0.clone(), seal);
    }
}

/// What an encrypted text is bound to: a field of the record of a proxy.
///
/// Args:
///     field: The name of the field.
///     id: The proxy's id as the record has it, or whatever distinguishes records without one.
///     url: The address as the record has it.
///     protocol: The protocol, where the record has one beside the address.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (field, id, url, protocol=None))]
pub(crate) fn seal_binding(field: &str, id: &str, url: &str, protocol: Option<&str>) -> String {
    binding(field, id, url, protocol_said(url, protocol))
}

/// What an encrypted text of a proxy is bound to in the record that is written of it.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn proxy_seal_binding(field: &str, proxy: &Bound<'_, PyProxy>) -> String {
    binding_of(field, &proxy.get().core)
}

/// What is written of proxies beside what the core knows of them.
#[pyclass(module = "proxywhirl._core", frozen)]
#[derive(Default)]
pub(crate) struct SaveExtras(Mutex<AHashMap<Id, Extra>>);

#[proxywhirl_macros::border]
#[pymethods]
impl SaveExtras {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Sets the JSON texts of a proxy's metadata and place; `None` for nothing worth writing.
    fn put(&self, proxy: &Bound<'_, PyProxy>, metadata: Option<String>, geo_location: Option<String>) -> PyResult<()> {
        let raw = |text: Option<String>| {
            text.map(RawValue::from_string).transpose().map_err(|_| PyValueError::new_err("this is not JSON"))
        };
        let extra = Extra { metadata: raw(metadata)?, geo_location: raw(geo_location)? };
        self.0.lock().insert(proxy.get().core.id(), extra);
        Ok(())
    }
}

/// What was saved last, so that the next save knows what has changed. Pending until `commit`.
#[pyclass(module = "proxywhirl._core", frozen)]
#[derive(Default)]
pub(crate) struct SaveMarks(Marks);

#[proxywhirl_macros::border]
#[pymethods]
impl SaveMarks {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// What was written last has been saved.
    fn commit(&self) {
        self.0.commit();
    }

    /// Everything counts as changed again.
    fn clear(&self) {
        self.0.clear();
    }
}

/// Proxies of a pool or a list that may have metadata or a place of more than country and region.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn proxies_with_extras<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if !source.is_instance_of::<PyPool>() {
        let all: Vec<Bound<'py, PyAny>> = source.try_iter()?.collect::<PyResult<_>>()?;
        return Ok(all.into_iter().filter(|item| item.cast::<PyProxy>().is_ok_and(|p| p.get().has_extras())).collect());
    }
    let Members::Pool(_, table, slots) = Members::of(py, source)? else { return Ok(Vec::new()) };
    let found: Vec<u32> = border::detach(py, || {
        let has = |slot: &u32| {
            table.slot(*slot).and_then(|slot| slot.attachment()).is_some_and(|word| {
                // SAFETY: the table owns a reference to this object, which is a `PyProxy` because pools attach nothing
                // else; the class is frozen, so it may be looked at without the interpreter. No count is touched.
                let object =
                    ManuallyDrop::new(unsafe { std::mem::transmute::<std::ptr::NonNull<()>, Py<PyProxy>>(word) });
                object.get().has_extras()
            })
        };
        slots.into_iter().filter(has).collect()
    });
    let object = |slot: &u32| {
        let word = table.slot(*slot).and_then(|slot| slot.attachment())?;
        // SAFETY: as above, and the interpreter is attached.
        Some(unsafe { Bound::from_borrowed_ptr(py, word.as_ptr().cast()) })
    };
    Ok(found.iter().filter_map(object).collect())
}

/// Whether any proxy of a pool or a list has credentials.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn has_credentials(py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<bool> {
    let members = Members::of(py, source)?;
    Ok(border::detach(py, || members.iter().any(|proxy| proxy.cold(|cold| cold.credentials.is_some()))))
}

/// A file of Python's: not ours to close.
struct Borrowed(ManuallyDrop<std::fs::File>);

impl Write for Borrowed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes the proxies of a pool or a list to an open file, detached from the interpreter.
///
/// Args:
///     source: A `ProxyPool`, or a list of `Proxy`.
///     fd: The file descriptor.
///     head: Written before.
///     tail: Written after.
///     lines: JSON Lines; else one array.
///     compress: Whether it is gzipped.
///     credentials: Whether credentials are written.
///     learned: Whether health, counters and averages are.
///     sealed: What stands for each secret.
///     extras: What else is written of some proxies.
///     marks: What was saved last.
///     only_changed: Whether to write only what differs from that.
///
/// Returns:
///     Numbers of proxies seen, of those changed and of those gone since the marks; `None` if a secret has no seal yet.
///
/// Raises:
///     OSError: It cannot be written.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (
    source, fd, *, head=None, tail=None, lines=false, compress=false, credentials=true, learned=true, sealed=None,
    extras=None, marks=None, only_changed=false
))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn dump_proxies(
    py: Python<'_>,
    source: &Bound<'_, PyAny>,
    fd: RawFd,
    head: Option<PyBackedBytes>,
    tail: Option<PyBackedBytes>,
    lines: bool,
    compress: bool,
    credentials: bool,
    learned: bool,
    sealed: Option<&Bound<'_, SealedTexts>>,
    extras: Option<&Bound<'_, SaveExtras>>,
    marks: Option<&Bound<'_, SaveMarks>>,
    only_changed: bool,
) -> PyResult<Option<(usize, usize, usize)>> {
    let members = Members::of(py, source)?;
    let (sealed, extras) = (sealed.map(Bound::get), extras.map(Bound::get));
    let marks = marks.map(|marks| &marks.get().0);
    let outcome = border::detach(py, || {
        let sealed = sealed.map(|sealed| sealed.0.lock());
        let extras = extras.map(|extras| extras.0.lock());
        let none = AHashMap::new();
        let held = if learned { members.held() } else { AHashMap::new() };
        let options = Options {
            secrets: match &sealed {
                _ if !credentials => Secrets::Omitted,
                Some(sealed) => Secrets::Sealed(sealed),
                None => Secrets::Clear,
            },
            learned,
            only_changed,
            shape: if lines { Shape::Lines } else { Shape::Array },
            extras: extras.as_deref().unwrap_or(&none),
            held: &held,
            clock: &SystemClock,
        };
        let all = |out: &mut dyn Write| {
            out.write_all(head.as_deref().unwrap_or_default())?;
            let written = write(out, members.iter(), options, marks)?;
            out.write_all(tail.as_deref().unwrap_or_default())?;
            Ok::<_, WriteError>(written)
        };
        // SAFETY: the caller's descriptor is open for the length of the call; `Borrowed` does not close it.
        let file = Borrowed(ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(fd) }));
        let mut out = BufWriter::with_capacity(1 << 18, file);
        let written = if compress {
            let mut packed = GzEncoder::new(&mut out, Compression::fast());
            let written = all(&mut packed)?;
            packed.finish()?;
            written
        } else {
            all(&mut out)?
        };
        out.flush()?;
        Ok(written)
    });
    match outcome {
        Ok(written) => Ok(Some((written.proxies, written.changed, written.removed))),
        Err(WriteError::Unsealed) => Ok(None),
        Err(WriteError::Io(error)) => Err(os_error(&error)),
    }
}

/// The records of a pool or a list, as JSON, each by itself; only those that differ from what was saved last, if asked.
///
/// Args:
///     source: A `ProxyPool`, or a list of `Proxy`.
///     credentials: Whether credentials are written.
///     learned: Whether health, counters and averages are.
///     sealed: What stands for each secret.
///     extras: What else is written of some proxies.
///     marks: What was saved last.
///     only_changed: Whether to return only what differs from that, with a record `{"id": ..., "removed": true}` for
///         each proxy that is gone.
///
/// Returns:
///     The records; `None` if a secret has no seal yet.
#[proxywhirl_macros::border]
#[pyfunction]
#[pyo3(signature = (
    source, *, credentials=true, learned=true, sealed=None, extras=None, marks=None, only_changed=false
))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn records_of(
    py: Python<'_>,
    source: &Bound<'_, PyAny>,
    credentials: bool,
    learned: bool,
    sealed: Option<&Bound<'_, SealedTexts>>,
    extras: Option<&Bound<'_, SaveExtras>>,
    marks: Option<&Bound<'_, SaveMarks>>,
    only_changed: bool,
) -> PyResult<Option<Vec<String>>> {
    let members = Members::of(py, source)?;
    let (sealed, extras) = (sealed.map(Bound::get), extras.map(Bound::get));
    let marks = marks.map(|marks| &marks.get().0);
    let outcome = border::detach(py, || {
        let sealed = sealed.map(|sealed| sealed.0.lock());
        let extras = extras.map(|extras| extras.0.lock());
        let none = AHashMap::new();
        let held = if learned { members.held() } else { AHashMap::new() };
        let secrets = match &sealed {
            _ if !credentials => Secrets::Omitted,
            Some(sealed) => Secrets::Sealed(sealed),
            None => Secrets::Clear,
        };
        let options = Options {
            secrets,
            learned,
            only_changed,
            shape: Shape::Lines,
            extras: extras.as_deref().unwrap_or(&none),
            held: &held,
            clock: &SystemClock,
        };
        let mut text = Vec::new();
        write(&mut text, members.iter(), options, marks)?;
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Ok(lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect())
    });
    match outcome {
        Ok(records) => Ok(Some(records)),
        Err(WriteError::Unsealed) => Ok(None),
        Err(WriteError::Io(error)) => Err(os_error(&error)),
    }
}

/// An `OSError` with its number, from which Python finds the class.
fn os_error(error: &io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, error.to_string())),
        None => PyOSError::new_err(error.to_string()),
    }
}

/// A file that has been read and not yet been made into proxies.
#[pyclass(module = "proxywhirl._core", frozen)]
pub(crate) struct PoolImage(Image);

#[proxywhirl_macros::border]
#[pymethods]
impl PoolImage {
    /// Reads the contents of a file, gzipped or not, in any documented form.
    ///
    /// Args:
    ///     data: The contents.
    ///     appended: Whether it is known to be written line by line, so that any line of it may be the last.
    ///
    /// Raises:
    ///     ValueError: It is in none of them; nothing of it is quoted.
    #[new]
    #[pyo3(signature = (data, appended=false))]
    fn new(py: Python<'_>, data: PyBackedBytes, appended: bool) -> PyResult<Self> {
        let read = border::detach(py, || Image::read(&data, appended));
        read.map(Self).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Name of the pool, if the file says.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Its `config` as JSON.
    #[getter]
    fn settings(&self) -> Option<&str> {
        self.0.settings.as_deref()
    }

    /// Whether it was JSON Lines.
    #[getter]
    fn lines(&self) -> bool {
        self.0.lines
    }

    /// Whether its end was cut off and left out: the last line, or the last member of a gzipped file.
    #[getter]
    fn torn(&self) -> bool {
        self.0.torn
    }

    fn __len__(&self) -> usize {
        self.0.entries.len()
    }

    /// The encrypted texts in it, each with what it must be bound to.
    fn sealed(&self, py: Python<'_>) -> Vec<(String, String)> {
        border::detach(py, || self.0.sealed())
    }

    /// Makes the proxies and adds them to a pool.
    ///
    /// Args:
    ///     pool: The pool.
    ///     opened: The plain text of each encrypted one.
    ///     make: Called with number and JSON of an entry in no usual form; returns a `Proxy` or raises.
    ///     decorate: Called with a proxy, the JSON of its metadata and of its place, its country and its region, and what
    ///         encrypted metadata must be bound to.
    ///     merge: A proxy that is in the pool already, and has not been used, takes over what the file has learned of it.
    ///
    /// Returns:
    ///     Numbers of proxies added, and of those that were there.
    ///
    /// Raises:
    ///     ValueError: An entry is no proxy, or the pool has no room.
    #[pyo3(signature = (pool, opened, make, decorate, merge=false))]
    fn load_into(
        &self,
        py: Python<'_>,
        pool: &Bound<'_, PyPool>,
        opened: &Bound<'_, PyDict>,
        make: &Bound<'_, PyAny>,
        decorate: &Bound<'_, PyAny>,
        merge: bool,
    ) -> PyResult<(usize, usize)> {
        let opened: AHashMap<String, String> =
            opened.iter().map(|(seal, text)| Ok((seal.extract()?, text.extract()?))).collect::<PyResult<_>>()?;
        let mut odd: AHashMap<usize, Py<PyProxy>> = AHashMap::new();
        for (index, entry) in self.0.entries.iter().enumerate() {
            if let Entry::Odd(text) = entry {
                odd.insert(index, make.call1((index + 1, text))?.cast_into::<PyProxy>()?.unbind());
            }
        }
        let core = pool.get().core.clone();
        let mut learned = Vec::new();
        let (proxies, merged) = border::detach(py, || self.proxies(&core, &opened, &odd, merge, &mut learned));
        let offered = proxies.len();
        let shared: Vec<Arc<Proxy>> = proxies.iter().map(|(_, proxy)| proxy.clone()).collect();
        let added = border::detach(py, || core.add_all(shared)).map_err(crate::py::errors::add)?.0;
        learned.extend(proxies.iter().map(|(index, proxy)| (*index, proxy.id())));
        border::detach(py, || {
            for (index, id) in learned {
                let Some(Entry::Known(record, _)) = self.0.entries.get(index) else { continue };
                for held in record.held() {
                    core.sites().hold_again(&core, id, &held, &SystemClock);
                }
            }
        });
        for object in odd.values() {
            PyPool::adopt(&core, object.bind(py));
        }
        for (index, proxy) in &proxies {
            let Some(Entry::Known(record, address)) = self.0.entries.get(*index) else { continue };
            if let Some(extra) = record.extra() {
                let object = PyPool::object_of(py, proxy)?;
                let text = |raw: &Option<Box<RawValue>>| raw.as_ref().map(|raw| raw.get().to_owned());
                let (country, region) = record.place();
                let bound = record.binding("metadata", address);
                decorate.call1((object, text(&extra.metadata), text(&extra.geo_location), country, region, bound))?;
            }
        }
        Ok((added, merged + offered - added))
    }
}

impl PoolImage {
    fn proxies(
        &self,
        core: &Domain,
        opened: &AHashMap<String, String>,
        odd: &AHashMap<usize, Py<PyProxy>>,
        merge: bool,
        learned: &mut Vec<(usize, Id)>,
    ) -> (Vec<(usize, Arc<Proxy>)>, usize) {
        let now = exact_wall();
        let mut proxies = Vec::with_capacity(self.0.entries.len());
        let mut ids = AHashSet::with_capacity(self.0.entries.len());
        let mut merged = 0;
        for (index, entry) in self.0.entries.iter().enumerate() {
            let proxy = match entry {
                Entry::Known(record, address) => {
                    let proxy = record.build(address, opened, now);
                    if merge
                        && let Some((table, slot)) = core.find_address(&proxy.address())
                        && let Some(held) = table.slot(slot).and_then(|slot| slot.share())
                    {
                        if record.merge_into(&held, &proxy) {
                            learned.push((index, held.id()));
                        }
                        merged += 1;
                        continue;
                    }
                    proxy
                }
                Entry::Odd(_) => match odd.get(&index) {
                    Some(object) => object.get().core.clone(),
                    None => continue,
                },
            };
            // A line copied by hand has the same identifier.
            if !ids.insert(proxy.id()) || core.find(proxy.id()).is_some() {
                proxy.set_id(Id::random());
                ids.insert(proxy.id());
            }
            proxies.push((index, proxy));
        }
        (proxies, merged)
    }
}
