//! One proxy as a list names it.

use std::num::NonZeroU16;

use compact_str::{CompactString, format_compact};

use crate::clock::Micros;
use crate::net::address::{Address, Credentials, Protocol, escape};
use crate::proxy::Proxy;
use crate::proxy::health::Source;

/// A proxy named by a list: small, since lists are long. What most lists do not say is behind a pointer.
#[derive(Debug, Clone, PartialEq)]
pub struct ListEntry {
    /// Host name or IP literal, lower case, IPv6 without brackets.
    pub host: CompactString,
    /// The port, if one was written.
    pub port: Option<NonZeroU16>,
    /// How to speak to it.
    pub protocol: Protocol,
    /// The line it was on, from 1; in HTML the number of the row.
    pub line: u32,
    /// What else the list says about it.
    pub details: Option<Box<Details>>,
}

/// How much a proxy reveals to the site about the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anonymity {
    /// The proxy passes on the client's address.
    Transparent,
    /// The proxy hides the address and says that it is a proxy.
    Anonymous,
    /// The proxy does not show.
    Elite,
}

impl Anonymity {
    /// Name of the level.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transparent => "transparent",
            Self::Anonymous => "anonymous",
            Self::Elite => "elite",
        }
    }

    /// Reads it as lists write it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 40 {
            return None;
        }
        let plain: String = text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        Some(match plain.as_str() {
            "transparent" | "noa" | "level3" | "none" | "no" | "transparentproxy" => Self::Transparent,
            "anonymous" | "anm" | "level2" | "anonymousproxy" | "medium" | "average" | "low" | "distorting" => {
                Self::Anonymous
            }
            "elite" | "hia" | "high" | "highanonymous" | "highlyanonymous" | "highanonymity" | "level1"
            | "eliteproxy" | "highkeepalive" | "superelite" => Self::Elite,
            _ => return None,
        })
    }
}

/// What few lists say about a proxy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Details {
    /// What to log in with.
    pub credentials: Option<Credentials>,
    /// ISO 3166-1 alpha-2 code, upper case.
    pub country_code: Option<CompactString>,
    /// The country's name.
    pub country: Option<Box<str>>,
    /// Region or state.
    pub region: Option<Box<str>>,
    /// City.
    pub city: Option<Box<str>>,
    /// How much it reveals about the client.
    pub anonymity: Option<Anonymity>,
    /// Milliseconds to an answer, as the list says.
    pub latency_ms: Option<f64>,
    /// Share of successes, 0 to 1, as the list says.
    pub success_rate: Option<f64>,
    /// Results behind that share.
    pub checks: Option<u64>,
    /// Whether it tunnels to HTTPS sites.
    pub https: Option<bool>,
    /// When it was last looked at, as written.
    pub last_checked: Option<Box<str>>,
    /// Sorted, without duplicates.
    pub tags: Vec<Box<str>>,
    /// The scheme as written, where it says more than the protocol: `socks5h` and `socks4a` name the side that
    /// resolves.
    pub scheme: Option<&'static str>,
}

/// The scheme of a URL, if it says where names are resolved.
pub(super) fn telling_scheme(url: &str) -> Option<&'static str> {
    let (scheme, _) = url.split_once("://")?;
    ["socks5h", "socks4a"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known))
}

impl ListEntry {
    /// A record of an address.
    #[must_use]
    pub fn new(address: Address, line: u32) -> Self {
        let details =
            address.credentials.map(|login| Box::new(Details { credentials: Some(login), ..Details::default() }));
        Self {
            host: CompactString::from(&*address.host),
            port: address.port.and_then(NonZeroU16::new),
            protocol: address.protocol,
            line,
            details,
        }
    }

    /// What to log in with.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.details.as_ref()?.credentials.as_ref()
    }

    /// The details, made if there are none yet.
    pub fn details_mut(&mut self) -> &mut Details {
        self.details.get_or_insert_default()
    }

    /// The port to dial.
    #[must_use]
    pub fn effective_port(&self) -> u16 {
        self.port.map_or(self.protocol.default_port(), NonZeroU16::get)
    }

    /// Address of the proxy.
    #[must_use]
    pub fn address(&self) -> Address {
        Address {
            protocol: self.protocol,
            host: self.host.as_str().into(),
            port: self.port.map(NonZeroU16::get),
            credentials: self.credentials().cloned(),
        }
    }

    /// A proxy of the core at this address, that knows what the list said. `tags` are those of the whole list, sorted.
    #[must_use]
    pub fn proxy(&self, source: Source, tags: &[Box<str>], now: Micros) -> Proxy {
        let proxy = Proxy::at(self.protocol, self.authority(), source, now);
        if self.details.is_none() && tags.is_empty() {
            return proxy;
        }
        proxy.set_cold(|cold| {
            cold.tags = tags.to_vec();
            let Some(details) = &self.details else { return };
            if details.credentials.is_some() || details.scheme.is_some() {
                let url = self.url();
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let given = details.scheme.filter(|given| given.starts_with(self.protocol.as_str()));
                cold.raw_url =
                    Some(given.map_or_else(|| url.clone().into(), |given| format!("{given}://{rest}").into()));
                cold.credentials.clone_from(&details.credentials);
            }
            cold.country_code = details.country_code.as_deref().or(details.country.as_deref()).map(Box::from);
            cold.region.clone_from(&details.region);
            cold.tags.extend(details.tags.iter().cloned());
            cold.tags.extend(details.anonymity.map(|anonymity| anonymity.as_str().into()));
            cold.tags.sort_unstable();
            cold.tags.dedup();
        });
        proxy
    }

    /// `host[:port]` as written in a URL.
    #[must_use]
    pub fn authority(&self) -> CompactString {
        let v6 = memchr::memchr(b':', self.host.as_bytes()).is_some();
        let Some(port) = self.port else {
            return if v6 { format_compact!("[{}]", self.host) } else { self.host.clone() };
        };
        let mut digits = itoa(port.get());
        let mut authority = CompactString::with_capacity(self.host.len() + 8);
        if v6 {
            authority.push('[');
        }
        authority.push_str(&self.host);
        authority.push_str(if v6 { "]:" } else { ":" });
        authority.push_str(digits.text());
        authority
    }

    /// URL of the proxy, credentials percent-encoded.
    #[must_use]
    pub fn url(&self) -> String {
        let login = self
            .credentials()
            .map_or_else(String::new, |login| format!("{}:{}@", escape(&login.username), escape(&login.password)));
        format!("{}://{login}{}", self.protocol.as_str(), self.authority())
    }
}

struct Digits([u8; 5], usize);

impl Digits {
    fn text(&mut self) -> &str {
        std::str::from_utf8(&self.0[self.1..]).unwrap_or("0")
    }
}

// Formatting machinery costs more than the rest of an authority together.
fn itoa(mut number: u16) -> Digits {
    let mut digits = Digits([b'0'; 5], 5);
    while digits.1 > 0 {
        digits.1 -= 1;
        digits.0[digits.1] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_small_and_writes_what_it_reads() {
        assert!(size_of::<ListEntry>() <= 40, "{}", size_of::<ListEntry>());
        for url in
            ["http://1.2.3.4:80", "socks5://u%3A:p%40@[2001:db8::1]:65535", "https://name.example", "http://[::1]"]
        {
            let record = ListEntry::new(Address::parse(url).unwrap(), 1);
            assert_eq!(record.url(), url);
            assert_eq!(record.address(), Address::parse(url).unwrap());
        }
    }

    #[test]
    fn reads_anonymity_as_lists_write_it() {
        assert_eq!(Anonymity::parse("Elite proxy"), Some(Anonymity::Elite));
        assert_eq!(Anonymity::parse("High +KA"), None);
        assert_eq!(Anonymity::parse("level-2"), Some(Anonymity::Anonymous));
        assert_eq!(Anonymity::parse("NOA"), Some(Anonymity::Transparent));
    }
}
