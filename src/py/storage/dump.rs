//! Writing the proxies of a pool or a list, detached from the interpreter.

use std::io::{self, BufWriter, Write};
use std::mem::ManuallyDrop;

use ahash::AHashMap;
use flate2::Compression;
use flate2::write::GzEncoder;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use serde_json::value::RawValue;

use crate::clock::SystemClock;
use crate::proxy::Id;
use crate::py::border;
use crate::py::proxy::PyProxy;
use crate::storage::{Extra, Marks, Options, Secrets, Shape, WriteError, Written, write};
use crate::sync::Mutex;

use super::seals::SealedTexts;
use super::source::Members;

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

/// A file of Python's: not ours to close.
struct Borrowed(ManuallyDrop<std::fs::File>);

impl Borrowed {
    /// # Safety
    /// The descriptor stays open as long as this is used.
    #[cfg(unix)]
    unsafe fn new(fd: i32) -> Self {
        use std::os::fd::FromRawFd;
        // SAFETY: the caller's.
        Self(ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(fd) }))
    }

    /// # Safety
    /// The descriptor, one of the C library's, stays open as long as this is used.
    #[cfg(windows)]
    unsafe fn new(fd: i32) -> Self {
        use std::os::windows::io::FromRawHandle;
        // SAFETY: the caller's.
        Self(ManuallyDrop::new(unsafe { std::fs::File::from_raw_handle(libc::get_osfhandle(fd) as _) }))
    }
}

impl Write for Borrowed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What of the proxies is written, and how.
struct Form<'a> {
    credentials: bool,
    learned: bool,
    only_changed: bool,
    shape: Shape,
    sealed: Option<&'a SealedTexts>,
    extras: Option<&'a SaveExtras>,
    marks: Option<&'a SaveMarks>,
}

impl Form<'_> {
    fn write(&self, out: &mut dyn Write, members: &Members) -> Result<Written, WriteError> {
        let sealed = self.sealed.map(|sealed| sealed.0.lock());
        let extras = self.extras.map(|extras| extras.0.lock());
        let none = AHashMap::new();
        let held = if self.learned { members.held() } else { AHashMap::new() };
        let options = Options {
            secrets: match &sealed {
                _ if !self.credentials => Secrets::Omitted,
                Some(sealed) => Secrets::Sealed(sealed),
                None => Secrets::Clear,
            },
            learned: self.learned,
            only_changed: self.only_changed,
            shape: self.shape,
            extras: extras.as_deref().unwrap_or(&none),
            held: &held,
            clock: &SystemClock,
        };
        write(out, members.iter(), options, self.marks.map(|marks| &marks.0))
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
    fd: i32,
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
    let (sealed, extras, marks) = (sealed.map(Bound::get), extras.map(Bound::get), marks.map(Bound::get));
    let shape = if lines { Shape::Lines } else { Shape::Array };
    let form = Form { credentials, learned, only_changed, shape, sealed, extras, marks };
    let outcome = border::detach(py, || {
        let all = |out: &mut dyn Write| {
            out.write_all(head.as_deref().unwrap_or_default())?;
            let written = form.write(out, &members)?;
            out.write_all(tail.as_deref().unwrap_or_default())?;
            Ok::<_, WriteError>(written)
        };
        // SAFETY: the caller's descriptor is open for the length of the call; `Borrowed` does not close it.
        let file = unsafe { Borrowed::new(fd) };
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
    let (sealed, extras, marks) = (sealed.map(Bound::get), extras.map(Bound::get), marks.map(Bound::get));
    let shape = Shape::Lines;
    let form = Form { credentials, learned, only_changed, shape, sealed, extras, marks };
    let outcome = border::detach(py, || {
        let mut text = Vec::new();
        form.write(&mut text, &members)?;
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
