//! `BodyDecoder`: takes the content codings off a body that came through another transport.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::py::border;
use crate::sync::Mutex;
use crate::wire::decode::{Decoder, Progress};
use crate::wire::error::Error;
use crate::wire::limits::Limits;

/// Bytes that one step may make.
const ROOM: usize = 64 << 10;

/// Takes the content codings of one body off, piece by piece: gzip, deflate, br and zstd; others stay. Thread-safe.
///
/// Args:
///     values: The values of `Content-Encoding`.
///
/// Raises:
///     ValueError: There are too many codings.
#[pyclass(name = "BodyDecoder", module = "proxywhirl._core", frozen)]
pub(crate) struct BodyDecoder {
    core: Mutex<Option<Decoder>>,
}

#[proxywhirl_macros::border]
#[pymethods]
impl BodyDecoder {
    #[new]
    #[allow(clippy::needless_pass_by_value)]
    fn new(values: Vec<Vec<u8>>) -> PyResult<Self> {
        // What comes out is bounded by the caller.
        let limits = Limits { ratio_from: u64::MAX, ..Limits::streamed() };
        let core = Decoder::new(values.iter().map(Vec::as_slice), &limits).map_err(|error| unreadable(&error))?;
        Ok(Self { core: Mutex::new(core) })
    }

    /// Whether there is a coding to take off.
    #[getter]
    fn is_needed(&self) -> bool {
        self.core.lock().is_some()
    }

    /// What comes out of some more data; `None` if that are more than `most` bytes.
    ///
    /// Raises:
    ///     ValueError: The data are not what they are said to be.
    fn feed<'py>(&self, py: Python<'py>, data: &[u8], most: u64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let made = border::detach(py, || self.decoded(data, most)).map_err(|error| unreadable(&error))?;
        Ok(made.map(|bytes| PyBytes::new(py, &bytes)))
    }

    /// There are no more data.
    ///
    /// Raises:
    ///     ValueError: The data are cut off.
    fn end(&self) -> PyResult<()> {
        self.core.lock().as_ref().map_or(Ok(()), Decoder::finish).map_err(|error| unreadable(&error))
    }
}

impl BodyDecoder {
    fn decoded(&self, data: &[u8], most: u64) -> Result<Option<Vec<u8>>, Error> {
        let (mut input, mut made) = (data, Vec::new());
        let mut core = self.core.lock();
        let Some(decoder) = core.as_mut() else { return Ok(Some(data.to_vec())) };
        loop {
            let progress = decoder.decode(&mut input, &mut made, ROOM)?;
            if made.len() as u64 > most {
                return Ok(None);
            }
            if progress == Progress::Drained {
                return Ok(Some(made));
            }
        }
    }
}

fn unreadable(error: &Error) -> PyErr {
    PyValueError::new_err(error.text().to_owned())
}
