//! The protocols that proxies speak.

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// Plain HTTP: absolute-form requests and `CONNECT`.
    Http,
    /// HTTP inside TLS to the proxy.
    Https,
    /// SOCKS version 4 (with 4a for names).
    Socks4,
    /// SOCKS version 5.
    Socks5,
}

impl Protocol {
    /// Every protocol, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Http, Self::Https, Self::Socks4, Self::Socks5];

    /// The scheme as written in URLs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4 => "socks4",
            Self::Socks5 => "socks5",
        }
    }

    /// The port meant when a URL names none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks4 | Self::Socks5 => 1080,
        }
    }

    /// The scheme that a URL of this protocol is written with: `socks5h` and `socks4a` say that the proxy resolves names.
    #[must_use]
    pub fn scheme_of(self, url: &str) -> &'static str {
        let written = url.split_once("://").map_or("", |(scheme, _)| scheme);
        match self {
            Self::Socks5 if written.eq_ignore_ascii_case("socks5h") => "socks5h",
            Self::Socks4 if written.eq_ignore_ascii_case("socks4a") => "socks4a",
            _ => self.as_str(),
        }
    }

    /// The protocol of that scheme, in any case; `socks5h` and `socks4a` only say where names are resolved, and `socks`
    /// alone is version 5.
    #[must_use]
    pub fn parse(scheme: &str) -> Option<Self> {
        let is = |name: &str| scheme.eq_ignore_ascii_case(name);
        if is("http") {
            Some(Self::Http)
        } else if is("https") {
            Some(Self::Https)
        } else if is("socks4") || is("socks4a") {
            Some(Self::Socks4)
        } else if is("socks5") || is("socks5h") || is("socks") {
            Some(Self::Socks5)
        } else {
            None
        }
    }
}
