//! Sticky assignments: which session leaves, when one ends, and that it stays with its proxy.

use std::sync::Arc;

use proxywhirl::clock::Clock;
use proxywhirl::pool::context::Context;
use proxywhirl::proxy::Verdict;
use proxywhirl::proxy::health::Health;
use proxywhirl::session::SessionManager;
use proxywhirl::strategy::Refusal;
use proxywhirl::strategy::config::Config;
use proxywhirl::strategy::session::SessionPersistence;

use crate::common::*;

fn strategy(max: usize, ttl: Option<i64>, sliding: Option<bool>) -> SessionPersistence {
    SessionPersistence::new(Arc::new(SessionManager::new(max, 100)), ttl, None, sliding)
}

fn names(manager: &SessionManager, clock: &dyn Clock) -> Vec<String> {
    manager.all(clock).iter().map(|session| session.id.to_string()).collect()
}

#[test]
fn the_least_recently_used_leaves_whichever_shard_it_is_in() {
    let (_, proxies) = pool_of(1);
    let clock = clock();
    let manager = SessionManager::new(50, 1_000_000);
    // The reference: names in the order of their last use.
    let mut order: Vec<String> = Vec::new();
    let mut seed = 9u64;
    for step in 0..5000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let name = format!("session {}", (seed >> 33) % 90);
        let known = order.iter().position(|other| *other == name);
        match step % 3 {
            0 => {
                let found = manager.find(&name, &clock).is_some();
                assert_eq!(found, known.is_some(), "step {step}");
                if let Some(at) = known {
                    let name = order.remove(at);
                    order.push(name);
                }
            }
            1 if step % 7 == 0 => {
                assert_eq!(manager.remove(&name), known.is_some());
                order.retain(|other| *other != name);
            }
            _ => {
                drop(manager.bind(&name, &proxies[0], 3600, false, &clock));
                // Overwriting one must not make another leave.
                order.retain(|other| *other != name);
                order.push(name);
                if order.len() > 50 {
                    order.remove(0);
                }
            }
        }
        assert_eq!(manager.stats().0, order.len(), "step {step}");
        if step % 50 == 0 {
            assert_eq!(names(&manager, &clock), order, "step {step}");
        }
    }
}

#[test]
fn an_absolute_end_stands_and_a_sliding_one_moves() {
    let (pool, _) = pool_of(10);
    for (sliding, alive) in [(false, false), (true, true)] {
        let clock = clock();
        let strategy = strategy(10, Some(100), Some(sliding));
        let first = pick(&strategy, &pool, &in_session("s"), &clock);
        for _ in 0..3 {
            clock.advance(60 * SECOND);
            let _ = pick(&strategy, &pool, &in_session("s"), &clock);
        }
        // 180 seconds after the beginning, 60 after the last use. An ended session was begun anew with another proxy.
        let same = pick(&strategy, &pool, &in_session("s"), &clock) == first;
        assert_eq!(same, alive, "sliding: {sliding}");
        clock.advance(100 * SECOND);
        assert!(strategy.manager().find("s", &clock).is_none(), "its time is over at the very second");
        assert_eq!(strategy.manager().stats().0, 0, "an expired one is removed when it is met");
    }
}

#[test]
fn the_constructor_with_a_timeout_slides_unless_told_otherwise() {
    let (pool, _) = pool_of(10);
    for (ttl, sliding, slides) in [(Some(100), None, true), (None, None, false), (Some(100), Some(false), false)] {
        let clock = clock();
        let strategy = strategy(10, ttl, sliding);
        let _ = pick(&strategy, &pool, &in_session("s"), &clock);
        let before = strategy.manager().find("s", &clock).unwrap().times().1;
        clock.advance(SECOND);
        let _ = pick(&strategy, &pool, &in_session("s"), &clock);
        let after = strategy.manager().find("s", &clock).unwrap().times().1;
        assert_eq!(after - before, if slides { SECOND } else { 0 }, "{ttl:?} {sliding:?}");
        assert_eq!(before - START, ttl.unwrap_or(3600) * SECOND);
    }
}

#[test]
fn configure_sets_the_time_to_live_by_its_order() {
    let config = |fields: &[&str]| Config {
        session_stickiness_duration_seconds: Some(11),
        session_timeout_seconds: Some(22),
        fields_set: fields.iter().map(|field| (*field).to_owned()).collect(),
        ..Config::default()
    };
    use proxywhirl::strategy::Strategy as _;
    for (given, fields, ttl) in [
        (None, &["session_stickiness_duration_seconds", "session_timeout_seconds"][..], 11),
        (None, &["session_timeout_seconds"], 22),
        (None, &[], 300),
        (Some(7), &[], 7),
        (Some(7), &["session_timeout_seconds"], 22),
    ] {
        let strategy = strategy(10, given, None);
        strategy.configure(&config(fields));
        assert_eq!(strategy.ttl(), ttl, "{given:?} {fields:?}");
    }
}

#[test]
fn ten_thousand_sessions_stay_with_their_proxies() {
    let (pool, _) = pool_of(100);
    let clock = clock();
    let strategy = strategy(10_000, None, None);
    let first: Vec<usize> =
        (0..10_000).map(|n| pick(&strategy, &pool, &in_session(&format!("s{n}")), &clock)).collect();
    assert_eq!(strategy.manager().stats().0, 10_000);
    for (n, expected) in first.iter().enumerate().rev() {
        assert_eq!(pick(&strategy, &pool, &in_session(&format!("s{n}")), &clock), *expected, "session {n}");
    }
}

#[test]
fn sessions_stick_under_threads_and_a_changing_pool() {
    let (pool, proxies) = pool_of(50);
    let clock = clock();
    let strategy = strategy(10_000, None, None);
    let (requests, moves) = on_threads(4, |thread| {
        let (mut requests, mut moves) = (0u64, 0u64);
        if thread == 3 {
            // Strangers come and go, so that the table is rebuilt; the members of the sessions stay where they are.
            for round in 0..3000 {
                let stranger = proxy(1000 + round);
                stranger.set_health(Health::Dead);
                add(&pool, &stranger);
                pool.remove(stranger.id());
            }
            return (0, 0);
        }
        let mut bound = std::collections::HashMap::new();
        for step in 0..20_000usize {
            // Forty sessions that all three threads use.
            let session = step * (thread + 1) % 40;
            let proxy = select(&strategy, &pool, &in_session(&format!("s{session}")), &clock).unwrap();
            proxy.complete(Verdict::Success(5.0), None, &clock);
            requests += 1;
            if bound.insert(session, number(&proxy)).is_some_and(|before| before != number(&proxy)) {
                moves += 1;
            }
        }
        (requests, moves)
    })
    .into_iter()
    .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert_eq!(requests, 60_000);
    // The success criterion allows one in a thousand; nothing here is a reason to move at all.
    assert_eq!(moves, 0);
    balanced(&proxies);
}

#[test]
fn a_session_moves_only_for_a_reason() {
    let (pool, proxies) = pool_of(5);
    let clock = clock();
    let strategy = strategy(10, None, None);
    let context = in_session("s");
    let first = pick(&strategy, &pool, &context, &clock);
    // A failure or two degrade the proxy; the session stays.
    for _ in 0..2 {
        proxies[first].start(&clock);
        proxies[first].complete(Verdict::Failure(1.0), None, &clock);
        assert_eq!(pick(&strategy, &pool, &context, &clock), first);
    }
    // The third makes it unhealthy.
    proxies[first].start(&clock);
    proxies[first].complete(Verdict::Failure(1.0), None, &clock);
    let second = pick(&strategy, &pool, &context, &clock);
    assert_ne!(second, first);
    proxies[first].set_health(Health::Healthy);
    assert_eq!(pick(&strategy, &pool, &context, &clock), second, "and it stays where it has moved to");
    // Excluded for one request: it moves, too.
    let without = Context { session_id: Some("s".into()), ..excluding([&proxies[second]]) };
    let third = pick(&strategy, &pool, &without, &clock);
    assert_ne!(third, second);
    assert_eq!(pick(&strategy, &pool, &context, &clock), third);
    pool.remove(proxies[third].id());
    assert_ne!(pick(&strategy, &pool, &context, &clock), third);
}

#[test]
fn without_a_session_only_a_rotator_is_served() {
    let (pool, _) = pool_of(3);
    let strategy = strategy(10, None, None);
    let by_hand = select(&strategy, &pool, &Context::default(), &clock()).unwrap_err();
    assert!(matches!(by_hand, Refusal::NeedsSession), "{by_hand}");
    assert!(by_hand.to_string().contains("requires SelectionContext with session_id"));
    let context = Context { in_rotation: true, ..Context::default() };
    let served: Vec<usize> = (0..3).map(|_| pick(&strategy, &pool, &context, &clock())).collect();
    assert_eq!(served, [0, 1, 2]);
    assert_eq!(strategy.manager().stats().0, 0, "no session was opened");
}

#[test]
fn the_expired_are_purged_as_new_ones_come() {
    let (_, proxies) = pool_of(1);
    let clock = clock();
    let manager = SessionManager::new(1000, 10);
    for n in 0..9 {
        drop(manager.bind(&format!("old {n}"), &proxies[0], 60, false, &clock));
    }
    clock.advance(61 * SECOND);
    assert_eq!(manager.stats().0, 9, "no look-up yet");
    drop(manager.bind("the tenth", &proxies[0], 60, false, &clock));
    assert_eq!(names(&manager, &clock), ["the tenth"]);
}

#[test]
fn uses_are_counted() {
    let (pool, _) = pool_of(3);
    let clock = clock();
    let strategy = strategy(10, None, None);
    for _ in 0..5 {
        let _ = pick(&strategy, &pool, &in_session("s"), &clock);
        clock.advance(SECOND);
    }
    let session = strategy.manager().find("s", &clock).unwrap();
    assert_eq!(session.requests(), 5);
    assert_eq!(session.times().2, START + 4 * SECOND);
    assert!(strategy.manager().touch("s", &clock));
    assert_eq!(session.requests(), 6);
    assert!(!strategy.manager().touch("t", &clock));
}
