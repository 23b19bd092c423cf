//! What can be wrong with a fleet: what was asked of it, or the machine under it.

use std::{fmt, io};

/// A field of a specification that holds a value it cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// The field, by its public name.
    pub field: &'static str,
    /// What is wrong with it and what would be right.
    pub reason: String,
}

impl SpecError {
    pub(crate) fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

impl std::error::Error for SpecError {}

/// Why a fleet did not start or did not carry out a change.
#[derive(Debug)]
#[non_exhaustive]
pub enum FleetError {
    /// The specification is wrong.
    Spec(SpecError),
    /// A socket, a thread or the runtime could not be had.
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The certificates could not be made.
    Certificate(String),
    /// There is no proxy with this index.
    NoSuchProxy {
        /// The index asked for.
        index: usize,
        /// How many proxies there are.
        proxies: usize,
    },
    /// The fleet was stopped.
    Stopped,
    /// The fleet lives in another process, from which this one was forked.
    Forked,
}

impl FleetError {
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

impl From<SpecError> for FleetError {
    fn from(error: SpecError) -> Self {
        Self::Spec(error)
    }
}

impl fmt::Display for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spec(error) => error.fmt(f),
            Self::Io { doing, source } => write!(f, "{doing} failed: {source}"),
            Self::Certificate(reason) => write!(f, "making certificates failed: {reason}"),
            Self::NoSuchProxy { index, proxies } => {
                write!(f, "no proxy {index} in a fleet of {proxies}")
            }
            Self::Stopped => f.write_str("the fleet is stopped"),
            Self::Forked => {
                f.write_str("the fleet belongs to the process that started it; start another one after the fork")
            }
        }
    }
}

impl std::error::Error for FleetError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Spec(error) => Some(error),
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
