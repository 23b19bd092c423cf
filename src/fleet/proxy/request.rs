//! A client's request head: what it asks for, and how it is sent on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use compact_str::CompactString;
use httparse::Header;

use crate::fleet::http::head::{BadHead, Facts, HEADERS_MAX, complete, is_hop_by_hop, tokens};
use crate::fleet::spec::Login;

/// What a client wants of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// A tunnel.
    Connect,
    /// A request sent on.
    Forward,
    /// A page of the proxy's own, which has none.
    Own,
}

/// A request head, understood.
#[derive(Debug)]
pub(crate) struct Asked {
    /// How long the head is.
    pub(crate) length: usize,
    pub(crate) want: Want,
    pub(crate) host: CompactString,
    pub(crate) port: u16,
    pub(crate) facts: Facts,
    /// Whether the answer has no body whatever it says.
    pub(crate) is_head: bool,
    /// Whether the client speaks HTTP/1.1.
    pub(crate) modern: bool,
    pub(crate) authorised: bool,
}

/// Understands a request head and writes to `out` the head to be sent on; `None` while it is incomplete.
pub(crate) fn digest(bytes: &[u8], login: Option<&Login>, out: &mut Vec<u8>) -> Result<Option<Asked>, BadHead> {
    let mut headers = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let Some(length) = complete(request.parse_with_uninit_headers(bytes, &mut headers))? else {
        return Ok(None);
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(BadHead::Malformed);
    };
    let facts = Facts::of(request.headers, minor)?;
    let mut asked = Asked {
        length,
        want: Want::Own,
        host: CompactString::const_new(""),
        port: 0,
        facts,
        is_head: method == "HEAD",
        modern: minor == 1,
        authorised: login.is_none_or(|login| is_authorised(request.headers, login)),
    };
    out.clear();
    if method == "CONNECT" {
        let (host, port) = split_authority(target, None).ok_or(BadHead::Malformed)?;
        asked.want = Want::Connect;
        asked.host = host.into();
        asked.port = port;
    } else if let Some((authority, path)) = split_url(target) {
        // A user and password in the URL are the client's own affair.
        let authority = authority.rsplit('@').next().unwrap_or(authority);
        let (host, port) = split_authority(authority, Some(80)).ok_or(BadHead::Malformed)?;
        asked.want = Want::Forward;
        asked.host = host.into();
        asked.port = port;
        write_head(out, method, path, minor, authority, request.headers, facts);
    }
    Ok(Some(asked))
}

/// `http://authority/path?query` in its two parts.
fn split_url(target: &str) -> Option<(&str, &str)> {
    let scheme = target.get(..7)?;
    if !scheme.eq_ignore_ascii_case("http://") {
        return None;
    }
    let rest = &target[7..];
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let path = &rest[end..];
    Some((&rest[..end], path.split('#').next().unwrap_or(path)))
}

/// `host:port`, `[address]:port`, or, where there is a default port, the host alone.
fn split_authority(authority: &str, default: Option<u16>) -> Option<(&str, u16)> {
    let (host, port) = match authority.rfind(']') {
        Some(end) => (&authority[..=end], authority[end + 1..].strip_prefix(':')),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() || (authority.starts_with('[') && !authority.contains(']')) {
        return None;
    }
    match port {
        Some("") | None => default.map(|port| (host, port)),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok().map(|port| (host, port)),
        Some(_) => None,
    }
}

fn write_head(
    out: &mut Vec<u8>,
    method: &str,
    path: &str,
    minor: u8,
    authority: &str,
    headers: &[Header<'_>],
    facts: Facts,
) {
    let mut put = |piece: &[u8]| out.extend_from_slice(piece);
    put(method.as_bytes());
    put(b" ");
    if !path.starts_with('/') {
        put(b"/");
    }
    put(path.as_bytes());
    // The client's own version: a destination must not answer an HTTP/1.0 client in chunks.
    put(if minor == 1 { b" HTTP/1.1\r\nHost: " } else { b" HTTP/1.0\r\nHost: " });
    put(authority.as_bytes());
    put(b"\r\n");
    for header in headers {
        let name = header.name;
        // The URL goes before the Host field (RFC 9112, 3.2.2); the proxy itself says 100 Continue.
        if name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case("expect") {
            continue;
        }
        if facts.hop_by_hop && (is_hop_by_hop(name) || is_named_in_connection(name, headers)) {
            continue;
        }
        put(name.as_bytes());
        put(b": ");
        put(header.value);
        put(b"\r\n");
    }
    put(b"\r\n");
}

/// Whether `Connection` says that this field is for the next hop only.
pub(crate) fn is_named_in_connection(name: &str, headers: &[Header<'_>]) -> bool {
    headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("connection"))
        .flat_map(|header| tokens(header.value))
        // Headers that frame the body stay, even where `Connection` names them.
        .any(|token| token.eq_ignore_ascii_case(name.as_bytes()) && !frames_the_body(name))
}

fn frames_the_body(name: &str) -> bool {
    name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
}

fn is_authorised(headers: &[Header<'_>], login: &Login) -> bool {
    let Some(field) = headers.iter().find(|header| header.name.eq_ignore_ascii_case("proxy-authorization")) else {
        return false;
    };
    let value = field.value;
    if value.len() < 6 || !value[..6].eq_ignore_ascii_case(b"basic ") {
        return false;
    }
    let Ok(pair) = STANDARD.decode(value[6..].trim_ascii()) else {
        return false;
    };
    let mut parts = pair.splitn(2, |byte| *byte == b':');
    parts.next() == Some(login.user.as_bytes()) && parts.next() == Some(login.password.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(head: &str, login: Option<&Login>) -> (Asked, String) {
        let mut out = Vec::new();
        let asked = digest(head.as_bytes(), login, &mut out).unwrap().unwrap();
        (asked, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_url_becomes_a_path_and_fields_for_the_proxy_are_dropped() {
        let (asked, out) = ask(
            "GET http://u:p@Site.test:81?q=1#f HTTP/1.1\r\nHost: other\r\nProxy-Connection: keep-alive\r\n\
             Connection: X-Private\r\nX-Private: 1\r\nProxy-Authorization: Basic eA==\r\nX: y\r\n\r\n",
            None,
        );
        assert_eq!((asked.host.as_str(), asked.port), ("Site.test", 81));
        assert_eq!(out, "GET /?q=1 HTTP/1.1\r\nHost: Site.test:81\r\nX: y\r\n\r\n");
    }

    #[test]
    fn addresses_in_brackets_and_connect() {
        let (asked, _) = ask("CONNECT [::1]:443 HTTP/1.1\r\n\r\n", None);
        assert_eq!(asked.want, Want::Connect);
        assert_eq!((asked.host.as_str(), asked.port), ("[::1]", 443));
        let (asked, _) = ask("GET http://[::1]/ HTTP/1.1\r\n\r\n", None);
        assert_eq!((asked.host.as_str(), asked.port), ("[::1]", 80));
        assert_eq!(ask("GET / HTTP/1.1\r\n\r\n", None).0.want, Want::Own);
        for bad in ["CONNECT host", "CONNECT :1", "CONNECT a:b", "CONNECT [::1", "GET http:///"] {
            let head = format!("{bad} HTTP/1.1\r\n\r\n");
            assert!(digest(head.as_bytes(), None, &mut Vec::new()).is_err(), "{bad}");
        }
    }

    #[test]
    fn logins_are_compared() {
        let login = Login { user: "user".into(), password: "p:w".into() };
        let with = |value: &str| {
            let head = format!("GET http://a/ HTTP/1.1\r\nProxy-Authorization: {value}\r\n\r\n");
            ask(&head, Some(&login)).0.authorised
        };
        let right = STANDARD.encode("user:p:w");
        assert!(with(&format!("Basic {right}")) && with(&format!("basic {right}")));
        assert!(!with("Basic dXNlcjpw") && !with("Bearer x") && !with("Basic !!"));
        assert!(!ask("GET http://a/ HTTP/1.1\r\n\r\n", Some(&login)).0.authorised);
    }
}
