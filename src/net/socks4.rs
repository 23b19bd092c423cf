//! SOCKS4, and 4a for names: <https://www.openssh.org/txt/socks4.protocol>, <https://www.openssh.org/txt/socks4a.protocol>.

use std::fmt;
use std::net::IpAddr;

use super::credentials::Credentials;
use super::destination::{Destination, Host};
use super::handshake::{Inexpressible, Malformed, Progress, Refusal};

/// Bytes of a reply.
const REPLY: usize = 8;

/// A reply other than "granted".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// 91: rejected or failed.
    Rejected,
    /// 92: the proxy cannot reach identd on this machine.
    NoIdentd,
    /// 93: identd reports another user.
    OtherUser,
    /// A code that the protocol does not have.
    Other(u8),
}

impl Reply {
    /// The reply of that code; `None` for 90, "granted".
    #[must_use]
    pub const fn of_code(code: u8) -> Option<Self> {
        match code {
            90 => None,
            91 => Some(Self::Rejected),
            92 => Some(Self::NoIdentd),
            93 => Some(Self::OtherUser),
            code => Some(Self::Other(code)),
        }
    }

    /// Its code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Rejected => 91,
            Self::NoIdentd => 92,
            Self::OtherUser => 93,
            Self::Other(code) => code,
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected => f.write_str("request rejected or failed"),
            Self::NoIdentd => f.write_str("rejected: the proxy cannot reach identd on this machine"),
            Self::OtherUser => f.write_str("rejected: identd reports another user"),
            Self::Other(code) => write!(f, "reply {code}"),
        }
    }
}

/// The handshake.
pub struct Socks4 {
    to: Destination,
    login: Option<Credentials>,
    buffer: Vec<u8>,
    has_ended: bool,
}

impl Socks4 {
    /// Asks for a connection. The user name is the user id; the protocol has no password.
    #[must_use]
    pub fn new(to: Destination, login: Option<Credentials>) -> Self {
        Self { to, login, buffer: Vec::new(), has_ended: false }
    }

    /// What to write first.
    ///
    /// # Errors
    /// [`Inexpressible`]: an IPv6 address, or a user id with a zero byte.
    pub fn start(&mut self) -> Result<Vec<u8>, Inexpressible> {
        let user = self.login.as_ref().map_or("", |login| &login.username);
        if user.contains('\0') {
            return Err(Inexpressible::UserId);
        }
        let (address, name) = match &self.to.host {
            Host::Address(IpAddr::V4(address)) => (address.octets(), None),
            Host::Address(IpAddr::V6(_)) => return Err(Inexpressible::Ipv6),
            // An address of this form says that a name follows.
            Host::Name(name) => ([0, 0, 0, 1], Some(name)),
        };
        let mut request = vec![4, 1];
        request.extend(self.to.port.to_be_bytes());
        request.extend(address);
        request.extend(user.bytes());
        request.push(0);
        if let Some(name) = name {
            request.extend(name.bytes());
            request.push(0);
        }
        Ok(request)
    }

    /// Takes what was read.
    pub fn feed(&mut self, bytes: &[u8]) -> Progress {
        if self.has_ended {
            return Progress::Malformed(Malformed::Ended);
        }
        self.buffer.extend_from_slice(bytes);
        let progress = self.next();
        self.has_ended = !matches!(progress, Progress::NeedMore(_));
        progress
    }

    fn next(&mut self) -> Progress {
        match *self.buffer.as_slice() {
            // The version of a reply is 0; some servers repeat that of the request.
            [version, ..] if !matches!(version, 0 | 4) => Progress::Malformed(Malformed::NotSocks4),
            // A refusal is one before its address has come: not every server sends that.
            [_, code, ..] if let Some(reply) = Reply::of_code(code) => Progress::Refused(Refusal::Socks4(reply)),
            _ if self.buffer.len() < REPLY => Progress::NeedMore(REPLY - self.buffer.len()),
            _ => Progress::Done { leftover: self.buffer.split_off(REPLY) },
        }
    }
}
