//! Where a proxy is: the one grammar for a proxy's address.

use compact_str::{CompactString, format_compact};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::credentials::unescape;
pub use super::credentials::{Credentials, escape};
pub(crate) use super::host::parse_host;
pub use super::locality::{Locality, is_public, locality};
pub use super::protocol::Protocol;

/// A proxy's address, checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// How to speak to it.
    pub protocol: Protocol,
    /// Host name or IP literal, lower case, IPv6 without brackets.
    pub host: Box<str>,
    /// The port, if one was written.
    pub port: Option<u16>,
    /// What to log in with, if given.
    pub credentials: Option<Credentials>,
}

/// Why a text is not a proxy's address. Never quotes the text: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// No `scheme://` in front.
    NoScheme,
    /// A scheme that no proxy speaks.
    BadScheme,
    /// Nothing between the scheme and the port.
    NoHost,
    /// White space, control characters, an unusual notation of a number, and the like.
    BadHost,
    /// Not a number from 1 to 65535.
    BadPort,
    /// No port where one is needed.
    NoPort,
    /// A password without a user name, or an empty login.
    HalfCredentials,
    /// A path, query or fragment behind the address.
    TrailingText,
    /// A malformed percent escape in the credentials.
    BadEscape,
    /// The host and the login can be split in two ways, and one of them would dial another host.
    Ambiguous,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoScheme => "Invalid proxy URL: URL must have a scheme (http, https, socks4 or socks5)",
            Self::BadScheme => "Invalid proxy URL: the scheme must be http, https, socks4 or socks5",
            Self::NoHost => "Invalid proxy URL: the host is missing",
            Self::BadHost => "Invalid proxy URL: the host is neither a name nor an IP address in its usual notation",
            Self::BadPort => "Invalid proxy URL: Port must be between 1 and 65535",
            Self::NoPort => "Invalid proxy URL: the port is missing",
            Self::HalfCredentials => "Invalid proxy URL: Both username and password must be provided together",
            Self::TrailingText => "Invalid proxy URL: nothing may follow the host and the port",
            Self::BadEscape => "Invalid proxy URL: malformed percent escape in the credentials",
            Self::Ambiguous => {
                "Invalid proxy URL: the host and the login are ambiguous; percent-encode '@' and ':' in the login"
            }
        })
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// Reads `scheme://[user:password@]host[:port][/]`. The password may be empty: an API key is a user without one.
    ///
    /// # Errors
    /// [`AddressError`] says what is wrong; its text never contains the input.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = url.split_once("://").ok_or(AddressError::NoScheme)?;
        let protocol = Protocol::parse(scheme).ok_or(AddressError::BadScheme)?;
        if let Some((user_info, _)) = rest.rsplit_once('@')
            && user_info.splitn(3, ':').count() == 3
            && is_literal_place(user_info)
        {
            // "http://1.2.3.4:80:user:p@ss": columns, whose last would be dialled.
            return Err(AddressError::Ambiguous);
        }
        Self::parse_authority(protocol, rest, true)
    }

    /// Reads an entry of a list: a URL, `host:port`, `user:password@host:port`, `host:port@user:password`,
    /// `host:port:user:password` or `user:password:host:port`, each with or without `scheme://`.
    /// Without a scheme it is an HTTP proxy, and the port must be there. An `@` inside a column belongs to that column.
    ///
    /// # Errors
    /// As [`Address::parse`].
    pub fn parse_line(line: &str) -> Result<Self, AddressError> {
        let (protocol, rest) = match line.split_once("://") {
            Some((scheme, rest)) => (Some(Protocol::parse(scheme).ok_or(AddressError::BadScheme)?), rest),
            None => (None, line),
        };
        let spoken = protocol.unwrap_or(Protocol::Http);
        if let Some(address) = super::columns::parse(spoken, rest) {
            return address;
        }
        let behind = || Self::parse_login_behind(spoken, rest);
        let address = match Self::parse_authority(spoken, rest, protocol.is_some()) {
            Ok(address) => address,
            Err(error) => return behind().ok_or(error),
        };
        if address.port.is_none() && protocol.is_none() {
            return behind().ok_or(AddressError::NoPort);
        }
        // "1.2.3.4:80@user:1234" reads both ways.
        if let Some((left, _)) = rest.split_once('@') {
            if is_literal_place(left) {
                if is_literal(&address.host) {
                    return Err(AddressError::Ambiguous);
                }
                return behind().ok_or(AddressError::Ambiguous);
            }
            if !address.host.contains(['.', ':'])
                && let Some(behind) = behind().filter(|found| found.host.contains('.'))
            {
                return Ok(behind);
            }
        }
        Ok(address)
    }

    /// `host:port@user:password`.
    fn parse_login_behind(protocol: Protocol, text: &str) -> Option<Self> {
        let (place, login) = text.split_once('@')?;
        let (host, port) = split_port(place).ok()?;
        let (user, password) = login.split_once(':').filter(|(user, _)| !user.is_empty())?;
        Some(Self {
            protocol,
            host: parse_host(host).ok()?,
            port: Some(parse_port(port?).ok()?),
            credentials: Some(Credentials { username: unescape(user).ok()?, password: unescape(password).ok()? }),
        })
    }

    /// `is_url`: a scheme stands in front, so that a user alone is no mail address.
    fn parse_authority(protocol: Protocol, text: &str, is_url: bool) -> Result<Self, AddressError> {
        // The last '@' ends the credentials, so that an unescaped one in a password does no harm.
        let (user_info, host_port) = match text.rfind('@') {
            Some(at) => (Some(&text[..at]), &text[at + 1..]),
            None => (None, text),
        };
        let host_port = host_port.strip_suffix('/').unwrap_or(host_port);
        if host_port.contains(['/', '?', '#']) {
            return Err(AddressError::TrailingText);
        }
        let (host, port) = split_port(host_port)?;
        let credentials = match user_info {
            None => None,
            Some(info) => {
                // An API key is often written without the colon: curl and the HTTP libraries read it as a user, too.
                let alone = is_url.then_some((info, ""));
                let (user, password) = info.split_once(':').or(alone).ok_or(AddressError::HalfCredentials)?;
                if user.is_empty() {
                    return Err(AddressError::HalfCredentials);
                }
                Some(Credentials { username: unescape(user)?, password: unescape(password)? })
            }
        };
        Ok(Self { protocol, host: parse_host(host)?, port: port.map(parse_port).transpose()?, credentials })
    }

    /// The port to dial.
    #[must_use]
    pub fn effective_port(&self) -> u16 {
        self.port.unwrap_or(self.protocol.default_port())
    }

    /// `host[:port]` as written in a URL, without credentials.
    #[must_use]
    pub fn authority(&self) -> CompactString {
        let v6 = self.host.contains(':');
        match (self.port, v6) {
            (Some(port), true) => format_compact!("[{}]:{port}", self.host),
            (Some(port), false) => format_compact!("{}:{port}", self.host),
            (None, true) => format_compact!("[{}]", self.host),
            (None, false) => CompactString::from(&*self.host),
        }
    }

    /// Whether `text` is exactly [`Address::bare_url`].
    #[must_use]
    pub fn is_written(&self, text: &str) -> bool {
        if self.host.contains(':') {
            return text == self.bare_url();
        }
        let rest = text
            .strip_prefix(self.protocol.as_str())
            .and_then(|rest| rest.strip_prefix("://"))
            .and_then(|rest| rest.strip_prefix(&*self.host));
        match (rest, self.port) {
            (Some(""), None) => true,
            // A number has one way to be written but for leading zeros.
            (Some(rest), Some(port)) => {
                rest.strip_prefix(':').is_some_and(|digits| !digits.starts_with('0') && digits.parse() == Ok(port))
            }
            _ => false,
        }
    }

    /// The URL without credentials.
    #[must_use]
    pub fn bare_url(&self) -> String {
        format!("{}://{}", self.protocol.as_str(), self.authority())
    }
}

/// Whether a host is an IP literal.
pub(crate) fn is_literal(host: &str) -> bool {
    host.parse::<Ipv4Addr>().is_ok() || host.contains(':')
}

/// Whether a text begins with an IP literal, a colon and a port, and a colon or nothing behind.
fn is_literal_place(text: &str) -> bool {
    let (host, rest) = match text.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((host, rest)) => (host, rest),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    (host.parse::<Ipv4Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok())
        && parse_port(rest.split(':').next().unwrap_or("")).is_ok()
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), AddressError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, tail) = rest.split_once(']').ok_or(AddressError::BadHost)?;
        // The brackets stay with the caller's slice: only an IPv6 literal may stand in them.
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(AddressError::BadHost);
        }
        return match tail.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if tail.is_empty() => Ok((host, None)),
            None => Err(AddressError::BadHost),
        };
    }
    match text.split_once(':') {
        None => Ok((text, None)),
        Some((_, port)) if port.contains(':') => Err(AddressError::BadHost),
        Some((host, port)) => Ok((host, Some(port))),
    }
}

pub(crate) fn parse_port(text: &str) -> Result<u16, AddressError> {
    if text.is_empty() || text.len() > 5 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AddressError::BadPort);
    }
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(AddressError::BadPort),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_documented_form() {
        let full = Address::parse("SOCKS5://us%40er:p%3Aw@Proxy1.Example:1081/").unwrap();
        assert_eq!(full.protocol, Protocol::Socks5);
        assert_eq!(&*full.host, "proxy1.example");
        assert_eq!(full.port, Some(1081));
        let login = full.credentials.unwrap();
        assert_eq!((&*login.username, &*login.password), ("us@er", "p:w"));
        assert_eq!(Address::parse("http://proxy1.com").unwrap().effective_port(), 80);
        assert_eq!(Address::parse("http://[::1]:8080").unwrap().authority(), "[::1]:8080");
        assert_eq!(Address::parse_line("127.0.0.1:80").unwrap().bare_url(), "http://127.0.0.1:80");
        let line = Address::parse_line("10.0.0.1:81:u:p").unwrap();
        assert_eq!(&*line.credentials.unwrap().username, "u");
    }

    #[test]
    fn refuses_what_is_not_an_address() {
        use AddressError as E;
        for (text, error) in [
            ("proxy:80", E::NoScheme),
            ("ftp://proxy:80", E::BadScheme),
            ("http://", E::NoHost),
            ("http://:80", E::NoHost),
            ("http://a b:80", E::BadHost),
            ("http://a\r\nHost: x:80", E::BadHost),
            ("http://2130706433", E::BadHost),
            ("http://0x7f.1:80", E::BadHost),
            ("http://017.0.0.1:80", E::BadHost),
            ("http://1.2.3:80", E::BadHost),
            ("http://[nope]:80", E::BadHost),
            ("http://h:0", E::BadPort),
            ("http://h:65536", E::BadPort),
            ("http://h:+80", E::BadPort),
            ("http://h:", E::BadPort),
            ("http://@h:80", E::HalfCredentials),
            ("http://:word@h:80", E::HalfCredentials),
            ("http://1.2.3.4:80:user:p@ss", E::Ambiguous),
            ("http://1.2.3.4:80:user:p@ss.example:81", E::Ambiguous),
            ("http://u:%zz@h:80", E::BadEscape),
            ("http://h:80/path", E::TrailingText),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(Address::parse_line("host"), Err(E::NoPort));
        assert_eq!(Address::parse_line("2001:db8::1:8080"), Err(E::BadHost), "brackets are needed");
        assert_eq!(Address::parse_line("fe80:1::2"), Err(E::BadHost));
        assert_eq!(Address::parse_line("1.2.3.4:80::p"), Err(E::HalfCredentials));
    }

    #[test]
    fn a_user_alone_is_an_api_key() {
        for text in ["http://KEY@h:80", "http://KEY:@h:80", "socks4://KEY@h:80"] {
            let login = Address::parse(text).unwrap().credentials.unwrap();
            assert_eq!((&*login.username, &*login.password), ("KEY", ""), "{text}");
        }
        assert_eq!(Address::parse_line("KEY@h:80"), Err(AddressError::HalfCredentials));
    }

    #[test]
    fn finds_the_login_wherever_it_stands() {
        for text in [
            "gate.example:81:us_er:p:w",
            "http://gate.example:81:us_er:p:w",
            "us_er:p%3Aw@gate.example:81",
            "gate.example:81@us_er:p%3Aw",
        ] {
            let address = Address::parse_line(text).unwrap();
            assert_eq!((&*address.host, address.port), ("gate.example", Some(81)), "{text}");
            let login = address.credentials.unwrap();
            assert_eq!((&*login.username, &*login.password), ("us_er", "p:w"), "{text}");
        }
        let behind = Address::parse_line("user:1234:10.0.0.1:81").unwrap();
        assert_eq!((&*behind.host, behind.port), ("10.0.0.1", Some(81)));
        assert_eq!(&*behind.credentials.unwrap().password, "1234");
        let six = Address::parse_line("socks5://[2001:db8::1]:81:u:p").unwrap();
        assert_eq!((&*six.host, six.protocol), ("2001:db8::1", Protocol::Socks5));
    }
}
