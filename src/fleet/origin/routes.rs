//! The origin's pages: what each path answers.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use tokio::time::sleep;

use super::json::Object;
use super::page::{Content, Page};
use super::request::Asked;
use crate::fleet::proxy::{CAPTCHA, ProxyState};
use crate::fleet::sites::Verdict;

/// The sender of a request.
pub(super) struct Caller<'a> {
    /// The proxy that carried it, if any did.
    pub(super) proxy: Option<&'a ProxyState>,
    pub(super) peer: SocketAddr,
    pub(super) tls: bool,
}

const HOME: &str = "<!doctype html><html><head><title>Origin</title></head><body><h1>It works</h1>\
<p>This page came from the test fleet's origin.</p><a href=\"/whoami\">who am I?</a></body></html>\n";

const JSON: &str = "{\"title\": \"sample\", \"numbers\": [1, 2, 3], \"nested\": {\"true\": true, \"null\": null}}\n";

/// Answers one request.
pub(super) async fn answer(asked: &Asked, caller: &Caller<'_>) -> Page {
    match caller.proxy.map_or(Verdict::Serve, |proxy| proxy.judge(&asked.site)) {
        Verdict::Serve => {}
        Verdict::Ban => return Page::html(CAPTCHA).status(403),
        Verdict::TooMany(left) => {
            // Whole seconds, and never an invitation to come too early.
            let seconds = left.as_millis().div_ceil(1000).max(1);
            return Page::text(429, "too many requests\n").field("Retry-After", &seconds.to_string());
        }
    }
    let path = asked.path();
    let mut parts = path[path.len().min(1)..].splitn(2, '/');
    let (first, rest) = (parts.next().unwrap_or_default(), parts.next());
    match (first, rest) {
        ("", None) => Page::html(HOME),
        ("whoami", None) => Page::json(whoami(asked, caller)),
        ("echo" | "anything", _) => Page::json(echo(asked, caller)),
        ("json", None) => Page::new("application/json", JSON.as_bytes()),
        ("captcha", None) => Page::html(CAPTCHA),
        ("gzip", None) => compressed(&whoami(asked, caller), "gzip"),
        ("deflate", None) => compressed(&whoami(asked, caller), "deflate"),
        ("cookies", None) => Page::json(cookies(asked)),
        ("cookies", Some("set")) => set_cookies(asked),
        ("redirect-to", None) => redirect_to(asked),
        ("drip", None) => drip(asked),
        ("bytes", Some(n)) => numbered(n, |n| Page::stream(Content::Bytes(n))),
        ("stream", Some(n)) => {
            numbered(n, |n| Page { kind: "application/x-ndjson", ..Page::stream(Content::Lines(n)) })
        }
        ("redirect", Some(n)) => numbered(n, redirect),
        ("status", Some(n)) => numbered(n, status),
        ("delay", Some(n)) => match n.parse() {
            Ok(ms) => {
                sleep(Duration::from_millis(ms)).await;
                Page::json(whoami(asked, caller))
            }
            Err(_) => not_a_number(),
        },
        _ => Page::text(404, "no such page\n"),
    }
}

fn numbered(text: &str, page: impl FnOnce(u64) -> Page) -> Page {
    text.parse().map_or_else(|_| not_a_number(), page)
}

fn not_a_number() -> Page {
    Page::text(400, "the path wants a number\n")
}

fn whoami(asked: &Asked, caller: &Caller<'_>) -> String {
    let object = match caller.proxy {
        Some(proxy) => Object::new().text("proxy", &proxy.name).raw("index", &proxy.index.to_string()),
        None => Object::new().raw("proxy", "null").raw("index", "null"),
    };
    object
        .text("site", &asked.site)
        .text("peer", &caller.peer.to_string())
        .raw("tls", if caller.tls { "true" } else { "false" })
        .end()
}

fn echo(asked: &Asked, caller: &Caller<'_>) -> String {
    let mut seen: Vec<(String, String)> = Vec::new();
    for (name, value) in asked.headers() {
        let value = String::from_utf8_lossy(value);
        match seen.iter_mut().find(|(known, _)| *known == name) {
            // Repeated fields are one list (RFC 9110, 5.3).
            Some((_, list)) => {
                list.push_str(", ");
                list.push_str(&value);
            }
            None => seen.push((name, value.into_owned())),
        }
    }
    let headers = seen.iter().fold(Object::new(), |object, (name, value)| object.text(name, value));
    let arguments = query(asked.query()).iter().fold(Object::new(), |object, (name, value)| object.text(name, value));
    let object = Object::new()
        .text("method", &asked.method)
        .text("target", &asked.target)
        .text("path", asked.path())
        .raw("args", &arguments.end())
        .raw("headers", &headers.end());
    let object = match std::str::from_utf8(&asked.body) {
        Ok(text) => object.text("body", text),
        Err(_) => object.raw("body", "null"),
    };
    object.text("body_base64", &STANDARD.encode(&asked.body)).raw("caller", &whoami(asked, caller)).end()
}

fn cookies(asked: &Asked) -> String {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (_, value) in asked.headers().iter().filter(|(name, _)| name == "cookie") {
        let text = String::from_utf8_lossy(value);
        for pair in text.split(';') {
            if let Some((name, value)) = pair.trim().split_once('=') {
                pairs.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    let cookies = pairs.iter().fold(Object::new(), |object, (name, value)| object.text(name, value));
    Object::new().raw("cookies", &cookies.end()).end()
}

fn set_cookies(asked: &Asked) -> Page {
    let page = Page::text(302, "").field("Location", "/cookies");
    query(asked.query()).iter().filter(|(name, _)| !name.is_empty() && !name.contains(['=', ';'])).fold(
        page,
        |page, (name, value)| {
            let value = value.replace(';', "%3B");
            page.field("Set-Cookie", &format!("{name}={value}; Path=/"))
        },
    )
}

fn redirect(n: u64) -> Page {
    let to = match n {
        0 | 1 => "/whoami".to_owned(),
        n => format!("/redirect/{}", n - 1),
    };
    Page::text(302, "").field("Location", &to)
}

fn redirect_to(asked: &Asked) -> Page {
    let arguments = query(asked.query());
    let find = |wanted: &str| arguments.iter().find(|(name, _)| name == wanted);
    let status = match find("status").map(|(_, status)| status.parse()) {
        None => 302,
        Some(Ok(status @ (301 | 302 | 303 | 307 | 308))) => status,
        Some(_) => return Page::text(400, "status is no redirect\n"),
    };
    match find("url") {
        Some((_, url)) => Page::text(status, "").field("Location", url),
        None => Page::text(400, "url is missing\n"),
    }
}

fn drip(asked: &Asked) -> Page {
    let arguments = query(asked.query());
    let number = |wanted: &str, default| match arguments.iter().find(|(name, _)| name == wanted) {
        None => Some(default),
        Some((_, value)) => value.parse().ok(),
    };
    match (number("bytes", 10), number("ms", 100)) {
        // Ten minutes and a megabyte, a byte at a time, are more than any test waits for.
        (Some(bytes), Some(ms)) if bytes <= 1 << 20 && ms <= 600_000 => Page::stream(Content::Drip { bytes, ms }),
        _ => not_a_number(),
    }
}

fn status(code: u64) -> Page {
    let Some(code) = u16::try_from(code).ok().filter(|code| (200..600).contains(code)) else {
        return Page::text(400, "a status lies between 200 and 599\n");
    };
    let page = match code {
        204 | 304 => Page::text(code, ""),
        403 => Page::html(CAPTCHA).status(403),
        _ => Page::text(code, "as you wish\n"),
    };
    match code {
        301 | 302 | 303 | 307 | 308 => page.field("Location", "/whoami"),
        401 => page.field("WWW-Authenticate", "Basic realm=\"origin\""),
        407 => page.field("Proxy-Authenticate", "Basic realm=\"origin\""),
        429 | 503 => page.field("Retry-After", "1"),
        _ => page,
    }
}

fn compressed(text: &str, coding: &str) -> Page {
    let bytes = text.as_bytes();
    let body = if coding == "gzip" {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).and_then(|()| encoder.finish())
    } else {
        // What HTTP calls deflate is the zlib format (RFC 9110, 8.4.1.2).
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).and_then(|()| encoder.finish())
    };
    match body {
        Ok(body) => Page::new("application/json", body).field("Content-Encoding", coding),
        // Compressing into memory does not fail.
        Err(_) => Page::text(500, "compression failed\n"),
    }
}

/// A query's arguments, decoded.
fn query(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .filter(|hex| bytes[at] == b'%' && hex.iter().all(u8::is_ascii_hexdigit))
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (hex, bytes[at]) {
            (Some(byte), _) => {
                out.push(byte);
                at += 2;
            }
            (None, b'+') => out.push(b' '),
            (None, byte) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let pairs = query("a=1%202&b=x+y&&c&%zz=%e2%82%ac");
        let expected = [("a", "1 2"), ("b", "x y"), ("c", ""), ("%zz", "€")];
        let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn redirects_end() {
        assert!(redirect(3).extra.contains("Location: /redirect/2\r\n"));
        assert!(redirect(1).extra.contains("Location: /whoami\r\n"));
    }

    #[test]
    fn a_field_cannot_end_its_line() {
        let page = Page::text(302, "").field("Location", "/a\r\nX: y");
        assert_eq!(page.extra, "Location: /aX: y\r\n");
    }
}
