//! A response before it is sent: status, fields, and what comes behind them.

use std::borrow::Cow;
use std::io::Write;

use crate::fleet::proxy::reason;

/// What a response consists of behind its head.
#[derive(Debug)]
pub(super) enum Content {
    /// All of it, here.
    Whole(Cow<'static, [u8]>),
    /// So many bytes; byte i is i modulo 256.
    Bytes(u64),
    /// So many lines of JSON, each a chunk.
    Lines(u64),
    /// So many bytes over so many milliseconds.
    Drip {
        /// How many.
        bytes: u64,
        /// How long it takes altogether.
        ms: u64,
    },
}

/// A response.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    /// Whole field lines.
    pub(super) extra: String,
    pub(super) content: Content,
}

impl Page {
    pub(super) fn new(kind: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self { status: 200, kind, extra: String::new(), content: Content::Whole(body.into()) }
    }

    pub(super) fn json(body: String) -> Self {
        Self::new("application/json", body.into_bytes())
    }

    pub(super) fn html(body: &'static str) -> Self {
        Self::new("text/html; charset=utf-8", body.as_bytes())
    }

    pub(super) fn text(status: u16, body: &'static str) -> Self {
        Self::new("text/plain; charset=utf-8", body.as_bytes()).status(status)
    }

    pub(super) fn stream(content: Content) -> Self {
        Self { content, ..Self::new("application/octet-stream", &b""[..]) }
    }

    pub(super) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds a field. Values from outside lose what would end the line.
    pub(super) fn field(mut self, name: &str, value: &str) -> Self {
        self.extra.push_str(name);
        self.extra.push_str(": ");
        self.extra.extend(value.chars().filter(|c| !c.is_control()));
        self.extra.push_str("\r\n");
        self
    }

    /// Appends the head.
    pub(super) fn write_head(&self, out: &mut Vec<u8>, keep_alive: bool, modern: bool) {
        let status = self.status;
        // Writing into a vector does not fail.
        let _ = write!(out, "HTTP/1.1 {status} {}\r\nServer: proxywhirl-fleet\r\n", reason(status));
        if !matches!(status, 204 | 304) {
            let _ = write!(out, "Content-Type: {}\r\n", self.kind);
            let _ = match &self.content {
                Content::Whole(body) => write!(out, "Content-Length: {}\r\n", body.len()),
                Content::Bytes(bytes) | Content::Drip { bytes, .. } => {
                    write!(out, "Content-Length: {bytes}\r\n")
                }
                Content::Lines(_) if modern => write!(out, "Transfer-Encoding: chunked\r\n"),
                // To an HTTP/1.0 client the end of the connection is the end of the lines.
                Content::Lines(_) => Ok(()),
            };
        }
        out.extend_from_slice(self.extra.as_bytes());
        out.extend_from_slice(if keep_alive { b"\r\n" } else { b"Connection: close\r\n\r\n" });
    }

    /// Appends head and body of a page that is whole.
    pub(super) fn write(&self, out: &mut Vec<u8>, keep_alive: bool) {
        self.write_head(out, keep_alive, true);
        if let Content::Whole(body) = &self.content {
            out.extend_from_slice(body);
        }
    }
}
