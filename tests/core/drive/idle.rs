//! The book-keeping of connections, against any order of calls: nothing is lost, counted twice or given to another identity.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use proxywhirl::net::protocol::Protocol;
use proxywhirl::wire::connections::{Bounds, Checkout, Connections, Leaving, Ticket};
use proxywhirl::wire::route::{Route, RouteOptions, Whose};

use crate::common::*;

/// A connection that knows whose it is.
type Owned = (usize, u64);

fn routes() -> Vec<Route> {
    let at = "127.0.0.1:1".parse().unwrap();
    let mut all = Vec::new();
    for id in [1, 2] {
        for owner in [None, Some(7)] {
            for tls in [false, true] {
                let proxy = proxy(id, Protocol::Http, at, None);
                all.push(Route::new(RouteOptions { owner, ..RouteOptions::new(Some(proxy), site(tls), no_tls()) }));
            }
        }
    }
    all
}

#[derive(Debug, Clone)]
enum Call {
    CheckOut(usize, bool),
    PutBack(usize),
    Close(usize),
    Stale(usize),
    EvictProxy(u128),
    EvictOwner,
    Evict(usize),
    Wait(u64),
    Sweep(u64),
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        6 => (0..8_usize, prop::bool::weighted(0.1)).prop_map(|(route, fresh)| Call::CheckOut(route, fresh)),
        5 => (0..16_usize).prop_map(Call::PutBack),
        1 => (0..16_usize).prop_map(Call::Close),
        1 => (0..8_usize).prop_map(Call::Stale),
        1 => (1..3_u128).prop_map(Call::EvictProxy),
        1 => Just(Call::EvictOwner),
        1 => (0..8_usize).prop_map(Call::Evict),
        2 => (1..4_u64).prop_map(Call::Wait),
        2 => any::<u64>().prop_map(Call::Sweep),
    ]
}

proptest! {
    #[test]
    fn connections_are_counted_and_never_cross(
        calls in prop::collection::vec(call(), 1..200),
        open in 1..8_usize,
        per_proxy in 1..6_usize,
        idle in 0..4_usize,
        all_idle in 1..8_usize,
        proxies in 1..5_usize,
    ) {
        let routes = routes();
        let keep_alive = Some(Duration::from_secs(5));
        let bounds =
            Bounds { open, open_per_proxy: per_proxy, idle: all_idle, idle_per_proxy: idle, proxies, keep_alive };
        let mut connections: Connections<Owned> = Connections::new(bounds);
        let (mut used, mut idle_ones): (Vec<(Ticket, Owned)>, HashMap<Owned, u64>) = Default::default();
        let (mut now, mut next) = (1_000_000_000_u64, 0);
        for call in calls {
            let mut leaving = Leaving::new();
            match call {
                Call::CheckOut(route, fresh) => {
                    match connections.check_out(routes[route].identity(), fresh, now, &mut leaving) {
                        Checkout::Idle(ticket, connection) => {
                            prop_assert_eq!(connection.0, route);
                            prop_assert!(!fresh);
                            let since = idle_ones.remove(&connection);
                            prop_assert!(since.is_some_and(|since| now < since + 5_000_000_000));
                            used.push((ticket, connection));
                        }
                        Checkout::Room(ticket) => {
                            used.push((ticket, (route, next)));
                            next += 1;
                        }
                        Checkout::Full => {
                            let whose = routes[route].identity().whose();
                            let of_proxy = used.iter().filter(|(ticket, _)| ticket.identity().whose() == whose).count();
                            prop_assert!(used.len() >= open || of_proxy >= per_proxy);
                        }
                    }
                }
                Call::PutBack(at) if at < used.len() => {
                    let (ticket, connection) = used.swap_remove(at);
                    idle_ones.insert(connection, now);
                    let kept = connections.put_back(ticket, connection, now, &mut leaving);
                    prop_assert_eq!(kept.is_none(), leaving.contains(&connection));
                }
                Call::Close(at) if at < used.len() => connections.close(used.swap_remove(at).0),
                Call::PutBack(_) | Call::Close(_) => {}
                Call::Stale(route) => connections.note_stale(routes[route].identity(), now),
                Call::EvictProxy(id) => {
                    connections.evict_proxy(id, &mut leaving);
                    prop_assert!(leaving.iter().all(|gone| routes[gone.0].identity().proxy_id() == Some(id)));
                }
                Call::EvictOwner => {
                    connections.evict_owner(7, &mut leaving);
                    prop_assert!(leaving.iter().all(|gone| routes[gone.0].identity().owner() == Some(7)));
                }
                Call::Evict(route) => {
                    connections.evict(routes[route].identity(), &mut leaving);
                    prop_assert!(leaving.iter().all(|gone| gone.0 == route));
                }
                Call::Sweep(ended) => {
                    let mut meant = Vec::new();
                    connections.sweep(3, |idle| {
                        assert!(idle.len() <= 3);
                        meant.extend(idle.iter().enumerate().filter(|(at, _)| ended >> at & 1 == 1).map(|(_, one)| **one));
                        ended
                    }, &mut leaving);
                    meant.sort_unstable();
                    let mut gone = leaving.to_vec();
                    gone.sort_unstable();
                    prop_assert_eq!(gone, meant);
                }
                Call::Wait(seconds) => now += seconds * 1_000_000_000,
            }
            for gone in leaving {
                prop_assert!(idle_ones.remove(&gone).is_some(), "only idle ones leave");
            }
            let counts = connections.counts();
            prop_assert_eq!(counts.idle, idle_ones.len());
            prop_assert_eq!(counts.open, idle_ones.len() + used.len());
            prop_assert!(counts.open <= open);
            prop_assert!(counts.idle <= all_idle);
            let of = |whose: Whose| {
                let idle = idle_ones.keys().filter(|one| routes[one.0].identity().whose() == whose).count();
                let used = used.iter().filter(|(_, one)| routes[one.0].identity().whose() == whose).count();
                (idle, used)
            };
            let each = [1, 2].into_iter().flat_map(|id| [(Some(id), None), (Some(id), Some(7))]);
            let found: Vec<_> = each.map(of).collect();
            for (idle_here, used_here) in &found {
                prop_assert!(*idle_here <= idle && idle_here + used_here <= per_proxy);
            }
            prop_assert!(found.iter().filter(|(idle, _)| *idle > 0).count() <= proxies);
        }
        let mut leaving = Leaving::new();
        connections.evict_all(&mut leaving);
        prop_assert_eq!(leaving.len(), idle_ones.len());
        for (ticket, _) in used.drain(..) {
            connections.close(ticket);
        }
        prop_assert_eq!(connections.counts(), Default::default());
    }
}

#[test]
fn every_idle_one_is_looked_at_in_turn() {
    let routes = routes();
    let mut connections: Connections<Owned> = Connections::new(Bounds { keep_alive: None, ..Bounds::default() });
    let mut leaving = Leaving::new();
    let tickets: Vec<Ticket> = (0..10)
        .map(|number| match connections.check_out(routes[number % 8].identity(), true, 0, &mut leaving) {
            Checkout::Room(ticket) => ticket,
            other => panic!("{other:?}"),
        })
        .collect();
    for (number, ticket) in tickets.into_iter().enumerate() {
        assert!(connections.put_back(ticket, (number % 8, number as u64), 0, &mut leaving).is_some());
    }
    let mut seen = Vec::new();
    for _ in 0..6 {
        let mut look = |idle: &[&Owned]| {
            seen.extend(idle.iter().map(|one| one.1));
            0
        };
        connections.sweep(4, &mut look, &mut leaving);
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(leaving.is_empty());
}
