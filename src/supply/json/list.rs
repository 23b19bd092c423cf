//! Lists in a document: of texts, of objects, of rows.

use std::borrow::Cow;

use super::Walk;
use super::hint::Hint;
use crate::net::address::Address;
use crate::supply::line::{self, Strictness};
use crate::supply::parsed::Reason;
use crate::supply::visit::{scalar, visit_list};

impl<'d> Walk<'d, '_> {
    pub(super) fn list(&mut self, raw: &'d str, hint: &Hint, depth: usize) {
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

    pub(super) fn text(&mut self, raw: &'d str, line: u32, hint: &Hint) -> Result<(), (Reason, String)> {
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
}
