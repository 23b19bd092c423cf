//! Finding out how a proxy is spoken to: each protocol in turn, until a page comes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::dial::{Way, fetch};
use super::http::{Answer, Meter};
use super::report::Failure;
use super::run::Shared;
use super::stages::{connect, since};
use crate::net::address::{Address, Protocol};
use crate::net::target::Target;

/// The order in which ways are tried: what the address says first, then from the most common on.
///
/// An address that says TLS and has a login is tried in no other way: all of them would send the login in clear, now or,
/// with the protocol found, later. A proxy without TLS, or an attacker in between that breaks it, does not get it.
fn ways(address: &Address) -> impl Iterator<Item = Way> {
    let said = address.protocol;
    let must_stay = said == Protocol::Https && address.credentials.is_some();
    let way = |protocol, tunnel| Way { protocol, tunnel };
    let common = [
        way(Protocol::Http, false),
        way(Protocol::Http, true),
        way(Protocol::Socks5, false),
        way(Protocol::Socks4, false),
    ];
    let first = way(said, false);
    std::iter::once(first).chain(common.into_iter().filter(move |way| !must_stay && *way != first))
}

/// Whether an answer of a proxy that speaks HTTP says that it does not forward.
fn will_not_forward(status: u16) -> bool {
    matches!(status, 400 | 403 | 404 | 405 | 421 | 426 | 500 | 501)
}

/// Fetches the page in the first way that works. The time that is left is shared among the ways that are left.
pub(super) async fn fetch_somehow(
    shared: &Shared,
    stream: TcpStream,
    places: &[SocketAddr],
    address: &Address,
    target: &Target,
    meter: &mut Meter<'_>,
    begun: u64,
) -> Result<(Way, Answer), Failure> {
    let ways: Vec<Way> = ways(address).filter(|way| !(way.tunnel && target.tls)).collect();
    let mut stream = Some(stream);
    let mut failed = Failure::Protocol;
    let mut second_best = None;
    for (number, way) in ways.iter().enumerate() {
        let left = shared.plan.timeout.as_secs_f64() - since(begun) / 1e3;
        let share = Duration::try_from_secs_f64(left / (ways.len() - number) as f64).unwrap_or_default();
        let attempt = async {
            let stream = match stream.take() {
                Some(stream) => stream,
                None => connect(places).await?,
            };
            fetch(shared, stream, address, *way, target, meter).await
        };
        match timeout(share, attempt).await {
            Ok(Ok(answer)) if shared.plan.rule.accepts(answer.status) || !will_not_forward(answer.status) => {
                return Ok((*way, answer));
            }
            // It speaks HTTP; that it forwards is not sure.
            Ok(Ok(answer)) => second_best = second_best.or(Some((*way, answer))),
            // It speaks this, and wants a login: no other protocol will do.
            Ok(Err(Failure::Auth)) => return Err(Failure::Auth),
            Ok(Err(error @ (Failure::Budget | Failure::Refused))) => return Err(error),
            Ok(Err(error)) => {
                // What is known of the first way is more telling than that the others did not fit.
                if number == 0 {
                    failed = error;
                }
            }
            Err(_) => {
                if number == 0 {
                    failed = Failure::Timeout;
                }
            }
        }
    }
    second_best.ok_or(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_for_tls_is_tried_over_tls_alone() {
        let protocols =
            |url: &str| -> Vec<Protocol> { ways(&Address::parse(url).unwrap()).map(|way| way.protocol).collect() };
        assert_eq!(protocols("https://u:p@a.test:1"), [Protocol::Https]);
        let (http, socks4, socks5) = (Protocol::Http, Protocol::Socks4, Protocol::Socks5);
        assert_eq!(protocols("https://a.test:1"), [Protocol::Https, http, http, socks5, socks4]);
        assert_eq!(protocols("http://u:p@a.test:1"), [http, http, socks5, socks4]);
        assert_eq!(protocols("socks5://u:p@a.test:1"), [socks5, http, http, socks4]);
        // Not even where TLS comes last: it is only ever tried first.
        for url in ["http://u:p@a.test:1", "socks4://u:p@a.test:1", "socks5://u:p@a.test:1"] {
            assert!(!protocols(url).contains(&Protocol::Https), "{url}");
        }
    }
}
