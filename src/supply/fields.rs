//! Entries that come in named parts: rows of tables and objects of JSON. The names by which the parts go are here alone.

use smallvec::{SmallVec, smallvec};

use super::note;
use super::parsed::Reason;
use super::record::{Anonymity, Details, Record};
use crate::proxy::address::{Address, AddressError, Credentials, Protocol, parse_host, parse_port};

/// What a part of an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// A whole address, or a host alone.
    Place,
    Port,
    Protocol,
    User,
    Password,
    CountryCode,
    Country,
    Region,
    City,
    Anonymity,
    /// Milliseconds if the value names no unit.
    Latency,
    /// Taken only if the value names a unit: it may as well be kilobytes.
    Speed,
    Seconds,
    SuccessRate,
    Checks,
    Https,
    LastChecked,
    Tags,
}

impl Column {
    /// What a part of that name says, in whatever way the name is written.
    pub(super) fn named(name: &str) -> Option<Self> {
        if name.len() > 64 {
            return None;
        }
        let mut plain = String::with_capacity(name.len());
        plain.extend(name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase));
        Some(match plain.as_str() {
            "ip" | "ipaddress" | "ipadress" | "ipaddr" | "host" | "hostname" | "proxy" | "proxyip" | "proxyhost"
            | "proxyaddress" | "proxyurl" | "address" | "addr" | "url" | "uri" | "server" | "ipport" | "hostport"
            | "proxyipport" | "ipaddressport" | "endpoint" | "ipадрес" | "адрес" | "代理ip" | "ip地址" => {
                Self::Place
            }
            "port" | "proxyport" | "portnumber" | "порт" | "端口" | "puerto" => Self::Port,
            "protocol" | "protocols" | "type" | "types" | "proto" | "scheme" | "proxytype" | "тип" | "类型" => {
                Self::Protocol
            }
            "username" | "user" | "login" | "proxyuser" | "proxyusername" => Self::User,
            "password" | "pass" | "passwd" | "pwd" | "proxypassword" | "proxypass" => Self::Password,
            "countrycode" | "code" | "cc" | "iso" | "isocode" | "countryiso" | "countrycode2" | "geo" => {
                Self::CountryCode
            }
            "country" | "countryname" | "location" | "страна" | "国家" | "país" => Self::Country,
            "region" | "regionname" | "state" | "province" => Self::Region,
            "city" | "cityname" => Self::City,
            "anonymity"
            | "anonymitylevel"
            | "anon"
            | "anonlevel"
            | "level"
            | "anonymous"
            | "анонимность"
            | "匿名度" => Self::Anonymity,
            "latency"
            | "latencyms"
            | "responsetime"
            | "responsetimems"
            | "response"
            | "ping"
            | "delay"
            | "averageresponsetime"
            | "averageresponsetimems"
            | "averagetimeout"
            | "avgresponsetime"
            | "rtt" => Self::Latency,
            "latencys" | "latencysec" | "responsetimes" | "responsetimesec" => Self::Seconds,
            "speed" | "timeout" | "connecttime" => Self::Speed,
            "successrate" | "uptime" | "uptimepercent" | "reliability" | "uptimeratio" => Self::SuccessRate,
            "totalchecks" | "checks" | "checkcount" | "totalrequests" => Self::Checks,
            "https" | "ssl" | "supporthttps" | "supportshttps" => Self::Https,
            "lastchecked" | "lastcheck" | "checkedat" | "lastseen" | "lastupdate" | "updated" | "updatedat"
            | "checked" => Self::LastChecked,
            "tags" | "labels" => Self::Tags,
            _ => return None,
        })
    }
}

/// An entry whose parts are being collected.
#[derive(Debug, Default)]
pub struct Fields {
    address: Option<Address>,
    has_scheme: bool,
    host: Option<Box<str>>,
    port: Option<u16>,
    failed: Option<AddressError>,
    any: bool,
    protocols: SmallVec<[Protocol; 2]>,
    user: Option<Box<str>>,
    password: Option<Box<str>>,
    details: Details,
}

impl Fields {
    /// Adds a part. Names and values that say nothing about a proxy are passed over; the answer is whether this one did.
    pub fn set(&mut self, name: &str, value: &str) -> bool {
        let Some(column) = Column::named(name) else { return false };
        self.put(column, value);
        true
    }

    pub(super) fn put(&mut self, column: Column, value: &str) {
        let value = value.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'));
        if value.is_empty() || value.len() > 4096 {
            return;
        }
        let short = || (value.len() <= 200).then(|| Box::<str>::from(value));
        match column {
            Column::Place => self.place(value),
            Column::Port => {
                // Spreadsheets and floating point make "80.0" of it.
                match parse_port(value.strip_suffix(".0").unwrap_or(value)) {
                    Ok(port) => self.port = Some(port),
                    Err(error) => self.failed = self.failed.or(Some(error)),
                }
            }
            Column::Protocol => self.protocol(value),
            Column::User => self.user = Some(value.into()),
            Column::Password => self.password = Some(value.into()),
            Column::CountryCode | Column::Country => {
                let upper = value.to_ascii_uppercase();
                match note::country_code(&upper) {
                    Some(code) => self.details.country_code = Some(code),
                    None => self.details.country = short(),
                }
            }
            Column::Region => self.details.region = short(),
            Column::City => self.details.city = short(),
            Column::Anonymity => self.details.anonymity = Anonymity::parse(value).or(self.details.anonymity),
            Column::Latency => self.latency(value, Some(1.0)),
            Column::Seconds => self.latency(value, Some(1000.0)),
            Column::Speed => self.latency(value, None),
            Column::SuccessRate => {
                let number = value.trim_end_matches(['%', ' ']).parse::<f64>().ok().filter(|n| n.is_finite());
                let share = number.map(|n| if n > 1.0 || value.ends_with('%') { n / 100.0 } else { n });
                self.details.success_rate =
                    share.filter(|share| (0.0..=1.0).contains(share)).or(self.details.success_rate);
            }
            Column::Checks => self.details.checks = value.parse().ok(),
            Column::Https => self.details.https = truth(value).or(self.details.https),
            Column::LastChecked => self.details.last_checked = short(),
            Column::Tags => {
                let tags = value.split([',', ';', '|']).map(str::trim).filter(|tag| !tag.is_empty());
                self.details.tags.extend(tags.take(100).map(Box::<str>::from));
            }
        }
    }

    fn latency(&mut self, value: &str, factor: Option<f64>) {
        let bare = || value.parse::<f64>().ok().zip(factor).map(|(number, factor)| number * factor);
        let ms = note::milliseconds(value).or_else(bare).filter(|ms| ms.is_finite() && *ms >= 0.0);
        self.details.latency_ms = self.details.latency_ms.or(ms);
    }

    fn place(&mut self, value: &str) {
        self.any = true;
        // What names an address wholly is better than a host alone, whichever comes first.
        match Address::parse_line(value) {
            Ok(address) => {
                if self.address.is_none() || address.credentials.is_some() {
                    self.has_scheme = value.contains("://");
                    self.address = Some(address);
                }
            }
            Err(error) => match parse_host(value.trim_start_matches('[').trim_end_matches(']')) {
                Ok(host) => self.host = Some(host),
                Err(_) => self.failed = self.failed.or(Some(error)),
            },
        }
    }

    fn protocol(&mut self, value: &str) {
        let mut found = false;
        for word in value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).take(16) {
            let protocol = match word {
                // "SOCKS 4/5"
                "4" => Some(Protocol::Socks4),
                "5" => Some(Protocol::Socks5),
                _ => Protocol::parse(word),
            };
            if let Some(protocol) = protocol {
                found = true;
                if !self.protocols.contains(&protocol) {
                    self.protocols.push(protocol);
                }
            }
        }
        if !found {
            self.details.anonymity = self.details.anonymity.or(Anonymity::parse(value));
        }
    }

    /// Whether any part spoke of a place.
    #[must_use]
    pub fn is_entry(&self) -> bool {
        self.any
    }

    /// The proxies it names, one for each of its protocols; `protocol` is that of an entry that names none.
    ///
    /// # Errors
    /// [`Reason`] if there is no address in it, or none that is one.
    pub fn finish(self, line: u32, protocol: Option<Protocol>) -> Result<SmallVec<[Record; 2]>, Reason> {
        let (address, spoken) = match (self.address, self.host) {
            (Some(address), _) => (address, self.has_scheme),
            (None, Some(host)) => {
                let port = Some(self.port.ok_or(Reason::Address(self.failed.unwrap_or(AddressError::NoPort)))?);
                (Address { protocol: Protocol::Http, host, port, credentials: None }, false)
            }
            (None, None) => return Err(self.failed.map_or(Reason::NoAddress, Reason::Address)),
        };
        let mut details = self.details;
        details.credentials = match (address.credentials.clone(), self.user, self.password) {
            (_, Some(username), Some(password)) => Some(Credentials { username, password }),
            (login, None, None) => login,
            (Some(login), ..) => Some(login),
            (None, ..) => return Err(Reason::Address(AddressError::HalfCredentials)),
        };
        details.tags.sort_unstable();
        details.tags.dedup();
        let mut protocols = self.protocols;
        if protocols.is_empty() {
            protocols = smallvec![if spoken { address.protocol } else { protocol.unwrap_or(Protocol::Http) }];
        }
        let details = (details != Details::default()).then(|| Box::new(details));
        let bare = Record::new(Address { credentials: None, ..address }, line);
        let port = bare.port.or(self.port.and_then(std::num::NonZeroU16::new));
        Ok(protocols
            .into_iter()
            .map(|protocol| Record { protocol, port, details: details.clone(), ..bare.clone() })
            .collect())
    }
}

fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" | "y" | "+" | "on" => Some(true),
        "no" | "false" | "0" | "n" | "-" | "off" => Some(false),
        _ => None,
    }
}
