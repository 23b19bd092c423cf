//! Site bans: which proxy is benched, held or probed at which site, under a clock that is moved.

use std::sync::Arc;

use proxywhirl::clock::{Clock, ManualClock};
use proxywhirl::pool::context::Context;
use proxywhirl::pool::query::Query;
use proxywhirl::proxy::Proxy;
use proxywhirl::proxy::liveness::Rate;
use proxywhirl::resilience::site::Site;
use proxywhirl::resilience::standing::{Admission, Exclusion, Kind, Settings, SiteChange, SiteOutcome};
use proxywhirl::rotation::Domain;
use proxywhirl::strategy::{Refusal, Strategy, choose};

use crate::common::*;

/// One selection at a site, admitted as a lease would be: chosen anew while another thread was faster.
fn take(
    strategy: &dyn Strategy,
    pool: &Domain,
    site: &Arc<Site>,
    context: &Context,
    clock: &dyn Clock,
) -> Result<(usize, Admission), Refusal> {
    loop {
        let table = pool.table();
        let site_mask = pool.mask_of(&table, site, clock);
        let query = Query::new(pool, &table, context, clock).masked(site_mask.as_ref());
        let choice = choose(strategy, &query)?;
        let proxy = query.slot(choice).and_then(|slot| slot.share()).unwrap();
        match pool.admit_at(&table, site, choice.0, clock) {
            Ok(admission) => return Ok((number(&proxy), admission)),
            Err(_) => proxy.cancel_start(clock),
        }
    }
}

fn taken(strategy: &dyn Strategy, pool: &Domain, site: &Arc<Site>, clock: &dyn Clock) -> Option<(usize, Admission)> {
    take(strategy, pool, site, &Context { in_rotation: true, ..Context::default() }, clock).ok()
}

fn admit(pool: &Domain, site: &Arc<Site>, proxy: &Proxy, clock: &dyn Clock) -> Result<Admission, Exclusion> {
    let (table, slot) = pool.find(proxy.id()).unwrap();
    pool.admit_at(&table, site, slot, clock)
}

fn settle(pool: &Domain, admission: &Admission, site_outcome: SiteOutcome, clock: &dyn Clock) -> SiteChange {
    pool.settle_at(admission, site_outcome, clock.steady(), clock)
}

/// Bans a proxy at a site for exactly so many seconds.
fn ban(pool: &Domain, site: &Arc<Site>, proxy: &Proxy, seconds: f64, clock: &dyn Clock) {
    let admission = admit(pool, site, proxy, clock).unwrap();
    settle(pool, &admission, SiteOutcome::Banned(Some(seconds)), clock);
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
    assert_eq!(settle(&pool, &probe, SiteOutcome::Released, &clock), SiteChange::Freed);
    let (_, probe) = taken(&*strategy, &pool, &site, &clock).unwrap();
    assert_eq!(settle(&pool, &probe, SiteOutcome::Nothing, &clock), SiteChange::Freed);
    let (_, lost) = taken(&*strategy, &pool, &site, &clock).unwrap();
    assert!(lost.is_probe());
    forward(&clock, 60.0);
    let (_, probe) = taken(&*strategy, &pool, &site, &clock).expect("a probe never reported expires");
    // The one given up comes back: it must not free the one under way.
    settle(&pool, &lost, SiteOutcome::Released, &clock);
    assert!(taken(&*strategy, &pool, &site, &clock).is_none());
    assert_eq!(settle(&pool, &probe, SiteOutcome::Welcome, &clock), SiteChange::Freed);
    assert!(pool.sites().is_empty());
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
        let SiteChange::Benched { seconds, level } = settle(&pool, &admission, SiteOutcome::Banned(None), &clock)
        else {
            panic!("not benched");
        };
        assert!((0.0..=most).contains(&seconds), "{seconds} of {most}");
        assert_eq!(level as usize, round + 1);
        forward(&clock, seconds + 0.001);
    }
    // Jitter is full: over many first benches the mean is half of the base, and both ends are reached.
    let (pool, proxies) = pool_of(2000);
    let mut lengths: Vec<f64> = Vec::new();
    settle(&pool, &admit(&pool, &site, &proxies[0], &clock).unwrap(), SiteOutcome::Welcome, &clock);
    for proxy in &proxies {
        let admission = admit(&pool, &site, proxy, &clock).unwrap();
        match settle(&pool, &admission, SiteOutcome::Banned(None), &clock) {
            SiteChange::Benched { seconds, .. } => lengths.push(seconds),
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
        assert_eq!(pool.settle_at(admission, SiteOutcome::Banned(None), began, &clock), SiteChange::None);
    }
    for admission in &early[10..] {
        assert_eq!(pool.settle_at(admission, SiteOutcome::Welcome, began, &clock), SiteChange::None);
    }
    let rows = pool.sites().rows(&pool, &clock);
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
    let effect = settle(&pool, &admission, SiteOutcome::RateLimited(Some(7.5)), &clock);
    assert_eq!(effect, SiteChange::Held { seconds: 7.5 });
    forward(&clock, 7.499_999);
    let bar = admit(&pool, &site, &proxies[0], &clock).unwrap_err();
    assert_eq!((bar.kind, bar.wait, bar.probing), (Kind::RateLimited, 1_000, false));
    assert_eq!(site.next_release(&clock), Some(1_000));
    forward(&clock, 0.000_001);
    assert!(!admit(&pool, &site, &proxies[0], &clock).unwrap().is_probe());
    // Without a word on how long it is a bench, a short one.
    let admission = admit(&pool, &site, &proxies[1], &clock).unwrap();
    let SiteChange::Benched { seconds, level } = settle(&pool, &admission, SiteOutcome::RateLimited(None), &clock)
    else {
        panic!("not held");
    };
    assert!(seconds <= 30.0 && level == 1);
    assert_eq!(pool.sites().rows(&pool, &clock).iter().filter(|row| row.kind == Kind::RateLimited).count(), 1);
}

#[test]
fn whose_time_has_come_is_shown_until_a_selection_lets_it_return() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    let site = pool.site_of("https://a.com").unwrap();
    ban(&pool, &site, &proxies[0], 5.0, &clock);
    ban(&pool, &site, &proxies[1], 9.0, &clock);
    let table = pool.table();
    let waits = || {
        pool.sites()
            .exclusions_at(&table, site.mask(), &clock)
            .into_iter()
            .map(|(slot, bar)| (slot, bar.wait))
            .collect::<Vec<_>>()
    };
    let strategy = (EVERY[0].make)();
    assert!(taken(&*strategy, &pool, &site, &clock).is_none());
    forward(&clock, 6.0);
    // Refused a moment ago, and nothing to wait for any more.
    let mut shown = waits();
    shown.sort_unstable();
    assert_eq!(shown, [(0, 0), (1, 3_000_000_000)]);
    assert_eq!(site.next_release(&clock), Some(0));
    assert_eq!(pool.sites().next_due(&clock), Some(0));
    let (chosen, probe) = taken(&*strategy, &pool, &site, &clock).unwrap();
    assert_eq!(chosen, 0);
    let bars = pool.sites().exclusions_at(&table, site.mask(), &clock);
    assert!(bars[&0].probing && bars[&0].wait == 60_000_000_000);
    settle(&pool, &probe, SiteOutcome::Welcome, &clock);
    assert_eq!(waits(), [(1, 3_000_000_000)]);
    assert_eq!(pool.sites().next_due(&clock), Some(3_000_000_000));
}

#[test]
fn a_rate_per_site_lets_a_burst_through_and_then_one_per_interval() {
    let (pool, proxies) = pool_of(2);
    let clock = clock();
    let site = pool.site_of("https://a.com").unwrap();
    pool.sites().configure(
        &pool,
        Settings { site_rate: Some(Rate::new(10.0, 1.0, Some(3.0)).unwrap()), ..Settings::default() },
        &clock,
    );
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
    assert_eq!(settle(&pool, &admission, SiteOutcome::Released, &clock), SiteChange::Freed);
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
        settle(&pool, &admission, SiteOutcome::Banned(None), &clock)
    };
    for proxy in &proxies[..5] {
        assert!(matches!(judged(proxy), SiteChange::Benched { .. }));
    }
    assert_eq!(judged(&proxies[5]), SiteChange::Spared { first: true });
    assert_eq!(judged(&proxies[6]), SiteChange::Spared { first: false });
    // What the user asks for in seconds is done.
    ban(&pool, &site, &proxies[6], 5.0, &clock);
    assert!(admit(&pool, &site, &proxies[6], &clock).is_err());
    // One success, and it is about the proxies again.
    settle(&pool, &admit(&pool, &site, &proxies[9], &clock).unwrap(), SiteOutcome::Welcome, &clock);
    assert!(matches!(judged(&proxies[5]), SiteChange::Benched { .. }));
    // Elsewhere nothing has happened.
    let other = pool.site_of("https://b.org").unwrap();
    assert!(proxies.iter().all(|proxy| admit(&pool, &other, proxy, &clock).is_ok()));
    // Small pools are not guarded.
    let (small, proxies) = pool_of(3);
    let site = small.site_of("https://a.com").unwrap();
    for proxy in &proxies {
        let admission = admit(&small, &site, proxy, &clock).unwrap();
        assert!(matches!(settle(&small, &admission, SiteOutcome::Banned(None), &clock), SiteChange::Benched { .. }));
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
    assert_eq!(pool.sites().rows(&pool, &clock).len(), (120..200).filter(|number| number % 3 == 0).count());
    assert_eq!(pool.sites().len(), pool.sites().rows(&pool, &clock).len());
    // A proxy that comes back begins anew.
    add(&pool, &proxies[0]);
    assert!(admit(&pool, &site, &proxies[0], &clock).is_ok());
    // A verdict on a proxy that has left meanwhile changes nothing.
    let late = admit(&pool, &site, &proxies[0], &clock).unwrap();
    pool.remove(proxies[0].id());
    settle(&pool, &late, SiteOutcome::Banned(Some(9.0)), &clock);
    add(&pool, &proxies[0]);
    assert!(admit(&pool, &site, &proxies[0], &clock).is_ok());
}

#[test]
fn a_pool_put_into_another_order_keeps_its_books() {
    let (pool, proxies) = pool_of(10);
    let clock = clock();
    let site = pool.site_of("https://a.com").unwrap();
    for number in [2, 3, 7] {
        ban(&pool, &site, &proxies[number], 1000.0, &clock);
    }
    // Backwards, without the seventh, with a new one.
    let mut members: Vec<_> = proxies.iter().rev().filter(|proxy| number(proxy) != 7).cloned().collect();
    members.insert(0, proxy(50));
    pool.replace_all(members.into_iter().map(|proxy| (proxy, None)).collect());
    let mut held: Vec<usize> = pool.sites().rows(&pool, &clock).iter().map(|row| number(&row.proxy)).collect();
    held.sort_unstable();
    assert_eq!(held, [2, 3]);
    assert_eq!(pool.sites().len(), 2);
    let strategy = (EVERY[0].make)();
    let seen: Vec<usize> = (0..8).map(|_| taken(&*strategy, &pool, &site, &clock).unwrap().0).collect();
    assert_eq!(seen, [50, 9, 8, 6, 5, 4, 1, 0]);
    add(&pool, &proxies[7]);
    assert!(admit(&pool, &site, &proxies[7], &clock).is_ok());
}

#[test]
fn memory_is_bounded_and_the_longest_forgotten_go_first() {
    let (pool, proxies) = pool_of(50);
    let clock = clock();
    pool.sites().configure(&pool, Settings { max_standings: 100, ..Settings::default() }, &clock);
    for round in 0..10 {
        let site = pool.site_of(&format!("https://site{round}.com")).unwrap();
        for proxy in &proxies {
            ban(&pool, &site, proxy, 1000.0, &clock);
        }
        assert!(pool.sites().len() <= 100);
    }
    let keys: std::collections::BTreeSet<String> =
        pool.sites().rows(&pool, &clock).iter().map(|row| row.site.key().to_owned()).collect();
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["site8.com", "site9.com"]);
    pool.sites().configure(&pool, Settings { max_standings: 0, ..Settings::default() }, &clock);
    assert!(pool.sites().is_empty());
    ban(&pool, &pool.site_named("x"), &proxies[0], 9.0, &clock);
    assert!(pool.sites().is_empty());
}

// ---- where many are held back ------------------------------------------------------------------------------------------

/// Bans all proxies but one in `kept` at a site for an hour.
fn ban_all_but(pool: &Domain, proxies: &[Arc<Proxy>], kept: usize, site: &Arc<Site>, clock: &dyn Clock) {
    for proxy in proxies.iter().filter(|proxy| number(proxy) % kept != 1) {
        ban(pool, site, proxy, 3600.0, clock);
    }
}

#[test]
fn every_strategy_passes_over_whoever_is_held_however_many_they_are() {
    for (count, kept) in [(30, 3), (300, 2), (300, 100), (300, 7)] {
        for maker in &EVERY {
            let (pool, proxies) = pool_of(count);
            furnish(&proxies);
            let clock = clock();
            let site = pool.site_of("https://a.com").unwrap();
            let strategy = maker.make();
            // Views and their structures exist before any proxy is held, and are asked again afterwards.
            let _ = taken(&*strategy, &pool, &site, &clock);
            ban_all_but(&pool, &proxies, kept, &site, &clock);
            let free = |number: usize| number % kept == 1;
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..200 {
                let (chosen, _) = taken(&*strategy, &pool, &site, &clock)
                    .unwrap_or_else(|| panic!("{} finds no proxy of {count}/{kept}", maker.name));
                assert!(free(chosen), "{} chose {chosen} of {count}/{kept}", maker.name);
                seen.insert(chosen);
            }
            if maker.name == "round-robin" || maker.name == "least-used" {
                assert_eq!(seen.len(), (0..count).filter(|number| free(*number)).count().min(200), "{}", maker.name);
            }
            // One dies, one comes back: the views hear of both.
            proxies[1].set_health(proxywhirl::proxy::health::Health::Dead);
            forward(&clock, 3600.0);
            let mut probes = std::collections::BTreeSet::new();
            while let Some((chosen, admission)) = taken(&*strategy, &pool, &site, &clock) {
                assert_ne!(chosen, 1, "{} chose the dead one", maker.name);
                if admission.is_probe() {
                    assert!(probes.insert(chosen), "{}: {chosen} is probed twice", maker.name);
                }
                if probes.len() > 20 || proxies.iter().map(|proxy| proxy.usage().0).sum::<u64>() > 3000 {
                    break;
                }
            }
            if maker.name != "session" {
                assert!(!probes.is_empty(), "{} probes no proxy of {count}/{kept}", maker.name);
            }
        }
    }
}

#[test]
fn turns_go_on_for_those_whom_one_site_refuses() {
    const COUNT: usize = 31;
    let (pool, proxies) = pool_of(COUNT);
    let clock = clock();
    let (a, b) = (pool.site_of("https://a.com").unwrap(), pool.site_of("https://b.org").unwrap());
    for (few, step) in [(true, 15), (false, 3)] {
        for proxy in proxies.iter().step_by(step) {
            if admit(&pool, &a, proxy, &clock).is_ok() {
                ban(&pool, &a, proxy, 3600.0, &clock);
            }
        }
        let strategy = (EVERY[0].make)();
        let mut counts = [[0; COUNT]; 2];
        // In no fixed order, or the order of requests would decide which proxy serves which site.
        let mut order = 1u32;
        for _ in 0..4000 {
            order = order.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let which = (order >> 31) as usize;
            counts[which][taken(&*strategy, &pool, [&a, &b][which], &clock).unwrap().0] += 1;
        }
        for number in 0..COUNT {
            let benched = number % step == 0 || number % 15 == 0;
            assert_eq!(counts[0][number] == 0, benched, "few: {few}, {number} at a: {:?}", counts[0]);
            assert!(counts[1][number] > 0, "few: {few}, {number} has no turn at b: {:?}", counts[1]);
        }
    }
}

#[test]
fn a_site_view_follows_its_filter() {
    let (pool, proxies) = pool_of(100);
    furnish(&proxies);
    let clock = clock();
    let site = pool.site_of("https://a.com").unwrap();
    ban_all_but(&pool, &proxies, 4, &site, &clock);
    let context = Context {
        required: Some(proxywhirl::pool::filter::Filter::country("US")),
        in_rotation: true,
        ..Context::default()
    };
    let strategy = (EVERY[0].make)();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        seen.insert(take(&*strategy, &pool, &site, &context, &clock).unwrap().0);
    }
    let expected: Vec<usize> = (0..100).filter(|number| number % 4 == 1 && number % 10 != 0).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_crowd_that_is_held_back_is_not_stepped_over_one_by_one() {
    let (pool, proxies) = pool_of(100_000);
    furnish(&proxies);
    let clock = clock();
    let (a, b) = (pool.site_of("https://a.com").unwrap(), pool.site_of("https://b.org").unwrap());
    ban_all_but(&pool, &proxies, 100, &a, &clock);
    for maker in EVERY.iter().filter(|maker| !maker.name.contains("by id") && !maker.name.contains("in a composite")) {
        let strategy = maker.make();
        let time = |site: &Arc<Site>, strategy: &dyn Strategy| {
            // What is made on first demand is made first.
            assert!(taken(strategy, &pool, site, &clock).is_some(), "{}", maker.name);
            // The best of a few, since others use the machine.
            let runs = (0..5).map(|_| {
                let begun = std::time::Instant::now();
                for _ in 0..300 {
                    assert!(taken(strategy, &pool, site, &clock).is_some(), "{}", maker.name);
                }
                begun.elapsed()
            });
            runs.min().unwrap()
        };
        let (free, crowded) = (time(&b, &*strategy), time(&a, &*maker.make()));
        // To step over 99,000 would cost hundreds of times as much.
        assert!(
            crowded < free * 20 + std::time::Duration::from_millis(1),
            "{}: {crowded:?}, {free:?} elsewhere",
            maker.name
        );
    }
}

#[test]
fn views_are_bounded_by_weight_and_the_least_recently_used_goes_first() {
    use proxywhirl::pool::filter::Filter;
    let pool = empty();
    // Room for a million, so that each view is heavy, and no member.
    pool.reserve(1 << 20);
    add(&pool, &proxy(1));
    let filter = |number: usize| Filter::tags([format!("tag{number}").as_str()]);
    for number in 0..20 {
        let _ = pool.matching(&filter(number));
        let _ = pool.matching(&filter(0));
    }
    assert!((4..=7).contains(&pool.views()), "{} views", pool.views());
    assert!(pool.has_view(&filter(0)), "the one used all the time stays");
    assert!(pool.has_view(&filter(19)) && pool.has_view(&filter(18)), "the newest stay");
    assert!(!pool.has_view(&filter(1)), "the one not used for longest has gone");
    // Light ones are bounded by number alone.
    let pool = empty();
    for number in 0..400 {
        let _ = pool.matching(&filter(number));
    }
    assert_eq!(pool.views(), 256);
}

#[test]
fn marks_and_views_agree_with_the_books_after_a_storm_of_rebuilds() {
    let (pool, proxies) = pool_of(60);
    furnish(&proxies);
    let sites = ["a", "b"].map(|key| pool.site_named(key));
    let clock = clock();
    on_threads(4, |thread| {
        let strategy = (EVERY[thread % 2].make)();
        for round in 0..400 {
            if thread == 3 {
                // Members that come and go, so that slots move all the time.
                for more in 0..12 {
                    let one = proxy(1000 + round * 12 + more);
                    add(&pool, &one);
                    pool.remove(one.id());
                }
                continue;
            }
            let site = &sites[round % 2];
            if let Some((chosen, admission)) = taken(&*strategy, &pool, site, &clock) {
                // Numbers divisible by three are refused for an hour, by both sites.
                let refused = chosen < 60 && chosen % 3 == 0;
                let site_outcome = if refused { SiteOutcome::Banned(Some(3600.0)) } else { SiteOutcome::Welcome };
                settle(&pool, &admission, site_outcome, &clock);
            }
        }
    });
    let table = pool.table();
    for site in &sites {
        let bars = pool.sites().exclusions_at(&table, site.mask(), &clock);
        for maker in EVERY.iter().take(2) {
            let strategy = maker.make();
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..1500 {
                let (chosen, _) = taken(&*strategy, &pool, site, &clock).unwrap();
                seen.insert(chosen);
            }
            for (number, proxy) in proxies.iter().enumerate() {
                let (_, slot) = pool.find(proxy.id()).unwrap();
                let held = bars.contains_key(&slot);
                assert_eq!(seen.contains(&number), !held, "{number} at {} by {}", site.key(), maker.name);
                assert!(!held || number % 3 == 0);
            }
        }
        assert!(bars.len() >= 10, "hardly any proxy was refused");
    }
}

// ---- the books against a plain model -----------------------------------------------------------------------------------

/// What the ledger is to do, written down as plainly as possible: one record per pair, no index, no timers.
#[derive(Default, Clone)]
struct Plain {
    // By (site, number).
    pairs: std::collections::BTreeMap<(usize, usize), PlainPair>,
}

#[derive(Default, Clone, Debug)]
struct PlainPair {
    until: u64,
    paused: u64,
    owes: bool,
    level: u32,
    benched_at: u64,
    // Name of the probe under way, and when it expires.
    probe: Option<(usize, u64)>,
}

impl PlainPair {
    fn is_free(&self, now: u64) -> bool {
        self.until <= now && self.paused <= now && self.probe.is_none_or(|(_, expires)| expires <= now)
    }
}

/// A request under way in the model.
struct Request {
    site: usize,
    number: usize,
    began: u64,
    admission: Admission,
    name: usize,
    is_probe: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Admit(usize, usize),
    End(usize, u8, u16),
    Wait(u16),
    Leave(usize),
    Return(usize),
    Select(usize),
    Grow,
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    use proptest::prelude::*;
    let step = prop_oneof![
        5 => (0..3usize, 0..12usize).prop_map(|(site, number)| Step::Admit(site, number)),
        5 => (any::<usize>(), 0..6u8, 0..2000u16).prop_map(|(which, how, length)| Step::End(which, how, length)),
        3 => (1..3000u16).prop_map(Step::Wait),
        1 => Just(Step::Wait(60_000)),
        1 => (0..12usize).prop_map(Step::Leave),
        1 => (0..12usize).prop_map(Step::Return),
        4 => (0..3usize).prop_map(Step::Select),
        1 => Just(Step::Grow),
    ];
    prop::collection::vec(step, 1..150)
}

fn follow(steps: Vec<Step>) -> Result<(), proptest::test_runner::TestCaseError> {
    use proptest::prelude::*;
    let (pool, proxies) = pool_of(12);
    let clock = clock();
    let sites = ["a", "b", "c"].map(|key| pool.site_named(key));
    let round_robin = (EVERY[0].make)();
    let mut plain = Plain::default();
    let mut members = [true; 12];
    let mut open: Vec<Request> = Vec::new();
    let mut names = 0;
    let mut more = 12;
    for step in steps {
        let now = clock.steady();
        match step {
            Step::Wait(millis) => clock.advance(i64::from(millis) * 1000),
            Step::Grow => {
                // New proxies without entries in the ledger; the table is rebuilt now and then.
                for _ in 0..20 {
                    add(&pool, &proxy(more));
                    more += 1;
                }
                for number in (more - 20)..more {
                    pool.remove(proxy(number).id());
                }
            }
            Step::Leave(number) => {
                if std::mem::take(&mut members[number]) {
                    pool.remove(proxies[number].id());
                    plain.pairs.retain(|(_, of), _| *of != number);
                    // What is under way for it is settled later, and must change nothing.
                }
            }
            Step::Return(number) => {
                if !std::mem::replace(&mut members[number], true) {
                    add(&pool, &proxies[number]);
                    open.retain(|request| request.number != number);
                }
            }
            Step::Admit(site, number) => {
                if !members[number] {
                    continue;
                }
                let pair = plain.pairs.entry((site, number)).or_default();
                let answer = admit(&pool, &sites[site], &proxies[number], &clock);
                prop_assert_eq!(answer.is_ok(), pair.is_free(now), "{} at {}: {:?}", number, site, pair);
                if let Ok(admission) = answer {
                    prop_assert_eq!(admission.is_probe(), pair.owes);
                    names += 1;
                    if pair.owes {
                        pair.probe = Some((names, now + 60_000_000_000));
                    }
                    let is_probe = pair.owes;
                    open.push(Request { site, number, began: now, admission, name: names, is_probe });
                }
            }
            Step::End(which, how, length) => {
                if open.is_empty() {
                    continue;
                }
                let request = open.swap_remove(which % open.len());
                let seconds = f64::from(length) / 1000.0;
                let site_outcome = match how {
                    0 => SiteOutcome::Welcome,
                    1 => SiteOutcome::Banned(Some(seconds)),
                    2 => SiteOutcome::RateLimited(Some(seconds)),
                    3 => SiteOutcome::Nothing,
                    4 => SiteOutcome::Released,
                    _ => SiteOutcome::Banned(None),
                };
                let effect = pool.settle_at(&request.admission, site_outcome, request.began, &clock);
                if !members[request.number] {
                    continue;
                }
                let key = (request.site, request.number);
                let benched_here = plain
                    .pairs
                    .iter()
                    .filter(|((site, number), pair)| {
                        *site == key.0 && *number != key.1 && pair.owes && !pair.is_free(now)
                    })
                    .count();
                let pair = plain.pairs.entry(key).or_default();
                let own = pair.probe.is_some_and(|(name, _)| name == request.name);
                let old = pair.owes && !request.is_probe && request.began < pair.benched_at;
                let length = u64::from(length) * 1_000_000;
                if how != 0 && own {
                    pair.probe = None;
                }
                match site_outcome {
                    SiteOutcome::Welcome if request.is_probe => {
                        *pair = PlainPair { paused: pair.paused, ..PlainPair::default() };
                    }
                    SiteOutcome::RateLimited(Some(_)) => pair.paused = pair.paused.max(now + length),
                    SiteOutcome::Banned(Some(_)) if old => pair.until = pair.until.max(now + length),
                    SiteOutcome::Banned(None) if old => prop_assert_eq!(effect, SiteChange::None),
                    SiteOutcome::Banned(given) => {
                        if let SiteChange::Spared { .. } = effect {
                            prop_assert!(given.is_none());
                            let held = usize::from(pair.owes && !pair.is_free(now));
                            let half = pool.len().div_ceil(2);
                            prop_assert!(benched_here + held >= half, "{} of {}", benched_here, pool.len());
                        } else {
                            let SiteChange::Benched { seconds, level } = effect else { panic!("{effect:?}") };
                            prop_assert_eq!(level, pair.level + 1);
                            let until = now + (seconds * 1e9) as u64;
                            let paused = pair.paused;
                            *pair = PlainPair { until, paused, owes: true, level, benched_at: now, probe: None };
                        }
                    }
                    _ => {}
                }
            }
            Step::Select(site) => {
                let now = clock.steady();
                let free = |number: usize| plain.pairs.get(&(site, number)).is_none_or(|pair| pair.is_free(now));
                let expected = (0..12).any(|number| members[number] && free(number));
                match taken(&*round_robin, &pool, &sites[site], &clock) {
                    None => prop_assert!(!expected, "a proxy is free at {}", site),
                    Some((number, admission)) => {
                        prop_assert!(members[number] && free(number), "{} at {}", number, site);
                        let pair = plain.pairs.entry((site, number)).or_default();
                        prop_assert_eq!(admission.is_probe(), pair.owes);
                        names += 1;
                        if pair.owes {
                            pair.probe = Some((names, now + 60_000_000_000));
                        }
                        let is_probe = pair.owes;
                        open.push(Request { site, number, began: now, admission, name: names, is_probe });
                    }
                }
            }
        }
        // The list for people agrees at every step.
        let now = clock.steady();
        let shown: std::collections::BTreeSet<(String, usize)> = pool
            .sites()
            .rows(&pool, &clock)
            .iter()
            .map(|row| (row.site.key().to_owned(), number(&row.proxy)))
            .collect();
        let expected = plain.pairs.iter().filter(|(_, pair)| pair.owes || !pair.is_free(now));
        let expected: std::collections::BTreeSet<(String, usize)> =
            expected.map(|((site, number), _)| (sites[*site].key().to_owned(), *number)).collect();
        prop_assert_eq!(shown, expected);
    }
    Ok(())
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(500))]
    #[test]
    fn the_books_agree_with_a_plain_model(steps in steps()) {
        follow(steps)?;
    }
}
