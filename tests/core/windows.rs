//! Counting windows: they tumble, keep what is in flight, and are over before counts are compared.

use proxywhirl::clock::ManualClock;
use proxywhirl::pool::context::Context;
use proxywhirl::proxy::{Counter, Moment, Proxy, Verdict};
use proxywhirl::strategy::least_used::LeastUsed;

use crate::common::*;

fn serve(proxy: &Proxy, times: usize, clock: &ManualClock) {
    for _ in 0..times {
        proxy.start(clock);
        proxy.complete(Verdict::Success(10.0), None, clock);
    }
}

#[test]
fn a_window_begins_with_a_start_and_ends_after_its_length() {
    let (_, proxies) = pool_of(1);
    let (proxy, clock) = (&proxies[0], clock());
    assert_eq!(proxy.time(Moment::WindowStart), None);
    assert!(!proxy.is_window_expired(&clock), "none has begun");
    serve(proxy, 3, &clock);
    assert_eq!(proxy.time(Moment::WindowStart), Some(START));
    clock.advance(3600 * SECOND - 1);
    assert!(!proxy.is_window_expired(&clock));
    serve(proxy, 1, &clock);
    assert_eq!(proxy.usage(), (4, 4, 0));
    clock.advance(1);
    assert!(proxy.is_window_expired(&clock));
    serve(proxy, 1, &clock);
    assert_eq!(proxy.usage(), (1, 1, 0), "the start that found it over began the next");
    assert_eq!(proxy.time(Moment::WindowStart), Some(START + 3600 * SECOND));
    assert_eq!(proxy.totals(), (5, 5, 0), "totals have no window");
}

#[test]
fn what_is_in_flight_belongs_to_the_next_window() {
    let (_, proxies) = pool_of(1);
    let (proxy, clock) = (&proxies[0], clock());
    serve(proxy, 10, &clock);
    proxy.start(&clock);
    proxy.start(&clock);
    clock.advance(3600 * SECOND);
    proxy.start(&clock);
    assert_eq!(proxy.usage(), (3, 0, 3));
    for _ in 0..2 {
        proxy.complete(Verdict::Success(1.0), None, &clock);
    }
    proxy.cancel_start(&clock);
    assert_eq!(proxy.usage(), (2, 2, 0));
}

#[test]
fn a_reset_zeroes_what_is_counted_and_keeps_what_is_in_flight() {
    let (_, proxies) = pool_of(1);
    let (proxy, clock) = (&proxies[0], clock());
    serve(proxy, 10, &clock);
    proxy.start(&clock);
    clock.advance(SECOND);
    proxy.reset_window(&clock);
    assert_eq!(proxy.usage(), (0, 0, 1));
    assert_eq!(proxy.time(Moment::WindowStart), Some(START + SECOND));
    assert!(!proxy.reset_if_expired(&clock), "it has just begun");
    clock.advance(3600 * SECOND);
    assert!(proxy.reset_if_expired(&clock));
    assert!(!proxy.reset_if_expired(&clock), "once");
}

#[test]
fn the_length_is_the_proxys_own() {
    let (pool, proxies) = pool_of(2);
    proxies[0].set_cold(|cold| cold.window_duration = 60);
    let (least, clock) = (LeastUsed::default(), clock());
    let next = || pick(&least, &pool, &Context::default(), &clock);
    for proxy in &proxies {
        serve(proxy, 10, &clock);
    }
    assert_eq!([next(), next()], [0, 1]);
    clock.advance(60 * SECOND);
    // One window is over: what is in flight from before counts as the first of the new one.
    let later: Vec<usize> = (0..10).map(|_| next()).collect();
    assert_eq!(later, [0; 10]);
    assert_eq!(next(), 0, "eleven each: the lowest identifier");
}

#[test]
fn windows_that_are_over_are_reset_before_counts_are_compared() {
    let (pool, proxies) = pool_of(10);
    let (least, clock) = (LeastUsed::default(), clock());
    let next = || pick(&least, &pool, &Context::default(), &clock);
    for round in 0..5 {
        // Every proxy's window begins at another time, by a strategy that is not this one.
        for proxy in &proxies {
            serve(proxy, 1 + number(proxy) * 3, &clock);
            clock.advance(10 * SECOND);
        }
        let mut counts: Vec<u64> = proxies.iter().map(|proxy| proxy.use_count()).collect();
        for _ in 0..200 {
            let least = counts.iter().min().unwrap();
            let expected = counts.iter().position(|count| count == least).unwrap();
            let chosen = next();
            assert_eq!(chosen, expected, "round {round}: {counts:?}");
            counts[chosen] += 1;
            proxies[chosen].complete(Verdict::Elsewhere, None, &clock);
        }
        clock.advance(4000 * SECOND);
        assert_eq!(next(), 0, "all windows are over: equals");
        proxies[0].cancel_start(&clock);
        assert!(proxies.iter().all(|proxy| proxy.use_count() == 0), "round {round}");
        clock.advance(4000 * SECOND);
    }
    balanced(&proxies);
}

#[test]
fn resets_by_many_threads_lose_nothing() {
    let (pool, proxies) = pool_of(4);
    let least = LeastUsed::default();
    let clock = clock();
    on_threads(6, |thread| {
        for step in 0..3000 {
            if thread == 0 {
                clock.advance(if step % 10 == 0 { 1800 * SECOND } else { SECOND });
            }
            let proxy = select(&least, &pool, &Context::default(), &clock).unwrap();
            if step % 5 == 0 { proxy.cancel_start(&clock) } else { proxy.complete(Verdict::Success(1.0), None, &clock) }
        }
    });
    balanced(&proxies);
    assert!(proxies.iter().all(|proxy| proxy.usage().2 == 0));
    let results: u64 = proxies.iter().map(|proxy| proxy.total()).sum();
    assert_eq!(results, 6 * 3000 * 4 / 5);
}

#[test]
fn minutes_slide_out_of_the_window_one_by_one() {
    let (_, proxies) = pool_of(1);
    let (proxy, clock) = (&proxies[0], clock());
    let total = || proxy.window_buckets(&clock).iter().map(|bucket| bucket.1).sum::<u64>();
    for minute in 0..120u64 {
        serve(proxy, 1 + (minute % 3) as usize, &clock);
        let buckets = proxy.window_buckets(&clock);
        assert!(buckets.len() <= 60, "bounded");
        assert!(buckets.iter().all(|(begin, _)| begin % 60 == 0), "keys have no seconds");
        assert!(buckets.is_sorted());
        // Sixty minutes of 1, 2, 3 starts in turn are 120.
        if minute >= 59 {
            assert_eq!(total(), 120, "minute {minute}");
        }
        clock.advance(60 * SECOND);
    }
    clock.advance(3600 * SECOND);
    assert_eq!(total(), 0);
}

#[test]
fn ends_without_a_start_never_make_the_number_in_flight_negative() {
    let (_, proxies) = pool_of(1);
    let (proxy, clock) = (&proxies[0], clock());
    proxy.complete(Verdict::Success(1.0), None, &clock);
    assert_eq!(proxy.usage(), (0, 1, 0));
    proxy.start(&clock);
    assert_eq!(proxy.usage(), (1, 1, 1), "the next start counts");
    proxy.complete(Verdict::Success(1.0), None, &clock);
    assert_eq!(proxy.usage(), (1, 2, 0));
    proxy.set_counter(Counter::Active, 3);
    assert_eq!(proxy.usage().2, 3);
}

#[test]
fn a_window_that_began_elsewhere_is_known_before_its_proxy_is_served() {
    let (pool, proxies) = pool_of(2);
    let (least, clock) = (LeastUsed::default(), clock());
    let next = || pick(&least, &pool, &Context::default(), &clock);
    proxies[0].set_cold(|cold| cold.window_duration = 7200);
    assert_eq!(next(), 0);
    // Filed with none, the second proxy is started by others only, and passed over for its count from then on.
    serve(&proxies[1], 100, &clock);
    assert_eq!([next(), next()], [0, 0]);
    clock.advance(3600 * SECOND);
    assert_eq!(next(), 1, "its hundred were of a window that is over");
}
