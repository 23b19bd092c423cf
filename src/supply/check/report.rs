//! What a check found.

use std::fmt;
use std::net::IpAddr;

use crate::net::address::Protocol;
use crate::supply::Anonymity;

/// How far a check came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The address was read.
    Format,
    /// Its name was resolved.
    Dns,
    /// It was connected to.
    Tcp,
    /// It spoke the protocol, and a page came through it.
    Http,
    /// A judge page showed how anonymous it is.
    Anonymity,
}

impl Stage {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Anonymity => "anonymity",
        }
    }
}

/// Why a proxy did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// It has no address that can be read.
    Format,
    /// The name of the proxy leads nowhere.
    Dns,
    /// The host's name leads into the user's own network, and the list that named it may not.
    Local,
    /// The port is closed.
    Refused,
    /// It cannot be reached.
    Unreachable,
    /// The time was over.
    Timeout,
    /// It does not take the credentials, or wants some.
    Auth,
    /// It does not speak the protocol.
    Protocol,
    /// It would not connect to the target; the status of HTTP or the code of SOCKS.
    Denied(u16),
    /// It closed the connection.
    Closed,
    /// A certificate is not valid, or TLS failed.
    Tls,
    /// The answer is not HTTP, or its head is too long.
    BadAnswer,
    /// The page came with a status that was not asked for.
    Status(u16),
    /// The page is not the expected one.
    Body,
    /// Redirected too often, or to nowhere.
    Redirect,
    /// It is not as anonymous as it should be.
    Anonymity,
    /// The bytes that all checks together may read are used up.
    Budget,
    /// The check was given up.
    Cancelled,
    /// The check itself failed, by a fault of this library.
    Internal,
}

impl Failure {
    /// One word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Dns => "dns",
            Self::Local => "local",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Auth => "auth",
            Self::Protocol => "protocol",
            Self::Denied(_) => "denied",
            Self::Closed => "closed",
            Self::Tls => "tls",
            Self::BadAnswer => "bad_answer",
            Self::Status(_) => "status",
            Self::Body => "body",
            Self::Redirect => "redirect",
            Self::Anonymity => "anonymity",
            Self::Budget => "budget",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(code) => write!(f, "the proxy would not connect to the target ({code})"),
            Self::Status(status) => write!(f, "the page came with status {status}"),
            other => f.write_str(match other {
                Self::Format => "it is not the address of a proxy",
                Self::Dns => "the proxy's name cannot be resolved",
                Self::Local => "the proxy's name leads into a private network, and a list of others named it",
                Self::Refused => "the proxy refuses connections",
                Self::Unreachable => "the proxy cannot be reached",
                Self::Timeout => "no answer in time",
                Self::Auth => "the proxy does not accept the credentials",
                Self::Internal => "the check failed by an internal error, please report it",
                Self::Protocol => "the proxy does not speak the protocol",
                Self::Closed => "the proxy closed the connection",
                Self::Tls => "TLS failed: the certificate is not valid, or there is none",
                Self::BadAnswer => "the answer cannot be read",
                Self::Body => "the page is not the one expected",
                Self::Redirect => "the page redirects too often",
                Self::Anonymity => "the proxy is not anonymous enough",
                Self::Budget => "the bytes allowed for all checks are used up",
                _ => "the check was given up",
            }),
        }
    }
}

impl std::error::Error for Failure {}

/// What a check found about one proxy.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Its place in the list.
    pub index: usize,
    /// Why it did not pass; `None` if it did.
    pub failure: Option<Failure>,
    /// The last stage that it passed.
    pub stage: Stage,
    /// How it is spoken to: as its address says, or as was found out.
    pub protocol: Protocol,
    /// Whether pages of plain HTTP come only through `CONNECT`.
    pub tunnels_only: bool,
    /// Milliseconds until it was connected to.
    pub connect_ms: Option<f64>,
    /// Milliseconds from the first byte sent to the whole page.
    pub response_ms: Option<f64>,
    /// Milliseconds of the whole check.
    pub total_ms: f64,
    /// The page's status.
    pub status: Option<u16>,
    /// What a judge found.
    pub anonymity: Option<Anonymity>,
    /// The address under which the judge saw it.
    pub exit: Option<IpAddr>,
    /// Bytes read.
    pub bytes: u64,
}

impl Report {
    pub(super) fn new(index: usize, protocol: Protocol) -> Self {
        Self {
            index,
            failure: None,
            stage: Stage::Format,
            protocol,
            tunnels_only: false,
            connect_ms: None,
            response_ms: None,
            total_ms: 0.0,
            status: None,
            anonymity: None,
            exit: None,
            bytes: 0,
        }
    }
}
