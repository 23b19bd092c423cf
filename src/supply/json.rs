//! Lists in JSON, of any shape: whatever object names a place is an entry, whatever text is an address is one, and the
//! names around them may say the protocol. `serde_json` reads; values are visited where they lie, so that
//! nothing but the entries takes memory.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::column::Column;
use super::fields::Fields;
use super::label::{Label, Labels};
use super::line::{self, Strictness};
use super::logins::{self, Logins};
use super::options::Options;
use super::parsed::{Parsed, Reason};
use super::visit::{scalar, visit_list, visit_map};
use crate::net::address::{Address, Credentials, is_literal, parse_port};

/// Lists within lists deeper than this are not looked into.
const DEEPEST: usize = 16;
/// Names under which a list of texts is meant to be one of proxies, and so each is accounted for.
const LIST_NAMES: [&str; 16] = [
    "proxies",
    "proxy",
    "data",
    "list",
    "results",
    "items",
    "proxy_list",
    "proxylist",
    "hosts",
    "ips",
    "servers",
    "endpoints",
    "addresses",
    "nodes",
    "proxysettings",
    "backup",
];

fn is_list_name(name: &str) -> bool {
    LIST_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Reads a document, or several one behind the other.
pub(super) fn document(data: &str, options: &Options, parsed: &mut Parsed) {
    let mut walk = Walk::new(data, options, parsed);
    let mut values = serde_json::Deserializer::from_str(data).into_iter::<&RawValue>();
    loop {
        match values.next() {
            Some(Ok(value)) => {
                walk.top(value);
                if walk.left > 0 || walk.parsed.is_exhausted() {
                    walk.parsed.cut_exhausted();
                    return;
                }
            }
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
        if parsed.is_exhausted() {
            parsed.cut_exhausted();
            return;
        }
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
    usual: Labels,
    key: Option<&'p str>,
    longest: usize,
    parsed: &'p mut Parsed,
    most_faults: usize,
    /// Elements that were not looked at, since too much had been read.
    left: usize,
    // Where lines have been counted up to. Values are visited in order, mostly; looking back starts over.
    offset: usize,
    line: u32,
    fixed_line: bool,
}

impl<'d, 'p> Walk<'d, 'p> {
    fn new(data: &'d str, options: &'p Options, parsed: &'p mut Parsed) -> Self {
        Self {
            data,
            usual: options.labels(),
            key: options.key.as_deref(),
            longest: options.limits.line,
            parsed,
            most_faults: options.limits.faults,
            left: 0,
            offset: 0,
            line: 1,
            fixed_line: false,
        }
    }

    fn top(&mut self, value: &'d RawValue) {
        let hint = Hint { labels: self.usual.clone(), login: None, list: true };
        let before = (self.parsed.lines, self.parsed.rejected_count);
        match self.key {
            None => {
                self.value(value.get(), &hint, 0);
                let looked = (self.parsed.lines, self.parsed.rejected_count) != before;
                // An empty list is one; a message or a number is none.
                if !looked && !value.get().contains(['[', ']']) && value.get().trim() != "{}" {
                    let line = self.line_of(value.get());
                    self.refuse(line, Reason::NoAddress, "");
                }
            }
            Some(key) => {
                let mut found = None;
                visit_map(value.get(), |name, inner| {
                    if name == key {
                        found = Some(inner);
                    }
                });
                match found {
                    Some(inner) => self.value(inner, &hint, 0),
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

    fn value(&mut self, raw: &'d str, hint: &Hint, depth: usize) {
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
                if let Err((reason, text)) = self.text(raw, line, hint) {
                    self.refuse(line, reason, &text);
                }
            }
            _ => {}
        }
    }

    fn list(&mut self, raw: &'d str, hint: &Hint, depth: usize) {
        let mut strange: Vec<(u32, Reason, String)> = Vec::new();
        let mut entries = 0_usize;
        let mut strange_count = 0_usize;
        let most = 10_000;
        visit_list(raw, |element| {
            if self.parsed.is_exhausted() || (strange_count >= self.most_faults && strange_count / 4 > entries) {
                self.left += 1;
                return;
            }
            let line = self.line_of(element);
            let outcome = match element.as_bytes().first() {
                Some(b'"') => self.text(element, line, hint).map(|()| true),
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
    fn row(&mut self, raw: &'d str, line: u32, hint: &Hint, depth: usize) -> bool {
        let mut values: Vec<Cow<'d, str>> = Vec::new();
        let mut flat = true;
        visit_list(raw, |element| match scalar(element) {
            Some(value) if values.len() < 64 => values.push(value),
            _ => flat = false,
        });
        if flat
            && values.len() > 1
            && values.first().is_some_and(|first| Address::parse_line(first).is_err())
            && line::has_place(&values)
        {
            let found = line::columns(&values, line, &hint.labels, Strictness::Strict);
            self.parsed.lines += 1;
            self.parsed.line(found, line, &values.join(","));
            return true;
        }
        self.value(raw, hint, depth);
        true
    }

    fn text(&mut self, raw: &'d str, line: u32, hint: &Hint) -> Result<(), (Reason, String)> {
        if raw.len() > self.longest {
            return Err((Reason::TooLong { limit: self.longest }, String::new()));
        }
        let text: Cow<'d, str> = scalar(raw).unwrap_or_default();
        let mut found = line::read_with(text.trim(), line, &hint.labels, hint.login.as_ref());
        if found.len() == 1
            && let Some(Err(_)) = found.first()
            && let Some(Err(reason)) = found.pop()
        {
            return Err((reason, text.into_owned()));
        }
        self.parsed.lines += 1;
        self.parsed.line(found, line, &text);
        Ok(())
    }

    /// An object: an entry, or something around others. Whether it was either.
    fn object(&mut self, raw: &'d str, hint: &Hint, depth: usize) -> bool {
        let mut fields = Fields::default();
        let mut inner: Vec<(Cow<'d, str>, &'d str)> = Vec::new();
        let mut texts: Vec<(Cow<'d, str>, &'d str)> = Vec::new();
        let mut logins = Logins::default();
        visit_map(raw, |name, value| match value.as_bytes().first() {
            Some(b'{') if logins::is_login(&name) => logins.read(value),
            Some(b'{') => inner.push((name, value)),
            Some(b'[') if logins::is_login(&name) => logins.read_list(value),
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
                if let Some(text) = scalar(value) {
                    if value.len() > self.longest {
                        // As the value of a column, it is none.
                        if let Some(column) = Column::named(&name) {
                            fields.put(column, &"x".repeat(5000));
                        }
                    } else if !fields.set(&name, &text) {
                        texts.push((name, value));
                    }
                }
            }
        });
        let has_lists = inner.iter().any(|(_, value)| value.len() > 2);
        if fields.is_entry() && !(fields.is_page() && has_lists) {
            self.whole_entry(fields, raw, inner, logins, hint, depth);
            return true;
        }
        self.around(&fields, inner, texts, logins, hint, depth)
    }

    /// An object that is an entry. What is nested in it is said about the same proxy, unless it is another.
    fn whole_entry(
        &mut self,
        mut fields: Fields,
        raw: &'d str,
        inner: Vec<(Cow<'d, str>, &'d str)>,
        logins: Logins,
        hint: &Hint,
        depth: usize,
    ) {
        let mut others = Vec::new();
        for (name, value) in inner {
            if is_list_name(&name) {
                others.push(value);
                continue;
            }
            if !value.starts_with('{') {
                continue;
            }
            // {"location": {"country": ...}}, {"geo": {...}}.
            let mut parts = Vec::new();
            visit_map(value, |name, value| {
                if let (Some(text), Some(column)) = (scalar(value), Column::named(&name)) {
                    parts.push((column, text));
                }
            });
            let has = |wanted: Column| parts.iter().any(|(column, _)| *column == wanted);
            if has(Column::Place) && has(Column::Port) {
                others.push(value);
                continue;
            }
            for (column, text) in parts {
                if !matches!(column, Column::Place | Column::Link | Column::Port | Column::Tags) {
                    fields.put(column, &text);
                }
            }
        }
        let line = self.line_of(raw);
        match logins.own() {
            Some(login) => fields.inherit(login),
            None if logins.is_strange() && !fields.has_login() => {
                self.refuse(line, Reason::Login, "");
                return;
            }
            None => {
                if let Some(login) = &hint.login {
                    fields.inherit(login);
                }
            }
        }
        self.entry(fields, raw, line, &hint.labels);
        for value in others {
            self.value(value, &Hint { list: true, ..hint.clone() }, depth + 1);
        }
    }

    /// An object around others: what it says of protocol and login holds for those in it.
    fn around(
        &mut self,
        fields: &Fields,
        inner: Vec<(Cow<'d, str>, &'d str)>,
        texts: Vec<(Cow<'d, str>, &'d str)>,
        mut logins: Logins,
        hint: &Hint,
        depth: usize,
    ) -> bool {
        let own = fields.own_login().or_else(|| logins.own().cloned());
        let outer = Hint {
            labels: if fields.labels().is_empty() { hint.labels.clone() } else { fields.labels().clone() },
            login: own.or_else(|| hint.login.clone()),
            list: hint.list,
        };
        let mut around = false;
        for (name, value) in texts {
            around |= self.named_text(&name, value, &outer);
        }
        for (name, value) in inner {
            around = true;
            let label = Label::parse(&name);
            let inner_hint = Hint {
                labels: label.map_or_else(|| outer.labels.clone(), Labels::of),
                login: logins.take(&name).or_else(|| outer.login.clone()),
                list: label.is_some() || is_list_name(&name),
            };
            // {"1.2.3.4:80": {"country": ...}}: the name is the address.
            if value.starts_with('{') && name.len() <= self.longest && Address::parse_line(&name).is_ok() {
                let mut fields = Fields::default();
                fields.put(Column::Place, &name);
                visit_map(value, |name, value| {
                    if let Some(text) = scalar(value)
                        && !matches!(Column::named(&name), Some(Column::Place | Column::Link))
                    {
                        fields.set(&name, &text);
                    }
                });
                if let Some(login) = &inner_hint.login {
                    fields.inherit(login);
                }
                let line = self.line_of(value);
                self.entry(fields, value, line, &inner_hint.labels);
                continue;
            }
            self.value(value, &inner_hint, depth + 1);
        }
        for _ in 0..logins.left() {
            // A login of a proxy that is not there, or not understood.
            let line = self.line;
            self.refuse(line, Reason::Login, "");
        }
        around
    }

    /// A text or number in an object that is no entry: `{"http": "http://1.2.3.4:80"}`, `{"1.2.3.4": 80}`.
    fn named_text(&mut self, name: &str, value: &'d str, hint: &Hint) -> bool {
        let Some(text) = scalar(value) else { return false };
        let label = Label::parse(name);
        let literal = crate::net::address::parse_host(name).is_ok_and(|host| is_literal(&host));
        let mut fields = Fields::default();
        if literal && parse_port(&text).is_ok() {
            fields.put(Column::Place, name);
            fields.put(Column::Port, &text);
        } else if name.len() <= 1024 && Address::parse_line(name).is_ok() {
            fields.put(Column::Place, name);
            if let Some(label) = Label::parse(&text) {
                fields.label(label);
            }
        } else {
            let clear = Address::parse_line(&text).is_ok_and(|address| {
                address.port.is_some() && (is_literal(&address.host) || address.credentials.is_some())
            });
            if !(clear || label.is_some() && text.contains(':')) {
                return false;
            }
            let labels = label.map_or_else(|| hint.labels.clone(), Labels::of);
            let line = self.line_of(value);
            let named = Hint { labels, ..hint.clone() };
            if let Err((reason, text)) = self.text(value, line, &named) {
                self.refuse(line, reason, &text);
            }
            return true;
        }
        if let Some(login) = &hint.login {
            fields.inherit(login);
        }
        let line = self.line_of(value);
        self.entry(fields, value, line, &hint.labels);
        true
    }

    fn entry(&mut self, fields: Fields, raw: &str, line: u32, labels: &Labels) {
        // An object may hold a password anywhere, so nothing of it is shown.
        let shown = if raw.starts_with('{') { "{…}" } else { "[…]" };
        match fields.end(line, labels) {
            Ok(entry) => {
                self.parsed.lines += 1;
                self.parsed.entry(entry, line, shown);
            }
            Err(reason) => self.refuse(line, reason, shown),
        }
    }

    /// What can be had of a document that breaks off or is damaged: the elements of its lists in front of the damage.
    fn salvage(&mut self, rest: &'d str, error: &serde_json::Error) {
        let hint = Hint { labels: self.usual.clone(), login: None, list: true };
        self.whole_parts(rest.trim_start(), &hint, 0);
        self.refuse(error.line() as u32, broken(error), "");
    }

    fn whole_parts(&mut self, rest: &'d str, hint: &Hint, depth: usize) {
        if rest.starts_with('[') {
            self.list(rest, hint, depth);
        }
        if !rest.starts_with('{') || depth > DEEPEST {
            return;
        }
        let mut end = 1;
        visit_map(rest, |name, value| {
            end = value.as_ptr() as usize - rest.as_ptr() as usize + value.len();
            self.value(value, &hint.under(&name), depth + 1);
        });
        // As a rule, the incomplete value contained the list.
        let after = rest.get(end..).unwrap_or("").trim_start_matches(|c: char| c == ',' || c.is_whitespace());
        let mut names = serde_json::Deserializer::from_str(after).into_iter::<&RawValue>();
        let Some(Ok(name)) = names.next() else { return };
        let named = hint.under(&scalar(name.get()).unwrap_or_default());
        let behind = after.get(names.byte_offset()..).unwrap_or("");
        if let Some(value) = behind.trim_start().strip_prefix(':') {
            self.whole_parts(value.trim_start(), &named, depth + 1);
        }
    }
}

/// What encloses a value.
#[derive(Clone)]
struct Hint {
    labels: Labels,
    login: Option<Credentials>,
    /// Whether texts in a list here are meant to be proxies.
    list: bool,
}

impl Hint {
    /// What encloses a value of that name in a list of proxies.
    fn under(&self, name: &str) -> Self {
        let labels = Label::parse(name).map_or_else(|| self.labels.clone(), Labels::of);
        Self { labels, login: self.login.clone(), list: true }
    }
}
