//! Round-robin and least-used are exact, whatever happens to the pool.

use std::collections::HashMap;
use std::sync::Arc;

use proxywhirl::pool::context::Context;
use proxywhirl::pool::filter::Filter;
use proxywhirl::pool::index::order::TieBreak;
use proxywhirl::proxy::health::Health;
use proxywhirl::proxy::{Counter, Verdict};
use proxywhirl::strategy::least_used::LeastUsed;
use proxywhirl::strategy::round_robin::RoundRobin;

use crate::common::*;

fn spread(counts: &HashMap<usize, u64>, of: usize) -> u64 {
    assert_eq!(counts.len(), of, "every proxy has had a turn");
    counts.values().max().unwrap() - counts.values().min().unwrap()
}

#[test]
fn turns_go_by_the_order_of_the_pool() {
    for size in [1, 2, 3, 64, 65, 200] {
        let (pool, _) = pool_of(size);
        let strategy = RoundRobin::default();
        for turn in 0..3 * size + 1 {
            assert_eq!(pick(&strategy, &pool, &Context::default(), &clock()), turn % size);
        }
    }
}

#[test]
fn turns_are_exact_under_threads() {
    for size in [1, 3, 100, 1000] {
        let (pool, proxies) = pool_of(size);
        // One in five has no turn.
        for proxy in proxies.iter().filter(|proxy| size > 1 && number(proxy).is_multiple_of(5)) {
            proxy.set_health(Health::Dead);
        }
        let alive = proxies.iter().filter(|proxy| proxy.reasons() == 0).count();
        let strategy = RoundRobin::default();
        let each = on_threads(8, |_| counts(&strategy, &pool, &Context::default(), 2500));
        let mut all = HashMap::new();
        each.into_iter().flatten().for_each(|(number, count)| *all.entry(number).or_default() += count);
        assert!(spread(&all, alive) <= 1, "{size} proxies: {all:?}");
    }
}

#[test]
fn turns_go_on_where_they_were_when_the_pool_changes() {
    let (pool, mut proxies) = pool_of(40);
    let strategy = RoundRobin::default();
    let context = Context::default();
    let clock = clock();
    // A reference that knows only the order: after the last one chosen comes the next still there.
    let mut order: Vec<usize> = (0..40).collect();
    let mut last: Option<usize> = None;
    let mut seed = 1u64;
    for step in 0..4000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let roll = (seed >> 33) as usize;
        match roll % 10 {
            // Enough of both for many compactions and growths.
            0..=2 if order.len() > 5 => {
                let gone = order.remove(roll / 10 % order.len());
                assert!(pool.remove(proxies[gone].id()).is_some());
            }
            3..=5 if order.len() < 300 => {
                order.push(proxies.len());
                proxies.push(proxy(proxies.len()));
                add(&pool, proxies.last().unwrap());
            }
            _ => {
                // Numbers rise in the order of joining, so the next in turn is the smallest above the last.
                let next = order.iter().copied().find(|n| last.is_none_or(|last| *n > last)).unwrap_or(order[0]);
                assert_eq!(pick(&strategy, &pool, &context, &clock), next, "step {step}");
                last = Some(next);
            }
        }
    }
}

#[test]
fn retries_that_exclude_the_last_one_starve_nobody() {
    // A cursor that counts in the filtered list starves some; see B-06 of the contract.
    for size in [2, 3, 4, 7, 10] {
        let (pool, proxies) = pool_of(size);
        let strategy = RoundRobin::default();
        let mut counts = HashMap::new();
        for _ in 0..500 * size {
            let first = pick(&strategy, &pool, &Context::default(), &clock());
            let second = pick(&strategy, &pool, &excluding([&proxies[first]]), &clock());
            assert_ne!(first, second);
            *counts.entry(first).or_default() += 1;
            *counts.entry(second).or_default() += 1;
        }
        assert!(spread(&counts, size) <= 1, "{counts:?}");
    }
}

#[test]
fn who_is_always_excluded_disturbs_nobody_elses_turn() {
    for size in [3, 10, 65] {
        let (pool, proxies) = pool_of(size);
        let strategy = RoundRobin::default();
        let without = excluding([&proxies[1], &proxies[size - 1]]);
        let all = counts(&strategy, &pool, &without, 100 * (size - 2));
        assert_eq!(spread(&all, size - 2), 0, "{all:?}");
    }
}

#[test]
fn two_filters_in_turn_do_not_disturb_each_other() {
    let (pool, proxies) = pool_of(60);
    for (number, proxy) in proxies.iter().enumerate() {
        locate(proxy, if number % 3 == 0 { "US" } else { "DE" });
    }
    let strategy = RoundRobin::default();
    let inside = |country: &str| Context { required: Some(Filter::countries([country])), ..Context::default() };
    let (us, de) = (inside("US"), inside("DE"));
    let mut all = HashMap::new();
    for round in 0..200 {
        for context in [&us, &de, &Context::default()] {
            // As many steps as each has members, so that every round is a whole turn of each.
            let steps = if std::ptr::eq(context, &us) {
                20
            } else if std::ptr::eq(context, &de) {
                40
            } else {
                60
            };
            for _ in 0..steps / 20 {
                let n = pick(&strategy, &pool, context, &clock());
                *all.entry(n).or_default() += 1u64;
                if std::ptr::eq(context, &us) {
                    assert_eq!(n, round % 20 * 3, "the twenty of one country in their order");
                }
            }
        }
    }
    // 10 whole turns of each of the three.
    assert_eq!(spread(&all, 60), 0, "{all:?}");
}

#[test]
fn least_used_is_exact_under_threads() {
    for tie in [TieBreak::LowestId, TieBreak::Random] {
        let (pool, proxies) = pool_of(100);
        let strategy = LeastUsed::new(tie, Some(1));
        let clock = clock();
        on_threads(8, |_| {
            for _ in 0..1250 {
                let proxy = select(&strategy, &pool, &Context::default(), &clock).unwrap();
                proxy.complete(Verdict::Success(5.0), None, &clock);
            }
        });
        for proxy in &proxies {
            assert_eq!(proxy.usage(), (100, 100, 0), "{tie:?}: {}", number(proxy));
        }
    }
}

#[test]
fn least_used_is_exact_while_the_table_is_rebuilt() {
    let (pool, proxies) = pool_of(100);
    let strategy = LeastUsed::default();
    let clock = clock();
    on_threads(3, |thread| {
        if thread < 2 {
            for _ in 0..10_000 {
                let _ = select(&strategy, &pool, &Context::default(), &clock).unwrap();
            }
        } else {
            // Strangers that can never be chosen come and go, so that the table is rebuilt again and again.
            for round in 0..2000 {
                let stranger = proxy(1000 + round);
                stranger.set_health(Health::Dead);
                add(&pool, &stranger);
                pool.remove(stranger.id());
            }
        }
    });
    let used: Vec<u64> = proxies.iter().map(|proxy| proxy.usage().0).collect();
    assert_eq!(used.iter().sum::<u64>(), 20_000);
    // Two orders exist for a moment at each rebuild, and a thread that still holds the old one may be one step behind.
    let (least, most) = (used.iter().min().unwrap(), used.iter().max().unwrap());
    assert!(most - least <= 2, "between {least} and {most}");
}

#[test]
fn ties_go_to_the_lowest_identifier_or_to_anybody() {
    let (pool, _) = pool_of(50);
    let lowest = LeastUsed::default();
    let order: Vec<usize> = (0..100).map(|_| pick(&lowest, &pool, &Context::default(), &clock())).collect();
    assert_eq!(order, (0..50).chain(0..50).collect::<Vec<_>>());
    // At random, the first of ten is any proxy; a fresh pool each time.
    let mut first = [0u64; 10];
    for seed in 0..3000 {
        let (pool, _) = pool_of(10);
        first[pick(&LeastUsed::new(TieBreak::Random, Some(seed)), &pool, &Context::default(), &clock())] += 1;
    }
    agrees("random ties", &first, &[0.1; 10]);
}

#[test]
fn least_used_honours_what_is_written_into_the_counters() {
    let (pool, proxies) = pool_of(5);
    let strategy = LeastUsed::default();
    let clock = clock();
    let next = || pick(&strategy, &pool, &Context::default(), &clock);
    assert_eq!((0..5).map(|_| next()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    // Each counter of the key by itself: started, completed, in flight.
    proxies[0].set_counter(Counter::Started, 100);
    proxies[1].set_counter(Counter::Completed, 50);
    proxies[2].set_counter(Counter::Active, 20);
    assert_eq!([next(), next()], [3, 4]);
    proxies[0].set_counter(Counter::Started, 0);
    proxies[0].set_counter(Counter::Active, 0);
    assert_eq!([next(), next()], [0, 0], "a count that fell is served at once");
}

#[test]
fn who_joins_late_or_comes_back_is_the_least_used() {
    let (pool, mut proxies) = pool_of(10);
    let strategy = LeastUsed::default();
    let clock = clock();
    let next = || pick(&strategy, &pool, &Context::default(), &clock);
    proxies[9].set_health(Health::Dead);
    for _ in 0..45 {
        assert_ne!(next(), 9);
    }
    proxies[9].set_health(Health::Healthy);
    proxies.push(proxy(10));
    add(&pool, &proxies[10]);
    let mut ten: Vec<usize> = (0..10).map(|_| next()).collect();
    ten.sort_unstable();
    assert_eq!(ten, [9, 9, 9, 9, 9, 10, 10, 10, 10, 10]);
    balanced(&proxies);
}

#[test]
fn strategies_share_the_counts() {
    // Half of the starts are made by another strategy, so the orders' own knowledge is always behind.
    let (pool, proxies) = pool_of(20);
    let (turns, least) = (RoundRobin::default(), Arc::new(LeastUsed::default()));
    let clock = clock();
    for _ in 0..50 {
        for _ in 0..7 {
            pick(&turns, &pool, &Context::default(), &clock);
        }
        for _ in 0..13 {
            let before = proxies.iter().map(|proxy| proxy.use_count()).min().unwrap();
            let chosen = select(&*least, &pool, &Context::default(), &clock).unwrap();
            assert_eq!(chosen.use_count(), before + 1, "the least used, not the least known");
        }
    }
}
