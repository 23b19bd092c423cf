//! What lists note beside an address: a country, how anonymous the proxy is, how fast, when it was checked.

use compact_str::CompactString;

use super::countries::is_country;
use super::record::{Anonymity, Details};

/// States that a checker writes behind an address.
const STATES: [&str; 44] = [
    "alive",
    "working",
    "good",
    "ok",
    "okay",
    "live",
    "online",
    "up",
    "fast",
    "slow",
    "medium",
    "valid",
    "checked",
    "active",
    "yes",
    "no",
    "true",
    "false",
    "on",
    "off",
    "google",
    "ssl",
    "keepalive",
    "keep-alive",
    "unknown",
    "n/a",
    "ms",
    "sec",
    "free",
    "public",
    "private",
    "shared",
    "dedicated",
    "residential",
    "datacenter",
    "mobile",
    "static",
    "rotating",
    "ipv4",
    "ipv6",
    "proxy",
    "connect",
    "success",
    "passed",
];

/// Takes what a word or a phrase says; whether it is one of the usual notes.
pub(super) fn take(details: &mut Details, text: &str) -> bool {
    let edge =
        |c: char| matches!(c, '[' | ']' | '(' | ')' | '{' | '}' | '<' | '>' | '"' | '\'' | ',' | ':' | ';' | '-');
    let word = text.trim_matches(|c: char| edge(c) || c.is_whitespace());
    if word.is_empty() {
        // Nothing but punctuation.
        return true;
    }
    if word.len() > 60 {
        return false;
    }
    if let Some(code) = country_code(word) {
        details.country_code.get_or_insert(code);
        return true;
    }
    if let Some(ms) = milliseconds(word) {
        details.latency_ms.get_or_insert(ms);
        return true;
    }
    if let Some((code, rest)) = word.split_once('-').and_then(|(code, rest)| Some((country_code(code)?, rest)))
        && rest.len() <= 4
    {
        // "US-H-S!": country, anonymity (none, anonymous, high), TLS.
        details.country_code.get_or_insert(code);
        let anonymity = match rest.as_bytes().first() {
            Some(b'N') => Some(Anonymity::Transparent),
            Some(b'A') => Some(Anonymity::Anonymous),
            Some(b'H') => Some(Anonymity::Elite),
            _ => None,
        };
        details.anonymity = details.anonymity.or(anonymity);
        return true;
    }
    if word.len() > 2
        && !word.eq_ignore_ascii_case("none")
        && let Some(anonymity) = Anonymity::parse(word)
    {
        details.anonymity.get_or_insert(anonymity);
        return true;
    }
    if is_country(word) {
        if details.country.is_none() {
            details.country = Some(word.into());
        }
        return true;
    }
    STATES.iter().any(|state| word.eq_ignore_ascii_case(state)) || is_measure(word) || is_sign(word)
}

/// A share, a date or a time of day: digits with signs between that no login has.
fn is_measure(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return false;
    }
    if let Some(number) = word.strip_suffix('%') {
        return number.parse::<f64>().is_ok();
    }
    let bytes = word.as_bytes();
    let dated = |sign: u8| bytes.iter().filter(|b| **b == sign).count() == 2;
    let plain = word.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'/' | b':' | b'.' | b'T' | b'Z' | b'+'));
    // "2024-05-01", "01/05/2024", "12:30:01", "2024-05-01T12:30:01Z"; a time of minutes and seconds may be a login.
    plain && (dated(b'-') || dated(b'/') || dated(b':'))
}

/// "+", "✓", "★★★" and the like.
fn is_sign(word: &str) -> bool {
    word.chars().all(|c| !c.is_alphanumeric())
}

/// Two capitals.
pub(super) fn country_code(word: &str) -> Option<CompactString> {
    (word.len() == 2 && word.bytes().all(|b| b.is_ascii_uppercase())).then(|| CompactString::from(word))
}

/// "120ms", "0.35s", "1.5 sec".
pub(super) fn milliseconds(word: &str) -> Option<f64> {
    let at = word.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = word.split_at(at);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "ms" | "msec" | "milliseconds" => 1.0,
        "s" | "sec" | "secs" | "seconds" => 1000.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * factor).filter(|ms| ms.is_finite())
}
