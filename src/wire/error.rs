//! What goes wrong with a request, in the classes of httpx, with where it went wrong.

use std::borrow::Cow;
use std::fmt;
use std::io;

use crate::net::handshake::Refusal;

/// The class of an error. Each is one class of httpx, but for those that say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `ConnectError`: no connection could be opened.
    Connect,
    /// `ConnectTimeout`
    ConnectTimeout,
    /// `ReadError`: the connection broke while it was read from.
    Read,
    /// `ReadTimeout`
    ReadTimeout,
    /// `WriteError`: the connection broke while it was written to.
    Write,
    /// `WriteTimeout`
    WriteTimeout,
    /// `PoolTimeout`: no connection became free in time.
    PoolTimeout,
    /// The total deadline of the request passed; httpx has none.
    Deadline,
    /// `ProxyError`: the proxy refuses to open the way. `None` where its reply makes no sense.
    Proxy(Option<Box<Refusal>>),
    /// `RemoteProtocolError`: what was received is not HTTP, or was cut off.
    RemoteProtocol,
    /// `LocalProtocolError`: the request cannot be sent as it is.
    LocalProtocol,
    /// `DecodingError`: the body is not in the coding that the head names.
    Decoding,
    /// A limit was passed; httpx has none.
    TooLarge(Excess),
    /// `UnsupportedProtocol`
    Unsupported,
    /// The caller broke off; httpx raises what interrupted it.
    Interrupted,
}

/// The limit that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Bytes of the body on the wire.
    Body,
    /// Bytes of the decoded body.
    Decoded,
}

/// How far a request had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Waiting for a free connection.
    Pool,
    /// Looking up a name.
    Resolve,
    /// Opening a TCP connection.
    Tcp,
    /// TLS with the proxy.
    ProxyTls,
    /// Asking the proxy to open the way.
    Handshake,
    /// TLS with the target.
    TargetTls,
    /// Writing the request.
    Write,
    /// Reading the head of the answer.
    Head,
    /// Reading its body.
    Body,
}

/// How much of what was awaited had come when the other side closed the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Not one byte.
    Silent,
    /// A part.
    Amid,
}

/// An error of a request. Its text names no login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Its class.
    pub kind: Kind,
    /// Where it happened.
    pub stage: Stage,
    /// Whether a byte of the request may have reached the site.
    pub sent: bool,
    /// Whether a connection that had been idle was found closed, which is its other side's right.
    pub stale: bool,
    /// The number of the system's error, where it was one.
    pub errno: Option<i32>,
    /// Where the other side closed the connection before the end: how much had come.
    pub cut: Option<Cut>,
    text: Cow<'static, str>,
}

impl Error {
    /// An error before a byte of the request was sent.
    #[must_use]
    pub fn new(kind: Kind, stage: Stage, text: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, stage, sent: false, stale: false, errno: None, cut: None, text: text.into() }
    }

    /// An error of the system.
    #[must_use]
    pub fn of_io(kind: Kind, stage: Stage, error: &io::Error) -> Self {
        Self { errno: error.raw_os_error(), ..Self::new(kind, stage, text_of_io(error)) }
    }

    /// The same, where the other side closed the connection.
    #[must_use]
    pub fn with_cut(self, cut: Cut) -> Self {
        Self { cut: Some(cut), ..self }
    }

    /// The same, where a byte of the request may have been sent.
    #[must_use]
    pub fn with_sent(self, sent: bool) -> Self {
        Self { sent, ..self }
    }

    /// The same, where a connection that had been idle may have been found closed.
    #[must_use]
    pub fn with_stale(self, stale: bool) -> Self {
        Self { stale, ..self }
    }

    /// What it says.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// An error of the system, as Python writes it.
pub(crate) fn text_of_io(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(number) => {
            let tail = format!(" (os error {number})");
            format!("[Errno {number}] {}", text.strip_suffix(&tail).unwrap_or(&text))
        }
        None => text,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}
