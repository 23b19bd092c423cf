//! SOCKS5 (RFC 1928) with a login of user name and password (RFC 1929).

use std::fmt;
use std::net::IpAddr;

use super::credentials::Credentials;
use super::destination::{Destination, Host};
use super::handshake::{Inexpressible, Malformed, Progress, Refusal};

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const NO_LOGIN: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;

/// A reply other than "succeeded", by the names of RFC 1928, section 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// 1: general SOCKS server failure.
    GeneralFailure,
    /// 2: connection not allowed by ruleset.
    NotAllowed,
    /// 3: network unreachable.
    NetworkUnreachable,
    /// 4: host unreachable.
    HostUnreachable,
    /// 5: connection refused.
    ConnectionRefused,
    /// 6: TTL expired.
    TtlExpired,
    /// 7: command not supported.
    CommandNotSupported,
    /// 8: address type not supported.
    AddressTypeNotSupported,
    /// An unassigned code.
    Other(u8),
}

impl Reply {
    /// The reply of that code; `None` for 0, "succeeded".
    #[must_use]
    pub const fn of_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => return None,
            1 => Self::GeneralFailure,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::TtlExpired,
            7 => Self::CommandNotSupported,
            8 => Self::AddressTypeNotSupported,
            code => Self::Other(code),
        })
    }

    /// Its code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::GeneralFailure => 1,
            Self::NotAllowed => 2,
            Self::NetworkUnreachable => 3,
            Self::HostUnreachable => 4,
            Self::ConnectionRefused => 5,
            Self::TtlExpired => 6,
            Self::CommandNotSupported => 7,
            Self::AddressTypeNotSupported => 8,
            Self::Other(code) => code,
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GeneralFailure => "general failure",
            Self::NotAllowed => "connection not allowed by ruleset",
            Self::NetworkUnreachable => "network unreachable",
            Self::HostUnreachable => "host unreachable",
            Self::ConnectionRefused => "connection refused",
            Self::TtlExpired => "time to live expired",
            Self::CommandNotSupported => "command not supported",
            Self::AddressTypeNotSupported => "address type not supported",
            Self::Other(code) => return write!(f, "reply {code}"),
        })
    }
}

#[derive(Clone, Copy)]
enum State {
    /// Which way to log in.
    Method,
    /// Whether the login is right.
    Login,
    /// Whether the proxy has connected.
    Reply,
    Ended,
}

/// The handshake.
pub struct Socks5 {
    to: Destination,
    login: Option<Credentials>,
    buffer: Vec<u8>,
    state: State,
}

impl Socks5 {
    /// Asks for a connection.
    #[must_use]
    pub fn new(to: Destination, login: Option<Credentials>) -> Self {
        Self { to, login, buffer: Vec::new(), state: State::Method }
    }

    /// What to write first.
    pub fn start(&mut self) -> Vec<u8> {
        // With a login both ways are offered, the login first: a proxy that was given one may not want it.
        match self.login {
            Some(_) => vec![VERSION, 2, USER_AND_PASSWORD, NO_LOGIN],
            None => vec![VERSION, 1, NO_LOGIN],
        }
    }

    /// Takes what was read.
    pub fn feed(&mut self, bytes: &[u8]) -> Progress {
        self.buffer.extend_from_slice(bytes);
        let progress = match self.state {
            State::Method => self.method(),
            State::Login => self.logged_in(),
            State::Reply => self.reply(),
            State::Ended => Progress::Malformed(Malformed::Ended),
        };
        if !matches!(progress, Progress::NeedMore(_) | Progress::Write(_)) {
            self.state = State::Ended;
        }
        progress
    }

    /// The first `N` bytes, or how many are missing.
    fn first<const N: usize>(&self) -> Result<[u8; N], Progress> {
        match self.buffer.first_chunk() {
            Some(bytes) => Ok(*bytes),
            None => Err(Progress::NeedMore(N - self.buffer.len())),
        }
    }

    /// A message that answers all that has come: what is left was sent before it was asked for.
    fn write(&mut self, used: usize, message: Vec<u8>, next: State) -> Progress {
        if self.buffer.len() > used {
            return Progress::Malformed(Malformed::EarlyData);
        }
        self.buffer.clear();
        self.state = next;
        Progress::Write(message)
    }

    fn is_of_version(&self) -> bool {
        self.buffer.first().is_none_or(|version| *version == VERSION)
    }

    fn method(&mut self) -> Progress {
        if !self.is_of_version() {
            return Progress::Malformed(Malformed::NotSocks5);
        }
        let [_, method] = match self.first() {
            Ok(bytes) => bytes,
            Err(more) => return more,
        };
        match (method, &self.login) {
            (NO_LOGIN, _) => self.write(2, request(&self.to), State::Reply),
            (USER_AND_PASSWORD, Some(login)) => match login_message(login) {
                Some(message) => self.write(2, message, State::Login),
                None => Progress::Refused(Refusal::Inexpressible(Inexpressible::Login)),
            },
            (_, login) => Progress::Refused(Refusal::Method { login_offered: login.is_some() }),
        }
    }

    fn logged_in(&mut self) -> Progress {
        // The version is not looked at: some servers answer with that of SOCKS.
        match self.first() {
            Ok([_, 0]) => self.write(2, request(&self.to), State::Reply),
            Ok([_, _]) => Progress::Refused(Refusal::Login),
            Err(more) => more,
        }
    }

    fn reply(&mut self) -> Progress {
        if !self.is_of_version() {
            return Progress::Malformed(Malformed::NotSocks5);
        }
        // A refusal is one before its address has come: not every server sends that.
        if let [_, code, ..] = *self.buffer.as_slice()
            && let Some(reply) = Reply::of_code(code)
        {
            return Progress::Refused(Refusal::Socks5(reply));
        }
        let [_, _, _, kind] = match self.first() {
            Ok(bytes) => bytes,
            Err(more) => return more,
        };
        // The address that the proxy has bound is of no use, but it is in the way.
        let address = match kind {
            1 => 4,
            4 => 16,
            3 => match self.first::<5>() {
                Ok([.., length]) => 1 + usize::from(length),
                Err(more) => return more,
            },
            _ => return Progress::Malformed(Malformed::NotSocks5),
        };
        let end = 4 + address + 2;
        match end.checked_sub(self.buffer.len()) {
            Some(missing) if missing > 0 => Progress::NeedMore(missing),
            _ => Progress::Done { leftover: self.buffer.split_off(end) },
        }
    }
}

/// `None` where a length byte cannot say it. A password may be empty, which RFC 1929 does not foresee: an API key is a user
/// without one.
fn login_message(login: &Credentials) -> Option<Vec<u8>> {
    let (user, password) = (login.username.as_bytes(), login.password.as_bytes());
    if user.is_empty() {
        return None;
    }
    let mut message = vec![LOGIN_VERSION];
    for part in [user, password] {
        message.push(u8::try_from(part.len()).ok()?);
        message.extend_from_slice(part);
    }
    Some(message)
}

fn request(to: &Destination) -> Vec<u8> {
    let mut request = vec![VERSION, 1, 0];
    match &to.host {
        Host::Address(IpAddr::V4(address)) => {
            request.push(1);
            request.extend(address.octets());
        }
        Host::Address(IpAddr::V6(address)) => {
            request.push(4);
            request.extend(address.octets());
        }
        Host::Name(name) => {
            // A destination's name has at most 255 bytes.
            request.extend([3, name.len() as u8]);
            request.extend(name.bytes());
        }
    }
    request.extend(to.port.to_be_bytes());
    request
}
