//! Ineligible proxies are never chosen: for every strategy and every reason.

use std::sync::Arc;

use proptest::prelude::*;
use proxywhirl::pool::context::{Context, Excluded, Thresholds};
use proxywhirl::pool::filter::Filter;
use proxywhirl::proxy::health::{Health, reason};
use proxywhirl::proxy::{Counter, Proxy, Verdict};
use proxywhirl::rotation::Domain;
use proxywhirl::strategy::Refusal;

use crate::common::*;

/// What the fast ways must agree with: looked up plainly, one by one.
fn eligible(proxy: &Proxy, now: i64) -> bool {
    proxy.health().is_usable() && is_open(proxy, now)
}

/// Whether nothing but its health can rule it out.
fn is_open(proxy: &Proxy, now: i64) -> bool {
    proxy.reasons() & !(reason::UNHEALTHY | reason::EXPIRED) == 0
        && proxy.cold(|cold| cold.expires_at).is_none_or(|at| at >= now)
}

fn expire_at(proxy: &Proxy, at: Option<i64>) {
    proxy.set_cold(|cold| cold.expires_at = at);
}

#[derive(Debug, Clone)]
enum Step {
    Health(usize, usize),
    Expiry(usize, Option<i64>),
    Reason(usize, u32, bool),
    Fail(usize),
    Succeed(usize),
    Advance(i64),
    Remove(usize),
    Country(usize, bool),
    Select { excluded: Vec<usize>, only_us: bool },
}

const SIZE: usize = 24;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = 0..SIZE;
    let step = prop_oneof![
        4 => (one.clone(), 0..5usize).prop_map(|(n, h)| Step::Health(n, h)),
        1 => (one.clone(), prop::option::of(-5..60i64)).prop_map(|(n, at)| Step::Expiry(n, at)),
        1 => (one.clone(), 2..5u32, any::<bool>()).prop_map(|(n, bit, on)| Step::Reason(n, 1 << bit, on)),
        2 => one.clone().prop_map(Step::Fail),
        2 => one.clone().prop_map(Step::Succeed),
        1 => (1..30i64).prop_map(Step::Advance),
        1 => one.clone().prop_map(Step::Remove),
        1 => (one.clone(), any::<bool>()).prop_map(|(n, us)| Step::Country(n, us)),
        6 => (prop::collection::vec(one, 0..14), any::<bool>())
            .prop_map(|(excluded, only_us)| Step::Select { excluded, only_us }),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn only_the_eligible_are_ever_chosen(steps in steps(), which in 0..EVERY.len()) {
        let maker = &EVERY[which];
        let (pool, proxies) = pool_of(SIZE);
        furnish(&proxies);
        let strategy = maker.make();
        let clock = clock();
        let mut now = START;
        let mut inside = [true; SIZE];
        // Since when it has failed; one that fell by itself comes back on trial after a rest, of ten seconds at the least.
        let mut failed = [None; SIZE];
        for step in steps {
            match step {
                Step::Health(n, health) => { proxies[n].set_health(Health::ALL[health]); failed[n] = None; }
                // An expiry that was noticed is forgotten only by a later one in real time; see `ManualClock` in 2023.
                Step::Expiry(n, at) => expire_at(&proxies[n], at.map(|at| now + at * SECOND)),
                Step::Reason(n, bit, on) => proxies[n].set_reason(bit, on),
                Step::Fail(n) => { proxies[n].start(&clock); proxies[n].complete(Verdict::Failure(1.0), None, &clock); failed[n].get_or_insert(now); }
                Step::Succeed(n) => { proxies[n].start(&clock); proxies[n].complete(Verdict::Success(9.0), None, &clock); failed[n] = None; }
                Step::Advance(by) => { clock.advance(by * SECOND); now += by * SECOND; }
                Step::Remove(n) => { inside[n] = false; pool.remove(proxies[n].id()); }
                Step::Country(n, us) => locate(&proxies[n], if us { "US" } else { "FR" }),
                Step::Select { excluded, only_us } => {
                    let context = Context {
                        excluded: Excluded::new(excluded.iter().map(|n| proxies[*n].id())),
                        required: only_us.then(|| Filter::countries(["us"])),
                        ..maker.context()
                    };
                    let wanted = |n: usize| {
                        inside[n] && !excluded.contains(&n)
                            && (!only_us || proxies[n].cold(|cold| cold.country_code.as_deref() == Some("US")))
                    };
                    match select(&*strategy, &pool, &context, &clock) {
                        Ok(chosen) => {
                            let n = number(&chosen);
                            let on_trial = failed[n].is_some_and(|at: i64| now - at >= 10 * SECOND) && is_open(&chosen, now);
                            prop_assert!(wanted(n) && (eligible(&chosen, now) || on_trial), "{} chose {n}", maker.name);
                            chosen.complete(Verdict::Elsewhere, None, &clock);
                        }
                        Err(refusal) => {
                            let usable = |n: &usize| {
                                let cold = |cold: &proxywhirl::proxy::cold::Cold| {
                                    (cold.country_code.clone(), cold.cost.unwrap_or(0.0))
                                };
                                let (country, cost) = proxies[*n].cold(cold);
                                let elsewhere = maker.name.contains("composite") && country.as_deref() != Some("US");
                                let dear = (maker.name.contains("cost") || maker.name.contains("in a composite")) && cost > 1.0;
                                wanted(*n) && eligible(&proxies[*n], now) && !elsewhere && !dear
                            };
                            prop_assert_eq!((0..SIZE).find(usable), None, "{} refused: {}", maker.name, refusal);
                        }
                    }
                }
            }
        }
        balanced(&proxies);
    }
}

#[test]
fn a_write_is_seen_by_the_very_next_selection() {
    for maker in &EVERY {
        let (pool, proxies) = pool_of(30);
        furnish(&proxies);
        let strategy = maker.make();
        let (context, clock) = (maker.context(), clock());
        // Each chosen proxy is ruled out at once, until the strategy has no candidate left.
        let mut gone = std::collections::HashSet::new();
        while let Ok(chosen) = select(&*strategy, &pool, &context, &clock) {
            assert!(gone.insert(number(&chosen)), "{} chose {} again", maker.name, number(&chosen));
            match gone.len() % 3 {
                0 => chosen.set_health(Health::Dead),
                1 => chosen.set_reason(reason::BREAKER, true),
                _ => expire_at(&chosen, Some(START - 1)),
            }
        }
        assert!(gone.len() >= 26, "{} gave up after {}", maker.name, gone.len());
        // And back again.
        for proxy in &proxies {
            proxy.set_reason(reason::BREAKER, false);
            expire_at(proxy, None);
            proxy.set_health(Health::Healthy);
        }
        assert!(select(&*strategy, &pool, &context, &clock).is_ok(), "{} finds no proxy again", maker.name);
    }
}

#[test]
fn time_alone_ends_a_proxy() {
    for maker in &EVERY {
        let (pool, proxies) = pool_of(30);
        furnish(&proxies);
        for proxy in &proxies {
            expire_at(proxy, Some(START + 10 * SECOND));
        }
        let strategy = maker.make();
        let (context, clock) = (maker.context(), clock());
        clock.advance(10 * SECOND);
        assert!(
            select(&*strategy, &pool, &context, &clock).is_ok(),
            "{}: at its last moment it still serves",
            maker.name
        );
        clock.advance(1);
        let refusal = select(&*strategy, &pool, &context, &clock).unwrap_err();
        assert!(refusal.to_string().contains("No healthy proxies available"), "{}: {refusal}", maker.name);
    }
}

#[test]
fn thresholds_rule_out_the_slow_and_the_poor() {
    for maker in &EVERY {
        let (pool, proxies) = pool_of(30);
        furnish(&proxies);
        for proxy in &proxies[15..] {
            if number(proxy).is_multiple_of(2) {
                proxy.set_ema(Some(500.0));
            } else {
                proxy.set_counter(Counter::Failures, 8);
                proxy.set_counter(Counter::Total, 10);
            }
        }
        let strategy = maker.make();
        let thresholds = Thresholds { max_response_time_ms: Some(200.0), min_success_rate: Some(0.5) };
        let context = Context { thresholds, ..maker.context() };
        for _ in 0..300 {
            let chosen = pick(&*strategy, &pool, &context, &clock());
            assert!(chosen < 15, "{} chose {chosen}", maker.name);
        }
    }
}

#[test]
fn one_start_for_one_choice() {
    for maker in &EVERY {
        let (pool, proxies) = pool_of(30);
        furnish(&proxies);
        let strategy = maker.make();
        let (context, clock) = (maker.context(), clock());
        for _ in 0..100 {
            let before: Vec<u64> = proxies.iter().map(|proxy| proxy.usage().0).collect();
            let chosen = pick(&*strategy, &pool, &context, &clock);
            for (n, proxy) in proxies.iter().enumerate() {
                assert_eq!(proxy.usage().0 - before[n], u64::from(n == chosen), "{}: start of {n}", maker.name);
            }
        }
        // A failed selection counts no start.
        let before: u64 = proxies.iter().map(|proxy| proxy.usage().0).sum();
        assert!(select(&*strategy, &pool, &excluding(&proxies), &clock).is_err());
        assert_eq!(proxies.iter().map(|proxy| proxy.usage().0).sum::<u64>(), before, "{}", maker.name);
    }
}

#[test]
fn the_books_balance_under_threads() {
    for maker in &EVERY {
        let (pool, proxies) = pool_of(30);
        furnish(&proxies);
        let began: u64 = proxies.iter().map(|proxy| proxy.usage().0).sum();
        let strategy = maker.make();
        let context = maker.context();
        let clock = clock();
        let taken: usize = on_threads(8, |thread| {
            let mut held: Vec<Arc<Proxy>> = Vec::new();
            let mut back = 0;
            for step in 0..500 {
                held.push(select(&*strategy, &pool, &context, &clock).unwrap());
                if step % 3 == 2 {
                    let proxy = held.swap_remove(thread % held.len());
                    match step % 4 {
                        0 => {
                            proxy.cancel_start(&clock);
                            back += 1;
                        }
                        1 => strategy.record(&proxy, Verdict::Refused, &clock),
                        _ => strategy.record(&proxy, Verdict::Success(20.0 + f64::from(step as u32 % 5)), &clock),
                    }
                }
            }
            for proxy in held {
                strategy.record(&proxy, Verdict::Success(25.0), &clock);
            }
            back
        })
        .into_iter()
        .sum();
        balanced(&proxies);
        let (mut started, mut active) = (0, 0);
        for proxy in &proxies {
            started += proxy.usage().0;
            active += proxy.usage().2;
        }
        assert_eq!(started, began + 8 * 500 - taken as u64, "{}", maker.name);
        assert_eq!(active, 0, "{}", maker.name);
    }
}

fn refusal(pool: &Domain, context: &Context) -> Vec<(&'static str, Refusal)> {
    EVERY
        .iter()
        .map(|maker| {
            let context = Context { in_rotation: true, ..context.clone() };
            (maker.name, select(&*maker.make(), pool, &context, &clock()).unwrap_err())
        })
        .collect()
}

#[test]
fn a_refusal_says_why() {
    for (name, refusal) in refusal(&empty(), &Context::default()) {
        assert!(matches!(refusal, Refusal::EmptyPool), "{name}: {refusal}");
    }
    let (pool, proxies) = pool_of(30);
    furnish(&proxies);
    for (name, refusal) in refusal(&pool, &excluding(&proxies)) {
        assert!(matches!(refusal, Refusal::AllExcluded { excluded: 30 }), "{name}: {refusal}");
        assert!(refusal.to_string().contains("filtering out failed proxies"), "{name}: {refusal}");
    }
    for proxy in &proxies {
        proxy.set_health(Health::Dead);
    }
    for (name, refusal) in refusal(&pool, &Context::default()) {
        assert!(matches!(refusal, Refusal::NoHealthy { size: 30 }), "{name}: {refusal}");
    }
}

#[test]
fn a_country_is_a_demand_and_a_region_is_left_to_a_strategy_that_knows_regions() {
    let demanded = |honours_region: bool| {
        let mut context = Context::default();
        context.demand(Some("us"), Some("CA"), None, None, honours_region);
        let required = context.required.unwrap();
        (required.countries.len(), required.regions.len(), context.target_region.is_some())
    };
    assert_eq!((demanded(false), demanded(true)), ((1, 1, true), (1, 0, true)));
    let mut nothing = Context::default();
    nothing.demand(None, None, None, None, false);
    assert!(nothing.required.is_none());
}
