//! Showing a line that could not be read, without what may be a secret in it.

use std::net::Ipv4Addr;

const LONGEST: usize = 60;

/// The beginning of an unreadable entry, fit to be shown: its scheme, and those of its parts that are addresses or ports
/// of addresses. Whatever else stands between colons or around an `@` may be a user name or a password and is masked, and
/// so is what follows the first word.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let mut end = text.len().min(4 * LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = &text[..end];
    let word_end = head.find(|c: char| c.is_whitespace() || matches!(c, ',' | '|' | ';')).unwrap_or(head.len());
    let (scheme, word) = match head[..word_end].split_once("://") {
        Some((scheme, rest)) if !scheme.contains([':', '@']) => (Some(scheme), rest),
        _ => (None, &head[..word_end]),
    };
    let mut shown = String::with_capacity(LONGEST + 8);
    if let Some(scheme) = scheme {
        push(&mut shown, scheme);
        shown.push_str("://");
    }
    match word.rsplit_once('@') {
        Some((_, place)) => {
            shown.push_str("***@");
            masked(&mut shown, place);
        }
        None => masked(&mut shown, word),
    }
    if word_end < text.len() || end < text.len() {
        shown.push_str(" ***");
    }
    shown
}

fn masked(shown: &mut String, word: &str) {
    if !word.contains(':') {
        // Alone it is a name without a port, or prose. With an "@" before it, it may be half a password.
        let looks = word.contains('.') || word.starts_with('[') || (!shown.ends_with('@') && !word.contains('%'));
        return if looks { push(shown, word) } else { shown.push_str("***") };
    }
    let mut after_host = false;
    let digits = |part: &str| part.len() <= 5 && part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = word.split(':').enumerate().peekable();
    while let Some((number, part)) = parts.next() {
        if number > 0 {
            shown.push(':');
        }
        // A name may as well be a user's, unless a port follows.
        let named = number == 0 && is_name(part) && parts.peek().is_some_and(|(_, next)| digits(next));
        let is_host = named || part.parse::<Ipv4Addr>().is_ok();
        let is_port = after_host && digits(part);
        if is_host || is_port || part.is_empty() {
            push(shown, part);
        } else {
            shown.push_str("***");
        }
        after_host = is_host;
        if number == 8 {
            break;
        }
    }
}

/// A dotted name.
fn is_name(part: &str) -> bool {
    part.contains('.') && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
}

fn push(shown: &mut String, part: &str) {
    for c in part.chars().take(LONGEST) {
        shown.push(if c.is_control() { '?' } else { c });
    }
    if part.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn shows_addresses_and_nothing_else() {
        for (text, shown) in [
            ("1.2.3.4:99999", "1.2.3.4:99999"),
            ("1.2.3.4:999999", "1.2.3.4:***"),
            ("http://bob:secret@1.2.3.4:0", "http://***@1.2.3.4:0"),
            ("bob:secret:1.2.3.4:0", "***:***:1.2.3.4:0"),
            ("1.2.3.4:0:bob:secret", "1.2.3.4:0:***:***"),
            ("1.2.3.4:0@bob:secret", "***@***:***"),
            ("bob:secret", "***:***"),
            ("1.2.3.4 secret words", "1.2.3.4 ***"),
            ("hello", "hello"),
            ("gate.example:port", "***:***"),
            ("gate.example:0", "gate.example:0"),
            ("http://bob:secret@gate.example:0", "http://***@gate.example:0"),
            ("a@se%20cret", "***@***"),
        ] {
            assert_eq!(excerpt(text), shown, "{text}");
        }
        assert!(excerpt(&"x".repeat(10_000)).len() < 100);
        assert!(excerpt(&"ö:".repeat(10_000)).len() < 100);
    }
}
