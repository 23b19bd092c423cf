//! Objects in a document: entries, and what is around entries.

use std::borrow::Cow;

use super::Walk;
use super::hint::{Hint, is_list_name};
use crate::net::address::{Address, is_literal, parse_host, parse_port};
use crate::supply::column::Column;
use crate::supply::fields::Fields;
use crate::supply::label::{Label, Labels};
use crate::supply::logins::{self, Logins};
use crate::supply::parsed::Reason;
use crate::supply::visit::{scalar, visit_list, visit_map};

impl<'d> Walk<'d, '_> {
    /// An object: an entry, or something around others. Whether it was either.
    pub(super) fn object(&mut self, raw: &'d str, hint: &Hint, depth: usize) -> bool {
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
        let literal = parse_host(name).is_ok_and(|host| is_literal(&host));
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
}
