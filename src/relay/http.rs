//! What clients say in HTTP, and what the relay itself answers.

use std::fmt::Write;

use super::login::of_basic;
use crate::net::destination::Destination;
use crate::net::http1::{Framing, ResponseHead};
use crate::wire::request::{Headers, Request};

/// Most bytes of a request's head.
pub(super) const LONGEST_HEAD: usize = 64 << 10;
const MOST_HEADERS: usize = 128;

/// Headers of one connection, which are not passed on (RFC 9110, 7.6.1); those that `Connection` names go with them.
const OF_THE_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];

/// Why a request is refused: the status, and what is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad(pub(super) u16, pub(super) &'static str);

/// What a client wants.
#[derive(Debug)]
pub(super) enum Wanted {
    /// A tunnel.
    Tunnel,
    /// A request passed on, to the host below.
    Forward {
        /// What is sent.
        request: Request,
        /// Where its body ends.
        framing: Framing,
        /// Path and query.
        path: String,
        /// Whether the client waits for a word before it sends the body.
        expects: bool,
    },
}

/// The head of a request.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) wanted: Wanted,
    /// Name or address, IPv6 without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The login in it.
    pub(super) login: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether the connection may carry another request.
    pub(super) keeps: bool,
    pub(super) is_1_0: bool,
    /// Bytes of it.
    pub(super) length: usize,
}

/// Reads the head of a request; `None` for more.
pub(super) fn read(input: &[u8]) -> Result<Option<Head>, Bad> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(input) {
        Ok(httparse::Status::Complete(length)) if length <= LONGEST_HEAD => length,
        Ok(httparse::Status::Partial) if input.len() < LONGEST_HEAD => return Ok(None),
        Ok(_) => return Err(Bad(431, "the head of the request has more than 64 KiB")),
        Err(httparse::Error::TooManyHeaders) => return Err(Bad(431, "the request has more than 128 headers")),
        Err(_) => return Err(Bad(400, "this is neither HTTP nor SOCKS")),
    };
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Ok(None);
    };
    let is_1_0 = version == 0;
    let values = |name: &'static str| {
        parsed.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    };
    let options: Vec<&[u8]> = values("connection")
        .chain(values("proxy-connection"))
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    let says = |word: &str| options.iter().any(|option| option.eq_ignore_ascii_case(word.as_bytes()));
    let keeps = if is_1_0 { says("keep-alive") } else { !says("close") };
    let login = values("proxy-authorization").next().and_then(of_basic);
    if method == "CONNECT" {
        let (host, port) = authority(target, None)?;
        return Ok(Some(Head { wanted: Wanted::Tunnel, host, port, login, keeps, is_1_0, length }));
    }
    let (authority_text, path) = absolute(target)?;
    let (host, port) = authority(authority_text, Some(80))?;
    let mut kept = Headers::new();
    // The target counts, not what the header says (RFC 9112, 3.2.2).
    kept.push(b"Host", without_login(authority_text).as_bytes());
    for header in parsed.headers.iter() {
        let is_left = header.name.eq_ignore_ascii_case("host")
            || header.name.eq_ignore_ascii_case("expect")
            || OF_THE_HOP.iter().any(|name| header.name.eq_ignore_ascii_case(name))
            || (says(header.name) && !is_framing(header.name));
        if !is_left {
            kept.push(header.name.as_bytes(), header.value);
        }
    }
    if values("transfer-encoding").next().is_some() && (is_1_0 || values("content-length").next().is_some()) {
        // Two readers could see two bodies (RFC 9112, 6.1).
        return Err(Bad(400, "the request says in two ways where its body ends"));
    }
    let request = Request::new(method, path.clone(), kept)
        .map_err(|_| Bad(400, "the headers of the request contradict each other about its body"))?;
    let framing = match request.framing() {
        crate::wire::request::Framing::Length(length) => Framing::Length(length),
        crate::wire::request::Framing::Chunked => Framing::Chunked,
    };
    let expects = values("expect").any(|value| value.eq_ignore_ascii_case(b"100-continue"));
    let wanted = Wanted::Forward { request, framing, path, expects };
    Ok(Some(Head { wanted, host, port, login, keeps, is_1_0, length }))
}

fn is_framing(name: &str) -> bool {
    name.eq_ignore_ascii_case("transfer-encoding") || name.eq_ignore_ascii_case("content-length")
}

/// Authority and path of an absolute target.
fn absolute(target: &str) -> Result<(&str, String), Bad> {
    let Some(rest) = target.split_at_checked(7).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("http://")) else {
        return Err(if target.len() > 8 && target[..8].eq_ignore_ascii_case("https://") {
            Bad(400, "https:// is reached through a proxy by CONNECT")
        } else {
            Bad(400, "this is a proxy: the target of a request must be a complete http:// URL, or that of CONNECT")
        });
    };
    let rest = rest.1;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let path = rest[end..].split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Bad(400, "the target of the request has characters that no URL has"));
    }
    Ok((&rest[..end], path))
}

fn without_login(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Host and port.
fn authority(text: &str, usual: Option<u16>) -> Result<(String, u16), Bad> {
    const WRONG: Bad = Bad(400, "the target of the request has no host and port that can be read");
    let text = without_login(text);
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(WRONG)?;
            (host, port.strip_prefix(':'))
        }
        None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().map_err(|_| WRONG)?,
        Some(_) => return Err(WRONG),
        None => usual.ok_or(WRONG)?,
    };
    let is_sound = !host.contains(['/', '?', '#', '@', '[', ']', '\\']) && port != 0;
    if !is_sound || Destination::new(host, port).is_err() {
        return Err(WRONG);
    }
    Ok((host.to_owned(), port))
}

/// How the body of an answer is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passing {
    /// As it comes: it has a length, or none.
    Plain,
    /// In chunks.
    Chunked,
    /// Until the connection ends.
    UntilClose,
}

/// Writes the head of an answer that is passed on.
pub(super) fn write_answer(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    framing: Framing,
    is_1_0: bool,
    keeps: bool,
) -> Passing {
    let passing = match framing {
        Framing::Empty | Framing::Length(_) => Passing::Plain,
        Framing::Chunked | Framing::UntilClose if is_1_0 => Passing::UntilClose,
        Framing::Chunked | Framing::UntilClose => Passing::Chunked,
    };
    out.extend_from_slice(format!("HTTP/1.1 {} ", head.status).as_bytes());
    out.extend_from_slice(head.reason());
    out.extend_from_slice(b"\r\n");
    let options: Vec<&[u8]> =
        head.values("connection").flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii).collect();
    for (name, value) in head.headers() {
        let is_left = OF_THE_HOP.iter().any(|left| name.eq_ignore_ascii_case(left.as_bytes()))
            || name.eq_ignore_ascii_case(b"transfer-encoding")
            || (name.eq_ignore_ascii_case(b"content-length") && passing != Passing::Plain)
            || (!name.eq_ignore_ascii_case(b"content-length")
                && options.iter().any(|option| name.eq_ignore_ascii_case(option)));
        if !is_left {
            for part in [name, b": ", value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }
    if passing == Passing::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(match (keeps && passing != Passing::UntilClose, is_1_0) {
        (false, _) => b"Connection: close\r\n\r\n",
        (true, true) => b"Connection: keep-alive\r\n\r\n",
        (true, false) => b"\r\n",
    });
    passing
}

/// Writes a piece of a body.
pub(super) fn write_piece(out: &mut Vec<u8>, piece: &[u8], passing: Passing) {
    if passing != Passing::Chunked {
        out.extend_from_slice(piece);
        return;
    }
    out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
    out.extend_from_slice(piece);
    out.extend_from_slice(b"\r\n");
}

/// An answer of the relay's own. The connection ends with it.
pub(super) fn own_answer(status: u16, text: &str) -> Vec<u8> {
    let reason = match status {
        400 => "Bad Request",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    };
    let mut out = String::new();
    // Writing into memory does not fail.
    let _ = write!(out, "HTTP/1.1 {status} {reason}\r\n");
    if status == 407 {
        out.push_str("Proxy-Authenticate: Basic realm=\"proxywhirl\", charset=\"UTF-8\"\r\n");
    }
    let _ = write!(
        out,
        "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\nVia: 1.1 proxywhirl\r\n\r\n{text}\n",
        text.len() + 1
    );
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(head: &Head) -> String {
        let Wanted::Forward { request, .. } = &head.wanted else { panic!("a tunnel") };
        let mut out = Vec::new();
        request.write_head(&mut out, "", &Headers::new()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_request_without_what_was_meant_for_the_relay() {
        let head = b"POST http://me:pw@Shop.test:81/a?b=c#d HTTP/1.1\r\nHost: other\r\nProxy-Authorization: Basic YTpi\r\n\
            Connection: keep-alive, X-Own\r\nX-Own: 1\r\nX-Kept: 2\r\nProxy-Connection: keep-alive\r\nExpect: 100-continue\r\n\
            Content-Length: 3\r\n\r\nabc";
        let found = read(head).unwrap().unwrap();
        assert_eq!((found.host.as_str(), found.port, found.length), ("Shop.test", 81, head.len() - 3));
        assert_eq!(found.login, Some((b"a".to_vec(), b"b".to_vec())));
        assert!(found.keeps && !found.is_1_0);
        assert!(matches!(&found.wanted, Wanted::Forward { expects: true, framing: Framing::Length(3), .. }));
        assert_eq!(
            written(&found),
            "POST /a?b=c HTTP/1.1\r\nHost: Shop.test:81\r\nX-Kept: 2\r\nContent-Length: 3\r\n\r\n"
        );
        for end in 0..head.len() - 3 {
            assert!(read(&head[..end]).unwrap().is_none(), "{end}");
        }
    }

    #[test]
    fn tunnels() {
        let found = read(b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n").unwrap().unwrap();
        assert_eq!((found.host.as_str(), found.port), ("::1", 443));
        assert!(matches!(found.wanted, Wanted::Tunnel));
    }

    #[test]
    fn what_is_refused() {
        for (head, status) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], 400),
            (b"GET https://x.test/ HTTP/1.1\r\n\r\n", 400),
            (b"GET http:/// HTTP/1.1\r\n\r\n", 400),
            (b"GET http://x.test:0/ HTTP/1.1\r\n\r\n", 400),
            (b"GET http://x.test:99999/ HTTP/1.1\r\n\r\n", 400),
            (b"CONNECT x.test HTTP/1.1\r\n\r\n", 400),
            (b"CONNECT x.test:+4 HTTP/1.1\r\n\r\n", 400),
            (b"\x16\x03\x01 hello\r\n\r\n", 400),
            (b"POST http://x.test/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            (b"POST http://x.test/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            (b"POST http://x.test/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        ] {
            assert_eq!(read(head).unwrap_err().0, status, "{}", String::from_utf8_lossy(head));
        }
        let long = [b"GET http://x.test/ HTTP/1.1\r\nA: ".to_vec(), vec![b'a'; LONGEST_HEAD]].concat();
        assert_eq!(read(&long).unwrap_err().0, 431);
        let many = [b"GET http://x.test/ HTTP/1.1\r\n".to_vec(), b"A: b\r\n".repeat(200), b"\r\n".to_vec()].concat();
        assert_eq!(read(&many).unwrap_err().0, 431);
    }
}
