//! Where a check goes: the part of a URL that a request needs.

use std::net::Ipv6Addr;

use crate::net::address::{parse_host, parse_port};

/// An `http` or `https` URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether it is `https`.
    pub tls: bool,
    /// Host name or IP literal, without brackets.
    pub host: Box<str>,
    /// The port to connect to.
    pub port: u16,
    /// Path and query, beginning with a slash.
    pub path: Box<str>,
}

impl Target {
    /// Reads a URL; `None` if it is none of HTTP, names a user, or holds blanks or control characters.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        if url.bytes().any(|b| b <= b' ' || b >= 0x7f) || url.len() > 8192 {
            return None;
        }
        let (scheme, rest) = url.split_once("://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.strip_prefix('[') {
            Some(inside) => {
                let (host, port) = inside.split_once(']')?;
                host.parse::<Ipv6Addr>().ok()?;
                (host, port.strip_prefix(':').or(port.is_empty().then_some("")))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, Some("")),
            },
        };
        let port = match port? {
            "" => {
                if tls {
                    443
                } else {
                    80
                }
            }
            port => parse_port(port).ok()?,
        };
        let path = if path.starts_with('/') { path.into() } else { format!("/{path}").into() };
        Some(Self { tls, host: parse_host(host).ok()?, port, path })
    }

    /// `host[:port]` as a request names it.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() };
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }

    /// `host:port`, the port always there.
    #[must_use]
    pub fn with_port(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Where a redirection from here leads.
    #[must_use]
    pub fn join(&self, location: &str) -> Option<Self> {
        let location = location.trim();
        if location.contains("://") {
            return Self::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", if self.tls { "https" } else { "http" }));
        }
        let base = self.path.split('?').next().unwrap_or("/");
        let path = if location.starts_with('/') {
            location.to_owned()
        } else {
            let folder = base.rfind('/').map_or("/", |at| &base[..=at]);
            format!("{folder}{location}")
        };
        let path = path.split('#').next().unwrap_or("/");
        if path.bytes().any(|b| b <= b' ' || b >= 0x7f) {
            return None;
        }
        Some(Self { path: path.into(), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn reads_urls() {
        let target = Target::parse("https://Example.com:8443/a?b#c").unwrap();
        assert_eq!((target.tls, &*target.host, target.port, &*target.path), (true, "example.com", 8443, "/a?b"));
        assert_eq!(Target::parse("http://[::1]").unwrap().with_port(), "[::1]:80");
        assert_eq!(Target::parse("http://h?q").unwrap().path, "/?q".into());
        for bad in ["ftp://h/", "http://", "http://u:p@h/", "http://h:0/", "http://h/\r\nX: y", "h/", "http://[::1"] {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
        let joined = |location: &str| target.join(location).map(|to| format!("{}{}", to.with_port(), to.path));
        assert_eq!(joined("/x").as_deref(), Some("example.com:8443/x"));
        assert_eq!(joined("x?y").as_deref(), Some("example.com:8443/x?y"));
        assert_eq!(joined("//o.example/").as_deref(), Some("o.example:443/"));
        assert_eq!(joined("http://o.example").as_deref(), Some("o.example:80/"));
        assert_eq!(joined("javascript:x y"), None);
    }
}
