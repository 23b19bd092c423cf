//! How a secret may be written where it is quoted: for URLs, HTML, JSON or Python, in another encoding, in base64.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::net::credentials::escape;
use crate::net::latin_1;

/// Characters of base64 by which a secret is known.
const FEWEST: usize = 4;

/// Every spelling but base64; none of an empty secret.
pub(super) fn spellings(secret: &str) -> Vec<String> {
    if secret.is_empty() {
        return Vec::new();
    }
    let quoted = escape(secret);
    let but = |safe: &str| {
        let letter = |c: char| if safe.contains(c) { c.to_string() } else { escape(c.encode_utf8(&mut [0; 4])) };
        secret.chars().map(letter).collect::<String>()
    };
    vec![
        secret.to_owned(),
        but("/"),
        but("!$&'()*+,;=:@"),
        escape(&quoted),
        quoted.replace("%20", "+"),
        quoted,
        html(secret),
        // Read as Latin-1.
        latin_1(secret.as_bytes()),
        python_text(secret),
        python_bytes(secret.as_bytes()),
        json(secret),
        secret.bytes().fold(String::new(), |mut hex, byte| {
            // A string takes everything.
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
    ]
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#x27;")
}

/// As `repr` writes a text, without its quotes.
fn python_text(text: &str) -> String {
    let is_quoted_by_two = text.contains('\'') && !text.contains('"');
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '\'' if !is_quoted_by_two => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                // A string takes everything.
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

fn python_bytes(bytes: &[u8]) -> String {
    let is_quoted_by_two = bytes.contains(&b'\'') && !bytes.contains(&b'"');
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'\'' if !is_quoted_by_two => out.push_str("\\'"),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b' '..=b'~' => out.push(char::from(*byte)),
            byte => {
                // A string takes everything.
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out
}

/// As JSON of nothing but ASCII has it.
fn json(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(letter),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // A string takes everything.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out
}

/// How a secret looks within base64, whatever stands before it and after it.
pub(super) fn in_base64(secret: &str) -> Vec<String> {
    let raw = secret.as_bytes();
    let whole = STANDARD.encode(raw);
    let mut found = Vec::new();
    if whole.len() > FEWEST {
        found.push(whole.trim_end_matches('=').to_owned());
        found.push(whole);
    }
    for offset in 0..3 {
        let packed = STANDARD.encode([&[0; 3][..offset], raw].concat());
        let packed = packed.trim_end_matches('=');
        // Characters that hang on the neighbours of the secret are left out: the first, and an incomplete last one.
        let (start, end) = ((offset * 8).div_ceil(6), (offset + raw.len()) * 8 / 6);
        if let Some(core) = packed.get(start..end).filter(|core| core.len() >= FEWEST) {
            found.push(core.to_owned());
        }
    }
    let for_urls: Vec<String> = found.iter().map(|text| text.replace('+', "-").replace('/', "_")).collect();
    found.extend(for_urls);
    found
}
