//! What came out of a list.

use std::fmt;

use super::dedup::Seen;
use super::excerpt;
use super::fields::Entry;
use super::line::Found;
use super::options::{Format, Limits, Options};
use super::record::ListEntry;
use crate::net::address::{AddressError, Locality, Protocol, locality};

/// Why an entry was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The entry is no proxy's address.
    Address(AddressError),
    /// The entry names this machine or its network, which the list may not.
    Local,
    /// The entry is longer than a line may be.
    TooLong {
        /// How long that is, in bytes.
        limit: usize,
    },
    /// There is no address in it.
    NoAddress,
    /// The entry is of a protocol that is not supported.
    Protocol,
    /// The entry has a login that is not understood; without it the proxy is another.
    Login,
    /// The entry has parts whose meaning is not known; one of them may be a login.
    Extra,
    /// The text around it is damaged; the text says how.
    Broken(Box<str>),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => {
                // The error is worded for a single URL that a user wrote.
                let text = error.to_string();
                f.write_str(text.strip_prefix("Invalid proxy URL: ").unwrap_or(&text))
            }
            Self::Local => f.write_str("the address is of this machine or of a private network"),
            Self::TooLong { limit } => write!(f, "longer than {limit} bytes"),
            Self::NoAddress => f.write_str("there is no address in it"),
            Self::Protocol => f.write_str("the protocol is none of http, https, socks4 and socks5"),
            Self::Login => f.write_str("there is a login in it that is not understood"),
            Self::Extra => f.write_str(
                "what stands beside the address is not understood; it may be a login, so the entry is not used",
            ),
            Self::Broken(text) => f.write_str(text),
        }
    }
}

/// An entry that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The line it was on, from 1; in HTML the number of the row.
    pub line: u32,
    /// Why.
    pub reason: Reason,
    /// The kind of each of its parts, and the signs between.
    pub excerpt: Box<str>,
}

/// What came out of a list.
#[derive(Debug)]
pub struct Parsed {
    /// The proxies, each once, in the order of their first mention.
    pub records: Vec<ListEntry>,
    /// The first of those that were not taken.
    pub rejected: Vec<Rejected>,
    /// Number of entries not taken.
    pub rejected_count: usize,
    /// Entries that named a proxy named before.
    pub duplicates: usize,
    /// Whether no two of the proxies are the same.
    pub distinct: bool,
    /// Blank lines, comments, and rows of names.
    pub blank: usize,
    /// Lines read; in JSON and HTML entries and rows.
    pub lines: usize,
    /// Entries that named a proxy, duplicates included.
    pub accepted: usize,
    /// The layout.
    pub format: Format,
    /// The encoding: "utf-8", "utf-16-le", "utf-16-be", or "unknown-8bit".
    pub encoding: &'static str,
    /// Whether it was packed with gzip.
    pub gzip: bool,
    /// Whether it went on beyond a limit; the last of the rejected says which.
    pub truncated: bool,
    pub(super) seen: Option<Seen>,
    public_only: bool,
    instead_of_http: Option<Protocol>,
    limits: Limits,
}

impl Parsed {
    /// `expected` is about how many entries there are; too much room is given back at the end.
    pub(super) fn new(options: &Options, format: Format, expected: usize) -> Self {
        Self {
            records: Vec::with_capacity(expected),
            rejected: Vec::new(),
            rejected_count: 0,
            duplicates: 0,
            distinct: !options.keep_duplicates,
            blank: 0,
            lines: 0,
            accepted: 0,
            format,
            encoding: "utf-8",
            gzip: false,
            truncated: false,
            seen: (!options.keep_duplicates).then(|| Seen::with_capacity(expected)),
            public_only: options.public_only,
            instead_of_http: options.instead_of_http,
            limits: options.limits,
        }
    }

    /// Takes an entry's record, unless it repeats an earlier one or is not allowed.
    pub(super) fn take(&mut self, record: ListEntry) {
        if self.is_allowed(&record) {
            self.accepted += 1;
            self.keep(record);
        }
    }

    /// Takes an entry: the same place, spoken to in several ways. A part that is not among them counts as one of its own.
    pub(super) fn entry(&mut self, entry: Entry, line: u32, text: &str) {
        let mut records = entry.records.into_iter().peekable();
        if records.peek().is_some_and(|record| self.is_allowed(record)) {
            self.accepted += 1;
            records.for_each(|record| self.keep(record));
        }
        if let Some(reason) = entry.left_out {
            self.lines += 1;
            self.reject(line, reason, text);
        }
    }

    /// Takes what a line came to, which has been counted already. Each further entry on it counts as a line of its own.
    pub(super) fn line(&mut self, found: Found, line: u32, text: &str) {
        self.lines += found.len().saturating_sub(1);
        for one in found {
            match one {
                Ok(entry) => self.entry(entry, line, text),
                Err(reason) => self.reject(line, reason, text),
            }
        }
    }

    fn is_allowed(&mut self, record: &ListEntry) -> bool {
        let allowed = !self.public_only || locality(&record.host) == Locality::Public;
        if !allowed {
            self.reject_shown(record.line, Reason::Local, excerpt(&record.authority()).into());
        }
        allowed
    }

    fn keep(&mut self, mut record: ListEntry) {
        if let Some(protocol) = self.instead_of_http
            && record.protocol == Protocol::Http
        {
            record.protocol = protocol;
        }
        match &mut self.seen {
            Some(seen) => {
                if !seen.add(&mut self.records, record) {
                    self.duplicates += 1;
                }
            }
            None => self.records.push(record),
        }
    }

    pub(super) fn reject(&mut self, line: u32, reason: Reason, text: &str) {
        if self.rejected.len() < self.limits.rejected {
            self.reject_shown(line, reason, excerpt(text).into());
        } else {
            self.rejected_count += 1;
        }
    }

    fn reject_shown(&mut self, line: u32, reason: Reason, excerpt: Box<str>) {
        self.rejected_count += 1;
        if self.rejected.len() < self.limits.rejected {
            self.rejected.push(Rejected { line, reason, excerpt });
        }
    }

    /// Whether as much has been read as one list may cost.
    pub(super) fn is_exhausted(&self) -> bool {
        let hopeless = self.rejected_count >= self.limits.faults && self.rejected_count / 4 > self.accepted;
        hopeless || self.lines >= self.limits.entries
    }

    /// Notes that the list went on, in the place where it was left. This is kept even where nothing else is.
    pub(super) fn cut(&mut self, why: String) {
        self.truncated = true;
        self.lines += 1;
        self.rejected_count += 1;
        let line = u32::try_from(self.lines).unwrap_or(u32::MAX);
        self.rejected.push(Rejected { line, reason: Reason::Broken(why.into()), excerpt: "".into() });
    }

    /// Notes that the rest was not read because of what was.
    pub(super) fn cut_exhausted(&mut self) {
        let Limits { entries, faults, .. } = self.limits;
        self.cut(if self.lines >= entries {
            format!("the rest is not read: a list may have {entries} entries")
        } else {
            format!("the rest is not read: {faults} entries are no proxies already")
        });
    }

    pub(super) fn done(mut self) -> Self {
        self.seen = None;
        if self.records.capacity() > self.records.len() + self.records.len() / 8 {
            self.records.shrink_to_fit();
        }
        self
    }
}
