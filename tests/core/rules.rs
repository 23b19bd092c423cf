//! The rules of single strategies that the other files do not cover: geo, cost, performance, composites, fallbacks.

use std::collections::HashSet;
use std::sync::Arc;

use proxywhirl::pool::context::{Context, Thresholds};
use proxywhirl::proxy::health::Health;
use proxywhirl::proxy::{Proxy, Verdict};
use proxywhirl::rotation::Domain;
use proxywhirl::strategy::composite::Composite;
use proxywhirl::strategy::config::Config;
use proxywhirl::strategy::cost_aware::CostAware;
use proxywhirl::strategy::geo_targeted::GeoTargeted;
use proxywhirl::strategy::least_used::LeastUsed;
use proxywhirl::strategy::names::{self, BUILTIN, Builtin};
use proxywhirl::strategy::performance::Performance;
use proxywhirl::strategy::random::Random;
use proxywhirl::strategy::round_robin::RoundRobin;
use proxywhirl::strategy::{Refusal, Shared, Strategy};

use crate::common::*;

fn seen(strategy: &dyn Strategy, pool: &Domain, context: &Context, times: usize) -> HashSet<usize> {
    (0..times).map(|_| pick(strategy, pool, context, &clock())).collect()
}

fn refused(strategy: &dyn Strategy, pool: &Domain, context: &Context) -> Refusal {
    select(strategy, pool, context, &clock()).unwrap_err()
}

/// US: 0, 1; DE: 2, 3; region Bavaria: 3; nowhere: 4.
fn places() -> (Arc<Domain>, Vec<Arc<Proxy>>) {
    let (pool, proxies) = pool_of(5);
    for (number, country) in [(0, "US"), (1, "us"), (2, "DE"), (3, "DE")] {
        locate(&proxies[number], country);
    }
    proxies[3].set_cold(|cold| cold.region = Some("Bavaria".into()));
    (pool, proxies)
}

fn geo(countries: &[&str], fallback: bool) -> GeoTargeted {
    GeoTargeted::new(countries.iter().map(|code| (*code).to_owned()).collect(), vec![], None, fallback)
}

#[test]
fn geo_looks_in_the_documented_order() {
    let (pool, _) = places();
    let strategy = geo(&["US"], false);
    let some = |text: &str| Some(text.into());
    for (context, expected) in [
        (Context::default(), vec![0, 1]),
        (Context { target_country: some("de"), target_region: some("nowhere"), ..Context::default() }, vec![2, 3]),
        (Context { preferred_country: some("DE"), ..Context::default() }, vec![2, 3]),
        (Context { target_country: some("US"), preferred_country: some("DE"), ..Context::default() }, vec![0, 1]),
        (Context { target_region: some("BAVARIA"), ..Context::default() }, vec![3]),
        (Context { target_region: some("de"), ..Context::default() }, vec![2, 3]),
    ] {
        assert_eq!(seen(&strategy, &pool, &context, 12), expected.into_iter().collect(), "{context:?}");
    }
    let nothing_asked = geo(&[], false);
    assert_eq!(seen(&nothing_asked, &pool, &Context::default(), 10).len(), 5, "no target, no filter");
}

#[test]
fn geo_without_a_match_falls_back_or_says_where() {
    let (pool, proxies) = places();
    let context = Context { target_country: Some("JP".into()), ..excluding([&proxies[0]]) };
    assert_eq!(seen(&geo(&[], true), &pool, &context, 12), [1, 2, 3, 4].into(), "all that are not excluded");
    let refusal = refused(&geo(&[], false), &pool, &context);
    assert!(matches!(refusal, Refusal::NoMatch { .. }) && refusal.to_string().contains("JP"), "{refusal}");
    let strategy = geo(&[], true);
    strategy.common().set_fallback(Some(Arc::new(LeastUsed::default())));
    proxies[1].set_counter(proxywhirl::proxy::Counter::Started, 9);
    assert_eq!(seen(&strategy, &pool, &context, 6), [2, 3, 4].into(), "the fallback chooses by its own rule");
}

#[test]
fn geo_falls_back_without_the_thresholds_that_nobody_meets() {
    let (pool, proxies) = places();
    for proxy in &proxies {
        proxy.set_ema(Some(900.0));
    }
    let thresholds = Thresholds { max_response_time_ms: Some(100.0), min_success_rate: None };
    let context = Context { target_country: Some("US".into()), thresholds, ..excluding([&proxies[4]]) };
    assert_eq!(seen(&geo(&[], true), &pool, &context, 8), [0, 1, 2, 3].into());
    assert!(matches!(refused(&geo(&[], false), &pool, &context), Refusal::NoMatch { .. }));
}

#[test]
fn geo_keeps_its_second_strategys_state() {
    let (pool, _) = places();
    let strategy = geo(&[], false);
    let to = |code: &str| Context { target_country: Some(code.into()), ..Context::default() };
    let turns: Vec<usize> =
        ["US", "DE", "US", "DE", "US"].iter().map(|code| pick(&strategy, &pool, &to(code), &clock())).collect();
    assert_eq!(turns, [0, 2, 1, 3, 0]);
}

#[test]
fn geo_is_always_right_when_somebody_is_there() {
    let codes = ["US", "DE", "FR", "JP"];
    let (pool, proxies) = pool_of(200);
    for proxy in &proxies {
        locate(proxy, codes[number(proxy) * 7 % 4]);
        if number(proxy).is_multiple_of(3) {
            proxy.set_health(Health::Dead);
        }
    }
    let selectors: [fn() -> Shared; 4] = [
        || Arc::new(RoundRobin::default()),
        || Arc::new(Random::new(Some(1))),
        || Arc::new(LeastUsed::default()),
        || Arc::new(Performance::new(None, Some(3), Some(1))),
    ];
    for make in selectors {
        let strategy = GeoTargeted::new(vec![], vec![], Some(make()), true);
        for step in 0..2000 {
            let code = codes[step % 4];
            let context = Context { target_country: Some(code.into()), ..Context::default() };
            let chosen = pick(&strategy, &pool, &context, &clock());
            assert_eq!(codes[chosen * 7 % 4], code);
        }
    }
}

#[test]
fn cost_has_a_limit_and_says_it() {
    let (pool, proxies) = pool_of(4);
    for (number, cost) in [(0, Some(0.0)), (1, Some(0.5)), (2, Some(2.0)), (3, None)] {
        proxies[number].set_cold(|cold| cold.cost = cost);
    }
    let strategy = CostAware::new(Some(0.5), Some(1));
    assert_eq!(
        seen(&strategy, &pool, &Context::default(), 300),
        [0, 1, 3].into(),
        "the limit itself is allowed, none is free"
    );
    for number in [0, 3] {
        proxies[number].set_cold(|cold| cold.cost = Some(3.0));
    }
    strategy.set_limit(Some(0.25));
    let refusal = refused(&strategy, &pool, &Context::default());
    assert!(refusal.to_string().contains("cost <= 0.25"), "{refusal}");
    strategy.configure(&Config { max_cost_per_request: Some(3.0), ..Config::default() });
    assert_eq!(seen(&strategy, &pool, &Context::default(), 2000).len(), 4);
}

#[test]
fn performance_explores_first_and_then_knows() {
    let (pool, proxies) = pool_of(20);
    let strategy = Performance::new(None, Some(3), Some(1));
    let clock = clock();
    for step in 0..60 {
        let proxy = select(&strategy, &pool, &Context::default(), &clock).unwrap();
        assert!(proxy.total() < 3, "step {step}: a proven proxy before unexplored ones");
        strategy.record(&proxy, Verdict::Success(10.0 + number(&proxy) as f64), &clock);
    }
    assert!(proxies.iter().all(|proxy| proxy.total() == 3));
    // A newcomer is tried at once.
    let late = proxy(20);
    add(&pool, &late);
    assert_eq!(pick(&strategy, &pool, &Context::default(), &clock), 20);
}

#[test]
fn performance_on_a_cold_pool() {
    let (pool, proxies) = pool_of(4);
    let strict = Performance::new(None, None, Some(1));
    let refusal = refused(&strict, &pool, &Context::default());
    assert!(
        matches!(&refusal, Refusal::MissingMetadata { fields, .. } if fields == &["ema_response_time_ms"]),
        "{refusal}"
    );
    assert!(!strict.validate(&pool, &clock()));
    strict.common().set_fallback(Some(Arc::new(RoundRobin::default())));
    assert_eq!(seen(&strict, &pool, &Context::default(), 4).len(), 4, "the fallback knows what to do");
    // Inside a rotator, or configured, it explores.
    let rotating = Performance::new(None, None, Some(1));
    rotating.enter_rotation();
    assert_eq!(rotating.exploration(), Some(5));
    assert!(select(&rotating, &pool, &Context::default(), &clock()).is_ok());
    // Exploration is over and no proxy is measured: any proxy.
    for proxy in &proxies {
        for _ in 0..5 {
            proxy.start(&clock());
            proxy.complete(Verdict::Refused, None, &clock());
        }
    }
    assert_eq!(seen(&rotating, &pool, &Context::default(), 200).len(), 4);
    // An explicit count is overridden only by an explicit field.
    let explicit = Performance::new(None, Some(2), None);
    explicit.configure(&Config { exploration_count: Some(9), ..Config::default() });
    assert_eq!(explicit.exploration(), Some(2));
    let fields_set = ["exploration_count".to_owned()].into();
    explicit.configure(&Config { exploration_count: Some(9), fields_set, ..Config::default() });
    assert_eq!(explicit.exploration(), Some(9));
}

#[test]
fn performance_serves_everybody_in_turn_when_all_are_too_slow() {
    let (pool, proxies) = pool_of(3);
    for proxy in &proxies {
        proxy.set_ema(Some(900.0));
    }
    let strategy = Performance::new(None, Some(0), Some(1));
    let thresholds = Thresholds { max_response_time_ms: Some(100.0), min_success_rate: None };
    let context = Context { thresholds, ..Context::default() };
    let turns: Vec<usize> = (0..6).map(|_| pick(&strategy, &pool, &context, &clock())).collect();
    assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn performance_adapts_within_thirty_results() {
    let (pool, _) = pool_of(2);
    let strategy = Performance::new(Some(0.2), Some(1), Some(3));
    let clock = clock();
    let serve = |speeds: [f64; 2], times: usize| {
        (0..times)
            .filter(|_| {
                let proxy = select(&strategy, &pool, &Context::default(), &clock).unwrap();
                strategy.record(&proxy, Verdict::Success(speeds[number(&proxy)]), &clock);
                number(&proxy) == 0
            })
            .count()
    };
    serve([50.0, 500.0], 300);
    assert!(serve([50.0, 500.0], 300) > 230, "the fast one is preferred");
    serve([500.0, 50.0], 60);
    assert!(serve([500.0, 50.0], 300) < 70, "and the other one after they have changed places");
}

#[test]
fn thresholds_of_the_context_win_over_the_strategys() {
    let (pool, proxies) = pool_of(3);
    for (proxy, ms) in proxies.iter().zip([50.0, 150.0, 250.0]) {
        proxy.set_ema(Some(ms));
    }
    let strategy = RoundRobin::default();
    strategy.configure(&Config { max_response_time_ms: Some(100.0), ..Config::default() });
    assert_eq!(seen(&strategy, &pool, &Context::default(), 6), [0].into());
    let thresholds = Thresholds { max_response_time_ms: Some(200.0), min_success_rate: None };
    assert_eq!(seen(&strategy, &pool, &Context { thresholds, ..Context::default() }, 6), [0, 1].into());
    let off = Config { max_response_time_ms: Some(100.0), enable_filtering: Some(false), ..Config::default() };
    strategy.configure(&off);
    assert_eq!(seen(&strategy, &pool, &Context::default(), 6).len(), 3);
}

#[test]
fn a_threshold_that_nobody_meets_goes_to_the_fallback_without_it() {
    let (pool, proxies) = pool_of(3);
    for proxy in &proxies {
        proxy.set_ema(Some(900.0));
    }
    let strategy = RoundRobin::default();
    let thresholds = Thresholds { max_response_time_ms: Some(100.0), min_success_rate: None };
    let context = Context { thresholds, ..excluding([&proxies[1]]) };
    let refusal = refused(&strategy, &pool, &context);
    assert!(refusal.to_string().contains("threshold"), "{refusal}");
    strategy.common().set_fallback(Some(Arc::new(Random::new(Some(1)))));
    assert_eq!(seen(&strategy, &pool, &context, 40), [0, 2].into());
}

fn composite(filters: Vec<Shared>, selector: Shared) -> Composite {
    Composite::new(filters, selector)
}

#[test]
fn a_composite_filters_and_then_selects() {
    let (pool, proxies) = places();
    for (proxy, cost) in proxies.iter().zip([0.0, 9.0, 0.0, 9.0, 0.0]) {
        proxy.set_cold(|cold| cold.cost = Some(cost));
    }
    let filters: Vec<Shared> = vec![Arc::new(geo(&["US", "DE"], true)), Arc::new(CostAware::new(Some(1.0), None))];
    let strategy = composite(filters, Arc::new(RoundRobin::default()));
    let turns: Vec<usize> = (0..4).map(|_| pick(&strategy, &pool, &Context::default(), &clock())).collect();
    assert_eq!(turns, [0, 2, 0, 2]);
    // As a filter geo never falls back: the composite is empty, and says which filter left no proxy.
    let context = Context { target_country: Some("JP".into()), ..Context::default() };
    let refusal = refused(&strategy, &pool, &context);
    assert!(refusal.to_string().contains("GeoTargetedStrategy"), "{refusal}");
    strategy.common().set_fallback(Some(Arc::new(RoundRobin::default())));
    assert_eq!(seen(&strategy, &pool, &context, 10).len(), 5);
}

#[test]
fn a_composite_ends_a_request_once_and_with_its_selector() {
    let (pool, proxies) = places();
    let selector: Shared = Arc::new(RoundRobin::default());
    selector.common().set_alpha(Some(1.0));
    let strategy = composite(vec![Arc::new(geo(&["US"], true))], selector);
    proxies[0].set_ema(Some(100.0));
    let clock = clock();
    let proxy = select(&strategy, &pool, &Context::default(), &clock).unwrap();
    strategy.record(&proxy, Verdict::Success(40.0), &clock);
    assert_eq!((proxy.usage(), proxy.totals(), proxy.ema()), ((1, 1, 0), (1, 1, 0), Some(40.0)));
}

#[test]
fn composites_nest_and_select_from_large_and_fresh_pools() {
    let (pool, proxies) = pool_of(500);
    for proxy in &proxies {
        locate(proxy, if number(proxy) < 250 { "US" } else { "DE" });
        proxy.set_cold(|cold| cold.cost = Some(if number(proxy).is_multiple_of(2) { 0.0 } else { 5.0 }));
    }
    let inner: Shared = Arc::new(composite(
        vec![Arc::new(geo(&["US"], true))],
        Arc::new(composite(vec![Arc::new(CostAware::new(Some(1.0), None))], Arc::new(LeastUsed::default()))),
    ));
    let all = seen(&composite(vec![], inner), &pool, &Context::default(), 125);
    assert_eq!(all, (0..250).step_by(2).collect());
}

#[test]
fn a_composite_as_a_filter_leaves_what_its_filters_leave() {
    let (pool, proxies) = pool_of(40);
    for proxy in &proxies {
        locate(proxy, ["US", "DE"][number(proxy) % 2]);
        proxy.set_cold(|cold| cold.cost = Some((number(proxy) % 4) as f64));
    }
    proxies[8].set_ema(Some(900.0));
    let cheap = || -> Shared { Arc::new(CostAware::new(Some(1.5), None)) };
    let outer = |filters: Vec<Shared>| {
        let inner = composite(filters, Arc::new(Random::new(Some(1))));
        seen(&composite(vec![Arc::new(inner)], Arc::new(RoundRobin::default())), &pool, &Context::default(), 40)
    };
    let every = |step: usize| (0..40).step_by(step).collect::<HashSet<_>>();
    assert_eq!(outer(vec![Arc::new(geo(&["US"], true))]), every(2));
    assert_eq!(outer(vec![Arc::new(geo(&["US"], true)), cheap()]), every(4));
    assert_eq!(outer(vec![]).len(), 40);
    // One with thresholds of its own, which are no description.
    let quick = CostAware::new(None, None);
    quick.configure(&Config { max_response_time_ms: Some(100.0), ..Config::default() });
    let mut expected = every(4);
    expected.remove(&8);
    assert_eq!(outer(vec![Arc::new(geo(&["US"], true)), Arc::new(quick), cheap()]), expected);
    // Two that exclude each other.
    let unsatisfiable = composite(vec![Arc::new(geo(&["US"], true)), Arc::new(geo(&["DE"], true))], cheap());
    let refusal = refused(&composite(vec![Arc::new(unsatisfiable)], cheap()), &pool, &Context::default());
    assert!(refusal.to_string().contains("CompositeStrategy"), "{refusal}");
}

#[test]
fn a_composite_configures_its_parts() {
    let (pool, proxies) = places();
    for (number, proxy) in proxies.iter().enumerate() {
        proxy.set_cold(|cold| cold.cost = Some(number as f64));
    }
    let strategy = composite(vec![Arc::new(CostAware::new(None, None))], Arc::new(RoundRobin::default()));
    assert_eq!(seen(&strategy, &pool, &Context::default(), 10).len(), 5);
    strategy.configure(&Config { max_cost_per_request: Some(1.0), ..Config::default() });
    assert_eq!(seen(&strategy, &pool, &Context::default(), 10), [0, 1].into());
}

#[test]
fn names_are_found_in_any_case_and_spelling() {
    for builtin in BUILTIN {
        for name in builtin.names() {
            assert_eq!(Builtin::of_name(name), Some(builtin));
            assert_eq!(Builtin::of_name(&format!(" {} ", name.replace('-', "_").to_uppercase())), Some(builtin));
        }
    }
    assert_eq!(Builtin::of_name("round robin"), None);
}

#[test]
fn a_name_stands_for_one_strategy_and_is_written_as_it_is_compared() {
    let all: Vec<&str> = names::all().collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    assert!(all.iter().all(|name| names::key(name) == *name));
    assert_eq!(Builtin::default().class, RoundRobin::default().name());
}
