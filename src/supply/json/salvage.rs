//! What can be had of a document that breaks off or is damaged.

use serde_json::value::RawValue;

use super::hint::Hint;
use super::{DEEPEST, Walk, broken};
use crate::supply::visit::{scalar, visit_map};

impl<'d> Walk<'d, '_> {
    /// Reads the elements of the lists in front of the damage.
    pub(super) fn salvage(&mut self, rest: &'d str, error: &serde_json::Error) {
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
