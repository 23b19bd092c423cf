//! The last word on a lease: proxies are passed over, each once, and given back.

use proxywhirl::proxy::Id;
use proxywhirl::rotation::gate::{Exceeded, Gate, Refusal, Scope, pass};

#[derive(Debug, PartialEq)]
enum Failure {
    Empty,
    Broken,
}

/// Offers proxies 0, 1, ... in order; `answer` says what the limit makes of each.
struct Scripted<F> {
    proxies: u128,
    answer: F,
    given_back: Vec<u128>,
}

impl<F: FnMut(u128) -> Result<Option<Refusal>, Failure>> Gate for Scripted<F> {
    type Lease = u128;
    type Error = Failure;

    fn choose(&mut self, passed_over: &[Id]) -> Result<u128, Failure> {
        (0..self.proxies).find(|&number| !passed_over.contains(&Id::from_u128(number))).ok_or(Failure::Empty)
    }

    fn is_shortage(&self, error: &Failure) -> bool {
        *error == Failure::Empty
    }

    fn admit(&mut self, lease: &u128) -> Result<Option<Refusal>, Failure> {
        (self.answer)(*lease)
    }

    fn give_back(&mut self, lease: u128) -> Result<Id, Failure> {
        self.given_back.push(lease);
        Ok(Id::from_u128(lease))
    }
}

fn of_proxy(retry_after: f64) -> Result<Option<Refusal>, Failure> {
    Ok(Some(Refusal { scope: Scope::Proxy, retry_after }))
}

fn through(
    proxies: u128,
    is_sticky: bool,
    answer: impl FnMut(u128) -> Result<Option<Refusal>, Failure>,
) -> (Result<Result<u128, Exceeded>, Failure>, Vec<u128>) {
    let mut gate = Scripted { proxies, answer, given_back: Vec::new() };
    let passed = pass(&mut gate, is_sticky);
    (passed, gate.given_back)
}

#[test]
fn a_proxy_at_its_limit_is_passed_over_and_given_back() {
    let (passed, back) = through(5, false, |number| if number < 2 { of_proxy(1.0) } else { Ok(None) });
    assert_eq!((passed, back), (Ok(Ok(2)), vec![0, 1]));
}

#[test]
fn the_soonest_of_all_refusals_is_named_once_no_proxy_is_left() {
    let (passed, back) = through(3, false, |number| of_proxy([3.0, 0.5, 2.0][number as usize]));
    let exceeded = passed.unwrap().unwrap_err();
    assert_eq!(exceeded, Exceeded { proxies: 3, scope: Scope::Proxy, retry_after: 0.5 });
    assert_eq!(back, [0, 1, 2]);
    assert_eq!(exceeded.to_string(), "Rate limit exceeded: the limit of 3 proxies allows the next request in 0.5 s");
}

#[test]
fn no_other_proxy_is_tried_where_none_will_do() {
    let (passed, back) = through(3, true, |_| of_proxy(1.0));
    assert_eq!((passed.unwrap().unwrap_err().proxies, back), (1, vec![0]));
    let (passed, back) = through(3, false, |_| Ok(Some(Refusal { scope: Scope::Global, retry_after: 12.3456 })));
    let exceeded = passed.unwrap().unwrap_err();
    assert_eq!((exceeded.proxies, back), (1, vec![0]));
    assert!(exceeded.to_string().ends_with("of all proxies together allows the next request in 12.3 s"));
}

#[test]
fn the_search_ends_after_sixteen_proxies() {
    let (passed, back) = through(100, false, |_| of_proxy(1.0));
    assert_eq!((passed.unwrap().unwrap_err().proxies, back.len()), (16, 16));
}

#[test]
fn an_empty_pool_is_its_own_error_and_a_broken_limit_gives_back() {
    assert_eq!(through(0, false, |_| Ok(None)), (Err(Failure::Empty), vec![]));
    assert_eq!(through(2, false, |_| Err(Failure::Broken)), (Err(Failure::Broken), vec![0]));
}
