//! Defects that were found by review, each pinned by what it did.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proxywhirl::pool::context::Context;
use proxywhirl::pool::filter::Filter;
use proxywhirl::pool::query::{Choice, Query};
use proxywhirl::proxy::health::Health;
use proxywhirl::proxy::{Moment, Verdict};
use proxywhirl::rotation::Domain;
use proxywhirl::session::SessionManager;
use proxywhirl::strategy::composite::Composite;
use proxywhirl::strategy::least_used::LeastUsed;
use proxywhirl::strategy::performance::Performance;
use proxywhirl::strategy::round_robin::RoundRobin;
use proxywhirl::strategy::session::SessionPersistence;
use proxywhirl::strategy::weighted::Weighted;
use proxywhirl::strategy::{Common, Narrowing, Refusal, Strategy};

use crate::common::*;

/// Runs something that may hang; a hang fails the test instead of the run.
fn within(limit: Duration, work: impl FnOnce() + Send + 'static) {
    let done = Arc::new(AtomicBool::new(false));
    let flag = done.clone();
    let worker = std::thread::spawn(move || {
        work();
        flag.store(true, Ordering::Release);
    });
    let begun = Instant::now();
    while !done.load(Ordering::Acquire) && !worker.is_finished() {
        assert!(begun.elapsed() < limit, "hung");
        std::thread::sleep(Duration::from_millis(1));
    }
    worker.join().unwrap();
}

#[test]
fn a_window_begun_elsewhere_ends_without_a_deadlock() {
    within(Duration::from_secs(120), || {
        let (pool, proxies) = pool_of(2);
        let clock = clock();
        let least = LeastUsed::default();
        assert_eq!(pick(&least, &pool, &Context::default(), &clock), 0);
        // Another strategy starts the second proxy: its window begins without the order's knowing.
        proxies[1].start(&clock);
        clock.advance(7200 * SECOND);
        let mut seen: Vec<usize> = (0..4).map(|_| pick(&least, &pool, &Context::default(), &clock)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 0, 1, 1], "both windows were over, so both began at zero");
        // What is in flight belongs to the new window; four more are two each.
        balanced(&proxies);
    });
}

#[test]
fn a_fallen_count_is_heard_of_by_every_order() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    for proxy in &proxies {
        locate(proxy, "US");
    }
    let least = LeastUsed::default();
    let us = Context { required: Some(Filter::countries(["US"])), ..Context::default() };
    // Both orders exist and know counts of 4 and more.
    for _ in 0..4 {
        pick(&least, &pool, &Context::default(), &clock);
        pick(&least, &pool, &us, &clock);
    }
    for _ in 0..8 {
        proxies[1].start(&clock);
        proxies[1].complete(Verdict::Success(1.0), None, &clock);
    }
    for _ in 0..4 {
        proxies[0].complete(Verdict::Success(1.0), None, &clock);
        proxies[1].complete(Verdict::Success(1.0), None, &clock);
    }
    proxies[1].reset_window(&clock);
    for (context, name) in [(Context::default(), "the pool's"), (us, "the country's")] {
        let next: Vec<usize> = (0..2).map(|_| pick(&least, &pool, &context, &clock)).collect();
        assert_eq!(next, [1, 1], "{name} order");
    }
}

/// Runs `race` on that many threads in rounds that begin together, for a while; `check` looks after every round.
fn rounds(threads: usize, race: impl Fn(usize) + Sync, mut check: impl FnMut()) {
    let (begin, end) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (begin, end, stop, race) = (&begin, &end, &stop, &race);
            scope.spawn(move || {
                let mut round = 0;
                loop {
                    round += 1;
                    while begin.load(Ordering::Acquire) < round {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        std::hint::spin_loop();
                    }
                    race(thread);
                    end.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let until = Instant::now() + Duration::from_millis(900);
            let mut round = 0;
            while Instant::now() < until {
                round += 1;
                begin.store(round, Ordering::Release);
                while end.load(Ordering::Acquire) < round * threads {
                    std::thread::yield_now();
                }
                check();
            }
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn health_and_eligibility_agree_after_any_race() {
    let (pool, proxies) = pool_of(1);
    let proxy = &proxies[0];
    let clock = clock();
    rounds(
        2,
        |thread| proxy.set_health(if thread == 0 { Health::Dead } else { Health::Healthy }),
        || {
            let usable = proxy.health().is_usable();
            assert_eq!(proxy.reasons() == 0, usable, "{:?} with reasons {:#x}", proxy.health(), proxy.reasons());
            let table = pool.table();
            assert_eq!(pool.eligible(&table, &clock).len(), usize::from(usable), "{:?}", proxy.health());
            let chosen = select(&RoundRobin::default(), &pool, &Context::default(), &clock);
            assert_eq!(chosen.is_ok(), usable);
        },
    );
}

#[test]
fn failures_in_a_row_and_health_agree_after_any_race() {
    let (_pool, proxies) = pool_of(1);
    let proxy = &proxies[0];
    let clock = clock();
    rounds(
        2,
        |thread| {
            for _ in 0..3 {
                proxy.start(&clock);
                let verdict = if thread == 0 { Verdict::Success(1.0) } else { Verdict::Failure(1.0) };
                proxy.complete(verdict, None, &clock);
            }
        },
        || {
            let in_a_row = proxy.consecutive_failures();
            assert_eq!(proxy.health(), Health::after_failures(in_a_row), "after {in_a_row} failures in a row");
        },
    );
    balanced(&proxies);
}

#[test]
fn a_start_taken_back_after_a_reset_does_not_wrap() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    let least = LeastUsed::default();
    assert_eq!(pick(&least, &pool, &Context::default(), &clock), 0);
    proxies[0].reset_window(&clock);
    assert_eq!(proxies[0].usage(), (0, 0, 1), "a reset keeps what is in flight");
    proxies[0].cancel_start(&clock);
    assert_eq!(proxies[0].usage(), (0, 0, 0));
    let seen: Vec<usize> = (0..4).map(|_| pick(&least, &pool, &Context::default(), &clock)).collect();
    assert_eq!(seen, [0, 1, 0, 1]);
    balanced(&proxies);
}

#[test]
fn who_joins_a_filter_later_is_watched_like_the_others() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    locate(&proxies[0], "US");
    proxies[0].set_ema(Some(1000.0));
    let performance = Performance::new(None, Some(0), Some(1));
    let us = Context { required: Some(Filter::countries(["US"])), ..Context::default() };
    assert_eq!(pick(&performance, &pool, &us, &clock), 0);
    locate(&proxies[1], "US");
    // Its first measurement comes as a result, not as an assignment.
    proxies[1].start(&clock);
    proxies[1].complete(Verdict::Success(1.0), None, &clock);
    let second = (0..1000).filter(|_| pick(&performance, &pool, &us, &clock) == 1).count();
    // 1000 to 1: the chance of fewer than 980 is below 1e-15.
    assert!(second >= 980, "{second} of 1000");
}

#[test]
fn a_tag_group_keeps_its_share_when_nearly_all_of_it_is_excluded() {
    let (pool, proxies) = pool_of(1001);
    for (number, proxy) in proxies.iter().enumerate() {
        tag(proxy, if number == 1000 { &["b"] } else { &["a"] });
    }
    let weighted = Weighted::new([("a", 0.5), ("b", 0.5)], Some(3));
    let context = excluding(&proxies[..999]);
    let counts = counts(&weighted, &pool, &context, 2000);
    let of = |number: usize| counts.get(&number).copied().unwrap_or(0);
    agrees("one of a thousand", &[of(999), of(1000)], &[0.5, 0.5]);
}

/// A filter of the embedding program's own, which hands candidates back in any order.
struct Backwards(Common);

impl Strategy for Backwards {
    fn name(&self) -> &str {
        "Backwards"
    }

    fn common(&self) -> &Common {
        &self.0
    }

    fn pick(&self, query: &Query<'_>) -> Result<Choice, Refusal> {
        Err(Refusal::of(query))
    }

    fn narrow(&self, query: &Query<'_>) -> Result<Narrowing, Refusal> {
        let mut slots = query.candidates();
        slots.reverse();
        Ok(Narrowing::Slots(slots))
    }
}

#[test]
fn round_robin_over_a_list_in_another_order_starves_nobody() {
    let (pool, _) = pool_of(7);
    let strategy = Composite::new(vec![Arc::new(Backwards(Common::default()))], Arc::new(RoundRobin::default()));
    let counts = counts(&strategy, &pool, &Context::default(), 70);
    assert_eq!(counts.len(), 7, "{counts:?}");
    assert!(counts.values().all(|count| *count == 10), "{counts:?}");
}

#[test]
fn replacing_all_members_is_one_step_for_selections() {
    let (pool, proxies) = pool_of(64);
    let stop = AtomicBool::new(false);
    let clock = clock();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let strategy = RoundRobin::default();
                    let mut done = 0u64;
                    while !stop.load(Ordering::Relaxed) {
                        if let Err(refusal) = select(&strategy, &pool, &Context::default(), &clock) {
                            stop.store(true, Ordering::Relaxed);
                            panic!("{refusal}, though there were proxies before and after");
                        }
                        assert_eq!(pool.len(), 64);
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        let until = Instant::now() + Duration::from_millis(500);
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            pool.replace_all(proxies.iter().rev().map(|proxy| (proxy.clone(), None)).collect());
            pool.replace_all(proxies.iter().map(|proxy| (proxy.clone(), None)).collect());
        }
        stop.store(true, Ordering::Relaxed);
        let done: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        assert!(done > 1000, "only {done} selections");
    });
}

fn table_of(pool: &Domain) -> usize {
    Arc::as_ptr(&pool.table()) as usize
}

#[test]
fn one_in_one_out_rebuilds_rarely_at_every_size() {
    for count in [15, 16, 17, 1023, 1024, 1025, 4095] {
        let (pool, mut proxies) = pool_of(count);
        let mut rebuilt = 0;
        for step in 0..2000 {
            let before = table_of(&pool);
            assert!(pool.remove(proxies[step % count].id()).is_some());
            proxies[step % count] = proxy(count + step);
            add(&pool, &proxies[step % count]);
            rebuilt += usize::from(table_of(&pool) != before);
        }
        // A rebuild copies `count` proxies; at most one in every quarter of them, or every eight for tiny pools, keeps a
        // change at constant cost.
        let bound = 2000 / (count / 8).max(4) + 1;
        assert!(rebuilt <= bound, "{count} proxies: {rebuilt} rebuilds in 2000 changes, {bound} allowed");
    }
}

#[test]
fn a_session_finds_its_proxy_again_when_that_comes_back() {
    let (pool, proxies) = pool_of(5);
    let clock = clock();
    let manager = Arc::new(SessionManager::new(100, 100));
    let strategy = SessionPersistence::new(manager, None, None, None);
    let context = in_session("s");
    let bound = pick(&strategy, &pool, &context, &clock);
    pool.remove(proxies[bound].id());
    add(&pool, &proxies[bound]);
    assert_eq!(pick(&strategy, &pool, &context, &clock), bound, "it is in the pool, healthy and not excluded");
}

#[test]
fn a_session_opened_by_many_threads_at_once_has_one_proxy() {
    let (pool, proxies) = pool_of(50);
    let clock = clock();
    let manager = Arc::new(SessionManager::new(100_000, 100_000));
    let strategy = SessionPersistence::new(manager, None, None, None);
    for session in 0..300 {
        let context = in_session(&format!("s{session}"));
        let mut seen = on_threads(4, |_| pick(&strategy, &pool, &context, &clock));
        seen.dedup();
        assert_eq!(seen.len(), 1, "session {session} went through {seen:?}");
    }
    let started: u64 = proxies.iter().map(|proxy| proxy.usage().0).sum();
    assert_eq!(started, 1200, "one start per selection");
}

#[test]
fn the_number_of_sessions_is_right_under_threads() {
    let manager = SessionManager::new(1000, 1_000_000);
    let (_, proxies) = pool_of(1);
    let clock = clock();
    on_threads(4, |thread| {
        for step in 0..20_000 {
            let id = format!("{}", (step * 7 + thread) % 16);
            if step % 2 == 0 {
                drop(manager.bind(&id, &proxies[0], 60, false, &clock))
            } else {
                let _ = manager.remove(&id);
            }
            let (count, ..) = manager.stats();
            assert!(count <= 1000, "{count} sessions of sixteen names");
        }
    });
    assert_eq!(manager.stats().0, manager.all(&clock).len());
}

#[test]
fn a_thread_that_is_late_over_a_minute_loses_nothing() {
    let (_, proxies) = pool_of(1);
    let proxy = &proxies[0];
    let now = clock();
    for _ in 0..5 {
        proxy.start(&now);
    }
    let late = proxywhirl::clock::ManualClock::at(START);
    now.advance(60 * SECOND);
    proxy.start(&now);
    // Read the clock before the minute was over, counts after another thread has turned it.
    proxy.start(&late);
    proxy.start(&now);
    let total: u64 = proxy.window_buckets(&now).iter().map(|bucket| bucket.1).sum();
    assert_eq!(total, 8, "{:?}", proxy.window_buckets(&now));
}

#[test]
fn an_assigned_window_is_waited_for() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    let least = LeastUsed::default();
    for _ in 0..2 {
        pick(&least, &pool, &Context::default(), &clock);
    }
    for _ in 0..11 {
        proxies[0].start(&clock);
        proxies[0].complete(Verdict::Success(1.0), None, &clock);
    }
    proxies[0].complete(Verdict::Success(1.0), None, &clock);
    proxies[0].set_time(Moment::WindowStart, Some(START - 3000 * SECOND));
    clock.advance(700 * SECOND);
    let seen: Vec<usize> = (0..2).map(|_| pick(&least, &pool, &Context::default(), &clock)).collect();
    assert_eq!(seen[0], 0, "its window was over, the other's was not: {seen:?}");
}
