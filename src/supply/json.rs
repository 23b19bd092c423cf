//! Lists in JSON, of any shape: whatever object names a place is an entry, whatever text is an address is one, and the
//! names of what stands around them may tell the protocol. `serde_json` reads; values are visited where they lie, so that
//! nothing but the entries takes memory.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{Column, Fields};
use super::options::Options;
use super::parsed::{Parsed, Reason};
use super::text;
use crate::proxy::address::{Address, Protocol};

/// Lists within lists deeper than this are not looked into.
const DEEPEST: usize = 32;
/// Names under which a list of texts is meant to be one of proxies, and so each is accounted for.
const LIST_NAMES: [&str; 9] = ["proxies", "proxy", "data", "list", "results", "items", "proxy_list", "hosts", "ips"];

/// Reads a document, or several one behind the other.
pub(super) fn document(data: &str, options: &Options, parsed: &mut Parsed) {
    let mut walk = Walk::new(data, options, parsed);
    let mut values = serde_json::Deserializer::from_str(data).into_iter::<&RawValue>();
    loop {
        match values.next() {
            Some(Ok(value)) => walk.top(value),
            Some(Err(error)) => {
                let at = values.byte_offset().min(data.len());
                // What came before the damage is not lost: the elements up to there are read one by one.
                walk.salvage(data.get(at..).unwrap_or(""), &error);
                return;
            }
            None => return,
        }
    }
}

/// Reads one value per line.
pub(super) fn lines(data: &str, options: &Options, parsed: &mut Parsed) {
    if data.is_empty() {
        return;
    }
    // The end of the last line begins no other.
    for (number, line) in data.strip_suffix('\n').unwrap_or(data).split('\n').enumerate() {
        let line = line.trim();
        let number = number as u32 + 1;
        if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
            parsed.blank += 1;
            parsed.lines += 1;
            continue;
        }
        if line.len() > options.limits.line {
            parsed.lines += 1;
            parsed.reject(number, Reason::TooLong { limit: options.limits.line }, line);
            continue;
        }
        match serde_json::from_str::<&RawValue>(line) {
            Ok(value) => {
                let before = (parsed.accepted, parsed.rejected_count);
                let mut walk = Walk::new(line, options, parsed);
                walk.line = number;
                walk.fixed_line = true;
                walk.top(value);
                if (parsed.accepted, parsed.rejected_count) == before {
                    parsed.lines += 1;
                    parsed.reject(number, Reason::NoAddress, line);
                }
            }
            Err(error) => {
                parsed.lines += 1;
                parsed.reject(number, broken(&error), line);
            }
        }
    }
}

fn broken(error: &serde_json::Error) -> Reason {
    // serde's own text may quote the value; its category does not.
    let what = match error.classify() {
        serde_json::error::Category::Eof => "the JSON ends too early",
        serde_json::error::Category::Io => "the JSON cannot be read",
        _ => "this is not JSON",
    };
    Reason::Broken(format!("{what} (column {})", error.column()).into())
}

struct Walk<'d, 'p> {
    data: &'d str,
    protocol: Option<Protocol>,
    key: Option<&'p str>,
    longest: usize,
    parsed: &'p mut Parsed,
    // Where lines have been counted up to. Values are visited in order, mostly; looking back starts over.
    offset: usize,
    line: u32,
    fixed_line: bool,
}

impl<'d, 'p> Walk<'d, 'p> {
    fn new(data: &'d str, options: &'p Options, parsed: &'p mut Parsed) -> Self {
        Self {
            data,
            protocol: options.protocol,
            key: options.key.as_deref(),
            longest: options.limits.line,
            parsed,
            offset: 0,
            line: 1,
            fixed_line: false,
        }
    }

    fn top(&mut self, value: &'d RawValue) {
        let hint = Hint { protocol: self.protocol, list: true };
        match self.key {
            None => self.value(value.get(), hint, 0),
            Some(key) => {
                let mut found = None;
                visit_map(value.get(), |name, inner| {
                    if name == key {
                        found = Some(inner);
                    }
                });
                match found {
                    Some(inner) => self.value(inner, hint, 0),
                    None => {
                        let line = self.line_of(value.get());
                        let reason = format!("there is nothing under the name {key:?}");
                        self.refuse(line, Reason::Broken(reason.into()), "");
                    }
                }
            }
        }
    }

    /// The line on which a piece of the data begins.
    fn line_of(&mut self, piece: &str) -> u32 {
        if self.fixed_line {
            return self.line;
        }
        let offset = (piece.as_ptr() as usize).wrapping_sub(self.data.as_ptr() as usize).min(self.data.len());
        if offset >= self.offset {
            let between = &self.data.as_bytes()[self.offset..offset];
            self.line += memchr::memchr_iter(b'\n', between).count() as u32;
            self.offset = offset;
        }
        self.line
    }

    fn refuse(&mut self, line: u32, reason: Reason, text: &str) {
        self.parsed.lines += 1;
        self.parsed.reject(line, reason, text);
    }

    fn value(&mut self, raw: &'d str, hint: Hint, depth: usize) {
        if depth > DEEPEST {
            let line = self.line_of(raw);
            self.refuse(line, Reason::Broken("lists within lists too deep to look into".into()), "");
            return;
        }
        match raw.as_bytes().first() {
            Some(b'[') => self.list(raw, hint, depth),
            Some(b'{') => {
                self.object(raw, hint, depth);
            }
            Some(b'"') if depth == 0 => {
                let line = self.line_of(raw);
                if let Err((reason, text)) = self.text(raw, line, hint.protocol) {
                    self.refuse(line, reason, &text);
                }
            }
            _ => {}
        }
    }

    fn list(&mut self, raw: &'d str, hint: Hint, depth: usize) {
        let mut strange: Vec<(u32, Reason, String)> = Vec::new();
        let mut entries = 0_usize;
        let mut strange_count = 0_usize;
        let most = 10_000;
        visit_list(raw, |element| {
            let line = self.line_of(element);
            let outcome = match element.as_bytes().first() {
                Some(b'"') => self.text(element, line, hint.protocol).map(|()| true),
                Some(b'{') => Ok(self.object(element, hint, depth + 1)),
                Some(b'[') => Ok(self.row(element, line, hint, depth + 1)),
                _ => Err((Reason::NoAddress, element.to_owned())),
            };
            match outcome {
                Ok(true) => entries += 1,
                Ok(false) => {
                    strange_count += 1;
                    if strange.len() < most {
                        strange.push((line, Reason::NoAddress, String::new()));
                    }
                }
                Err((reason, text)) => {
                    strange_count += 1;
                    if strange.len() < most {
                        strange.push((line, reason, text));
                    }
                }
            }
        });
        // In a list of proxies, whatever is none is reported; a list of something else is not one of proxies at all.
        if entries > 0 || hint.list {
            self.parsed.lines += strange_count;
            for (line, reason, text) in strange.drain(..) {
                self.parsed.reject(line, reason, &text);
                strange_count -= 1;
            }
            self.parsed.rejected_count += strange_count;
        }
    }

    /// A list within a list: `["1.2.3.4", 80, "http"]`, or just another list.
    fn row(&mut self, raw: &'d str, line: u32, hint: Hint, depth: usize) -> bool {
        let mut values: Vec<Cow<'d, str>> = Vec::new();
        let mut flat = true;
        visit_list(raw, |element| match scalar(element) {
            Some(value) if values.len() < 64 => values.push(value),
            _ => flat = false,
        });
        if flat
            && values.len() > 1
            && values.first().is_some_and(|first| Address::parse_line(first).is_err())
            && let Some(columns) = super::delimited::guess(&values)
        {
            let mut fields = Fields::default();
            for (column, value) in columns.into_iter().zip(&values) {
                if let Some(column) = column {
                    fields.put(column, value);
                }
            }
            return self.entry(fields, raw, line, hint);
        }
        self.value(raw, hint, depth);
        true
    }

    fn text(&mut self, raw: &'d str, line: u32, protocol: Option<Protocol>) -> Result<(), (Reason, String)> {
        if raw.len() > self.longest {
            return Err((Reason::TooLong { limit: self.longest }, String::new()));
        }
        let text: Cow<'d, str> = scalar(raw).unwrap_or_default();
        match text::read(text.trim(), line, protocol) {
            Ok(record) => {
                self.parsed.lines += 1;
                self.parsed.take(record);
                Ok(())
            }
            Err(reason) => Err((reason, text.into_owned())),
        }
    }

    /// An object: an entry, or something around others. Whether it was either.
    fn object(&mut self, raw: &'d str, hint: Hint, depth: usize) -> bool {
        let mut fields = Fields::default();
        let mut inner: Vec<(Cow<'d, str>, &'d str)> = Vec::new();
        visit_map(raw, |name, value| match value.as_bytes().first() {
            Some(b'{') => inner.push((name, value)),
            Some(b'[') => match Column::named(&name) {
                Some(column @ (Column::Protocol | Column::Tags | Column::Anonymity)) => {
                    visit_list(value, |element| {
                        if let Some(text) = scalar(element) {
                            fields.put(column, &text);
                        }
                    });
                }
                _ => inner.push((name, value)),
            },
            _ => {
                if let Some(text) = scalar(value)
                    && value.len() <= self.longest
                {
                    fields.set(&name, &text);
                }
            }
        });
        if fields.is_entry() {
            for (name, value) in inner {
                // {"location": {"country": ...}}, {"geo": {...}}: said about the same proxy.
                if value.starts_with('{') && !LIST_NAMES.contains(&&*name.to_ascii_lowercase()) {
                    visit_map(value, |name, value| {
                        if let (Some(text), Some(column)) = (scalar(value), Column::named(&name))
                            && !matches!(column, Column::Place | Column::Port | Column::Tags)
                        {
                            fields.put(column, &text);
                        }
                    });
                }
            }
            let line = self.line_of(raw);
            return self.entry(fields, raw, line, hint);
        }
        let mut around = false;
        for (name, value) in inner {
            around = true;
            let named = Protocol::parse(&name);
            let list = named.is_some() || LIST_NAMES.contains(&&*name.to_ascii_lowercase());
            let inner_hint = Hint { protocol: named.or(hint.protocol), list };
            // {"1.2.3.4:80": {"country": ...}}: the name is the address.
            if value.starts_with('{')
                && name.len() <= self.longest
                && let Ok(address) = Address::parse_line(&name)
            {
                let mut fields = Fields::default();
                fields.put(Column::Place, &name);
                visit_map(value, |name, value| {
                    if let Some(text) = scalar(value)
                        && Column::named(&name) != Some(Column::Place)
                    {
                        fields.set(&name, &text);
                    }
                });
                debug_assert!(address.port.is_some());
                let line = self.line_of(value);
                self.entry(fields, value, line, inner_hint);
                continue;
            }
            self.value(value, inner_hint, depth + 1);
        }
        around
    }

    fn entry(&mut self, fields: Fields, raw: &str, line: u32, hint: Hint) -> bool {
        match fields.finish(line, hint.protocol) {
            Ok(records) => {
                self.parsed.lines += 1;
                self.parsed.take_all(records);
            }
            // An object may hold a password anywhere.
            Err(reason) => self.refuse(line, reason, if raw.starts_with('{') { "{…}" } else { "[…]" }),
        }
        true
    }

    /// What can be had of a document that breaks off or is damaged: the elements of its lists in front of the damage.
    fn salvage(&mut self, rest: &'d str, error: &serde_json::Error) {
        self.whole_parts(rest.trim_start(), Hint { protocol: self.protocol, list: true }, 0);
        self.refuse(error.line() as u32, broken(error), "");
    }

    fn whole_parts(&mut self, rest: &'d str, hint: Hint, depth: usize) {
        if rest.starts_with('[') {
            self.list(rest, hint, depth);
        }
        if !rest.starts_with('{') || depth > DEEPEST {
            return;
        }
        let mut end = 1;
        visit_map(rest, |name, value| {
            end = value.as_ptr() as usize - rest.as_ptr() as usize + value.len();
            let named = Protocol::parse(&name).or(hint.protocol);
            self.value(value, Hint { protocol: named, list: true }, depth + 1);
        });
        // The value that is not whole is the one that the list was in, as a rule.
        let after = rest[end..].trim_start_matches(|c: char| c == ',' || c.is_whitespace());
        let mut names = serde_json::Deserializer::from_str(after).into_iter::<&RawValue>();
        let Some(Ok(name)) = names.next() else { return };
        let named = scalar(name.get()).and_then(|name| Protocol::parse(&name)).or(hint.protocol);
        if let Some(value) = after[names.byte_offset()..].trim_start().strip_prefix(':') {
            self.whole_parts(value.trim_start(), Hint { protocol: named, list: true }, depth + 1);
        }
    }
}

#[derive(Clone, Copy)]
struct Hint {
    protocol: Option<Protocol>,
    /// Whether texts in a list here are meant to be proxies.
    list: bool,
}

/// A text, number or truth value as text.
fn scalar(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' => {
            let inner = raw.get(1..raw.len() - 1)?;
            if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
                return Some(Cow::Borrowed(inner));
            }
            serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
        }
        b'[' | b'{' | b'n' => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

/// Calls back with each element of a list, as far as the list can be read.
fn visit_list<'d>(raw: &'d str, each: impl FnMut(&'d str)) {
    struct Elements<F>(F);
    impl<'d, F: FnMut(&'d str)> Visitor<'d> for Elements<F> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_seq<A: SeqAccess<'d>>(mut self, mut access: A) -> Result<(), A::Error> {
            while let Some(element) = access.next_element::<&'d RawValue>()? {
                (self.0)(element.get());
            }
            Ok(())
        }
    }
    // An error ends the elements; whoever read the whole has met it, or meets it.
    let _ = serde_json::Deserializer::from_str(raw).deserialize_seq(Elements(each));
}

/// Calls back with each name and value of an object, as far as the object can be read.
fn visit_map<'d>(raw: &'d str, each: impl FnMut(Cow<'d, str>, &'d str)) {
    struct Entries<F>(F);
    impl<'d, F: FnMut(Cow<'d, str>, &'d str)> Visitor<'d> for Entries<F> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'d>>(mut self, mut access: A) -> Result<(), A::Error> {
            while let Some(name) = access.next_key::<&'d RawValue>()? {
                let value = access.next_value::<&'d RawValue>()?;
                (self.0)(scalar(name.get()).unwrap_or_default(), value.get());
            }
            Ok(())
        }
    }
    let _ = serde_json::Deserializer::from_str(raw).deserialize_map(Entries(each));
}
