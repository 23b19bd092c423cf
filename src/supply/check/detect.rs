//! Finding out how a proxy is spoken to: each protocol in turn, until a page comes.

use super::ask::Way;
use super::plan::Rule;
use super::report::Failure;
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

/// What came of a way.
pub(super) enum Found<T> {
    /// This is the way, and what came.
    Way(Way, T),
    /// The next is to be tried.
    Next,
    /// None fits.
    None(Failure),
}

/// Ways that are tried one after the other. `T` is an answer.
pub(super) struct Detection<T> {
    ways: Vec<Way>,
    number: usize,
    failed: Failure,
    second_best: Option<(Way, T)>,
}

impl<T> Detection<T> {
    pub(super) fn new(address: &Address, target: &Target) -> Self {
        let ways = ways(address).filter(|way| !(way.tunnel && target.tls)).collect();
        Self { ways, number: 0, failed: Failure::Protocol, second_best: None }
    }

    /// The way to be tried now.
    pub(super) fn way(&self) -> Way {
        self.ways[self.number]
    }

    /// When it must be over: the time that is left is shared among the ways that are left.
    pub(super) fn until(&self, now: u64, deadline: u64) -> u64 {
        now + deadline.saturating_sub(now) / (self.ways.len() - self.number) as u64
    }

    /// An answer came, with that status.
    pub(super) fn answered(&mut self, rule: &Rule, status: u16, answer: T) -> Found<T> {
        let way = self.way();
        if rule.accepts(status) || !will_not_forward(status) {
            return Found::Way(way, answer);
        }
        // It speaks HTTP; that it forwards is not sure.
        self.second_best.get_or_insert((way, answer));
        self.next()
    }

    /// No answer came.
    pub(super) fn failed(&mut self, failure: Failure) -> Found<T> {
        // With Auth it speaks this, and wants a login: no other protocol will do.
        if let Failure::Auth | Failure::Budget | Failure::Refused = failure {
            return Found::None(failure);
        }
        // What is known of the first way is more telling than that the others did not fit.
        if self.number == 0 {
            self.failed = failure;
        }
        self.next()
    }

    fn next(&mut self) -> Found<T> {
        self.number += 1;
        if self.number < self.ways.len() {
            return Found::Next;
        }
        match self.second_best.take() {
            Some((way, answer)) => Found::Way(way, answer),
            None => Found::None(self.failed),
        }
    }
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
