//! JSON, as much of it as answers need: written, never read.

use std::fmt::Write;

/// Appends a string in quotes.
pub(super) fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing into a string does not fail.
            c if c < ' ' => write!(out, "\\u{:04x}", u32::from(c)).unwrap_or_default(),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// An object being written, field by field.
pub(super) struct Object {
    text: String,
}

impl Object {
    pub(super) fn new() -> Self {
        Self { text: "{".into() }
    }

    /// A field whose value is JSON already.
    pub(super) fn raw(mut self, name: &str, value: &str) -> Self {
        if self.text.len() > 1 {
            self.text.push_str(", ");
        }
        string(&mut self.text, name);
        self.text.push_str(": ");
        self.text.push_str(value);
        self
    }

    /// A field that is text.
    pub(super) fn text(self, name: &str, value: &str) -> Self {
        let mut quoted = String::with_capacity(value.len() + 2);
        string(&mut quoted, value);
        self.raw(name, &quoted)
    }

    pub(super) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_and_fields_are_separated() {
        let object = Object::new().text("a\"b", "x\\\n\u{1}é").raw("n", "1");
        assert_eq!(object.end(), "{\"a\\\"b\": \"x\\\\\\n\\u0001é\", \"n\": 1}");
        assert_eq!(Object::new().end(), "{}");
    }
}
