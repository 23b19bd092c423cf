//! How a list says what protocol a proxy speaks: labels, headings, names of columns and of JSON keys.
//!
//! A label is not a scheme. `https` as a label means that the proxy tunnels to HTTPS sites, and the proxy is spoken to in
//! plain HTTP; TLS to the proxy is meant only where it is said (`tls`, or a URL that begins with `https://`).

use smallvec::SmallVec;

use crate::net::address::Protocol;

/// What one word says about the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Speaks(Protocol),
    /// The proxy tunnels to HTTPS sites.
    Tunnels,
    /// Some other protocol, which this library does not speak.
    Foreign,
}

/// Protocols that lists name and this library does not speak.
const FOREIGN: [&str; 37] = [
    "vmess",
    "vless",
    "ss",
    "ssr",
    "shadowsocks",
    "shadowsocksr",
    "trojan",
    "trojan-go",
    "hysteria",
    "hysteria2",
    "hy2",
    "tuic",
    "snell",
    "wireguard",
    "wg",
    "ssh",
    "ftp",
    "ftps",
    "sftp",
    "naive",
    "naive+https",
    "anytls",
    "mieru",
    "juicity",
    "quic",
    "brook",
    "sstp",
    "l2tp",
    "pptp",
    "openvpn",
    "ikev2",
    "mtproto",
    "mtproxy",
    "vpn",
    "sockd",
    "ws",
    "wss",
];

/// Words beside a protocol that name none: where the address is from, and the like.
const KINDS: [&str; 26] = [
    "residential",
    "datacenter",
    "dc",
    "isp",
    "mobile",
    "static",
    "rotating",
    "dedicated",
    "shared",
    "private",
    "public",
    "free",
    "premium",
    "ipv4",
    "ipv6",
    "web",
    "proxy",
    "proxies",
    "unknown",
    "any",
    "all",
    "none",
    "null",
    "na",
    "default",
    "manual",
];

impl Label {
    pub(super) fn parse(word: &str) -> Option<Self> {
        if word.len() > 16 || word.len() < 2 {
            return None;
        }
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        if is("https") {
            return Some(Self::Tunnels);
        }
        if let Some(protocol) = Protocol::parse(word) {
            return Some(Self::Speaks(protocol));
        }
        if is("tls") || is("https+tls") || is("http+tls") || is("https-tls") || is("http/tls") {
            return Some(Self::Speaks(Protocol::Https));
        }
        if is("http/https") || is("http(s)") || is("http/s") || is("https/http") {
            return Some(Self::Tunnels);
        }
        if is("socksv5") || is("sock5") || is("socks-5") || is("socks_5") {
            return Some(Self::Speaks(Protocol::Socks5));
        }
        if is("socksv4") || is("sock4") || is("socks-4") || is("socks_4") {
            return Some(Self::Speaks(Protocol::Socks4));
        }
        FOREIGN.iter().any(|name| is(name)).then_some(Self::Foreign)
    }
}

/// What a text is about how a proxy is spoken to: a label, a heading, or the text around an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Labels {
    pub(super) protocols: SmallVec<[Protocol; 2]>,
    pub(super) https: bool,
    pub(super) foreign: bool,
}

impl Labels {
    pub(super) fn is_empty(&self) -> bool {
        self.protocols.is_empty() && !self.https && !self.foreign
    }

    pub(super) fn add(&mut self, label: Label) {
        match label {
            Label::Speaks(protocol) => {
                if !self.protocols.contains(&protocol) {
                    self.protocols.push(protocol);
                }
            }
            Label::Tunnels => self.https = true,
            Label::Foreign => self.foreign = true,
        }
    }

    /// Takes a label away, unless it is among those that were there before.
    pub(super) fn remove(&mut self, label: Label, before: &Self) {
        match label {
            Label::Speaks(protocol) if !before.protocols.contains(&protocol) => {
                self.protocols.retain(|one| *one != protocol);
            }
            Label::Tunnels => self.https = before.https,
            Label::Foreign => self.foreign = before.foreign,
            Label::Speaks(_) => {}
        }
    }

    pub(super) fn of(label: Label) -> Self {
        let mut labels = Self::default();
        labels.add(label);
        labels
    }

    /// Adds what the value of a protocol's column says, such as "HTTP, SOCKS 4/5"; whether that was anything.
    pub(super) fn add_text(&mut self, value: &str) -> bool {
        if let Some(label) = Label::parse(value.trim()) {
            self.add(label);
            return true;
        }
        let mut found = false;
        let mut socks = false;
        let words = value.split(|c: char| !(c.is_ascii_alphanumeric() || c == '+' || c == '-'));
        for word in words.filter(|word| !word.is_empty()).take(16) {
            let label = match word {
                // "SOCKS 4/5", "SOCKS v5".
                "4" | "v4" | "V4" | "4a" if socks => Some(Label::Speaks(Protocol::Socks4)),
                "5" | "v5" | "V5" | "5h" if socks => Some(Label::Speaks(Protocol::Socks5)),
                "4" => Some(Label::Speaks(Protocol::Socks4)),
                "5" => Some(Label::Speaks(Protocol::Socks5)),
                _ if word.eq_ignore_ascii_case("socks") => {
                    socks = true;
                    None
                }
                _ => Label::parse(word),
            };
            if let Some(label) = label {
                found = true;
                self.add(label);
            }
        }
        let numbered = self.protocols.iter().any(|one| matches!(one, Protocol::Socks4 | Protocol::Socks5));
        if socks && !(found && numbered) {
            self.add(Label::Speaks(Protocol::Socks5));
        }
        found || socks
    }
}

/// Whether a word in a protocol's column names no protocol, and is no reason to refuse the entry.
pub(super) fn is_kind(value: &str) -> bool {
    value
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .all(|word| KINDS.iter().any(|kind| word.eq_ignore_ascii_case(kind)))
}

/// The protocols that a heading such as `SOCKS5 proxies (28)` announces for the lines below it.
pub(super) fn heading(text: &str) -> Option<Labels> {
    if text.len() > 80 {
        return None;
    }
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).take(8);
    let labels = Labels::of(Label::parse(words.next()?)?);
    let usual = |word: &str| {
        word.bytes().all(|b| b.is_ascii_digit())
            || ["proxy", "proxies", "list", "servers", "total", "s"]
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known))
    };
    words.all(usual).then_some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<&'static str>, bool, bool) {
        let mut labels = Labels::default();
        labels.add_text(text);
        (labels.protocols.iter().map(|one| one.as_str()).collect(), labels.https, labels.foreign)
    }

    #[test]
    fn labels_are_no_schemes() {
        for (text, protocols, https, foreign) in [
            ("https", vec![], true, false),
            ("HTTP/HTTPS", vec![], true, false),
            ("HTTP, HTTPS", vec!["http"], true, false),
            ("socks", vec!["socks5"], false, false),
            ("SOCKS 4/5", vec!["socks4", "socks5"], false, false),
            ("SOCKS v5", vec!["socks5"], false, false),
            ("tls", vec!["https"], false, false),
            ("HTTPS (TLS)", vec!["https"], true, false),
            ("vmess", vec![], false, true),
            ("http vless", vec!["http"], false, true),
            ("elite", vec![], false, false),
        ] {
            let protocols: Vec<&str> = protocols;
            assert_eq!(read(text), (protocols, https, foreign), "{text}");
        }
        assert!(is_kind("Residential / ISP") && !is_kind("gopher"));
        assert!(heading("HTTPS Proxies (7)").is_some_and(|labels| labels.https));
        assert!(heading("vless").is_some_and(|labels| labels.foreign));
        assert_eq!(heading("socks4 is old"), None);
    }
}
