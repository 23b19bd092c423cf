//! Entries that come in named parts: rows of tables and objects of JSON.

use smallvec::SmallVec;

use super::column::Column;
use super::label::{self, Labels};
use super::note;
use super::parsed::Reason;
use super::record::{Anonymity, Details, ListEntry, telling_scheme};
use crate::net::address::{Address, AddressError, Credentials, Protocol, parse_host, parse_port};

/// An entry whose parts are being collected.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    address: Option<Address>,
    has_scheme: bool,
    /// An address that a link may be, and so far behind every other.
    link: Option<(Address, bool)>,
    host: Option<Box<str>>,
    port: Option<u16>,
    failed: Option<AddressError>,
    any: bool,
    labels: Labels,
    strange_protocol: bool,
    /// TLS is spoken to the proxy, whatever inside.
    tls: bool,
    user: Option<Box<str>>,
    password: Option<Box<str>>,
    strange_login: bool,
    pub(super) details: Details,
}

/// What an entry names.
#[derive(Debug)]
pub(super) struct Entry {
    /// The proxy, once for each protocol that it speaks.
    pub(super) records: SmallVec<[ListEntry; 2]>,
    /// Why a part of the entry is not among them.
    pub(super) left_out: Option<Reason>,
}

impl Fields {
    /// Adds a part. Names and values that say nothing about a proxy are passed over; the answer is whether this one did.
    pub fn set(&mut self, name: &str, value: &str) -> bool {
        let Some(column) = Column::named(name) else { return false };
        self.put(column, value);
        true
    }

    /// Adds a named part of an object: what is said of the place of something else is passed over.
    pub fn set_nested(&mut self, outer: &str, name: &str, value: &str) {
        let Some(column) = Column::named(name) else { return };
        if super::logins::is_login(outer) && matches!(column, Column::User | Column::Password)
            || !matches!(column, Column::Place | Column::Link | Column::Port | Column::Tags | Column::Login)
        {
            self.put(column, value);
        }
    }

    pub(super) fn put(&mut self, column: Column, value: &str) {
        let value = value.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'));
        if value.is_empty() {
            return;
        }
        if value.len() > 4096 {
            // What is as long is read as none of the parts that a proxy cannot do without.
            match column {
                Column::Place | Column::Link => self.failed = self.failed.or(Some(AddressError::BadHost)),
                Column::User | Column::Password | Column::Login => self.strange_login = true,
                Column::Protocol => self.strange_protocol = true,
                _ => {}
            }
            return;
        }
        let short = || (value.len() <= 200).then(|| Box::<str>::from(value));
        match column {
            Column::Place => self.place(value),
            Column::Link => self.link(value),
            Column::Port => {
                // Spreadsheets and floating point make "80.0" of it.
                match parse_port(value.strip_suffix(".0").unwrap_or(value)) {
                    Ok(port) => self.port = Some(port),
                    Err(error) => self.failed = self.failed.or(Some(error)),
                }
            }
            Column::Protocol => self.protocol(value),
            Column::Tls => {
                self.tls |= truth(value) == Some(true);
            }
            Column::User => self.user = Some(value.into()),
            Column::Password => self.password = Some(value.into()),
            Column::Login => self.login(value),
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
                let room = 100_usize.saturating_sub(self.details.tags.len());
                let tags = value.split([',', ';', '|']).map(str::trim).filter(|tag| !tag.is_empty());
                self.details.tags.extend(tags.take(room).map(Box::<str>::from));
            }
        }
    }

    /// A login in two parts.
    pub(super) fn log_in(&mut self, user: &str, password: &str) {
        (self.user, self.password) = (Some(user.into()), Some(password.into()));
    }

    /// Takes over a login of the enclosing text, unless the entry has one.
    pub(super) fn inherit(&mut self, login: &Credentials) {
        if !self.has_login() {
            self.log_in(&login.username, &login.password);
        }
    }

    pub(super) fn has_login(&self) -> bool {
        let in_address = |address: &Option<Address>| address.as_ref().is_some_and(|one| one.credentials.is_some());
        self.user.is_some()
            || self.password.is_some()
            || in_address(&self.address)
            || self.link.as_ref().is_some_and(|(link, _)| link.credentials.is_some())
    }

    /// The login that its parts make up, whether or not there is an address.
    pub(super) fn own_login(&self) -> Option<Credentials> {
        let (username, password) = (self.user.clone()?, self.password.clone()?);
        Some(Credentials { username, password })
    }

    /// The login of an object that has nothing else; a user without a password is one.
    pub(super) fn login_of_parts(&self) -> Option<Credentials> {
        let username = self.user.clone().filter(|user| !user.is_empty())?;
        Some(Credentials { username, password: self.password.clone().unwrap_or_default() })
    }

    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(super) fn label(&mut self, label: label::Label) {
        self.labels.add(label);
    }

    /// Takes a label away again: it belongs to the next address.
    pub(super) fn unlabel(&mut self, label: label::Label, lead: &Self) {
        self.labels.remove(label, &lead.labels);
    }

    /// Puts a label in the place of those that were taken over.
    pub(super) fn relabel(&mut self, label: label::Label) {
        self.labels = Labels::of(label);
    }

    /// Whether the host of its address is a name with dots or an IP address.
    pub(super) fn is_dotted(&self) -> bool {
        self.address.as_ref().is_some_and(|address| address.host.contains(['.', ':']))
    }

    /// The last two labels of its host's name.
    pub(super) fn domain(&self) -> &str {
        let host = self.address.as_ref().map_or("", |address| &address.host);
        let mut dots = memchr::memrchr_iter(b'.', host.as_bytes());
        dots.next();
        dots.next().map_or(host, |at| &host[at + 1..])
    }

    pub(super) fn set_address(&mut self, address: Address, text: &str) {
        self.any = true;
        let has_scheme = text.contains("://");
        self.details.scheme = telling_scheme(text);
        (self.address, self.has_scheme) = (Some(address), has_scheme);
    }

    fn login(&mut self, value: &str) {
        match value.split_once(':') {
            Some((user, password)) if !user.is_empty() => self.log_in(user, password),
            // "auth": false, "none", "basic": whether and how, and not the login itself.
            _ if truth(value) == Some(false) || matches!(&*value.to_ascii_lowercase(), "none" | "null" | "basic") => {}
            _ => self.strange_login = true,
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
                    self.details.scheme = telling_scheme(value);
                    self.has_scheme = value.contains("://");
                    self.address = Some(address);
                }
            }
            Err(error) => match parse_host(value.trim_start_matches('[').trim_end_matches(']')) {
                // An entry may name its exit and the host behind it too; the first is what it goes by.
                Ok(host) => {
                    self.host.get_or_insert(host);
                }
                Err(_) => self.failed = self.failed.or(Some(error)),
            },
        }
    }

    fn link(&mut self, value: &str) {
        match Address::parse_line(value) {
            Ok(address) => {
                self.any = true;
                self.details.scheme = self.details.scheme.or(telling_scheme(value));
                self.link = Some((address, value.contains("://")));
            }
            Err(error) => match parse_host(value) {
                Ok(host) => {
                    self.any = true;
                    self.host.get_or_insert(host);
                }
                Err(_) => {
                    self.any = true;
                    self.failed = self.failed.or(Some(error));
                }
            },
        }
    }

    fn protocol(&mut self, value: &str) {
        if self.labels.add_text(value) {
            return;
        }
        match Anonymity::parse(value) {
            Some(anonymity) => self.details.anonymity = self.details.anonymity.or(Some(anonymity)),
            None if label::is_kind(value) => {}
            None => self.strange_protocol = true,
        }
    }

    /// Whether any part spoke of a place.
    #[must_use]
    pub fn is_entry(&self) -> bool {
        self.any
    }

    /// Whether all that it has of a place is a link that names no port: more likely a page than a proxy.
    pub(super) fn is_page(&self) -> bool {
        let bare = self.link.as_ref().is_none_or(|(link, _)| link.port.is_none() && link.credentials.is_none());
        bare && self.address.is_none() && self.host.is_none()
    }

    /// The proxies it names, one for each of its protocols; `protocol` is that of an entry that names none.
    ///
    /// # Errors
    /// [`Reason`] if there is no address in it, or none that is one.
    pub fn finish(self, line: u32, protocol: Option<Protocol>) -> Result<SmallVec<[ListEntry; 2]>, Reason> {
        let usual = protocol.map_or_else(Labels::default, |protocol| Labels::of(label::Label::Speaks(protocol)));
        self.end(line, &usual).map(|entry| entry.records)
    }

    /// As [`Self::finish`]; `usual` is what the text around the entry says.
    pub(super) fn end(mut self, line: u32, usual: &Labels) -> Result<Entry, Reason> {
        let (address, spoken) = self.address()?;
        let mut details = self.details;
        details.credentials = match (address.credentials.clone(), self.user, self.password) {
            (_, Some(username), Some(password)) => Some(Credentials { username, password }),
            (Some(login), ..) => Some(login),
            // An API key is a user without a password.
            (None, Some(username), None) => Some(Credentials { username, password: "".into() }),
            (None, None, Some(_)) => return Err(Reason::Address(AddressError::HalfCredentials)),
            (None, None, None) if self.strange_login => return Err(Reason::Login),
            (None, None, None) => None,
        };
        details.tags.sort_unstable();
        details.tags.dedup();
        let labels = if self.labels.is_empty() && !spoken { usual } else { &self.labels };
        let strange = self.strange_protocol || labels.foreign;
        let mut protocols: SmallVec<[Protocol; 2]> = labels.protocols.clone();
        if labels.https {
            details.https = Some(true);
            let tls = spoken && address.protocol == Protocol::Https;
            if tls && !protocols.contains(&Protocol::Https) {
                protocols.push(Protocol::Https);
            } else if !protocols.iter().any(|one| matches!(one, Protocol::Http | Protocol::Https)) {
                protocols.insert(0, Protocol::Http);
            }
        }
        if protocols.is_empty() {
            if strange {
                return Err(Reason::Protocol);
            }
            protocols.push(if spoken { address.protocol } else { Protocol::Http });
        } else if protocols.contains(&Protocol::Https) && protocols.contains(&Protocol::Http) && labels.https {
            // "https" beside "tls": the tunnel is spoken of, and TLS to the proxy is said.
            protocols.retain(|one| *one != Protocol::Http);
        }
        if self.tls {
            for protocol in &mut protocols {
                match protocol {
                    Protocol::Http | Protocol::Https => *protocol = Protocol::Https,
                    // SOCKS inside TLS.
                    Protocol::Socks4 | Protocol::Socks5 => return Err(Reason::Protocol),
                }
            }
            protocols.dedup();
        }
        let details = (details != Details::default()).then(|| Box::new(details));
        let bare = ListEntry::new(Address { credentials: None, ..address }, line);
        let port = bare.port.or(self.port.take().and_then(std::num::NonZeroU16::new));
        let records = protocols
            .into_iter()
            .map(|protocol| ListEntry { protocol, port, details: details.clone(), ..bare.clone() })
            .collect();
        Ok(Entry { records, left_out: strange.then_some(Reason::Protocol) })
    }

    /// The address, and whether it says its protocol itself.
    fn address(&mut self) -> Result<(Address, bool), Reason> {
        if let Some(address) = self.address.take() {
            return Ok((address, self.has_scheme));
        }
        let link = self.link.take();
        let Some(host) = self.host.take() else {
            return link.ok_or_else(|| self.failed.map_or(Reason::NoAddress, Reason::Address));
        };
        if let Some(link) = link.filter(|(link, _)| link.host == host || self.port.is_none()) {
            return Ok(link);
        }
        let port = Some(self.port.ok_or(Reason::Address(self.failed.unwrap_or(AddressError::NoPort)))?);
        Ok((Address { protocol: Protocol::Http, host, port, credentials: None }, false))
    }
}

fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" | "y" | "+" | "on" => Some(true),
        "no" | "false" | "0" | "n" | "-" | "off" => Some(false),
        _ => None,
    }
}
