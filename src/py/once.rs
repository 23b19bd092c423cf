//! What is made once, on first use, such that a fork cannot leave it half made.
//!
//! The initialisers of pyo3's own cell let go of the interpreter while the cell says that it is being filled. If another
//! thread forks at that moment, the child waits for ever for a thread that it does not have. Here the value is made
//! first, and put in place by one step of a thread that holds the interpreter; two threads at once may both make it, and
//! the first has the word.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

/// A value that is made on first use.
pub(crate) struct Once<T>(PyOnceLock<T>);

impl<T> Once<T> {
    pub(crate) const fn new() -> Self {
        Self(PyOnceLock::new())
    }

    /// The value; `make` may be called by several threads, and may call Python.
    #[inline]
    pub(crate) fn get_or_make<E>(&self, py: Python<'_>, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        match self.0.get(py) {
            Some(value) => Ok(value),
            None => self.fill(py, make()?),
        }
    }

    #[cold]
    fn fill<E>(&self, py: Python<'_>, made: T) -> Result<&T, E> {
        // What is not needed is dropped here, outside of the cell: that may call Python.
        drop(self.0.set(py, made));
        Ok(self.0.get(py).expect("the cell was set"))
    }
}

/// A text of [`intern!`].
pub(crate) struct Interned {
    text: &'static str,
    cell: Once<Py<PyString>>,
}

impl Interned {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { text, cell: Once::new() }
    }

    #[inline]
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        let made =
            self.cell.get_or_make(py, || Ok::<_, std::convert::Infallible>(PyString::intern(py, self.text).unbind()));
        match made {
            Ok(text) => text.bind(py),
            Err(never) => match never {},
        }
    }
}

/// As `crate::py::once::intern!`: a text of Python that is made once for each place of the code.
macro_rules! intern {
    ($py:expr, $text:expr) => {{
        static INTERNED: $crate::py::once::Interned = $crate::py::once::Interned::new($text);
        INTERNED.get($py)
    }};
}

pub(crate) use intern;
