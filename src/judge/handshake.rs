//! What it says of a proxy that it refuses to open the way to a site.
//!
//! A proxy that cannot reach the site, or must not, is no dead proxy: such replies are ambiguous, and evidence decides. A
//! refused login and an account that is used up are the proxy's.

use super::outcome::{Judgement, Outcome};
use super::retry_after;
use super::used_up::says_used_up;
use crate::net::handshake::{Inexpressible, Refusal};
use crate::net::{connect, socks4, socks5};

/// A refusal, and for how many seconds the proxy asks to be left alone. `now` is in seconds since the epoch.
#[must_use]
pub fn of_refusal(refusal: &Refusal, now: impl FnOnce() -> f64) -> (Judgement, Option<f64>) {
    let judgement = match refusal {
        Refusal::Connect(reply) => return of_connect(reply, now),
        Refusal::Socks4(reply) => of_socks4(*reply),
        Refusal::Socks5(reply) => of_socks5(*reply),
        Refusal::Method { .. } | Refusal::Login => Outcome::ProxyAuth.into(),
        Refusal::Inexpressible(what) => of_inexpressible(*what),
    };
    (judgement, None)
}

/// A reply to `CONNECT`, and for how many seconds the proxy asks to be left alone.
#[must_use]
pub fn of_connect(reply: &connect::Reply, now: impl FnOnce() -> f64) -> (Judgement, Option<f64>) {
    let judgement = of_connect_status(reply.status, &[&reply.reason, &reply.details]);
    let asked = || retry_after::seconds(reply.retry_after.as_deref()?, reply.date.as_deref(), now);
    (judgement, judgement.hold(asked))
}

/// A status other than 2xx to `CONNECT`, and the words beside it: reason, headers about the error, page.
fn of_connect_status(status: u16, details: &[&str]) -> Judgement {
    match status {
        402 | 407 => Outcome::ProxyAuth.into(),
        429 => Outcome::RateLimited.into(),
        _ if details.iter().any(|text| says_used_up(text)) => Outcome::ProxyAuth.into(),
        _ => Judgement::Ambiguous,
    }
}

/// A reply of SOCKS4.
#[must_use]
pub fn of_socks4(reply: socks4::Reply) -> Judgement {
    match reply {
        socks4::Reply::Rejected => Judgement::Ambiguous,
        // identd did not confirm the user.
        socks4::Reply::NoIdentd | socks4::Reply::OtherUser => Outcome::ProxyAuth.into(),
        socks4::Reply::Other(_) => Outcome::ProxyDown.into(),
    }
}

/// A reply of SOCKS5.
#[must_use]
pub fn of_socks5(reply: socks5::Reply) -> Judgement {
    use socks5::Reply;
    match reply {
        Reply::NotAllowed => Outcome::Banned.into(),
        Reply::GeneralFailure
        | Reply::NetworkUnreachable
        | Reply::HostUnreachable
        | Reply::ConnectionRefused
        | Reply::TtlExpired => Judgement::Ambiguous,
        Reply::CommandNotSupported | Reply::AddressTypeNotSupported | Reply::Other(_) => Outcome::ProxyDown.into(),
    }
}

/// What the protocol cannot say: another proxy may.
#[must_use]
pub fn of_inexpressible(what: Inexpressible) -> Judgement {
    match what {
        Inexpressible::Name | Inexpressible::Ipv6 => Judgement::Ambiguous,
        Inexpressible::UserId | Inexpressible::Login => Outcome::ProxyAuth.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Banned, ProxyAuth, ProxyDown, RateLimited};

    fn connect(status: u16, details: &str) -> (Option<Outcome>, Option<f64>) {
        let reply = connect::Reply {
            status,
            reason: "No".into(),
            retry_after: Some("7".into()),
            date: None,
            details: details.into(),
        };
        let (judgement, hold) = of_refusal(&Refusal::Connect(reply), || 0.0);
        (judgement.outcome(), hold)
    }

    #[test]
    fn a_refused_tunnel_by_status_and_words() {
        for (status, details, expected) in [
            (407, "", (Some(ProxyAuth), None)),
            (402, "", (Some(ProxyAuth), None)),
            (429, "", (Some(RateLimited), Some(7.0))),
            (429, "quota exceeded", (Some(RateLimited), Some(7.0))),
            (403, "Your QUOTA is gone", (Some(ProxyAuth), None)),
            (403, "insufficient storage", (None, None)),
            (502, "traffic limit has been exceeded", (Some(ProxyAuth), None)),
            (502, "bandwidth over.", (Some(ProxyAuth), None)),
            (502, "you are out of data", (Some(ProxyAuth), None)),
            (502, "imbalance, quotas, dataset over, overdata reached", (None, None)),
            (502, "data transfer is over", (None, None)),
            (502, "load balance failure, check your quota settings", (None, None)),
            (503, "", (None, None)),
            (301, "", (None, None)),
        ] {
            assert_eq!(connect(status, details), expected, "{status} {details}");
        }
    }

    #[test]
    fn replies_of_socks_by_code() {
        let four = |code| socks4::Reply::of_code(code).map(|reply| of_socks4(reply).outcome());
        let five = |code| socks5::Reply::of_code(code).map(|reply| of_socks5(reply).outcome());
        assert_eq!(four(90), None);
        assert_eq!(
            [91, 92, 93, 0].map(four),
            [Some(None), Some(Some(ProxyAuth)), Some(Some(ProxyAuth)), Some(Some(ProxyDown))]
        );
        assert_eq!(five(0), None);
        assert_eq!(five(2), Some(Some(Banned)));
        assert!([1, 3, 4, 5, 6].iter().all(|code| five(*code) == Some(None)));
        assert!([7, 8, 9, 255].iter().all(|code| five(*code) == Some(Some(ProxyDown))));
    }
}
