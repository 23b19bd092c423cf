//! What stands behind an address on its line: a country, how anonymous it is, how fast.

use compact_str::CompactString;

use super::record::{Anonymity, Record};
use crate::proxy::address::Protocol;

/// Words behind an address that are looked at.
const MOST_WORDS: usize = 16;

/// Takes from the words behind an address what they say. Words that say nothing are passed over: the proxy has been read.
/// `spoken` is false where nothing has said yet how the proxy is spoken to.
pub(super) fn read<'a>(record: &mut Record, words: impl Iterator<Item = &'a str>, mut spoken: bool) {
    for word in words.take(MOST_WORDS) {
        if word.starts_with('#') || word.starts_with("//") {
            break;
        }
        let word = word.trim_matches(|c: char| matches!(c, '[' | ']' | '(' | ')' | '"' | '\'' | ',' | ':' | '-'));
        if word.is_empty() || word.len() > 40 {
            continue;
        }
        if let Some(protocol) = Protocol::parse(word) {
            if !spoken {
                record.protocol = protocol;
                spoken = true;
            }
        } else if let Some(code) = country_code(word) {
            record.details_mut().country_code.get_or_insert(code);
        } else if let Some(ms) = milliseconds(word) {
            record.details_mut().latency_ms.get_or_insert(ms);
        } else if let Some((code, rest)) =
            word.split_once('-').and_then(|(code, rest)| Some((country_code(code)?, rest)))
        {
            // "US-H-S!": country, anonymity (none, anonymous, high), TLS.
            let details = record.details_mut();
            details.country_code.get_or_insert(code);
            let anonymity = match rest.as_bytes().first() {
                Some(b'N') => Some(Anonymity::Transparent),
                Some(b'A') => Some(Anonymity::Anonymous),
                Some(b'H') => Some(Anonymity::Elite),
                _ => None,
            };
            details.anonymity = details.anonymity.or(anonymity);
        } else if word.len() > 2
            && let Some(anonymity) = Anonymity::parse(word)
        {
            record.details_mut().anonymity.get_or_insert(anonymity);
        }
    }
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
