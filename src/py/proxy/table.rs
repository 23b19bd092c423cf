//! The fields of the core's table, as attributes and as keywords.

use pyo3::prelude::*;
use pyo3::types::PyDateTime;

use crate::proxy::table::{self, proxy_fields};
use crate::py::convert;

use super::PyProxy;
use super::fields::Field;

/// A kind of field, to Python and from there.
trait Kind: Clone {
    type Shown<'py>;
    /// Whether `None` is a value.
    const OPTIONAL: bool;

    fn shown(self, py: Python<'_>) -> PyResult<Self::Shown<'_>>;
    fn checked(value: &Bound<'_, PyAny>) -> PyResult<Self>;
}

impl Kind for table::Count {
    type Shown<'py> = u64;
    const OPTIONAL: bool = false;

    fn shown(self, _: Python<'_>) -> PyResult<u64> {
        Ok(self)
    }

    fn checked(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        convert::count(value)
    }
}

impl Kind for table::Amount {
    type Shown<'py> = Option<f64>;
    const OPTIONAL: bool = true;

    fn shown(self, _: Python<'_>) -> PyResult<Option<f64>> {
        Ok(self)
    }

    fn checked(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        convert::optional_amount(value)
    }
}

impl Kind for table::Flag {
    type Shown<'py> = bool;
    const OPTIONAL: bool = false;

    fn shown(self, _: Python<'_>) -> PyResult<bool> {
        Ok(self)
    }

    fn checked(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        value.extract()
    }
}

impl Kind for table::Text {
    type Shown<'py> = Option<String>;
    const OPTIONAL: bool = true;

    fn shown(self, _: Python<'_>) -> PyResult<Option<String>> {
        Ok(self.map(String::from))
    }

    fn checked(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        convert::optional_text(value)
    }
}

impl Kind for table::Time {
    type Shown<'py> = Option<Bound<'py, PyDateTime>>;
    const OPTIONAL: bool = true;

    fn shown(self, py: Python<'_>) -> PyResult<Option<Bound<'_, PyDateTime>>> {
        convert::optional_datetime(py, self)
    }

    fn checked(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        convert::optional_micros(value)
    }
}

macro_rules! attributes {
    (
        {} $all:tt
        { $($(#[$told_doc:meta])* $told:ident: $told_kind:ident;)* }
        { $($(#[$learned_doc:meta])* $learned:ident: $learned_kind:ident;)* }
    ) => {
        attributes! {
            $($(#[$told_doc])* $told: $told_kind, false;)*
            $($(#[$learned_doc])* $learned: $learned_kind, true;)*
        }
    };
    ($($(#[$doc:meta])* $name:ident: $kind:ident, $is_learned:literal;)*) => {
        #[proxywhirl_macros::border]
        #[pymethods]
        impl PyProxy {
            $(
                $(#[$doc])*
                #[getter]
                #[assigned]
                fn $name<'py>(&self, py: Python<'py>) -> PyResult<<table::$kind as Kind>::Shown<'py>> {
                    Kind::shown(self.core.cold(|cold| cold.$name.clone()), py)
                }
            )*
        }

        pub(super) const TABLE: &[Field] = &[$(Field {
            name: stringify!($name),
            optional: <table::$kind as Kind>::OPTIONAL,
            put: |this, value| {
                let checked = Kind::checked(value)?;
                this.core.set_cold(|cold| cold.$name = checked);
                Ok(())
            },
        }),*];

        /// Name and kind of each field of the table, and whether checks teach it rather than users and lists.
        pub(super) const KINDS: &[(&str, &str, bool)] = &[$((stringify!($name), stringify!($kind), $is_learned)),*];
    };
}

proxy_fields!(attributes! {});
