//! What a lease's outcome brings about, and what may be chosen then: by a clock that is moved, no test sleeps.

use std::sync::Arc;

use proxywhirl::clock::{Clock, ManualClock};
use proxywhirl::judge::outcome::Outcome::{self, Banned, ProxyAuth, ProxyDown, Success, TargetFault};
use proxywhirl::proxy::health::{Health, reason};
use proxywhirl::proxy::liveness::{Breaker, BreakerSettings, Phase, Rate};
use proxywhirl::proxy::{Proxy, Verdict};
use proxywhirl::resilience::Settings;
use proxywhirl::resilience::explain::Why;
use proxywhirl::rotation::Domain;
use proxywhirl::rotation::lease::{Ending, Lease};
use proxywhirl::strategy::Shared;
use proxywhirl::strategy::round_robin::RoundRobin;

use crate::common::*;

fn turns() -> Shared {
    Arc::new(RoundRobin::default())
}

fn forward(clock: &ManualClock, seconds: f64) {
    clock.advance((seconds * 1e6) as i64);
}

fn taken(pool: &Arc<Domain>, clock: &ManualClock) -> Option<Lease> {
    lease_at(&turns(), pool, clock).ok()
}

fn end(lease: &Lease, outcome: Outcome, clock: &ManualClock) {
    lease.finish(outcome, &Ending::after(1.0), clock).unwrap();
}

/// One request through a certain proxy: it has to be eligible, and is the only one while it is chosen.
fn request(pool: &Arc<Domain>, proxy: &Arc<Proxy>, outcome: Outcome, clock: &ManualClock) {
    let others: Vec<_> = proxies_of(pool).into_iter().filter(|other| !Arc::ptr_eq(other, proxy)).collect();
    for other in &others {
        other.set_reason(reason::DRAINING, true);
    }
    let lease = taken(pool, clock).expect("it is eligible");
    for other in &others {
        other.set_reason(reason::DRAINING, false);
    }
    end(&lease, outcome, clock);
}

fn proxies_of(pool: &Domain) -> Vec<Arc<Proxy>> {
    let table = pool.table();
    proxywhirl::pool::Pool::members(&table).into_iter().filter_map(|slot| table.slot(slot)?.share()).collect()
}

fn eligible(pool: &Domain, clock: &ManualClock) -> usize {
    pool.guard().catch_up(clock);
    pool.eligible(&pool.table(), clock).len()
}

fn configure(pool: &Domain, change: impl FnOnce(&mut Settings)) {
    let mut settings = Settings::default();
    change(&mut settings);
    pool.configure(settings, &clock()).unwrap();
}

/// A proxy succeeds now and then, so that failures are their proxy's own.
fn calm(pool: &Arc<Domain>, clock: &ManualClock) {
    request(pool, &proxies_of(pool)[0], Success, clock);
}

#[test]
fn an_untried_proxy_that_fails_rests_at_once_and_a_proven_one_after_three() {
    let (pool, proxies) = pool_of(3);
    let clock = clock();
    calm(&pool, &clock);
    request(&pool, &proxies[1], ProxyDown, &clock);
    assert_eq!((proxies[1].reasons(), proxies[1].health()), (reason::RESTING, Health::Degraded));
    for failures in 1..=3 {
        assert_eq!(proxies[0].reasons(), 0, "after {} failures", failures - 1);
        request(&pool, &proxies[0], ProxyDown, &clock);
    }
    assert_eq!(proxies[0].reasons(), reason::RESTING | reason::UNHEALTHY);
    assert_eq!(eligible(&pool, &clock), 1);
}

#[test]
fn a_rest_ends_with_one_probe_at_a_time_and_a_success_clears_it() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    calm(&pool, &clock);
    request(&pool, &proxies[1], ProxyDown, &clock);
    forward(&clock, 4.9);
    assert_eq!(eligible(&pool, &clock), 1, "at least half of ten seconds");
    forward(&clock, 5.2);
    assert_eq!(eligible(&pool, &clock), 2, "at most ten");
    proxies[0].set_reason(reason::DRAINING, true);
    let probe = taken(&pool, &clock).unwrap();
    assert_eq!(proxies[1].reasons(), reason::PROBE_OUT);
    assert!(taken(&pool, &clock).is_none(), "one at a time");
    end(&probe, Success, &clock);
    assert_eq!((proxies[1].reasons(), proxies[1].health()), (0, Health::Healthy));
    let many: Vec<Lease> = (0..5).map(|_| taken(&pool, &clock).unwrap()).collect();
    assert_eq!(many.len(), 5);
}

#[test]
fn a_failed_probe_rests_longer_each_time_and_a_success_starts_over() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    calm(&pool, &clock);
    request(&pool, &proxies[1], ProxyDown, &clock);
    for level in 1..8 {
        // Rests grow to the cap of 300 seconds; whatever the chance, the longest is over by then.
        forward(&clock, 10.0f64 * f64::from(2u32.pow(level - 1)).min(30.0));
        calm(&pool, &clock);
        assert_eq!(eligible(&pool, &clock), 2, "level {level}");
        request(&pool, &proxies[1], ProxyDown, &clock);
        forward(&clock, (5.0f64 * f64::from(2u32.pow(level))).min(150.0) - 0.1);
        calm(&pool, &clock);
        assert_eq!(eligible(&pool, &clock), 1, "no sooner than half of level {level}");
        proxies[1].record(Verdict::Success(1.0), None, &clock);
        assert_eq!(proxies[1].reasons() & !reason::BREAKER, 0, "a success recorded elsewhere revives");
        pool.guard().breaker_of(&proxies[1]).reset(&clock);
        // Down again, to where it was.
        for _ in 0..3 {
            request(&pool, &proxies[1], ProxyDown, &clock);
        }
        pool.guard().breaker_of(&proxies[1]).reset(&clock);
        for again in 0..level {
            forward(&clock, (10.0f64 * f64::from(2u32.pow(again))).min(300.0));
            calm(&pool, &clock);
            request(&pool, &proxies[1], ProxyDown, &clock);
            pool.guard().breaker_of(&proxies[1]).reset(&clock);
        }
        forward(&clock, (10.0f64 * f64::from(2u32.pow(level))).min(300.0));
    }
}

#[test]
fn what_ends_while_a_proxy_rests_neither_prolongs_nor_raises_it() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    calm(&pool, &clock);
    proxies[0].set_reason(reason::DRAINING, true);
    let under_way: Vec<Lease> = (0..4).map(|_| taken(&pool, &clock).unwrap()).collect();
    proxies[0].set_reason(reason::DRAINING, false);
    for lease in &under_way {
        end(lease, ProxyDown, &clock);
        forward(&clock, 0.5);
    }
    calm(&pool, &clock);
    forward(&clock, 8.1);
    assert_eq!(eligible(&pool, &clock), 2, "ten seconds after the first failure, not the last");
    // The next rest is the second, not the fifth.
    request(&pool, &proxies[1], ProxyDown, &clock);
    forward(&clock, 20.1);
    pool.guard().breaker_of(&proxies[1]).reset(&clock);
    assert_eq!(eligible(&pool, &clock), 2);
}

#[test]
fn a_probe_released_or_without_a_verdict_on_the_proxy_lets_the_next_one_try() {
    let (pool, proxies) = pool_of(1);
    let clock = clock();
    for _ in 0..3 {
        request(&pool, &proxies[0], ProxyDown, &clock);
    }
    forward(&clock, 10.1);
    taken(&pool, &clock).unwrap().release(&clock).unwrap();
    drop(taken(&pool, &clock).unwrap());
    end(&taken(&pool, &clock).unwrap(), TargetFault, &clock);
    let probe = taken(&pool, &clock).unwrap();
    assert!(taken(&pool, &clock).is_none());
    end(&probe, Banned, &clock);
    assert_eq!(proxies[0].reasons(), 0, "a proxy that brought a ban can carry bytes");
    assert_eq!(proxies[0].usage(), (5, 5, 0));
}

#[test]
fn a_probe_never_reported_is_given_up() {
    let (pool, proxies) = pool_of(1);
    let clock = clock();
    for _ in 0..3 {
        request(&pool, &proxies[0], ProxyDown, &clock);
    }
    forward(&clock, 10.1);
    let lost = taken(&pool, &clock).unwrap();
    forward(&clock, 29.9);
    assert!(taken(&pool, &clock).is_none());
    forward(&clock, 0.2);
    let second = taken(&pool, &clock).unwrap();
    // What was given up cannot end its successor.
    lost.release(&clock).unwrap();
    assert!(taken(&pool, &clock).is_none());
    end(&second, Success, &clock);
    assert_eq!(proxies[0].reasons(), 0);
}

#[test]
fn of_many_threads_one_gets_the_probe() {
    let (pool, proxies) = pool_of(1);
    for _ in 0..50 {
        let clock = clock();
        proxies[0].set_health(Health::Healthy);
        pool.guard().breaker_of(&proxies[0]).reset(&clock);
        for _ in 0..3 {
            request(&pool, &proxies[0], ProxyDown, &clock);
        }
        forward(&clock, 300.1);
        let leases = on_threads(4, |_| lease_at(&turns(), &pool, &clock).ok());
        assert_eq!(leases.iter().flatten().count(), 1);
        let one = leases.into_iter().flatten().next().unwrap();
        end(&one, Success, &clock);
        balanced(&proxies);
    }
}

#[test]
fn a_proxy_that_wants_a_login_rests_until_it_gets_one() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    calm(&pool, &clock);
    for _ in 0..5 {
        request(&pool, &proxies[1], Success, &clock);
    }
    request(&pool, &proxies[1], ProxyAuth, &clock);
    assert_eq!(proxies[1].reasons(), reason::RESTING, "however often it has succeeded before");
    proxies[1].set_credentials(None);
    assert_eq!(proxies[1].reasons(), 0);
    // A rest for failures does not end that way.
    request(&pool, &proxies[1], ProxyDown, &clock);
    proxies[1].set_credentials(None);
    assert_eq!(proxies[1].reasons(), reason::RESTING);
}

#[test]
fn failures_recorded_by_hand_come_back_too_and_a_status_assigned_does_not() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    for _ in 0..5 {
        proxies[0].record(Verdict::Failure(1.0), None, &clock);
    }
    proxies[1].set_health(Health::Dead);
    assert_eq!((proxies[0].health(), eligible(&pool, &clock)), (Health::Dead, 0));
    forward(&clock, 10.1);
    assert_eq!((proxies[0].health(), eligible(&pool, &clock)), (Health::Dead, 1));
    proxies[0].record(Verdict::Failure(1.0), None, &clock);
    assert_eq!(eligible(&pool, &clock), 0, "still down");
    forward(&clock, 1000.0);
    assert_eq!(eligible(&pool, &clock), 1, "never the one whose status was assigned");
    proxies[0].set_health(Health::Unhealthy);
    forward(&clock, 1000.0);
    assert_eq!(eligible(&pool, &clock), 0, "assigned by hand it stays");
    proxies[0].record(Verdict::Success(1.0), None, &clock);
    assert_eq!((proxies[0].health(), eligible(&pool, &clock)), (Health::Healthy, 1));
}

#[test]
fn a_proxy_that_rests_comes_back_in_every_pool_that_holds_it() {
    let (pool, proxies) = pool_of(2);
    let (other, clock) = (empty(), clock());
    calm(&pool, &clock);
    add(&other, &proxies[1]);
    request(&pool, &proxies[1], ProxyDown, &clock);
    let late = empty();
    add(&late, &proxies[1]);
    drop(pool);
    forward(&clock, 10.1);
    assert_eq!((eligible(&late, &clock), eligible(&other, &clock)), (1, 1));
}

#[test]
fn a_wall_clock_that_jumps_moves_nothing() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    calm(&pool, &clock);
    request(&pool, &proxies[1], ProxyDown, &clock);
    for hours in [1000, -3000] {
        clock.jump(hours * 3600 * SECOND);
        assert_eq!(eligible(&pool, &clock), 1);
    }
    forward(&clock, 10.1);
    assert_eq!(eligible(&pool, &clock), 2);
    let breaker = Breaker::new(BreakerSettings::default()).unwrap();
    for _ in 0..4 {
        breaker.record_failure(&clock);
        clock.jump(-7200 * SECOND);
    }
    assert_eq!(breaker.phase(), Phase::Closed);
    breaker.record_failure(&clock);
    assert_eq!(breaker.phase(), Phase::Open);
    clock.jump(99 * 3600 * SECOND);
    assert!(!breaker.attempt(&clock));
    forward(&clock, 30.0);
    assert!(breaker.attempt(&clock));
}

#[test]
fn while_nothing_succeeds_no_more_than_half_of_a_pool_is_benched() {
    for size in [4, 5, 10, 101] {
        let (pool, _) = pool_of(size);
        let clock = clock();
        let strategy = turns();
        let panics_seen = Arc::new(std::sync::Mutex::new(0));
        let count = panics_seen.clone();
        pool.guard().set_listener(Some(Box::new(move |notices| {
            let panics = notices.iter().filter(|notice| matches!(notice, proxywhirl::resilience::Notice::Panic { .. }));
            *count.lock().unwrap() += panics.count();
        })));
        for _ in 0..size * 12 {
            let lease = lease_at(&strategy, &pool, &clock).expect("a proxy stays eligible");
            end(&lease, ProxyDown, &clock);
            pool.guard().deliver();
        }
        assert_eq!(eligible(&pool, &clock), size - size / 2, "of {size}");
        assert_eq!(*panics_seen.lock().unwrap(), 1);
        // Something succeeds again: proxies that go on failing are at fault.
        let lease = lease_at(&strategy, &pool, &clock).unwrap();
        end(&lease, Success, &clock);
        let good = lease.proxy().clone();
        for _ in 0..size {
            let Ok(lease) = lease_at(&strategy, &pool, &clock) else { break };
            end(&lease, if Arc::ptr_eq(lease.proxy(), &good) { Success } else { ProxyDown }, &clock);
        }
        assert_eq!(eligible(&pool, &clock), 1, "of {size}");
    }
}

#[test]
fn small_pools_are_not_guarded() {
    let (pool, _) = pool_of(3);
    let (clock, strategy) = (clock(), turns());
    for _ in 0..5 {
        end(&lease_at(&strategy, &pool, &clock).unwrap(), ProxyDown, &clock);
    }
    // Two untried ones at once, the last after three in a row.
    assert_eq!(eligible(&pool, &clock), 0);
}

#[test]
fn a_breaker_opens_on_enough_failures_that_are_enough_of_all_results() {
    let (pool, proxies) = pool_of(1);
    let clock = clock();
    // One in five fails: never.
    for number in 0..200 {
        request(&pool, &proxies[0], if number % 5 == 0 { ProxyDown } else { Success }, &clock);
        forward(&clock, 0.1);
    }
    let breaker = pool.guard().breaker_of(&proxies[0]);
    assert_eq!(breaker.phase(), Phase::Closed);
    forward(&clock, 61.0);
    for number in 0..8 {
        request(&pool, &proxies[0], if number % 2 == 0 { ProxyDown } else { Success }, &clock);
    }
    assert_eq!(breaker.phase(), Phase::Closed, "four are too few");
    request(&pool, &proxies[0], ProxyDown, &clock);
    assert_eq!((breaker.phase(), proxies[0].reasons()), (Phase::Open, reason::BREAKER));
    let tally = tally(&pool, &clock);
    assert!(tally.all_breakers_open());
    assert_eq!((tally.of(Why::BreakerOpen), tally.retry_after(), tally.may_free()), (1, None, false));
    // Its time over it is tried by one, and stays OPEN until then.
    forward(&clock, 30.1);
    assert_eq!(eligible(&pool, &clock), 1);
    assert_eq!(breaker.phase(), Phase::Open);
    let probe = taken(&pool, &clock).unwrap();
    assert_eq!(breaker.phase(), Phase::HalfOpen);
    assert!(taken(&pool, &clock).is_none());
    end(&probe, ProxyDown, &clock);
    assert_eq!(breaker.phase(), Phase::Open);
    forward(&clock, 30.1);
    end(&taken(&pool, &clock).unwrap(), Success, &clock);
    assert_eq!((breaker.phase(), proxies[0].reasons()), (Phase::Closed, 0));
}

fn tally(pool: &Arc<Domain>, clock: &ManualClock) -> proxywhirl::resilience::explain::Tally {
    let (table, context) = (pool.table(), Default::default());
    proxywhirl::resilience::explain::tally(
        &proxywhirl::pool::query::Query::new(pool, &table, &context, clock),
        pool.sites(),
    )
}

#[test]
fn direct_calls_of_a_proxys_breaker_act_on_the_pool() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    let breaker = Breaker::new(BreakerSettings { success_threshold: 2, ..BreakerSettings::default() }).unwrap();
    assert!(pool.guard().set_breaker(&proxies[0], &breaker, &clock));
    assert!(!pool.guard().set_breaker(&proxies[1], &breaker, &clock), "one breaker, one proxy");
    for _ in 0..5 {
        breaker.record_failure(&clock);
    }
    assert_eq!(eligible(&pool, &clock), 1);
    forward(&clock, 30.1);
    assert!(breaker.would_allow(clock.steady()));
    assert!(breaker.attempt(&clock));
    assert!(!breaker.attempt(&clock));
    assert_eq!(eligible(&pool, &clock), 1, "its one request is under way outside");
    breaker.record_success(&clock);
    assert_eq!((breaker.phase(), eligible(&pool, &clock)), (Phase::HalfOpen, 2));
    // The second one by a lease.
    proxies[1].set_reason(reason::DRAINING, true);
    let probe = taken(&pool, &clock).unwrap();
    assert!(taken(&pool, &clock).is_none());
    end(&probe, Success, &clock);
    assert_eq!((breaker.phase(), proxies[0].reasons()), (Phase::Closed, 0));
    // A breaker that is open already shuts out the proxy it is given to, and an unreported probe expires.
    let other = Breaker::new(BreakerSettings { failure_threshold: 1, ..BreakerSettings::default() }).unwrap();
    other.record_failure(&clock);
    assert!(pool.guard().set_breaker(&proxies[1], &other, &clock));
    proxies[1].set_reason(reason::DRAINING, false);
    assert_eq!(eligible(&pool, &clock), 1);
    forward(&clock, 30.1);
    assert!(other.attempt(&clock));
    assert_eq!(eligible(&pool, &clock), 1);
    forward(&clock, 30.1);
    assert_eq!(eligible(&pool, &clock), 2);
    assert!(other.would_allow(clock.steady()));
    other.reset(&clock);
    assert_eq!((other.phase(), other.failures(clock.steady()).len()), (Phase::Closed, 0));
}

#[test]
fn a_cap_is_exact_and_the_door_opens_with_every_end() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    configure(&pool, |settings| settings.max_in_flight = Some(3));
    let mut held: Vec<Lease> = (0..6).map(|_| lease_at(&turns(), &pool, &clock).unwrap()).collect();
    assert!(proxies.iter().all(|proxy| proxy.usage().2 == 3 && proxy.reasons() == reason::AT_CAPACITY));
    assert!(taken(&pool, &clock).is_none());
    let full = tally(&pool, &clock);
    assert_eq!((full.of(Why::AtCapacity), full.may_free(), full.retry_after()), (2, true, None));
    assert_eq!(full.to_string(), "2 at capacity");
    let last = held.pop().unwrap();
    end(&last, TargetFault, &clock);
    let again = taken(&pool, &clock).unwrap();
    assert!(Arc::ptr_eq(again.proxy(), last.proxy()));
    assert!(taken(&pool, &clock).is_none());
    again.release(&clock).unwrap();
    drop(taken(&pool, &clock).unwrap());
    // Results reported without a lease count as well, and a cap that is lifted opens every door.
    proxies[0].complete(Verdict::Success(1.0), None, &clock);
    assert!(Arc::ptr_eq(taken(&pool, &clock).unwrap().proxy(), &proxies[0]) || proxies[1].reasons() == 0);
    configure(&pool, |_| {});
    assert_eq!(eligible(&pool, &clock), 2);
}

#[test]
fn a_cap_is_never_exceeded_by_threads() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (pool, proxies) = pool_of(3);
    configure(&pool, |settings| settings.max_in_flight = Some(2));
    let admitted: Vec<AtomicUsize> = (0..3).map(|_| AtomicUsize::new(0)).collect();
    let strategy = turns();
    let clock = clock();
    let done = on_threads(4, |thread| {
        let mut done = 0;
        for round in 0..3000 {
            let Ok(lease) = lease_at(&strategy, &pool, &clock) else { continue };
            let here = &admitted[number(lease.proxy())];
            assert!(here.fetch_add(1, Ordering::SeqCst) < 2, "three on one proxy");
            if (round + thread) % 7 == 0 {
                std::thread::yield_now();
            }
            here.fetch_sub(1, Ordering::SeqCst);
            match round % 3 {
                0 => end(&lease, Success, &clock),
                1 => lease.release(&clock).unwrap(),
                _ => drop(lease),
            }
            done += 1;
        }
        done
    });
    assert!(done.iter().sum::<usize>() > 3000, "{done:?}");
    assert!(proxies.iter().all(|proxy| proxy.usage().2 == 0 && proxy.reasons() == 0), "all doors are open at rest");
    balanced(&proxies);
}

#[test]
fn slow_start_lets_one_then_two_then_four_then_any_number() {
    let (pool, proxies) = pool_of(1);
    let clock = clock();
    configure(&pool, |settings| settings.slow_start = true);
    let at_once = || {
        let held: Vec<Lease> = std::iter::from_fn(|| taken(&pool, &clock)).take(50).collect();
        held.len()
    };
    let mut seen = vec![at_once()];
    for _ in 0..7 {
        end(&taken(&pool, &clock).unwrap(), Success, &clock);
        seen.push(at_once());
    }
    assert_eq!(seen, [1, 2, 2, 4, 4, 4, 4, 50]);
    // After a rest it begins anew.
    for _ in 0..3 {
        end(&taken(&pool, &clock).unwrap(), ProxyDown, &clock);
    }
    forward(&clock, 10.1);
    end(&taken(&pool, &clock).unwrap(), Success, &clock);
    assert_eq!((at_once(), proxies[0].usage().2), (2, 0));
}

#[test]
fn a_token_bucket_lets_its_burst_and_then_its_rate_pass() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    configure(&pool, |settings| settings.proxy_rate = Some(Rate::new(2.0, 1.0, Some(3.0)).unwrap()));
    let take_all = || std::iter::from_fn(|| taken(&pool, &clock)).take(50).count();
    assert_eq!(take_all(), 6, "a lease that is dropped has had its token");
    assert!(proxies.iter().all(|proxy| proxy.reasons() == reason::NO_TOKENS));
    let dry = tally(&pool, &clock);
    assert_eq!((dry.of(Why::NoTokens), dry.may_free()), (2, false));
    assert!((dry.retry_after().unwrap() - 0.5).abs() < 1e-6, "{:?}", dry.retry_after());
    assert_eq!(pool.guard().next_due(&clock), Some(500_000_000));
    forward(&clock, 0.5);
    assert_eq!(take_all(), 2);
    forward(&clock, 10.0);
    assert_eq!(take_all(), 6);
    configure(&pool, |_| {});
    assert_eq!(take_all(), 50);
}

#[test]
fn what_waits_for_nothing_any_more_does_not_pile_up() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    calm(&pool, &clock);
    for _ in 0..20_000 {
        request(&pool, &proxies[1], ProxyAuth, &clock);
        proxies[1].record(Verdict::Success(1.0), None, &clock);
        pool.guard().breaker_of(&proxies[1]).reset(&clock);
    }
    assert!(pool.guard().pending() <= 200, "{}", pool.guard().pending());
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let refused = |change: fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        empty().configure(settings, &clock()).is_err()
    };
    assert!(refused(|settings| settings.breaker.failure_threshold = 0));
    assert!(refused(|settings| settings.breaker.failure_rate = 1.5));
    assert!(refused(|settings| settings.breaker.window_duration = 0.0));
    assert!(refused(|settings| settings.max_in_flight = Some(0)));
    assert!(refused(|settings| settings.rest_base = -1.0));
    assert!(refused(|settings| settings.rest_cap = 5.0));
    assert!(refused(|settings| settings.bench_cap = f64::NAN));
    assert!(refused(|settings| settings.panic_share = f64::NAN));
    assert!(refused(|settings| settings.panic_window = -0.1));
    assert!(refused(|settings| settings.max_standings = 0));
    assert!(!refused(|_| {}));
}

#[test]
fn whoever_waits_is_woken_when_something_is_freed() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (pool, proxies) = pool_of(1);
    let clock = clock();
    configure(&pool, |settings| settings.max_in_flight = Some(1));
    let woken = Arc::new(AtomicUsize::new(0));
    let count = woken.clone();
    pool.guard().set_waker(Some(Box::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    })));
    let lease = taken(&pool, &clock).unwrap();
    end(&lease, Success, &clock);
    assert_eq!(woken.load(Ordering::Relaxed), 0, "no request waits");
    pool.guard().add_waiters(1);
    let mut before = 0;
    let mut rang = |what: &str| {
        let now = woken.load(Ordering::Relaxed);
        assert!(now > before, "{what}");
        before = now;
    };
    taken(&pool, &clock).unwrap().release(&clock).unwrap();
    rang("a lease released");
    add(&pool, &proxy(7));
    rang("a proxy added");
    proxies[0].set_health(Health::Dead);
    proxies[0].set_health(Health::Healthy);
    rang("a proxy revived");
    request(&pool, &proxies[0], ProxyAuth, &clock);
    rang("a lease ended");
    forward(&clock, 10.1);
    pool.guard().catch_up(&clock);
    rang("a rest over");
    pool.guard().add_waiters(-1);
    drop(taken(&pool, &clock));
    assert_eq!(woken.load(Ordering::Relaxed), before, "no request waits any more");
}

#[test]
fn a_breaker_takes_over_what_was_kept() {
    let clock = clock();
    forward(&clock, 1000.0);
    let second = 1_000_000_000;
    let settings = BreakerSettings { failure_threshold: 3, ..BreakerSettings::default() };
    let breaker = Breaker::new(settings).unwrap();
    breaker.restore(&[5 * second, 70 * second], None, &clock);
    assert_eq!(
        (breaker.phase(), breaker.failures(clock.steady()).len()),
        (Phase::Closed, 1),
        "one has left the window"
    );
    breaker.record_failure(&clock);
    breaker.record_failure(&clock);
    assert_eq!(breaker.phase(), Phase::Open);
    breaker.restore(&[], Some(10 * second), &clock);
    assert!(!breaker.would_allow(clock.steady()));
    forward(&clock, 10.1);
    assert!(breaker.attempt(&clock));
    assert_eq!(breaker.phase(), Phase::HalfOpen);
    breaker.restore(&[], None, &clock);
    assert_eq!(breaker.phase(), Phase::Closed);
}
