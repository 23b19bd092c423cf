//! A lease has at most one verdict: the first one given, by any thread.

use std::sync::Arc;

use proxywhirl::judge::outcome::Outcome;
use proxywhirl::proxy::health::Health;
use proxywhirl::proxy::{Counter, Verdict};
use proxywhirl::rotation::Domain;
use proxywhirl::rotation::lease::{AlreadyClosed, Ending, Lease};
use proxywhirl::strategy::Shared;
use proxywhirl::strategy::round_robin::RoundRobin;

use crate::common::*;

fn lease(strategy: &Shared, pool: &Arc<Domain>) -> Lease {
    lease_at(strategy, pool, &system()).unwrap()
}

#[test]
fn many_threads_end_a_lease_once() {
    let (pool, proxies) = pool_of(1);
    let strategy: Shared = Arc::new(RoundRobin::default());
    for round in 1..=300 {
        let lease = lease(&strategy, &pool);
        let won = on_threads(4, |thread| match thread {
            0 => lease.release(&system()).is_ok(),
            1 => lease.finish(Outcome::ProxyDown, &Ending::default(), &system()).is_ok(),
            _ => lease.finish(Outcome::Success, &Ending::after(1.0), &system()).is_ok(),
        });
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "round {round}: {won:?}");
        assert!(lease.is_closed());
        assert_eq!(lease.finish(Outcome::Success, &Ending::default(), &system()), Err(AlreadyClosed));
        drop(lease);
        balanced(&proxies);
        assert_eq!(proxies[0].usage().2, 0, "round {round}");
        proxies[0].set_health(Health::Healthy);
        proxies[0].set_counter(Counter::ConsecutiveFailures, 0);
        pool.guard().breaker_of(&proxies[0]).reset(&system());
    }
}

#[test]
fn a_lease_dropped_gives_back_as_if_it_had_never_been() {
    let (pool, proxies) = pool_of(2);
    let strategy: Shared = Arc::new(RoundRobin::default());
    let before = (proxies[0].totals(), proxies[0].health());
    let held = lease(&strategy, &pool);
    assert_eq!(proxies[0].usage(), (1, 0, 1));
    drop(held);
    assert_eq!(proxies[0].usage(), (0, 0, 0));
    assert_eq!((proxies[0].totals(), proxies[0].health()), before);
}

#[test]
fn a_lease_outlives_its_proxys_membership_and_its_pool() {
    let (pool, proxies) = pool_of(1);
    let strategy: Shared = Arc::new(RoundRobin::default());
    let (first, second) = (lease(&strategy, &pool), lease(&strategy, &pool));
    pool.remove(proxies[0].id());
    first.finish(Outcome::Success, &Ending::after(3.0), &system()).unwrap();
    drop(pool);
    second.finish(Outcome::ProxyDown, &Ending::default(), &system()).unwrap();
    assert_eq!(proxies[0].usage(), (2, 2, 0));
    assert_eq!(proxies[0].totals(), (2, 1, 1));
}

#[test]
fn every_outcome_does_to_the_books_what_is_documented() {
    // started, completed, total, successes, failures, failures in a row after two before, health after two before.
    for (outcome, usage, totals, in_a_row, health) in [
        (Outcome::Success, (1, 1, 0), (1, 1, 0), 0, Health::Healthy),
        (Outcome::ProxyDown, (1, 1, 0), (1, 0, 1), 3, Health::Unhealthy),
        (Outcome::ProxyAuth, (1, 1, 0), (1, 0, 1), 3, Health::Unhealthy),
        (Outcome::Banned, (1, 1, 0), (1, 0, 0), 0, Health::Healthy),
        (Outcome::RateLimited, (1, 1, 0), (1, 0, 0), 0, Health::Healthy),
        (Outcome::TargetFault, (1, 1, 0), (1, 0, 0), 2, Health::Degraded),
        (Outcome::ClientFault, (0, 0, 0), (0, 0, 0), 2, Health::Degraded),
    ] {
        let (pool, proxies) = pool_of(1);
        proxies[0].set_counter(Counter::ConsecutiveFailures, 2);
        proxies[0].set_health(Health::Degraded);
        let strategy: Shared = Arc::new(RoundRobin::default());
        lease(&strategy, &pool).finish(outcome, &Ending::after(12.0), &system()).unwrap();
        let proxy = &proxies[0];
        assert_eq!((proxy.usage(), proxy.totals()), (usage, totals), "{outcome:?}");
        assert_eq!((proxy.consecutive_failures(), proxy.health()), (in_a_row, health), "{outcome:?}");
        assert_eq!(
            proxy.ema(),
            (outcome == Outcome::Success).then_some(12.0),
            "only successes are measured: {outcome:?}"
        );
    }
}

#[test]
fn a_lease_reports_to_the_strategy_that_chose() {
    let (pool, proxies) = pool_of(1);
    let old: Shared = Arc::new(RoundRobin::default());
    old.common().set_alpha(Some(0.5));
    proxies[0].set_ema(Some(100.0));
    let held = lease(&old, &pool);
    let new: Shared = Arc::new(RoundRobin::default());
    let other = lease(&new, &pool);
    held.finish(Outcome::Success, &Ending::after(50.0), &system()).unwrap();
    assert_eq!(proxies[0].ema(), Some(75.0), "by the old strategy's alpha");
    other.finish(Outcome::Success, &Ending::after(25.0), &system()).unwrap();
    assert_eq!(proxies[0].ema(), Some(65.0), "by the proxy's own, 0.2");
}

#[test]
fn health_follows_failures_in_a_row_and_any_success_revives() {
    let (_, proxies) = pool_of(1);
    let (proxy, clock) = (&proxies[0], clock());
    let fail = || {
        proxy.start(&clock);
        proxy.complete(Verdict::Failure(1.0), None, &clock);
        proxy.health()
    };
    use Health::{Dead, Degraded, Unhealthy};
    let seen: Vec<Health> = (0..6).map(|_| fail()).collect();
    assert_eq!(seen, [Degraded, Degraded, Unhealthy, Unhealthy, Dead, Dead]);
    proxy.start(&clock);
    proxy.complete(Verdict::Success(1.0), None, &clock);
    assert_eq!((proxy.health(), proxy.consecutive_failures(), proxy.reasons()), (Health::Healthy, 0, 0));
}

#[test]
fn the_average_is_the_documented_one() {
    let (_, proxies) = pool_of(1);
    let (proxy, clock) = (&proxies[0], clock());
    for (ms, expected) in [(100.0, 100.0), (50.0, 90.0), (50.0, 82.0)] {
        proxy.start(&clock);
        proxy.complete(Verdict::Success(ms), None, &clock);
        assert!((proxy.ema().unwrap() - expected).abs() < 1e-9, "{:?}", proxy.ema());
    }
    assert_eq!(proxy.average(), proxy.ema());
}

#[test]
fn averages_by_many_threads_lose_no_sample() {
    // With alpha 1 the average is the last sample; with 0.5 each sample halves the distance, in any order.
    let (_, proxies) = pool_of(1);
    proxies[0].set_ema(Some(1.0));
    on_threads(4, |_| {
        for _ in 0..5 {
            proxies[0].update_latency(0.0, Some(0.5));
        }
    });
    assert_eq!(proxies[0].ema(), Some(0.5f64.powi(20)));
}
