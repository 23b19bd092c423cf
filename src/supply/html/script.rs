//! Ports that a line of script writes: `document.write(":" + 8080)`, `atob("...")` and the like. Only what the text itself
//! spells out is read; nothing is run.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const DEEPEST: usize = 8;
/// What a script may write that is a part of an address.
const LONGEST: usize = 512;

/// What a script writes, if its calls are of constants alone.
pub(super) fn written(script: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = script;
    while let Some((at, call)) = next_call(rest) {
        // `Proxy('...')` is a function of pages that encode addresses: its value is what the page shows.
        let shown = call.starts_with('P');
        let mut reader = Reader { text: rest.as_bytes(), at: if shown { at } else { at + call.len() } };
        match if shown { reader.term(0) } else { reader.sum(0) } {
            Some(value) if shown || reader.eat(b')') => {
                out.push_str(&value.text());
                rest = &rest[reader.at..];
            }
            _ => rest = &rest[at + call.len()..],
        }
        if out.len() > LONGEST {
            return None;
        }
    }
    (!out.is_empty()).then_some(out)
}

fn next_call(text: &str) -> Option<(usize, &'static str)> {
    ["document.write(", "document.writeln(", "Proxy("]
        .into_iter()
        .filter_map(|call| memchr::memmem::find(text.as_bytes(), call.as_bytes()).map(|at| (at, call)))
        .min()
}

enum Value {
    Text(String),
    Number(f64),
}

impl Value {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn blank(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.blank();
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn sum(&mut self, depth: usize) -> Option<Value> {
        let mut left = self.term(depth)?;
        while self.eat(b'+') {
            let right = self.term(depth)?;
            left = match (left, right) {
                (Value::Number(a), Value::Number(b)) => Value::Number(a + b),
                (a, b) => {
                    let mut text = a.text();
                    text.push_str(&b.text());
                    Value::Text(text)
                }
            };
        }
        Some(left)
    }

    fn term(&mut self, depth: usize) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        self.blank();
        let mut value = match *self.text.get(self.at)? {
            quote @ (b'"' | b'\'') => Value::Text(self.quoted(quote)?),
            b'0'..=b'9' => self.number()?,
            b'(' => {
                self.at += 1;
                let inner = self.sum(depth + 1)?;
                if !self.eat(b')') {
                    return None;
                }
                inner
            }
            _ => {
                let name = self.name();
                if !matches!(name.as_str(), "atob" | "Base64.decode" | "window.atob" | "Proxy") || !self.eat(b'(') {
                    return None;
                }
                let inner = self.sum(depth + 1)?.text();
                if !self.eat(b')') {
                    return None;
                }
                Value::Text(String::from_utf8(STANDARD.decode(inner.trim()).ok()?).ok()?)
            }
        };
        while self.text.get(self.at) == Some(&b'.') {
            value = Value::Text(self.method(value.text())?);
        }
        Some(value)
    }

    /// `.substr(2)`, `.substring(2, 5)`, `.slice(2)`, `.toString()`.
    fn method(&mut self, text: String) -> Option<String> {
        self.at += 1;
        let name = self.name();
        if !self.eat(b'(') {
            return None;
        }
        let mut bounds = Vec::new();
        while !self.eat(b')') {
            match self.number()? {
                Value::Number(number) if number >= 0.0 && bounds.len() < 2 => bounds.push(number as usize),
                _ => return None,
            }
            self.eat(b',');
        }
        let count = text.chars().count();
        let (from, to) = match (name.as_str(), bounds.as_slice()) {
            ("toString" | "trim", []) => (0, count),
            ("substr", [from, length]) => (*from, from.saturating_add(*length)),
            ("substr" | "substring" | "slice", [from]) => (*from, count),
            ("substring" | "slice", [from, to]) => (*from, *to),
            _ => return None,
        };
        Some(text.chars().take(to).skip(from).collect())
    }

    fn name(&mut self) -> String {
        let start = self.at;
        while self.text.get(self.at).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$')) {
            self.at += 1;
        }
        String::from_utf8_lossy(&self.text[start..self.at]).into_owned()
    }

    fn number(&mut self) -> Option<Value> {
        self.blank();
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        let digits = std::str::from_utf8(&self.text[start..self.at]).ok()?;
        (digits.len() < 10).then(|| digits.parse().ok().map(Value::Number)).flatten()
    }

    fn quoted(&mut self, quote: u8) -> Option<String> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            match byte {
                b'\\' => {
                    out.push(*self.text.get(self.at)?);
                    self.at += 1;
                }
                _ if byte == quote => return String::from_utf8(out).ok(),
                _ => out.push(byte),
            }
            if out.len() > 4 * LONGEST {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn reads_constants_and_nothing_else() {
        for (script, text) in [
            (r#"document.write(":" + 8080)"#, Some(":8080")),
            (r#"document.write("80"+'80');"#, Some("8080")),
            ("document.write(8000+80)", Some("8080")),
            (r#"document.write(atob("MS4yLjMuNA=="))"#, Some("1.2.3.4")),
            (r#"document.write(Base64.decode("MS4yLjMuNA=="));document.write(":81")"#, Some("1.2.3.4:81")),
            ("Proxy('MS4yLjMuNDo4MA==')", Some("1.2.3.4:80")),
            (r#"document.write("xx1.2".substr(2) + ".3.4")"#, Some("1.2.3.4")),
            ("document.write(a^b)", None),
            ("document.write(location.href)", None),
            ("document.write(", None),
            (r#"document.write("open"#, None),
            ("var x = 1;", None),
        ] {
            assert_eq!(written(script).as_deref(), text, "{script}");
        }
        assert_eq!(written(&"document.write(".repeat(10_000)), None);
    }
}
