//! What may be shown of URLs, texts and what a proxy says: the rules of [`crate::net::redact`] for Python.

use pyo3::prelude::*;

use crate::net::redact::{LoginSecrets, text};

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

/// Drops the user information of a URL and hides the values of secret query parameters.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn redact_url(url: &str) -> String {
    text::redact_url(url)
}

/// Replaces the user information of a URL by a mask; a URL without any comes back unchanged.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn mask_url(url: &str) -> String {
    text::mask_url(url)
}

/// A URL as an error may quote it: with a mask for credentials, and only if what is left is an address.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn shown_url(url: &str) -> String {
    text::shown_url(url)
}

/// Hides the credentials of every URL that occurs in a text.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn scrub_text(message: &str) -> String {
    text::scrub_text(message)
}

/// Whether a key speaks of a password, secret, token, API key, credential or user name.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn is_secret_key(key: &str) -> bool {
    text::is_secret_key(key)
}

/// Whether a value is a word that an error may quote.
#[proxywhirl_macros::border]
#[pyfunction]
pub(crate) fn is_plain_name(value: &str) -> bool {
    text::is_plain_name(value)
}
