//! Options of a list reader.

use super::label::{Label, Labels};
use crate::net::address::Protocol;

/// How a list is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One proxy per line.
    Text,
    /// Values with commas (or semicolons, or bars) between them, most often under a row of names.
    Csv,
    /// Values with tabs between them.
    Tsv,
    /// One JSON document: a list, an object around one, or one per protocol.
    Json,
    /// One JSON value per line.
    JsonLines,
    /// A page with tables.
    Html,
}

impl Format {
    /// Every layout.
    pub const ALL: [Self; 6] = [Self::Text, Self::Csv, Self::Tsv, Self::Json, Self::JsonLines, Self::Html];

    /// Name of the format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "plain_text",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::JsonLines => "json_lines",
            Self::Html => "html_table",
        }
    }

    /// The layout of that name, in any case, under any of its usual names.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "plain_text" | "text" | "txt" | "plain" | "list" => Self::Text,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "json" => Self::Json,
            "json_lines" | "jsonl" | "ndjson" | "jsonlines" => Self::JsonLines,
            "html_table" | "html" | "htm" => Self::Html,
            _ => return None,
        })
    }
}

/// How much a list may hold. What is beyond is refused or cut off, and said so.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the list, unpacked.
    pub bytes: usize,
    /// Bytes of one line, one row or one value; a longer one is rejected.
    pub line: usize,
    /// Rejections whose place, reason and excerpt are kept; all are counted.
    pub rejected: usize,
    /// Entries, blank lines included.
    pub entries: usize,
    /// Entries that cannot be read, before the rest is given up; if they are more than four in five of all.
    pub faults: usize,
    /// How many times its packed size a list may have unpacked, from 16 MiB on.
    pub expansion: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 512 << 20, line: 8 << 10, rejected: 10_000, entries: 10_000_000, faults: 200_000, expansion: 100 }
    }
}

/// What is known about a list beforehand.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Layout of the list; recognised when not given.
    pub format: Option<Format>,
    /// How proxies are spoken to that do not say so themselves; HTTP when not given.
    pub protocol: Option<Protocol>,
    /// How proxies are spoken to that would be HTTP otherwise, whatever the list says.
    pub instead_of_http: Option<Protocol>,
    /// Refuse this machine and its network: what strangers' lists must not name.
    pub public_only: bool,
    /// In JSON, the name of the list.
    pub key: Option<Box<str>>,
    /// In HTML, which tables: a CSS selector of tags, classes, identifiers and descendants.
    pub selector: Option<Box<str>>,
    /// What columns are called, for tables without a row of names, or instead of it.
    pub columns: Vec<Box<str>>,
    /// Names of columns, and the usual names that are meant by them.
    pub renames: Vec<(Box<str>, Box<str>)>,
    /// The delimiter of values; recognised when not given.
    pub delimiter: Option<u8>,
    /// Keep what repeats an earlier proxy.
    pub keep_duplicates: bool,
    /// How much the list may hold.
    pub limits: Limits,
}

impl Options {
    /// What is said about all entries beforehand.
    pub(super) fn labels(&self) -> Labels {
        self.protocol.map_or_else(Labels::default, |protocol| Labels::of(Label::Speaks(protocol)))
    }
}
