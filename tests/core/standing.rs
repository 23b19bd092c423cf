//! Standing: who is benched, held or probed at which site, under a clock that is moved.

use std::sync::Arc;

use proxywhirl::clock::{Clock, ManualClock};
use proxywhirl::pool::Pool;
use proxywhirl::pool::context::Context;
use proxywhirl::pool::query::Query;
use proxywhirl::proxy::Proxy;
use proxywhirl::resilience::site::Site;
use proxywhirl::resilience::standing::{Admission, Bar, Effect, Finding, Kind, Settings, SiteRate};
use proxywhirl::strategy::{Refusal, Strategy, choose};

use crate::common::*;

/// One selection at a site, admitted as a lease would be: chosen anew while somebody else was faster.
fn take(
    strategy: &dyn Strategy,
    pool: &Pool,
    site: &Arc<Site>,
    context: &Context,
    clock: &dyn Clock,
) -> Result<(usize, Admission), Refusal> {
    loop {
        let table = pool.table();
        let sited = pool.sited(&table, site, clock);
        let query = Query::new(pool, &table, context, clock).at(sited.as_ref());
        let choice = choose(strategy, &query)?;
        let proxy = query.slot(choice).and_then(|slot| slot.share()).unwrap();
        match pool.admit_at(&table, site, choice.0, clock) {
            Ok(admission) => return Ok((number(&proxy), admission)),
            Err(_) => proxy.take_back(clock),
        }
    }
}

fn taken(strategy: &dyn Strategy, pool: &Pool, site: &Arc<Site>, clock: &dyn Clock) -> Option<(usize, Admission)> {
    take(strategy, pool, site, &Context { in_rotation: true, ..Context::default() }, clock).ok()
}

fn admit(pool: &Pool, site: &Arc<Site>, proxy: &Proxy, clock: &dyn Clock) -> Result<Admission, Bar> {
    let (table, slot) = pool.find(proxy.id()).unwrap();
    pool.admit_at(&table, site, slot, clock)
}

fn settle(pool: &Pool, admission: &Admission, finding: Finding, clock: &dyn Clock) -> Effect {
    pool.settle_at(admission, finding, clock.steady(), clock)
}

/// Bans a proxy at a site for exactly so many seconds.
fn ban(pool: &Pool, site: &Arc<Site>, proxy: &Proxy, seconds: f64, clock: &dyn Clock) {
    let admission = admit(pool, site, proxy, clock).unwrap();
    settle(pool, &admission, Finding::Banned(Some(seconds)), clock);
}

fn forward(clock: &ManualClock, seconds: f64) {
    clock.advance((seconds * 1e6) as i64);
}

#[test]
fn a_ban_at_one_site_is_not_held_against_the_proxy_at_another() {
    let (pool, proxies) = pool_of(4);
    let clock = clock();
    let (a, b) = (pool.site_of("https://www.a.com/x").unwrap(), pool.site_of("https://b.org").unwrap());
    ban(&pool, &a, &proxies[1], 60.0, &clock);
    for maker in &EVERY {
        furnish(&proxies);
        let strategy = maker.make();
        for _ in 0..40 {
            if let Some((chosen, _)) = taken(&*strategy, &pool, &a, &clock) {
                assert_ne!(chosen, 1, "{}", maker.name);
            }
        }
        let at_b: Vec<usize> =
            (0..60).filter_map(|_| taken(&*strategy, &pool, &b, &clock)).map(|(chosen, _)| chosen).collect();
        if maker.name != "session" {
            assert!(at_b.contains(&1), "{} at b: {at_b:?}", maker.name);
        }
    }
}

#[test]
fn a_bench_ends_with_one_probe_at_a_time() {
    let (pool, proxies) = pool_of(1);
    let clock = clock();
    let site = pool.site_of("https://a.com").unwrap();
    let strategy = (EVERY[0].make)();
    ban(&pool, &site, &proxies[0], 10.0, &clock);
    assert!(taken(&*strategy, &pool, &site, &clock).is_none());
    forward(&clock, 9.999);
    assert!(taken(&*strategy, &pool, &site, &clock).is_none());
    forward(&clock, 0.001);
    let (_, probe) = taken(&*strategy, &pool, &site, &clock).unwrap();
    assert!(probe.is_probe());
    assert!(taken(&*strategy, &pool, &site, &clock).is_none(), "one probe at a time");
    assert_eq!(settle(&pool, &probe, Finding::Released, &clock), Effect::Freed);
    let (_, probe) = taken(&*strategy, &pool, &site, &clock).unwrap();
    assert_eq!(settle(&pool, &probe, Finding::Nothing, &clock), Effect::Freed);
    let (_, lost) = taken(&*strategy, &pool, &site, &clock).unwrap();
    assert!(lost.is_probe());
    forward(&clock, 60.0);
    let (_, probe) = taken(&*strategy, &pool, &site, &clock).expect("a probe never reported expires");
    // The one given up comes back: it must not free the one under way.
    settle(&pool, &lost, Finding::Released, &clock);
    assert!(taken(&*strategy, &pool, &site, &clock).is_none());
    assert_eq!(settle(&pool, &probe, Finding::Welcome, &clock), Effect::Freed);
    assert!(pool.standing().is_empty());
    assert!(!taken(&*strategy, &pool, &site, &clock).unwrap().1.is_probe());
    assert_eq!(proxies[0].usage().2, 5);
}

#[test]
fn benches_double_with_full_jitter_up_to_the_cap() {
    let (pool, proxies) = pool_of(1);
    let clock = clock();
    let site = pool.site_of("https://a.com").unwrap();
    for (round, most) in [300.0, 600.0, 1200.0, 2400.0, 3600.0, 3600.0].into_iter().enumerate() {
        let admission = admit(&pool, &site, &proxies[0], &clock).unwrap();
        let Effect::Benched { seconds, level } = settle(&pool, &admission, Finding::Banned(None), &clock) else {
            panic!("not benched");
        };
        assert!((0.0..=most).contains(&seconds), "{seconds} of {most}");
        assert_eq!(level as usize, round + 1);
        forward(&clock, seconds + 0.001);
    }
    // Jitter is full: over many first benches the mean is half of the base, and both ends are reached.
    let (pool, proxies) = pool_of(2000);
    let mut lengths: Vec<f64> = Vec::new();
    settle(&pool, &admit(&pool, &site, &proxies[0], &clock).unwrap(), Finding::Welcome, &clock);
    for proxy in &proxies {
        let admission = admit(&pool, &site, proxy, &clock).unwrap();
        match settle(&pool, &admission, Finding::Banned(None), &clock) {
            Effect::Benched { seconds, .. } => lengths.push(seconds),
            other => panic!("{other:?}"),
        }
    }
    let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
    // The mean of 2,000 uniform draws on 0 to 300 has a deviation of 1.94.
    assert!((mean - 150.0).abs() < 12.0, "{mean}");
    assert!(lengths.iter().any(|length| *length < 10.0) && lengths.iter().any(|length| *length > 290.0));
}

#[test]
fn what_was_sent_before_a_ban_neither_worsens_nor_lifts_it() {
    let (pool, proxies) = pool_of(1);
    let clock = clock();
    let site = pool.site_of("https://a.com").unwrap();
    let began = clock.steady();
    let early: Vec<_> = (0..20).map(|_| admit(&pool, &site, &proxies[0], &clock).unwrap()).collect();
    forward(&clock, 1.0);
    ban(&pool, &site, &proxies[0], 10.0, &clock);
    for admission in &early[..10] {
        assert_eq!(pool.settle_at(admission, Finding::Banned(None), began, &clock), Effect::None);
    }
    for admission in &early[10..] {
        assert_eq!(pool.settle_at(admission, Finding::Welcome, began, &clock), Effect::None);
    }
    let rows = pool.standings(&clock);
    assert_eq!((rows.len(), rows[0].level, rows[0].kind), (1, 1, Kind::Banned));
    assert_eq!(rows[0].until, Some(clock.wall() + 10 * SECOND));
    assert_eq!(rows[0].site.key(), "a.com");
}

#[test]
fn a_pause_that_the_site_asks_for_is_held_exactly_and_ends_without_a_probe() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    let site = pool.site_of("https://a.com").unwrap();
    let admission = admit(&pool, &site, &proxies[0], &clock).unwrap();
    let effect = settle(&pool, &admission, Finding::RateLimited(Some(7.5)), &clock);
    assert_eq!(effect, Effect::Held { seconds: 7.5 });
    forward(&clock, 7.499_999);
    let bar = admit(&pool, &site, &proxies[0], &clock).unwrap_err();
    assert_eq!((bar.kind, bar.wait, bar.probing), (Kind::RateLimited, 1_000, false));
    assert_eq!(pool.next_release_at(&site, &clock), Some(1_000));
    forward(&clock, 0.000_001);
    assert!(!admit(&pool, &site, &proxies[0], &clock).unwrap().is_probe());
    // Without a word on how long it is a bench, a short one.
    let admission = admit(&pool, &site, &proxies[1], &clock).unwrap();
    let Effect::Benched { seconds, level } = settle(&pool, &admission, Finding::RateLimited(None), &clock) else {
        panic!("not held");
    };
    assert!(seconds <= 30.0 && level == 1);
    assert_eq!(pool.standings(&clock).iter().filter(|row| row.kind == Kind::RateLimited).count(), 1);
}

#[test]
fn a_rate_per_site_lets_a_burst_through_and_then_one_per_interval() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    let site = pool.site_of("https://a.com").unwrap();
    pool.set_standing(Settings { site_rate: Some(SiteRate::new(10, 1.0, Some(3))), ..Settings::default() }, &clock);
    for _ in 0..3 {
        admit(&pool, &site, &proxies[0], &clock).unwrap();
    }
    assert_eq!(admit(&pool, &site, &proxies[0], &clock).unwrap_err().wait, 100_000_000);
    // Passed over by selections, too, and only there and only it.
    let strategy = (EVERY[0].make)();
    for _ in 0..3 {
        assert_eq!(taken(&*strategy, &pool, &site, &clock).unwrap().0, 1);
    }
    assert!(taken(&*strategy, &pool, &site, &clock).is_none());
    assert!(admit(&pool, &pool.site_named("b.org"), &proxies[0], &clock).is_ok());
    forward(&clock, 0.1);
    let (_, admission) = taken(&*strategy, &pool, &site, &clock).unwrap();
    // Never sent: the token is given back.
    assert_eq!(settle(&pool, &admission, Finding::Released, &clock), Effect::Freed);
    let mut served = 0;
    for _ in 0..100 {
        while taken(&*strategy, &pool, &site, &clock).is_some() {
            served += 1;
        }
        forward(&clock, 0.1);
    }
    // Two proxies, ten a second each, for ten seconds.
    assert!((199..=206).contains(&served), "{served}");
}

#[test]
fn the_guard_spares_half_of_a_pool_where_nothing_succeeds() {
    let (pool, proxies) = pool_of(10);
    let clock = clock();
    let site = pool.site_of("https://a.com").unwrap();
    let judged = |proxy: &Proxy| {
        let admission = admit(&pool, &site, proxy, &clock).unwrap();
        settle(&pool, &admission, Finding::Banned(None), &clock)
    };
    for proxy in &proxies[..5] {
        assert!(matches!(judged(proxy), Effect::Benched { .. }));
    }
    assert_eq!(judged(&proxies[5]), Effect::Spared { first: true });
    assert_eq!(judged(&proxies[6]), Effect::Spared { first: false });
    // What the user asks for in seconds is done.
    ban(&pool, &site, &proxies[6], 5.0, &clock);
    assert!(admit(&pool, &site, &proxies[6], &clock).is_err());
    // One success, and it is about the proxies again.
    settle(&pool, &admit(&pool, &site, &proxies[9], &clock).unwrap(), Finding::Welcome, &clock);
    assert!(matches!(judged(&proxies[5]), Effect::Benched { .. }));
    // Elsewhere nothing has happened.
    let other = pool.site_of("https://b.org").unwrap();
    assert!(proxies.iter().all(|proxy| admit(&pool, &other, proxy, &clock).is_ok()));
    // Small pools are not guarded.
    let (small, proxies) = pool_of(3);
    let site = small.site_of("https://a.com").unwrap();
    for proxy in &proxies {
        let admission = admit(&small, &site, proxy, &clock).unwrap();
        assert!(matches!(settle(&small, &admission, Finding::Banned(None), &clock), Effect::Benched { .. }));
    }
}

#[test]
fn entries_stay_with_their_proxies_when_slots_move_and_go_with_them() {
    let (pool, proxies) = pool_of(200);
    let clock = clock();
    let site = pool.site_of("https://a.com").unwrap();
    for proxy in proxies.iter().step_by(3) {
        ban(&pool, &site, proxy, 1000.0, &clock);
    }
    let strategy = (EVERY[0].make)();
    let barred = |expected: &dyn Fn(usize) -> bool| {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..400 {
            seen.insert(taken(&*strategy, &pool, &site, &clock).unwrap().0);
        }
        for chosen in seen {
            assert!(!expected(chosen), "{chosen} is benched");
        }
    };
    barred(&|number| number % 3 == 0);
    // So many leave that the table is rebuilt, and every slot moves.
    for proxy in &proxies[..120] {
        pool.remove(proxy.id());
    }
    barred(&|number| number % 3 == 0);
    assert_eq!(pool.standings(&clock).len(), (120..200).filter(|number| number % 3 == 0).count());
    assert_eq!(pool.standing().len(), pool.standings(&clock).len());
    // Who comes back begins anew.
    add(&pool, &proxies[0]);
    assert!(admit(&pool, &site, &proxies[0], &clock).is_ok());
    // A verdict on a proxy that has left meanwhile is nobody's.
    let late = admit(&pool, &site, &proxies[0], &clock).unwrap();
    pool.remove(proxies[0].id());
    settle(&pool, &late, Finding::Banned(Some(9.0)), &clock);
    add(&pool, &proxies[0]);
    assert!(admit(&pool, &site, &proxies[0], &clock).is_ok());
}

#[test]
fn memory_is_bounded_and_the_longest_forgotten_go_first() {
    let (pool, proxies) = pool_of(50);
    let clock = clock();
    pool.set_standing(Settings { max_standings: 100, ..Settings::default() }, &clock);
    for round in 0..10 {
        let site = pool.site_of(&format!("https://site{round}.com")).unwrap();
        for proxy in &proxies {
            ban(&pool, &site, proxy, 1000.0, &clock);
        }
        assert!(pool.standing().len() <= 100);
    }
    let keys: std::collections::BTreeSet<String> =
        pool.standings(&clock).iter().map(|row| row.site.key().to_owned()).collect();
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["site8.com", "site9.com"]);
    pool.set_standing(Settings { max_standings: 0, ..Settings::default() }, &clock);
    assert!(pool.standing().is_empty());
    ban(&pool, &pool.site_named("x"), &proxies[0], 9.0, &clock);
    assert!(pool.standing().is_empty());
}
