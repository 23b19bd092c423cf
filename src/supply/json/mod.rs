//! Lists in JSON, of any shape: whatever object names a place is an entry, whatever text is an address is one, and the
//! names around them may say the protocol. `serde_json` reads; values are visited where they lie, so that
//! nothing but the entries takes memory.

mod hint;
mod list;
mod object;
mod salvage;

use serde_json::value::RawValue;

use crate::supply::label::Labels;
use crate::supply::options::Options;
use crate::supply::parsed::{Parsed, Reason};
use crate::supply::visit::visit_map;
use hint::Hint;

/// Lists within lists deeper than this are not looked into.
const DEEPEST: usize = 16;

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
}
