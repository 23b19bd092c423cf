//! Choices by chance have the probabilities they promise, on every way through the core. All seeded.

use std::collections::HashSet;
use std::sync::Arc;

use proxywhirl::pool::context::{Context, Thresholds};
use proxywhirl::proxy::health::Health;
use proxywhirl::proxy::{Counter, Proxy};
use proxywhirl::strategy::cost_aware::CostAware;
use proxywhirl::strategy::performance::Performance;
use proxywhirl::strategy::random::Random;
use proxywhirl::strategy::weighted::Weighted;
use proxywhirl::strategy::{Shared, Strategy};

use crate::common::*;

/// A strategy of chance with its naive reference: the weight of a proxy by the documented rule.
struct Chance {
    name: &'static str,
    make: fn() -> Shared,
    weight: fn(&Proxy) -> f64,
}

fn ids(proxy: &Proxy) -> f64 {
    // Even identifiers have a weight; the others fall back to their success rate.
    let n = number(proxy);
    if n < 500 && n.is_multiple_of(2) { 1.0 + (n % 5) as f64 } else { proxy.success_rate().max(0.1) }
}

fn by_id() -> Shared {
    let keys: Vec<(String, f64)> =
        (0..250).map(|half| (proxy(2 * half).id().to_string(), 1.0 + (2 * half % 5) as f64)).collect();
    Arc::new(Weighted::new(keys.iter().map(|(key, weight)| (key.as_str(), *weight)), Some(13)))
}

const CHANCES: [Chance; 5] = [
    Chance { name: "uniform", make: || Arc::new(Random::new(Some(11))), weight: |_| 1.0 },
    Chance {
        name: "by success rate",
        make: || Arc::new(Weighted::new([], Some(12))),
        weight: |proxy| proxy.success_rate().max(0.1),
    },
    Chance { name: "by identifier", make: by_id, weight: ids },
    Chance {
        name: "by latency",
        make: || Arc::new(Performance::new(None, Some(0), Some(14))),
        weight: |proxy| proxy.ema().map_or(0.0, |ms| 1.0 / ms),
    },
    Chance {
        name: "by price",
        make: || Arc::new(CostAware::new(None, Some(15))),
        weight: |proxy| if proxy.cost() == 0.0 { 10.0 } else { 1.0 / (proxy.cost() + 0.001) },
    },
];

/// Latencies from 10 to 250 ms, success rates from 0 to 1, prices from free to 0.45: none a power of two of another.
fn describe(proxies: &[Arc<Proxy>]) {
    for proxy in proxies {
        let n = number(proxy) as u64;
        proxy.set_ema(Some(10.0 + (n * 37 % 241) as f64));
        proxy.set_counter(Counter::Successes, n % 11);
        proxy.set_counter(Counter::Failures, 10 - n % 11);
        proxy.set_counter(Counter::Total, 10);
        proxy.set_cold(|cold| cold.cost = Some((n % 10) as f64 * 0.05));
    }
}

fn check(
    what: &str,
    chance: &Chance,
    proxies: &[Arc<Proxy>],
    context: &Context,
    allowed: impl Fn(&Proxy) -> bool,
    draw: impl Fn(&dyn Strategy, usize) -> Vec<u64>,
) {
    let weights: Vec<f64> = proxies
        .iter()
        .map(|proxy| if allowed(proxy) && !context.excluded.contains(proxy) { (chance.weight)(proxy) } else { 0.0 })
        .collect();
    let total: f64 = weights.iter().sum();
    let expected: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
    // At least twenty expected in every cell.
    let least = expected.iter().copied().filter(|p| *p > 0.0).fold(1.0, f64::min);
    let draws = ((20.0 / least) as usize).clamp(20_000, 400_000);
    let strategy = (chance.make)();
    agrees(&format!("{}, {what}", chance.name), &draw(&*strategy, draws), &expected);
}

fn drawn(
    pool: &proxywhirl::rotation::Domain,
    size: usize,
    context: &Context,
) -> impl Fn(&dyn Strategy, usize) -> Vec<u64> {
    move |strategy, draws| {
        let counts = counts(strategy, pool, context, draws);
        (0..size).map(|n| counts.get(&n).copied().unwrap_or(0)).collect()
    }
}

#[test]
fn at_rest() {
    for size in [1, 2, 10, 1000] {
        for chance in &CHANCES {
            let (pool, proxies) = pool_of(size);
            describe(&proxies);
            let context = Context::default();
            check(&format!("{size} proxies"), chance, &proxies, &context, |_| true, drawn(&pool, size, &context));
        }
    }
}

#[test]
fn with_fifty_excluded() {
    for size in [60, 1000] {
        for chance in &CHANCES {
            let (pool, proxies) = pool_of(size);
            describe(&proxies);
            let context = excluding(&proxies[5..55]);
            check("fifty excluded", chance, &proxies, &context, |_| true, drawn(&pool, size, &context));
        }
    }
}

#[test]
fn with_thresholds() {
    for chance in &CHANCES {
        let (pool, proxies) = pool_of(300);
        describe(&proxies);
        let thresholds = Thresholds { max_response_time_ms: Some(100.0), min_success_rate: Some(0.5) };
        let context = Context { thresholds, ..Context::default() };
        let allowed = |proxy: &Proxy| proxy.ema().unwrap() <= 100.0 && proxy.success_rate() >= 0.5;
        check("thresholds", chance, &proxies, &context, allowed, drawn(&pool, 300, &context));
    }
}

#[test]
fn with_a_threshold_that_leaves_next_to_nobody() {
    // Draws are refused so often that the fast way gives up: the plain one must have the same probabilities.
    for chance in &CHANCES {
        let (pool, proxies) = pool_of(1000);
        describe(&proxies);
        for proxy in &proxies[..996] {
            proxy.set_ema(Some(1000.0 + number(proxy) as f64));
        }
        let thresholds = Thresholds { max_response_time_ms: Some(500.0), min_success_rate: None };
        let context = Context { thresholds, ..Context::default() };
        check("4 of 1000", chance, &proxies, &context, |proxy| number(proxy) >= 996, drawn(&pool, 1000, &context));
    }
}

#[test]
fn after_a_hundred_thousand_health_changes() {
    for chance in &CHANCES {
        let (pool, proxies) = pool_of(100);
        describe(&proxies);
        let context = Context::default();
        // Whatever the strategy keeps is there from the beginning and lives through all of it.
        let strategy = (chance.make)();
        pick(&*strategy, &pool, &context, &clock());
        let mut seed = 5u64;
        for _ in 0..100_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let proxy = &proxies[(seed >> 33) as usize % 100];
            proxy.set_health(if proxy.reasons() == 0 { Health::Dead } else { Health::Degraded });
            if seed >> 40 & 7 == 0 {
                proxy.set_ema(Some(5.0 + (seed >> 45 & 0xff) as f64));
            }
        }
        let alive: HashSet<usize> =
            proxies.iter().filter(|proxy| proxy.reasons() == 0).map(|proxy| number(proxy)).collect();
        assert!(alive.len() > 20 && alive.len() < 80);
        let again = |_: &dyn Strategy, draws| drawn(&pool, 100, &context)(&*strategy, draws);
        check("flapped", chance, &proxies, &context, |proxy| alive.contains(&number(proxy)), again);
    }
}

#[test]
fn with_ninety_nine_of_a_hundred_dead() {
    for chance in &CHANCES {
        let (pool, proxies) = pool_of(2000);
        describe(&proxies);
        for proxy in proxies.iter().filter(|proxy| number(proxy) % 100 != 7) {
            proxy.set_health(Health::Dead);
        }
        let context = Context::default();
        check("99 % dead", chance, &proxies, &context, |proxy| number(proxy) % 100 == 7, drawn(&pool, 2000, &context));
    }
}

#[test]
fn after_results_changed_the_weights() {
    for chance in &CHANCES {
        let (pool, proxies) = pool_of(50);
        describe(&proxies);
        let context = Context::default();
        let (strategy, clock) = ((chance.make)(), clock());
        pick(&*strategy, &pool, &context, &clock);
        // Results as they come: averages fall and rise through several powers of two, rates as well.
        for round in 0..40u32 {
            for proxy in &proxies {
                proxy.start(&clock);
                let n = number(proxy) as u32;
                let verdict = if (n + round) % 5 < 2 {
                    proxywhirl::proxy::Verdict::Failure(1.0)
                } else {
                    proxywhirl::proxy::Verdict::Success(f64::from(2 + (n * 13 + round * 7) % 400))
                };
                strategy.record(proxy, verdict, &clock);
                proxy.set_health(Health::Healthy);
            }
        }
        let again = |_: &dyn Strategy, draws| drawn(&pool, 50, &context)(&*strategy, draws);
        check("after results", chance, &proxies, &context, |_| true, again);
    }
}

#[test]
fn through_growth_and_compaction() {
    for chance in &CHANCES {
        let (pool, mut proxies) = pool_of(20);
        describe(&proxies);
        let context = Context::default();
        let strategy = (chance.make)();
        pick(&*strategy, &pool, &context, &clock());
        for n in 20..200 {
            proxies.push(proxy(n));
            add(&pool, &proxies[n]);
        }
        describe(&proxies);
        for n in (0..200).filter(|n| n % 4 != 1) {
            pool.remove(proxies[n].id());
        }
        let again = |_: &dyn Strategy, draws| drawn(&pool, 200, &context)(&*strategy, draws);
        check("rebuilt", chance, &proxies, &context, |proxy| number(proxy) % 4 == 1, again);
    }
}

#[test]
fn groups_have_their_share_whatever_their_size() {
    let (pool, proxies) = pool_of(111);
    for proxy in &proxies {
        // 1, 10 and 90 members, and ten that belong to no group.
        tag(
            proxy,
            match number(proxy) {
                0 => &["user"],
                1..=10 => &["fetched", "x"],
                11..=100 => &["x", "file"],
                _ => &["y"],
            },
        );
    }
    let strategy = Weighted::new([("user", 0.5), ("fetched", 0.3), ("file", 0.2)], Some(21));
    let share = |n: usize| match n {
        0 => 0.5,
        1..=10 => 0.03,
        11..=100 => 0.2 / 90.0,
        _ => 0.0,
    };
    let expected: Vec<f64> = (0..111).map(share).collect();
    let context = Context::default();
    agrees("groups", &drawn(&pool, 111, &context)(&strategy, 50_000), &expected);
    // A group without a candidate gives its share to the others in proportion.
    proxies[0].set_health(Health::Dead);
    let expected: Vec<f64> = (0..111).map(|n| if n == 0 { 0.0 } else { share(n) / 0.5 }).collect();
    agrees("a group less", &drawn(&pool, 111, &context)(&strategy, 50_000), &expected);
    // Without a member of any group, any proxy.
    for proxy in &proxies[..101] {
        proxy.set_health(Health::Dead);
    }
    let expected: Vec<f64> = (0..111).map(|n| if n > 100 { 0.1 } else { 0.0 }).collect();
    agrees("no group", &drawn(&pool, 111, &context)(&strategy, 5_000), &expected);
}

#[test]
fn single_weights_act_inside_their_group() {
    let (pool, proxies) = pool_of(4);
    tag(&proxies[0], &["a"]);
    tag(&proxies[1], &["a"]);
    tag(&proxies[2], &["b"]);
    for proxy in &proxies {
        proxy.set_counter(Counter::Successes, 1);
        proxy.set_counter(Counter::Total, 1);
    }
    let heavy = proxies[0].id().to_string();
    let strategy = Weighted::new([("a", 0.75), ("b", 0.25), (heavy.as_str(), 4.0)], Some(22));
    let context = Context::default();
    // Inside group a: 4 against a success rate of 1.
    agrees("inside", &drawn(&pool, 4, &context)(&strategy, 20_000), &[0.6, 0.15, 0.25, 0.0]);
}

#[test]
fn unusable_weights_fall_back() {
    let (pool, proxies) = pool_of(4);
    let key = |n: usize| proxies[n].id().to_string();
    let (a, b, c) = (key(0), key(1), key(2));
    // Zero, negative and not a number are as if they were not there: success rate 0 counts 0.1.
    let strategy = Weighted::new([(a.as_str(), 0.0), (b.as_str(), -3.0), (c.as_str(), f64::NAN)], Some(23));
    let context = Context::default();
    agrees("unusable", &drawn(&pool, 4, &context)(&strategy, 8_000), &[0.25; 4]);
}

#[test]
fn ten_to_one_for_ten_times_as_fast() {
    let (pool, proxies) = pool_of(2);
    proxies[0].set_ema(Some(50.0));
    proxies[1].set_ema(Some(500.0));
    let strategy = Performance::new(None, Some(0), Some(24));
    let context = Context::default();
    agrees("50 ms and 500 ms", &drawn(&pool, 2, &context)(&strategy, 50_000), &[10.0 / 11.0, 1.0 / 11.0]);
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    for chance in &CHANCES {
        let (pool, proxies) = pool_of(100);
        describe(&proxies);
        let run = || {
            let strategy = (chance.make)();
            (0..200).map(|_| pick(&*strategy, &pool, &Context::default(), &clock())).collect::<Vec<_>>()
        };
        assert_eq!(run(), run(), "{}", chance.name);
    }
}

#[test]
fn draws_are_right_while_others_move_the_weights() {
    // Weights that hardly differ, but lie on both sides of the power of two at 33.55 ms: half of the proxies are moved over
    // it without pause, the others stand still. A draw that mistook buckets under change would favour one half.
    let (pool, proxies) = pool_of(16);
    for proxy in &proxies {
        proxy.set_ema(Some(if number(proxy).is_multiple_of(4) { 33.5 } else { 33.6 }));
    }
    let strategy = Performance::new(None, Some(0), Some(25));
    let context = Context::default();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut slow = false;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for proxy in proxies.iter().filter(|proxy| number(proxy) % 2 == 1) {
                    proxy.set_ema(Some(if slow { 33.6 } else { 33.5 }));
                }
                slow = !slow;
            }
        });
        let seen = drawn(&pool, 16, &context)(&strategy, 200_000);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        seen
    });
    let moving: u64 = seen.iter().skip(1).step_by(2).sum();
    let share = moving as f64 / 200_000.0;
    // By chance 0.5 with a deviation of 0.0011, by the weights up to 0.0004 more. Rounds that are refused because the
    // buckets changed have touched lines that changed a little likelier than others, which was seen to move the share by up
    // to 0.011; refusing rounds for what happens while the candidate itself is looked at moved it by 0.05 to 0.2.
    assert!((share - 0.5).abs() < 0.03, "{share} of the draws for the half that moves");
}
