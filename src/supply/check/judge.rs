//! What a page that shows a request's headers reveals about the proxy that carried it.

use std::net::{IpAddr, SocketAddr};

use crate::supply::Anonymity;

/// Headers that only a proxy adds.
const TELLING: [&str; 16] = [
    "VIA",
    "FORWARDED",
    "X-FORWARDED-FOR",
    "X-FORWARDED",
    "FORWARDED-FOR",
    "X-REAL-IP",
    "CLIENT-IP",
    "X-CLIENT-IP",
    "X-PROXY-ID",
    "PROXY-CONNECTION",
    "XPROXY-CONNECTION",
    "X-PROXY-CONNECTION",
    "MT-PROXY-ID",
    "X-TINYPROXY",
    "X-BLUECOAT-VIA",
    "PROXY-AUTHORIZATION",
];
/// Under what names pages say where the request came from.
const EXITS: [&str; 8] = ["REMOTE-ADDR", "ORIGIN", "PEER", "IP", "YOUR-IP", "QUERY", "REMOTE-HOST", "CLIENT"];
const MOST_PAIRS: usize = 1_000;

/// Judges by the body of a judge's page: how anonymous the proxy is, if the page can be read, and where it goes out.
/// `own` are our own addresses.
#[must_use]
pub fn judge(body: &[u8], own: &[IpAddr]) -> (Option<Anonymity>, Option<IpAddr>) {
    let text = String::from_utf8_lossy(body);
    let pairs = pairs(&text);
    let mut exit = None;
    let mut found = None;
    for (name, value) in &pairs {
        if EXITS.contains(&name.as_str()) && exit.is_none() {
            exit = value.split([',', ' ']).find_map(address);
        }
        if TELLING.contains(&name.as_str()) {
            found = found.or(Some(Anonymity::Anonymous));
        }
    }
    // Our own address in any header of the request, but not where the page names the client.
    let tells = |(name, value): &(String, String)| {
        !EXITS.contains(&name.as_str())
            && value.split([',', ' ', ';', '=', '"']).filter_map(address).any(|ip| own.contains(&ip))
    };
    if pairs.iter().any(tells) || exit.is_some_and(|exit| own.contains(&exit) && !exit.is_loopback()) {
        found = Some(Anonymity::Transparent);
    }
    let readable = !pairs.is_empty();
    (found.or(readable.then_some(Anonymity::Elite)), exit)
}

fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Names and values on the page: of a JSON document, or of lines `NAME = value`.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    if let Ok(document) = serde_json::from_str::<serde_json::Value>(text) {
        flatten(&document, "", &mut pairs);
        return pairs;
    }
    for line in text.lines().take(MOST_PAIRS) {
        let line = line.trim().trim_start_matches("<br>").trim_end_matches("<br>").trim_end_matches("<br />");
        if let Some((name, value)) =
            line.split_once(" = ").or_else(|| line.split_once('=')).or_else(|| line.split_once(':'))
            && name.len() < 64
        {
            pairs.push((plain(name), value.trim().to_owned()));
        }
    }
    pairs
}

fn flatten(value: &serde_json::Value, name: &str, pairs: &mut Vec<(String, String)>) {
    use serde_json::Value;
    if pairs.len() >= MOST_PAIRS {
        return;
    }
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| flatten(value, name, pairs)),
        Value::Array(list) => list.iter().for_each(|value| flatten(value, name, pairs)),
        Value::String(text) => pairs.push((plain(name), text.clone())),
        _ => {}
    }
}

/// "HTTP_X_FORWARDED_FOR" and "x-forwarded-for" are one.
fn plain(name: &str) -> String {
    let upper = name.trim().to_ascii_uppercase().replace('_', "-");
    upper.strip_prefix("HTTP-").map_or_else(|| upper.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_three_kinds_apart() {
        let own = ["203.0.113.9".parse().unwrap()];
        let exit = |text: &str| text.parse::<IpAddr>().ok();
        for (body, anonymity, at) in [
            (r#"{"origin": "198.51.100.7", "headers": {"Host": "j"}}"#, Some(Anonymity::Elite), exit("198.51.100.7")),
            (
                r#"{"headers": {"Via": "1.1 x"}, "peer": "198.51.100.7:99"}"#,
                Some(Anonymity::Anonymous),
                exit("198.51.100.7"),
            ),
            (r#"{"headers": {"X-Forwarded-For": "203.0.113.9"}}"#, Some(Anonymity::Transparent), None),
            (r#"{"headers": {"X-Odd": "for=203.0.113.9;x"}}"#, Some(Anonymity::Transparent), None),
            ("REMOTE_ADDR = 198.51.100.7\nHTTP_HOST = j\n", Some(Anonymity::Elite), exit("198.51.100.7")),
            ("REMOTE_ADDR = 198.51.100.7\nHTTP_VIA = x\n", Some(Anonymity::Anonymous), exit("198.51.100.7")),
            ("REMOTE_ADDR = 203.0.113.9\n", Some(Anonymity::Transparent), exit("203.0.113.9")),
            ("hello", None, None),
        ] {
            assert_eq!(judge(body.as_bytes(), &own), (anonymity, at), "{body}");
        }
    }
}
