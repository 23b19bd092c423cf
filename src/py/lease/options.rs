//! What a lease is asked with: the target, what the proxy must be, which proxies are excluded.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::net::address::Protocol;
use crate::pool::context::{Context, Excluded};
use crate::pool::filter::Protocols;
use crate::proxy::Id;
use crate::py::attempts::AttemptLog;
use crate::py::convert;

/// What a lease is asked with besides the strategy.
#[derive(Default)]
pub(crate) struct LeaseOptions<'a, 'py> {
    pub(crate) url: Option<&'a Bound<'py, PyAny>>,
    pub(crate) session_id: Option<&'a str>,
    pub(crate) demands: Demands<'a, 'py>,
    pub(crate) exclude: Option<&'a Bound<'py, PyAny>>,
    pub(crate) context: Option<&'a Bound<'py, PyAny>>,
    pub(crate) connects: bool,
    pub(crate) attempt: u64,
    pub(crate) timeout: Option<&'a Bound<'py, PyAny>>,
    pub(crate) log: Option<&'a Bound<'py, AttemptLog>>,
}

/// What the proxy must be.
#[derive(Clone, Copy, Default)]
pub(crate) struct Demands<'a, 'py> {
    pub(crate) country: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
    pub(crate) tags: Option<&'a Bound<'py, PyAny>>,
    pub(crate) protocol: Option<&'a Bound<'py, PyAny>>,
}

impl LeaseOptions<'_, '_> {
    /// Whether nothing is demanded of the proxy.
    #[inline]
    pub(super) fn is_nothing(&self) -> bool {
        let Demands { country, region, tags, protocol } = self.demands;
        let texts = [self.session_id, country, region];
        let objects = [self.context, tags, protocol];
        texts.iter().all(Option::is_none) && objects.iter().all(Option::is_none) && self.exclude.is_none_or(names_none)
    }

    /// The same as the core wants it, for a strategy that looks at regions by itself, or for one that does not.
    pub(crate) fn context(&self, honours_region: bool) -> PyResult<Context> {
        let mut wanted = match self.context.filter(|context| !context.is_none()) {
            Some(context) => crate::py::context::extract(context)?,
            None => Context::default(),
        };
        wanted.in_rotation = true;
        if let Some(session_id) = self.session_id {
            wanted.session_id = Some(session_id.into());
        }
        narrow(&mut wanted, honours_region, &self.demands)?;
        if let Some(exclude) = self.exclude {
            exclude_more(&mut wanted.excluded, exclude)?;
        }
        Ok(wanted)
    }
}

pub(crate) fn text_of<'py>(url: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    match url.cast::<PyString>() {
        Ok(text) => Ok(text.clone()),
        // A URL object of whatever client.
        Err(_) => url.str(),
    }
}

fn narrow(wanted: &mut Context, honours_region: bool, demands: &Demands<'_, '_>) -> PyResult<()> {
    let Demands { country, region, tags, protocol } = *demands;
    let tags = tags.filter(|tags| !tags.is_none()).map(convert::texts).transpose()?;
    let protocols = protocol.filter(|protocol| !protocol.is_none()).map(protocols).transpose()?;
    wanted.demand(country, region, tags.as_deref(), protocols, honours_region);
    Ok(())
}

/// One protocol, or several that would do.
fn protocols(value: &Bound<'_, PyAny>) -> PyResult<Protocols> {
    let names = if value.is_instance_of::<PyString>() { vec![convert::text(value)?] } else { convert::texts(value)? };
    let known = |name: &str| {
        // What a letter says of names is not a protocol.
        Protocol::parse(name).ok_or_else(|| {
            PyValueError::new_err(format!("protocol must be http, https, socks4 or socks5, not {name:?}"))
        })
    };
    let found = names.iter().map(|name| known(name)).collect::<PyResult<Protocols>>()?;
    if found.is_empty() {
        return Err(PyValueError::new_err("protocol must name a protocol, or several"));
    }
    Ok(found)
}

/// Whether no proxy is named.
fn names_none(exclude: &Bound<'_, PyAny>) -> bool {
    exclude.is_none() || exclude.len().is_ok_and(|len| len == 0)
}

/// Adds identifiers to a set of proxies.
pub(crate) fn exclude_more(excluded: &mut Excluded, exclude: &Bound<'_, PyAny>) -> PyResult<()> {
    if names_none(exclude) {
        return Ok(());
    }
    if exclude.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("exclude must be an iterable of proxy ids, not one string"));
    }
    let mut ids: Vec<Id> = excluded.ids().collect();
    for item in exclude.try_iter()? {
        ids.extend(convert::id_of(&item?));
    }
    *excluded = Excluded::new(ids);
    Ok(())
}
