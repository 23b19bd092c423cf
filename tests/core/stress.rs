//! Readers select while writers change everything: nothing forbidden is chosen, nothing is lost, nothing hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proxywhirl::pool::context::Context;
use proxywhirl::proxy::health::{Health, reason};
use proxywhirl::proxy::{Proxy, Verdict};

use crate::common::*;

/// Proxies divisible by three are dead for good, those divisible by five flap, the others are always eligible.
fn storm(maker: &Maker, length: Duration, size: usize) {
    let (pool, proxies) = pool_of(size);
    furnish(&proxies);
    for proxy in proxies.iter().filter(|proxy| number(proxy).is_multiple_of(3)) {
        proxy.set_reason(reason::DRAINING, true);
    }
    let strategy = maker.make();
    let clock = clock();
    let stop = AtomicBool::new(false);
    let began = proxies.iter().map(|proxy| proxy.usage().0).sum::<u64>();
    let chosen = AtomicU64::new(0);
    let until = Instant::now() + length;
    on_threads(4, |thread| match thread {
        0 => {
            // Health, latency and place of the flapping ones.
            let mut seed = 3u64;
            while !stop.load(Ordering::Relaxed) {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let proxy = &proxies[(seed >> 33) as usize % (size / 5) * 5];
                match seed >> 50 & 7 {
                    0..=2 => proxy.set_health(Health::Dead),
                    3..=5 => proxy.set_health(Health::Healthy),
                    6 => proxy.set_ema(Some(1.0 + (seed >> 55) as f64)),
                    _ => locate(proxy, if seed >> 60 & 1 == 0 { "US" } else { "FR" }),
                }
            }
        }
        1 => {
            // Strangers come and go.
            let mut next = size;
            while !stop.load(Ordering::Relaxed) {
                let strangers: Vec<Arc<Proxy>> = (next..next + 8).map(proxy).collect();
                next += 8;
                for stranger in &strangers {
                    stranger.set_reason(reason::DRAINING, true);
                    add(&pool, stranger);
                }
                for stranger in &strangers {
                    assert!(pool.remove(stranger.id()).is_some());
                }
            }
        }
        _ => {
            let context =
                if thread == 2 { maker.context() } else { Context { in_rotation: true, ..excluding(&proxies[..7]) } };
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..64 {
                    let proxy = select(&*strategy, &pool, &context, &clock).unwrap_or_else(|refusal| {
                        stop.store(true, Ordering::Relaxed);
                        panic!("{}: {refusal}", maker.name)
                    });
                    let n = number(&proxy);
                    if n.is_multiple_of(3) || n >= size || (thread == 3 && n < 7) {
                        stop.store(true, Ordering::Relaxed);
                        panic!("{} chose {n}", maker.name);
                    }
                    chosen.fetch_add(1, Ordering::Relaxed);
                    strategy.record(&proxy, Verdict::Success(10.0 + (n % 50) as f64), &clock);
                }
                if Instant::now() > until {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    });
    balanced(&proxies);
    let started = proxies.iter().map(|proxy| proxy.usage().0).sum::<u64>() - began;
    assert_eq!(started, chosen.into_inner(), "{}", maker.name);
    // At rest the index agrees with the proxies.
    let eligible = pool.eligible(&pool.table(), &clock).len();
    assert_eq!(eligible, proxies.iter().filter(|proxy| proxy.reasons() == 0).count(), "{}", maker.name);
}

#[test]
fn a_short_storm_for_every_strategy() {
    for maker in &EVERY {
        storm(maker, Duration::from_millis(120), 60);
    }
}

#[test]
#[ignore = "a minute long; run alone, in release"]
fn a_long_storm_for_every_strategy() {
    for maker in &EVERY {
        for size in [60, 5000] {
            storm(maker, Duration::from_secs(2), size);
        }
    }
}

#[test]
#[ignore = "a million proxies; run alone, in release"]
fn the_cost_of_a_selection_does_not_grow_with_the_dead() {
    let (pool, proxies) = pool_of(1_000_000);
    furnish(&proxies);
    for maker in &EVERY {
        let time = |context: &Context| {
            let strategy = maker.make();
            for _ in 0..2000 {
                let _ = pick(&*strategy, &pool, context, &clock());
            }
            let mut times: Vec<Duration> = (0..7)
                .map(|_| {
                    let begun = Instant::now();
                    for _ in 0..2000 {
                        let _ = pick(&*strategy, &pool, context, &clock());
                    }
                    begun.elapsed()
                })
                .collect();
            times.sort_unstable();
            times[3] / 2000
        };
        let all = time(&maker.context());
        for proxy in proxies.iter().filter(|proxy| number(proxy) % 100 != 7) {
            proxy.set_reason(reason::DRAINING, true);
        }
        let few = time(&maker.context());
        for proxy in &proxies {
            proxy.set_reason(reason::DRAINING, false);
        }
        println!("{}: {all:?} with all eligible, {few:?} with one in a hundred", maker.name);
        // A scan of a million would take milliseconds.
        assert!(all < Duration::from_micros(50), "{}: {all:?}", maker.name);
        assert!(few < all * 4 + Duration::from_micros(20), "{}: {all:?}, then {few:?}", maker.name);
    }
}
