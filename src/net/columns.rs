//! Addresses whose parts stand in columns with colons between: `host:port:user:password`, and the pairs the other way
//! round. The password may hold colons, and an `@` belongs to the column that it stands in.

use std::net::Ipv6Addr;

use super::address::{Address, AddressError, Credentials, Protocol, is_literal, parse_port};
use super::host::parse_host;

/// Reads columns; `None` if the text is none. Where both orders are possible the host is the part that looks like one.
pub(super) fn parse(protocol: Protocol, text: &str) -> Option<Result<Address, AddressError>> {
    if text.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return None;
    }
    let made = |host: &str, port: &str, user: &str, password: &str| {
        if user.is_empty() {
            return Err(AddressError::HalfCredentials);
        }
        Ok(Address {
            protocol,
            host: parse_host(host)?,
            port: Some(parse_port(port)?),
            credentials: Some(Credentials { username: user.into(), password: password.into() }),
        })
    };
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        let mut parts = rest.splitn(3, ':');
        let (port, user, password) = (parts.next()?, parts.next()?, parts.next()?);
        return (!port.contains('@')).then(|| made(host, port, user, password));
    }
    let mut parts = text.splitn(4, ':');
    let first = [parts.next()?, parts.next()?, parts.next()?];
    let password = parts.next();
    if text.contains('@') {
        return with_at(text, first, password, made);
    }
    let password = password?;
    let (login, host, port) = pair_behind(text)?;
    let (user, word) = login.split_once(':')?;
    if text.parse::<Ipv6Addr>().is_ok() || text.rsplit_once(':')?.0.parse::<Ipv6Addr>().is_ok() {
        // An address without its brackets: where the port begins cannot be known.
        return Some(Err(AddressError::BadHost));
    }
    let front = made(first[0], first[1], first[2], password);
    if front.is_ok() && first[0].contains('.') {
        return Some(front);
    }
    let back = made(host, port, user, word);
    let looks_better = |address: &Address| front.is_err() || address.host.contains('.');
    Some(if back.as_ref().is_ok_and(looks_better) { back } else { front })
}

/// Columns with an `@` in one of them. What reads as a URL too is a URL, unless it begins with an IP address and a port.
fn with_at(
    text: &str,
    first: [&str; 3],
    password: Option<&str>,
    made: impl Fn(&str, &str, &str, &str) -> Result<Address, AddressError>,
) -> Option<Result<Address, AddressError>> {
    let [host, port, user] = first;
    if !host.contains('@') && !port.contains('@') && host.contains('.') {
        // "host:port:us@er" has three columns, and its "@" ends none of them.
        let front = password.map(|password| made(host, port, user, password)).filter(Result::is_ok);
        if let Some(front) = front {
            let (_, behind) = text.rsplit_once('@')?;
            let as_url = behind
                .split_once(':')
                .is_some_and(|(host, port)| host.contains('.') && parse_host(host).is_ok() && parse_port(port).is_ok());
            let literal = front.as_ref().is_ok_and(|address| is_literal(&address.host));
            return Some(if as_url && !literal { Err(AddressError::Ambiguous) } else { front });
        }
    }
    let (login, host, port) = pair_behind(text)?;
    let (user, password) = login.split_once(':')?;
    if host.contains('@') || !host.contains('.') {
        return None;
    }
    // "host:port@user:pass:word" has its login behind, whatever the password ends in.
    let (left, _) = text.split_once('@')?;
    if left.split_once(':').is_some_and(|(host, port)| host.contains('.') && parse_port(port).is_ok()) {
        return None;
    }
    Some(made(host, port, user, password)).filter(Result::is_ok)
}

/// What stands in front of the last two columns, and those.
fn pair_behind(text: &str) -> Option<(&str, &str, &str)> {
    let mut parts = text.rsplitn(3, ':');
    let (port, host, login) = (parts.next()?, parts.next()?, parts.next()?);
    Some((login, host, port))
}

#[cfg(test)]
mod tests {
    use super::super::address::{Address, AddressError};

    #[test]
    fn an_at_belongs_to_its_column() {
        for (text, host, port, user, password) in [
            ("1.2.3.4:80:bob@mail.example:pass", "1.2.3.4", 80, "bob@mail.example", "pass"),
            ("1.2.3.4:80:bob@mail.example:1234", "1.2.3.4", 80, "bob@mail.example", "1234"),
            ("1.2.3.4:80:bob:p@ss", "1.2.3.4", 80, "bob", "p@ss"),
            ("1.2.3.4:80:bob:p@ss.example:81", "1.2.3.4", 80, "bob", "p@ss.example:81"),
            ("http://1.2.3.4:80:bob:p@ss", "1.2.3.4", 80, "bob", "p@ss"),
            ("socks5://1.2.3.4:80:bob:p@5.6.7.8:81", "1.2.3.4", 80, "bob", "p@5.6.7.8:81"),
            ("[2001:db8::1]:80:bob@x.example:81", "2001:db8::1", 80, "bob@x.example", "81"),
            ("gate.example:80:bob@mail.example:pass", "gate.example", 80, "bob@mail.example", "pass"),
            ("http://gate.example:80:bob:p@ss", "gate.example", 80, "bob", "p@ss"),
            ("bob:p@ss:1.2.3.4:80", "1.2.3.4", 80, "bob", "p@ss"),
            ("bob@mail.example:1234:1.2.3.4:80", "1.2.3.4", 80, "bob@mail.example", "1234"),
            ("1.2.3.4:80@bob@mail.example:1234", "1.2.3.4", 80, "bob@mail.example", "1234"),
            ("1.2.3.4:80@bob.smith:1234", "1.2.3.4", 80, "bob.smith", "1234"),
            ("1.2.3.4:80@bob:pass.example:90", "1.2.3.4", 80, "bob", "pass.example:90"),
            ("bob:p@ss@gate.example:80", "gate.example", 80, "bob", "p@ss"),
            ("bob.smith:1234@1.2.3.4:80", "1.2.3.4", 80, "bob.smith", "1234"),
            ("1.2.3.4:80:KEY:", "1.2.3.4", 80, "KEY", ""),
            ("KEY:@gate.example:80", "gate.example", 80, "KEY", ""),
            ("1.2.3.4:80@KEY:", "1.2.3.4", 80, "KEY", ""),
        ] {
            let address = Address::parse_line(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((&*address.host, address.port), (host, Some(port)), "{text}");
            let login = address.credentials.unwrap();
            assert_eq!((&*login.username, &*login.password), (user, password), "{text}");
        }
        for text in ["gate.example:80:bob:p@ss.example:81", "1.2.3.4:80@5.6.7.8:81", "http://1.2.3.4:80@5.6.7.8:81"] {
            assert_eq!(Address::parse_line(text), Err(AddressError::Ambiguous), "{text}");
        }
    }
}
