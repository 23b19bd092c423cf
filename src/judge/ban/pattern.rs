//! Patterns without regard to case: a plain text where one is enough, else an expression of another engine.

use std::cell::OnceCell;

/// What is looked for in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern<E> {
    /// A plain text.
    Text(Literal),
    /// An expression that its own engine evaluates.
    Expression(E),
}

impl<E> Pattern<E> {
    /// The pattern that a regular expression means; `None` where it takes an engine. A text without operators means
    /// itself, a `^` before it the beginning, and a backslash before a mark the mark.
    #[must_use]
    pub fn of_text(expression: &str) -> Option<Self> {
        let (at_start, rest) = match expression.strip_prefix('^') {
            Some(rest) => (true, rest),
            None => (false, expression),
        };
        let mut plain = String::with_capacity(rest.len());
        let mut letters = rest.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '.' | '^' | '$' | '*' | '+' | '?' | '{' | '}' | '[' | ']' | '|' | '(' | ')' => return None,
                '\\' => plain.push(letters.next().filter(char::is_ascii_punctuation)?),
                _ => plain.push(letter),
            }
        }
        Some(Self::Text(Literal { at_start, ..Literal::new(&plain) }))
    }

    /// Whether it takes another engine.
    #[must_use]
    pub fn is_expression(&self) -> bool {
        self.expression().is_some()
    }

    /// The expression, if it is one.
    #[must_use]
    pub fn expression(&self) -> Option<&E> {
        match self {
            Self::Text(_) => None,
            Self::Expression(expression) => Some(expression),
        }
    }
}

/// A text that is looked for without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    folded: Box<str>,
    at_start: bool,
}

impl Literal {
    /// The text, wherever it stands.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { folded: fold(text).into(), at_start: false }
    }

    /// Whether it is in a text.
    #[must_use]
    pub fn is_in(&self, text: &FoldedText<'_>) -> bool {
        let text = text.folded().as_bytes();
        let wanted = self.folded.as_bytes();
        if self.at_start { text.starts_with(wanted) } else { memchr::memmem::find(text, wanted).is_some() }
    }
}

/// A text, and what it is without regard to case: made once, whatever the number of patterns.
#[derive(Debug)]
pub struct FoldedText<'a> {
    text: &'a str,
    folded: OnceCell<String>,
}

impl<'a> FoldedText<'a> {
    /// The text.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text, folded: OnceCell::new() }
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    fn folded(&self) -> &str {
        self.folded.get_or_init(|| fold(self.text))
    }
}

fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.chars().map(fold_letter).collect() }
}

/// The simple case folding of Unicode, letter by letter, so that `ẞ` stays one letter; the two letters i of Turkish are one.
fn fold_letter(letter: char) -> char {
    let mut upper = letter.to_uppercase();
    let upper = match (upper.next(), upper.next()) {
        (Some(upper), None) => upper,
        _ => letter,
    };
    upper.to_lowercase().next().unwrap_or(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(expression: &str, text: &str) -> Option<bool> {
        match Pattern::<()>::of_text(expression)? {
            Pattern::Text(literal) => Some(literal.is_in(&FoldedText::new(text))),
            Pattern::Expression(()) => None,
        }
    }

    #[test]
    fn plain_texts_in_any_case() {
        for (expression, text, found) in [
            ("captcha", "solve this CAPTCHA", true),
            ("CAPTCHA", "a captcha", true),
            ("captcha", "welcome", false),
            ("access denied", "Access  Denied", false),
            ("^ddos-guard", "DDoS-Guard/2", true),
            ("^ddos-guard", "a DDoS-Guard", false),
            ("ray id: #", "Ray ID: #12", true),
            (r"error \(1020\)", "Error (1020)!", true),
            (r"captcha\.test/", "https://captcha.test/", true),
            (r"captcha\.test/", "https://captcha-test/", false),
            ("zugriff verweigert für", "ZUGRIFF VERWEIGERT FÜR", true),
            ("доступ", "ДОСТУП закрыт", true),
            ("k", "\u{212a}", true),
            ("ist", "İST", true),
            ("straße", "STRAẞE", true),
            ("straße", "STRASSE", false),
            ("σοφός", "ΣΟΦΌΣ", true),
            ("", "", true),
            ("^", "anything", true),
        ] {
            assert_eq!(is_in(expression, text), Some(found), "{expression:?} in {text:?}");
        }
    }

    #[test]
    fn operators_take_an_engine() {
        for expression in [
            "captcha|robot",
            "captcha.",
            "a*",
            "^a$",
            "a$",
            "a^",
            "^^a",
            "(a)",
            "[a]",
            "a{2}",
            "a?",
            "a+",
            r"\s",
            r"\d",
            r"\1",
            r"\é",
            r"a\",
            "(?i)a",
        ] {
            assert_eq!(is_in(expression, "a"), None, "{expression}");
        }
    }
}
