//! `LoginSecrets`: a login, hidden wherever a proxy repeats it.

use pyo3::prelude::*;

use crate::net::redact::LoginSecrets;

/// A login, and how it looks when a proxy repeats it: in clear, quoted for URLs, HTML or Python, in base64. Thread-safe.
///
/// Args:
///     username: The user name. It is taken for a secret where it is the whole login, as an API key is, or where it is no
///         plain word.
///     password: The password.
#[pyclass(name = "LoginSecrets", module = "proxywhirl._core", frozen)]
pub(crate) struct PyLoginSecrets {
    core: LoginSecrets,
}

#[proxywhirl_macros::border]
#[pymethods]
impl PyLoginSecrets {
    #[new]
    fn new(username: &str, password: &str) -> Self {
        Self { core: LoginSecrets::new(username, password) }
    }

    /// The secrets of a value of `Proxy-Authorization`.
    ///
    /// Args:
    ///     value: The value, of whatever scheme.
    #[staticmethod]
    fn of_authorization(value: &[u8]) -> Self {
        Self { core: LoginSecrets::of_authorization(value) }
    }

    /// Whether the login is in a text that a site may have written: only what is not met by chance counts.
    fn gives_away(&self, text: &str) -> bool {
        self.core.are_given_away_by(text)
    }

    /// Whether the login, or a part of it that is secret, is in a text.
    fn occur_in(&self, text: &str) -> bool {
        self.core.occur_in(text)
    }

    /// The text with the login hidden.
    fn scrub(&self, text: &str) -> String {
        self.core.scrub(text)
    }

    fn __repr__(&self) -> &'static str {
        "<secrets>"
    }
}
