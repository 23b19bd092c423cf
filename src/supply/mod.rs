//! Lists of proxies as they are found: read in any shape, deduplicated, checked.
//!
//! [`parse`] reads a list that is in memory, [`parse_reader`] one that comes in pieces. Both find out by themselves how it
//! is packed, encoded and laid out unless [`Options`] says so, and account for every line: it named proxies, was blank or
//! a comment, or is in [`Parsed::rejected`] with the reason.
//!
//! Time and memory are linear in the size of the input, and both the size and the work are limited ([`Limits`]); nothing
//! here panics on any input.

#[cfg(feature = "check")]
pub mod check;
mod column;
mod countries;
mod dedup;
mod delimited;
mod detect;
mod fields;
mod html;
mod json;
mod label;
mod line;
mod logins;
mod note;
mod options;
mod parsed;
mod read;
mod record;
mod text;
mod visit;
mod words;

pub use dedup::{Score, Seen};
pub use fields::Fields;
pub use options::{Format, Limits, Options};
pub use parsed::{Parsed, Reason, Rejected};
pub use read::{ReadError, parse, parse_reader};
pub use record::{Anonymity, Details, ListEntry};

/// What an unreadable entry of a list consists of, fit to be shown: see [`crate::net::redact::excerpt::excerpt`].
#[must_use]
pub fn excerpt(text: &str) -> String {
    crate::net::redact::excerpt::excerpt(text, |word| label::Label::parse(word).is_some())
}
