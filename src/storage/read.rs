//! Reading every documented form: the object with `proxies`, a bare list, and JSON Lines.

use std::fmt;

use ahash::AHashMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::gzip::{is_gzipped, unpack};
use super::record::{SEALED, SavedProxy};
use super::restore::is_masked;
use super::seal::Secret;
use crate::net::address::Address;

/// A file that has been read, and not yet been made into proxies.
#[derive(Debug, Default)]
pub struct Image {
    /// Name of the pool, if it says.
    pub name: Option<String>,
    /// The pool's `config`, as JSON.
    pub settings: Option<String>,
    /// The proxies, in order.
    pub entries: Vec<Entry>,
    /// Whether it was JSON Lines.
    pub lines: bool,
    /// Whether its end was cut off, and left out: the last line, or the last member of a gzipped file.
    pub torn: bool,
}

/// One proxy of a file.
#[derive(Debug)]
pub enum Entry {
    /// In the usual form.
    Known(Box<SavedProxy>, Address),
    /// Anything else, as JSON: for the embedding program to accept or to explain.
    Odd(String),
}

/// Why a file cannot be read. Never quotes it: it may hold passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// There is nothing in it.
    Empty,
    /// Neither JSON nor JSON Lines; where reading stopped.
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// The first lines are JSON, this one is not.
    BadLine(usize),
    /// JSON, but not of proxies.
    NoProxies,
    /// Gzipped, and something in it is not as it was written; or not even its first line is whole.
    BadGzip,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::NotJson { line, column } => {
                write!(f, "is neither JSON nor JSON Lines (line {line}, column {column}): damaged or cut off")
            }
            Self::BadLine(line) => write!(f, "is damaged: line {line} is not JSON"),
            Self::BadGzip => f.write_str("is gzipped, and damaged or cut off"),
            Self::NoProxies => f.write_str("holds neither a list of proxies nor an object with one under 'proxies'"),
        }
    }
}

impl std::error::Error for ReadError {}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(default)]
    pool_name: Option<String>,
    #[serde(borrow, default)]
    proxies: Option<&'a RawValue>,
    #[serde(borrow, default)]
    config: Option<&'a RawValue>,
}

impl Image {
    /// Reads a file's contents, gzipped or not. What was cut off at its end is left out, and said in `torn`.
    ///
    /// `appended` says that the file is known to be written line by line: then nothing at all is a list of none, and
    /// even the only line may have been cut off.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(data: &[u8], appended: bool) -> Result<Self, ReadError> {
        if !is_gzipped(data) {
            return Self::plain(data, appended);
        }
        let unpacked = unpack(data)?;
        match Self::plain(&unpacked.bytes, appended) {
            Ok(image) if unpacked.torn && !image.lines => Err(ReadError::BadGzip),
            Ok(image) => Ok(Self { torn: image.torn || unpacked.torn, ..image }),
            Err(_) if unpacked.torn => Err(ReadError::BadGzip),
            Err(error) => Err(error),
        }
    }

    fn plain(data: &[u8], appended: bool) -> Result<Self, ReadError> {
        let data = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
        let Some(start) = data.iter().position(|byte| !byte.is_ascii_whitespace()) else {
            return if appended { Ok(Self { lines: true, ..Self::default() }) } else { Err(ReadError::Empty) };
        };
        let whole = match data[start] {
            b'[' => Self::list(data),
            b'{' => Self::object(data),
            _ => Err(ReadError::NoProxies),
        };
        match whole {
            Ok(image) => Ok(image),
            // An object per line is not one document; nor is a line that does not begin like one.
            Err(ReadError::NotJson { line, column }) if data[start] != b'[' => {
                Self::lines(data, appended).map_err(|error| match error {
                    ReadError::BadLine(1) => ReadError::NotJson { line, column },
                    error => error,
                })
            }
            Err(ReadError::NoProxies) if data[start] == b'"' => Self::lines(data, appended),
            Err(ReadError::NoProxies) if !data[start..].starts_with(b"{") => Err(Self::what_else(data)),
            Err(error) => Err(error),
        }
    }

    fn what_else(data: &[u8]) -> ReadError {
        match serde_json::from_slice::<serde::de::IgnoredAny>(data) {
            Ok(_) => ReadError::NoProxies,
            Err(error) => not_json(&error),
        }
    }

    fn list(data: &[u8]) -> Result<Self, ReadError> {
        let items: Vec<&RawValue> = serde_json::from_slice(data).map_err(|error| not_json(&error))?;
        Ok(Self { entries: items.into_iter().map(|item| entry(item.get())).collect(), ..Self::default() })
    }

    fn object(data: &[u8]) -> Result<Self, ReadError> {
        let document: Document<'_> = match serde_json::from_slice(data) {
            Ok(document) => document,
            Err(error) if error.is_data() => return Err(ReadError::NoProxies),
            Err(error) => return Err(not_json(&error)),
        };
        let Some(proxies) = document.proxies else {
            let text = std::str::from_utf8(data).map_err(|_| ReadError::NotJson { line: 1, column: 1 })?;
            return match entry(text.trim()) {
                known @ Entry::Known(..) => Ok(Self { entries: vec![known], lines: true, ..Self::default() }),
                Entry::Odd(_) if has_url(data) => {
                    Ok(Self { entries: vec![Entry::Odd(text.to_owned())], lines: true, ..Self::default() })
                }
                Entry::Odd(_) => Err(ReadError::NoProxies),
            };
        };
        let items: Vec<&RawValue> = serde_json::from_str(proxies.get()).map_err(|_| ReadError::NoProxies)?;
        Ok(Self {
            name: document.pool_name,
            settings: document.config.map(|config| config.get().to_owned()),
            entries: items.into_iter().map(|item| entry(item.get())).collect(),
            ..Self::default()
        })
    }

    fn lines(data: &[u8], appended: bool) -> Result<Self, ReadError> {
        let mut image = Self { lines: true, ..Self::default() };
        // A later line of an identifier takes the place of an earlier one: that is how changes are appended.
        let mut places: AHashMap<Box<str>, usize> = AHashMap::new();
        let mut kept: Vec<Option<Entry>> = Vec::new();
        let ended = data.ends_with(b"\n");
        let count = data.split(|byte| *byte == b'\n').count();
        for (index, line) in data.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let last = index + 1 == count && !ended && (index > 0 || appended);
            let found = match serde_json::from_slice::<SavedProxy>(line) {
                Ok(SavedProxy { id: Some(id), removed: Some(true), .. }) => {
                    if let Some(place) = places.remove(&id) {
                        kept[place] = None;
                    }
                    continue;
                }
                Ok(record) => usual(record).unwrap_or_else(|| Entry::Odd(String::from_utf8_lossy(line).into_owned())),
                Err(_) => match serde_json::from_slice::<&RawValue>(line) {
                    Ok(text) => entry(text.get()),
                    Err(_) if last => {
                        image.torn = true;
                        break;
                    }
                    Err(_) => return Err(ReadError::BadLine(index + 1)),
                },
            };
            let id = match &found {
                Entry::Known(record, _) => record.id.clone(),
                Entry::Odd(_) => None,
            };
            match id.and_then(|id| match places.get(&id) {
                Some(place) => Some(*place),
                None => {
                    places.insert(id, kept.len());
                    None
                }
            }) {
                Some(place) => kept[place] = Some(found),
                None => kept.push(Some(found)),
            }
        }
        image.entries = kept.into_iter().flatten().collect();
        Ok(image)
    }

    /// The sealed texts in it, each with what it must be bound to.
    #[must_use]
    pub fn sealed(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for entry in &self.entries {
            let Entry::Known(record, address) = entry else { continue };
            for (secret, text) in [
                (Secret::Username, &record.username),
                (Secret::Password, &record.password),
                (Secret::SourceUrl, &record.source_url),
            ] {
                if let Some(text) = text.as_deref().filter(|text| text.starts_with(SEALED)) {
                    found.push((text.to_owned(), record.binding(secret.field(), address)));
                }
            }
        }
        found
    }
}

fn not_json(error: &serde_json::Error) -> ReadError {
    ReadError::NotJson { line: error.line(), column: error.column() }
}

fn has_url(data: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Any<'a> {
        #[serde(borrow)]
        url: Option<&'a RawValue>,
    }
    serde_json::from_slice::<Any<'_>>(data).is_ok_and(|any| any.url.is_some())
}

fn entry(text: &str) -> Entry {
    if text.starts_with('"') {
        let Ok(url) = serde_json::from_str::<Box<str>>(text) else { return Entry::Odd(text.to_owned()) };
        return match Address::parse_line(url.trim()) {
            Ok(address) if !is_masked(&address) => {
                let url = if url.contains("://") { url.trim().into() } else { address.bare_url().into_boxed_str() };
                Entry::Known(Box::new(SavedProxy { url: Some(url), ..SavedProxy::default() }), address)
            }
            _ => Entry::Odd(text.to_owned()),
        };
    }
    serde_json::from_str(text).ok().and_then(usual).unwrap_or_else(|| Entry::Odd(text.to_owned()))
}

/// The entry of a record in which everything is as usual.
fn usual(record: SavedProxy) -> Option<Entry> {
    let address = Address::parse(record.url.as_deref()?).ok()?;
    record.is_plausible(&address).then(|| Entry::Known(Box::new(record), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str) -> Vec<String> {
        let image = Image::read(text.as_bytes(), false).unwrap();
        let built = image.entries.iter().map(|entry| match entry {
            Entry::Known(record, address) => record.build(address, &AHashMap::new(), 0).url(),
            Entry::Odd(text) => format!("odd: {text}"),
        });
        built.collect()
    }

    #[test]
    fn reads_every_documented_form() {
        let record = r#"{"url": "http://a.test:1", "health_status": "DEAD", "source": "user"}"#;
        for text in [
            format!(r#"{{"version": "1.0", "proxies": [{record}], "config": {{"strategy": "random"}}}}"#),
            format!("\u{feff}[{record}]"),
            format!("{record}\n"),
            record.to_owned(),
            r#"["a.test:1"]"#.to_owned(),
            r#"  ["http://a.test:1"]"#.to_owned(),
            "\"a.test:1\"\n".to_owned(),
        ] {
            assert_eq!(urls(&text), ["http://a.test:1"], "{text}");
        }
    }

    #[test]
    fn later_lines_take_the_place_of_earlier_ones() {
        let id = |n: u8| format!("00000000-0000-4000-8000-00000000000{n}");
        let line = |n: u8, host: &str| format!("{{\"id\": \"{}\", \"url\": \"http://{host}.test:1\"}}\n", id(n));
        let gone = format!("{{\"id\": \"{}\", \"removed\": true}}\n", id(2));
        let text = [line(1, "a"), line(2, "b"), line(3, "c"), gone, line(1, "d"), line(2, "e")].concat();
        assert_eq!(urls(&text), ["http://d.test:1", "http://c.test:1", "http://e.test:1"]);
        let image = Image::read(&text.as_bytes()[..text.len() - 5], false).unwrap();
        assert!(image.torn);
        assert_eq!(image.entries.len(), 2);
    }

    #[test]
    fn a_file_of_lines_may_be_cut_anywhere() {
        let line = |n: u8| {
            format!("{{\"id\": \"00000000-0000-4000-8000-00000000000{n}\", \"url\": \"http://ü{n}.test:1\"}}\n")
        };
        let text = [line(1), line(2), line(3)].concat().into_bytes();
        for cut in 0..text.len() {
            let image = Image::read(&text[..cut], true).unwrap();
            let whole = text[..cut].iter().filter(|byte| **byte == b'\n').count();
            // The last line may be whole but for its end.
            assert!(matches!(image.entries.len() - whole, 0 | 1), "cut at {cut}");
            assert!(image.lines);
            let in_a_line = cut > 0 && text[cut - 1] != b'\n' && image.entries.len() == whole;
            assert_eq!(image.torn, in_a_line, "cut at {cut}");
        }
        let zeros = [&*text, &[0; 9]].concat();
        assert!(Image::read(&zeros, true).is_ok_and(|image| image.torn && image.entries.len() == 3));
    }

    #[test]
    fn says_what_is_wrong_without_quoting() {
        for (text, error) in [
            ("", ReadError::Empty),
            ("{\"proxies\": 3}", ReadError::NoProxies),
            ("{\"a\": \"secret\"}", ReadError::NoProxies),
            ("7", ReadError::NoProxies),
            ("[1,", ReadError::NotJson { line: 1, column: 3 }),
            ("{\"url\": \"http://a.test:1\"}\nsecret\n", ReadError::BadLine(2)),
        ] {
            assert_eq!(Image::read(text.as_bytes(), false).err(), Some(error), "{text:?}");
        }
        // An unusual record is left to the caller, which can explain it.
        assert!(matches!(
            &Image::read(b"[{\"url\": 3}, 4]", false).unwrap().entries[..],
            [Entry::Odd(_), Entry::Odd(_)]
        ));
    }
}
