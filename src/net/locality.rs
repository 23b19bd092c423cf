//! Whether an address is of this machine or of a network that the Internet does not reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::host::loose_ipv4;

/// The answer of [`locality`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locality {
    /// Not known to be local.
    Public,
    /// A name of this machine.
    Localhost,
    /// A literal address of this machine: loopback, or unspecified.
    Loopback,
    /// A literal address that is not public, or a name that only a local network resolves.
    Private,
}

/// Names that no public resolver knows (RFC 6762, RFC 8375, and names that networks use inside).
const PRIVATE_NAMES: [&str; 6] = [".local", ".internal", ".lan", ".corp", ".home.arpa", ".localdomain"];

/// Whether a host is this machine or this network: names of the local host, and private, loopback, link-local,
/// unspecified, multicast and reserved addresses in any notation. Names are not resolved: what a name leads to is judged
/// by [`is_public`] when it is dialled.
#[must_use]
pub fn locality(host: &str) -> Locality {
    if let Some(ip) = literal_address(host) {
        return match ip {
            _ if is_public(ip) => Locality::Public,
            _ if is_own(ip) => Locality::Loopback,
            _ => Locality::Private,
        };
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let ends = |end: &str| {
        let at = name.len().checked_sub(end.len());
        at.and_then(|at| name.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    let starts = |start: &str| name.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    if name.eq_ignore_ascii_case("localhost")
        || starts("localhost.")
        || ends(".localhost")
        || ["ip6-localhost", "ip6-loopback", "broadcasthost"].iter().any(|own| name.eq_ignore_ascii_case(own))
    {
        return Locality::Localhost;
    }
    if PRIVATE_NAMES.iter().any(|end| ends(end)) { Locality::Private } else { Locality::Public }
}

/// The address that a host is, in any notation; `None` for a name.
#[must_use]
pub fn literal_address(host: &str) -> Option<IpAddr> {
    let text = host.strip_suffix('.').unwrap_or(host);
    let text = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    // An interface may stand behind an address of the link: "fe80::1%eth0".
    let address = text.split('%').next().unwrap_or(text);
    address.parse().ok().or_else(|| loose_ipv4(text).map(IpAddr::V4))
}

/// Whether an address, or an IPv4 address that it stands for, is one of this machine.
fn is_own(ip: IpAddr) -> bool {
    let own = |ip: &Ipv4Addr| ip.is_loopback() || ip.is_unspecified();
    match ip {
        IpAddr::V4(ip) => own(&ip),
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || stands_for(ip).is_some_and(|found| found.iter().flatten().any(own))
        }
    }
}

/// Whether an address is one of the public Internet (IANA special-purpose registries). An IPv6 address that stands for
/// IPv4 addresses is as public as each of those.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    stands_for(ip).map_or_else(|| is_global(ip), |found| found.into_iter().flatten().all(is_public_v4))
}

fn is_global(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        // IETF protocol assignments: benchmarks, ORCHID and the like.
        [0x2001, second, ..] if second < 0x200 => false,
        [0x2001, 0xdb8, ..] => false,
        // Documentation (RFC 9637).
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Global unicast; all else is reserved, local or multicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// The IPv4 addresses that an IPv6 address stands for; `None` where it is one of its own.
fn stands_for(ip: Ipv6Addr) -> Option<[Option<Ipv4Addr>; 2]> {
    let s = ip.segments();
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    // ISATAP (RFC 5214): the address of the interface is in the lower half.
    let isatap = if matches!(s[4], 0 | 0x200) && s[5] == 0x5efe { v4(s[6], s[7]) } else { None };
    Some(match s {
        // Compatible (RFC 4291), which has :: and ::1 in it, and mapped.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => [v4(high, low), None],
        // Translated (RFC 2765).
        [0, 0, 0, 0, 0xffff, 0, high, low] => [v4(high, low), None],
        // NAT64, the well-known prefix (RFC 6052). The one for local use (RFC 8215) is not public.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => [v4(high, low), None],
        // Teredo (RFC 4380): the server, and the client with all bits turned over.
        [0x2001, 0, high, low, _, _, client_high, client_low] => [v4(high, low), v4(!client_high, !client_low)],
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => [v4(high, low), isatap],
        _ if isatap.is_some() && is_global(ip) => [isatap, None],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses_are_known_in_every_notation() {
        for host in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.1.1",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "203.0.113.1",
            "::",
            "::1",
            "[::1]",
            "fe80::1",
            "fe80::1%eth0",
            "fc00::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "5f00::1",
            "2001:2::1",
            "2001:20::1",
            // Each of them is 127.0.0.1, 10.x or 192.168.x in the end.
            "::ffff:127.0.0.1",
            "::ffff:192.168.0.1",
            "::127.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "2002:7f00:1::",
            "2002:c0a8:1::1",
            "2001:0:4136:e378:8000:63bf:80ff:fffe",
            "2001:0:7f00:1::f7f7:f7f7",
            "2606:4700::5efe:10.0.0.1",
            "3fff:1000::5efe:10.0.0.1",
            "2002:808:808::5efe:a00:1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "0",
            "10.1",
            "printer.local",
            "db.internal",
            "NAS.LAN.",
            "x.home.arpa",
        ] {
            assert!(matches!(locality(host), Locality::Private | Locality::Loopback), "{host}");
        }
        for host in ["127.9.9.9", "0", "0x7f.1", "::", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"] {
            assert_eq!(locality(host), Locality::Loopback, "{host}");
        }
        for host in ["localhost", "LOCALHOST.", "a.localhost", "localhost.localdomain", "ip6-localhost"] {
            assert_eq!(locality(host), Locality::Localhost, "{host}");
        }
        for host in [
            "8.8.8.8",
            "example.com",
            "2606:4700::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2001:0:808:808::f7f7:f7f7",
            "2606:4700::5efe:8.8.8.8",
            "134744072",
            "mylocal",
            "internal",
            "é.example",
            "",
        ] {
            assert_eq!(locality(host), Locality::Public, "{host}");
        }
    }
}
