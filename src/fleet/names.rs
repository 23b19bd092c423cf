//! Name resolution inside the fleet: `*.test` and the names given to it lead to the origin, whatever port is asked.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The fleet's own little DNS.
#[derive(Debug)]
pub(crate) struct Names {
    hosts: HashSet<String>,
    origin: SocketAddr,
}

impl Names {
    /// `hosts` and `*.test` lead to `origin`.
    pub(crate) fn new(hosts: &[String], origin: SocketAddr) -> Self {
        Self { hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(), origin }
    }

    /// Where to connect for this host and port; `None`: nowhere, it is not on this machine.
    pub(crate) fn resolve(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return self.literal(ip, port);
        }
        if bare.eq_ignore_ascii_case("localhost") {
            return Some(SocketAddr::new(self.loopback(), port));
        }
        self.leads_to_origin(bare).then_some(self.origin)
    }

    /// Where to connect for this address; only loopback ones are connected to.
    pub(crate) fn literal(&self, ip: IpAddr, port: u16) -> Option<SocketAddr> {
        let ip = ip.to_canonical();
        ip.is_loopback().then_some(SocketAddr::new(ip, port))
    }

    /// Whether the origin answers for this name.
    pub(crate) fn leads_to_origin(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        let test = name.len() > 5 && name.get(name.len() - 5..).is_some_and(|end| end.eq_ignore_ascii_case(".test"));
        test || (!self.hosts.is_empty() && self.hosts.contains(&name.to_ascii_lowercase()))
    }

    fn loopback(&self) -> IpAddr {
        if self.origin.is_ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_the_origin_addresses_to_themselves_and_the_world_nowhere() {
        let origin = "127.0.0.1:4000".parse().unwrap();
        let names = Names::new(&["Shop.example".into()], origin);
        for name in ["origin.test", "A.B.TEST", "shop.example", "site.test."] {
            assert_eq!(names.resolve(name, 443), Some(origin), "{name}");
        }
        let own = |text: &str| Some(text.parse::<SocketAddr>().unwrap());
        assert_eq!(names.resolve("127.0.0.1", 81), own("127.0.0.1:81"));
        assert_eq!(names.resolve("[::1]", 81), own("[::1]:81"));
        assert_eq!(names.resolve("::ffff:127.0.0.1", 81), own("127.0.0.1:81"));
        assert_eq!(names.resolve("localhost", 81), own("127.0.0.1:81"));
        for name in ["example.com", "test", ".test", "8.8.8.8", "", "0.0.0.0"] {
            assert_eq!(names.resolve(name, 80), None, "{name}");
        }
    }
}
