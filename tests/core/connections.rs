//! Connections in use as a capacity of every proxy: counted with the lease, apart from what is in flight.

use std::sync::Arc;

use proxywhirl::clock::ManualClock;
use proxywhirl::judge::outcome::Outcome;
use proxywhirl::pool::context::Context;
use proxywhirl::pool::query::Query;
use proxywhirl::proxy::health::reason;
use proxywhirl::resilience::Settings;
use proxywhirl::resilience::explain::{Why, tally};
use proxywhirl::rotation::Domain;
use proxywhirl::rotation::connections::ConnectionLimit;
use proxywhirl::rotation::lease::{Ending, Lease, LeaseRequest};
use proxywhirl::strategy::round_robin::RoundRobin;
use proxywhirl::strategy::{Refusal, Shared};

use crate::common::*;

fn connected(strategy: &Shared, pool: &Arc<Domain>, clock: &ManualClock) -> Result<Lease, Refusal> {
    let request = LeaseRequest { context: &Context::default(), site: None, connects: true, clock, foreign: None };
    Lease::take(pool, strategy.clone(), &request, |refusal, _| refusal)
}

fn at_capacity(pool: &Arc<Domain>, clock: &ManualClock) -> usize {
    let (table, context) = (pool.table(), Context::default());
    tally(&Query::new(pool, &table, &context, clock).connecting(false), pool.sites()).of(Why::AtCapacity)
}

#[test]
fn a_proxy_without_a_free_connection_is_ineligible_until_a_request_ends() {
    let (clock, strategy): (_, Shared) = (clock(), Arc::new(RoundRobin::default()));
    let (pool, _) = pool_of(2);
    let limit = ConnectionLimit::new(&pool, 2);
    let mut leases: Vec<Lease> = (0..4).map(|_| connected(&strategy, &pool, &clock).unwrap()).collect();
    assert_eq!(at_capacity(&pool, &clock), 2);
    assert!(pool.eligible(&pool.table(), &clock).is_empty());
    assert!(connected(&strategy, &pool, &clock).is_err_and(|refusal| refusal.is_shortage()));
    drop(lease_at(&strategy, &pool, &clock).expect("a client with a connection of its own may have it"));
    let ends: [fn(&Lease, &ManualClock); 4] = [
        |lease, clock| assert!(lease.finish(Outcome::Success, &Ending::after(1.0), clock).is_ok()),
        |lease, clock| assert!(lease.finish(Outcome::ProxyDown, &Ending::after(1.0), clock).is_ok()),
        |lease, clock| assert!(lease.release(clock).is_ok()),
        |_, _| {},
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let lease = leases.remove(0);
        let proxy = lease.proxy().clone();
        end(&lease, &clock);
        drop(lease);
        assert_eq!(proxy.reasons() & reason::NO_CONNECTION, 0, "end {number}");
        assert_eq!(at_capacity(&pool, &clock), usize::from(number < 1), "end {number}");
    }
    drop(limit);
}

#[test]
fn of_several_limits_the_lowest_holds_as_long_as_it_lives() {
    let (clock, strategy): (_, Shared) = (clock(), Arc::new(RoundRobin::default()));
    let (pool, _) = pool_of(1);
    let wide = ConnectionLimit::new(&pool, 3);
    let narrow = ConnectionLimit::new(&pool, 1);
    let first = connected(&strategy, &pool, &clock).unwrap();
    assert!(connected(&strategy, &pool, &clock).is_err());
    drop(narrow);
    let others: Vec<Lease> = (0..2).map(|_| connected(&strategy, &pool, &clock).unwrap()).collect();
    assert!(connected(&strategy, &pool, &clock).is_err());
    drop(wide);
    assert_eq!(at_capacity(&pool, &clock), 0);
    drop((first, others, connected(&strategy, &pool, &clock).unwrap()));
}

#[test]
fn what_is_in_flight_without_a_connection_is_limited_by_its_own_setting_only() {
    let (clock, strategy): (_, Shared) = (clock(), Arc::new(RoundRobin::default()));
    let (pool, _) = pool_of(1);
    let _limit = ConnectionLimit::new(&pool, 1);
    let plain: Vec<Lease> = (0..5).map(|_| lease_at(&strategy, &pool, &clock).unwrap()).collect();
    let held = connected(&strategy, &pool, &clock).unwrap();
    drop(lease_at(&strategy, &pool, &clock).expect("it brings its own connection"));
    drop(held);
    pool.configure(Settings { max_in_flight: Some(6), ..Settings::default() }, &clock).unwrap();
    let held = connected(&strategy, &pool, &clock).unwrap();
    drop(plain);
    assert_eq!(at_capacity(&pool, &clock), 1, "one in flight of six, but it has the only connection");
    drop(held);
    assert_eq!(at_capacity(&pool, &clock), 0);
}

#[test]
fn after_a_failure_an_untried_proxy_gets_one_request_at_a_time_where_there_are_others() {
    let (clock, strategy): (_, Shared) = (clock(), Arc::new(RoundRobin::default()));
    let (pool, _) = pool_of(4);
    let of = |lease: &Lease| number(lease.proxy());
    let failed = connected(&strategy, &pool, &clock).unwrap();
    let bad = of(&failed);
    failed.finish(Outcome::ProxyDown, &Ending::after(1.0), &clock).unwrap();
    let trying: Vec<Lease> = (0..3).map(|_| connected(&strategy, &pool, &clock).unwrap()).collect();
    trying[1].finish(Outcome::Success, &Ending::after(1.0), &clock).unwrap();
    let proven = of(&trying[1]);
    let next: Vec<Lease> = (0..3).map(|_| connected(&strategy, &pool, &clock).unwrap()).collect();
    assert!(next.iter().all(|lease| of(lease) == proven), "the others are being tried");
    trying[1].proxy().set_reason(reason::DRAINING, true);
    let shared = connected(&strategy, &pool, &clock).unwrap();
    assert!(of(&shared) != proven && of(&shared) != bad, "better one that is being tried than none");
}
