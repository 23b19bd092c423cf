//! The strategy in force: what serves a request, what a swap leaves behind, and who waits in line.

use std::sync::Arc;

use proxywhirl::clock::Clock;
use proxywhirl::pool::context::Context;
use proxywhirl::proxy::Id;
use proxywhirl::proxy::health::Health;
use proxywhirl::rotation::chooser::{Chooser, Handle, Owned, Stay, Wishes, choose_with, is_worth_waiting, line_key};
use proxywhirl::rotation::queue::Hope;
use proxywhirl::session::SessionManager;
use proxywhirl::strategy::round_robin::RoundRobin;
use proxywhirl::strategy::session::SessionPersistence;

use crate::common::*;

fn turns() -> Owned {
    Owned::new(Arc::new(RoundRobin::default()))
}

/// One choice as a lease makes it; the number of the proxy.
fn choose(chooser: &Chooser<Owned>, stay: Stay, session: Option<&str>, clock: &dyn Clock) -> usize {
    let active = chooser.active();
    let Ok(serving) = active.serving(chooser.domain(), stay, clock);
    let mut context = Context { in_rotation: true, ..Context::default() };
    context.session_id = serving.session_id().or(session).map(Into::into);
    pick(&**serving.handle.strategy(), chooser.domain(), &context, clock)
}

fn sessions(chooser: &Chooser<Owned>) -> Arc<SessionManager> {
    let active = chooser.active();
    let Ok(sticky) = active.sticky();
    sticky.sessions().unwrap().clone()
}

#[test]
fn a_session_stays_under_a_strategy_that_keeps_none() {
    let (pool, proxies) = pool_of(3);
    let (chooser, clock) = (Chooser::new(pool, turns()), clock());
    assert_eq!((0..3).map(|_| choose(&chooser, Stay::Anywhere, None, &clock)).collect::<Vec<_>>(), [0, 1, 2]);
    let bound = choose(&chooser, Stay::InSession, Some("a"), &clock);
    for _ in 0..3 {
        assert_eq!(choose(&chooser, Stay::InSession, Some("a"), &clock), bound);
    }
    assert_eq!(chooser.bound_to("a", &clock), Ok(Some(proxies[bound].id())));
    assert_eq!(chooser.bound_to("b", &clock), Ok(None));
}

#[test]
fn a_strategy_that_keeps_sessions_serves_them_itself() {
    let (pool, _) = pool_of(3);
    let manager = Arc::new(SessionManager::new(10, 100));
    let own = Arc::new(SessionPersistence::new(manager.clone(), None, None, None));
    let (chooser, clock) = (Chooser::new(pool, Owned::keeping(own)), clock());
    let bound = choose(&chooser, Stay::InSession, Some("a"), &clock);
    assert_eq!(choose(&chooser, Stay::InSession, Some("a"), &clock), bound);
    assert!(Arc::ptr_eq(&sessions(&chooser), &manager));
    assert!(manager.find("a", &clock).is_some());
}

#[test]
fn a_hop_stays_on_its_proxy_while_that_is_eligible_and_leaves_no_session() {
    let (pool, proxies) = pool_of(3);
    let (chooser, clock) = (Chooser::new(pool, turns()), clock());
    for _ in 0..4 {
        assert_eq!(choose(&chooser, Stay::On(proxies[2].id()), None, &clock), 2);
    }
    proxies[2].set_health(Health::Unhealthy);
    assert_ne!(choose(&chooser, Stay::On(proxies[2].id()), None, &clock), 2);
    // A proxy that has left the pool.
    assert_ne!(choose(&chooser, Stay::On(Id::from_u128(99)), None, &clock), 2);
    let active = chooser.active();
    assert_eq!(active.made().count(), 1, "the hops have a strategy of their own");
    assert!(active.made().all(|handle| handle.sessions().unwrap().all(&clock).is_empty()));
}

#[test]
fn sessions_move_over_at_a_swap_and_leases_of_before_know_their_strategy() {
    let (pool, proxies) = pool_of(4);
    let (chooser, clock) = (Chooser::new(pool, turns()), clock());
    let names = ["a", "b", "c"];
    let bound: Vec<_> = names.iter().map(|name| choose(&chooser, Stay::InSession, Some(name), &clock)).collect();
    let before = chooser.active().given().strategy().clone();
    chooser.domain().remove(proxies[bound[2]].id());
    let Ok(()) = chooser.swap(turns(), &clock);
    assert_eq!(chooser.swaps(), 1);
    assert!(!Arc::ptr_eq(&before, chooser.active().given().strategy()));
    let kept: Vec<_> = names.iter().map(|name| chooser.bound_to(name, &clock).unwrap()).collect();
    assert_eq!(kept, [Some(proxies[bound[0]].id()), Some(proxies[bound[1]].id()), None], "the third left the pool");
    assert_eq!(choose(&chooser, Stay::InSession, Some("a"), &clock), bound[0]);
}

#[test]
fn a_swap_without_sessions_makes_no_sticky_strategy() {
    let (pool, _) = pool_of(1);
    let (chooser, clock) = (Chooser::new(pool, turns()), clock());
    let Ok(()) = chooser.swap(turns(), &clock);
    assert_eq!(chooser.active().made().count(), 0);
}

#[test]
fn every_swap_of_many_threads_counts_and_keeps_the_session() {
    let (pool, _) = pool_of(4);
    let (chooser, clock) = (Chooser::new(pool, turns()), clock());
    let bound = choose(&chooser, Stay::InSession, Some("a"), &clock);
    on_threads(4, |_| {
        for _ in 0..50 {
            let Ok(()) = chooser.swap(turns(), &clock);
            assert_eq!(choose(&chooser, Stay::InSession, Some("a"), &clock), bound);
        }
    });
    assert_eq!(chooser.swaps(), 200);
}

#[test]
fn attempts_that_want_the_same_have_one_key() {
    let wishes = || Wishes { country: Some("DE".into()), ..Wishes::default() };
    let (one, two) = (Id::from_u128(1), Id::from_u128(2));
    let key = |host, wishes: Option<&Wishes>, ids: &[Id]| line_key(Some(host), wishes, ids, 7);
    assert_eq!(key("Shop.test", Some(&wishes()), &[one, two]), key("shop.test", Some(&wishes()), &[two, one]));
    assert_eq!(key("shop.test", None, &[]), key("shop.test", Some(&Wishes::default()), &[]));
    let others = [
        key("other.test", Some(&wishes()), &[one, two]),
        key("shop.test", None, &[one, two]),
        key("shop.test", Some(&wishes()), &[one]),
        key("shop.test", Some(&Wishes { hop: Some(one), ..wishes() }), &[one, two]),
        line_key(None, Some(&wishes()), &[one, two], 7),
        line_key(Some("shop.test"), Some(&wishes()), &[one, two], 8),
    ];
    let this = key("shop.test", Some(&wishes()), &[one, two]);
    assert!(others.iter().all(|other| *other != this), "{this} {others:?}");
    // A name that imitates the structure of the key.
    let quoted = Wishes { country: Some("DE\"), region: Some(\"x".into()), ..Wishes::default() };
    let plain = Wishes { country: Some("DE".into()), region: Some("x".into()), ..Wishes::default() };
    assert_ne!(key("shop.test", Some(&quoted), &[]), key("shop.test", Some(&plain), &[]));
}

#[test]
fn waiting_is_worth_it_where_something_may_come_in_time() {
    let timed = |retry_after| Some(Hope { may_free: false, retry_after: Some(retry_after) });
    let capacity = Some(Hope { may_free: true, retry_after: None });
    assert!(is_worth_waiting(capacity, None, 10) && is_worth_waiting(capacity, Some(1), 10));
    assert!(!is_worth_waiting(capacity, Some(0), 10), "the request may not wait at all");
    assert!(is_worth_waiting(timed(5), Some(5), 10) && !is_worth_waiting(timed(6), Some(5), 10));
    assert!(!is_worth_waiting(Some(Hope { may_free: false, retry_after: None }), None, 10));
    assert!(!is_worth_waiting(None, None, 10), "an error that time does not cure");
}

#[test]
fn a_source_is_asked_once() {
    let mut tries = 0;
    let mut ask = |answers: &[Result<u8, u8>], provides: Result<bool, u8>| {
        tries = 0;
        let chosen = choose_with(
            || {
                tries += 1;
                answers[tries - 1]
            },
            |_| provides,
        );
        (chosen, tries)
    };
    assert_eq!(ask(&[Ok(1)], Ok(true)), (Ok(1), 1));
    assert_eq!(ask(&[Err(1), Ok(2)], Ok(true)), (Ok(2), 2));
    assert_eq!(ask(&[Err(1), Err(2)], Ok(true)), (Err(2), 2));
    assert_eq!(ask(&[Err(1)], Ok(false)), (Err(1), 1));
    assert_eq!(ask(&[Err(1)], Err(3)), (Err(3), 1));
}
