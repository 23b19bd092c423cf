//! What the tests of the core share: pools of numbered proxies, every strategy by its constructor, bounds on chance.

use std::collections::HashMap;
use std::sync::Arc;

use proxywhirl::clock::{Clock, ManualClock, SystemClock};
use proxywhirl::net::address::Address;
use proxywhirl::pool::context::{Context, Excluded};
use proxywhirl::pool::index::order::TieBreak;
use proxywhirl::pool::query::Query;
use proxywhirl::pool::{Added, AttachmentOps};
use proxywhirl::proxy::health::Source;
use proxywhirl::proxy::{Id, Proxy, Verdict};
use proxywhirl::rotation::Domain;
use proxywhirl::rotation::lease::{Lease, LeaseRequest};
use proxywhirl::session::SessionManager;
use proxywhirl::strategy::composite::Composite;
use proxywhirl::strategy::cost_aware::CostAware;
use proxywhirl::strategy::geo_targeted::GeoTargeted;
use proxywhirl::strategy::least_used::LeastUsed;
use proxywhirl::strategy::performance::Performance;
use proxywhirl::strategy::random::Random;
use proxywhirl::strategy::round_robin::RoundRobin;
use proxywhirl::strategy::session::SessionPersistence;
use proxywhirl::strategy::weighted::Weighted;
use proxywhirl::strategy::{Refusal, Shared, Strategy, choose};

/// A moment in 2023, in microseconds, at the beginning of a minute.
pub const START: i64 = 1_700_000_040 * SECOND;
pub const SECOND: i64 = 1_000_000;

pub fn clock() -> ManualClock {
    ManualClock::at(START)
}

pub fn address(number: usize) -> Address {
    let [_, a, b, c] = (number as u32).to_be_bytes();
    Address::parse(&format!("http://10.{a}.{b}.{c}:8080")).unwrap()
}

/// The proxy of that number: address and identifier follow from it, so that identifiers are in the order of numbers.
pub fn proxy(number: usize) -> Arc<Proxy> {
    let proxy = Proxy::new(&address(number), Source::User, START);
    proxy.set_id(Id::from_u128(number as u128 + 1));
    Arc::new(proxy)
}

/// The number a proxy was made with.
pub fn number(proxy: &Proxy) -> usize {
    proxy.id().as_u128() as usize - 1
}

pub fn empty() -> Arc<Domain> {
    Domain::new(usize::MAX, AttachmentOps::default(), START)
}

pub fn add(pool: &Domain, proxy: &Arc<Proxy>) {
    assert_eq!(pool.add(proxy.clone(), None, true), Ok(Added::New));
}

/// A pool of that many proxies, and the proxies by number.
pub fn pool_of(count: usize) -> (Arc<Domain>, Vec<Arc<Proxy>>) {
    let pool = empty();
    let proxies: Vec<_> = (0..count).map(proxy).collect();
    for proxy in &proxies {
        add(&pool, proxy);
    }
    (pool, proxies)
}

/// Puts a proxy somewhere.
pub fn locate(proxy: &Proxy, country: &str) {
    proxy.set_cold(|cold| cold.country_code = Some(country.into()));
}

pub fn tag(proxy: &Proxy, tags: &[&str]) {
    let mut tags: Vec<Box<str>> = tags.iter().map(|tag| (*tag).into()).collect();
    tags.sort_unstable();
    proxy.set_cold(|cold| cold.tags = tags);
}

pub fn excluding<'a>(proxies: impl IntoIterator<Item = &'a Arc<Proxy>>) -> Context {
    Context { excluded: Excluded::new(proxies.into_iter().map(|proxy| proxy.id())), ..Context::default() }
}

pub fn in_session(id: &str) -> Context {
    Context { session_id: Some(id.into()), ..Context::default() }
}

/// One selection.
pub fn select(
    strategy: &dyn Strategy,
    pool: &Domain,
    context: &Context,
    clock: &dyn Clock,
) -> Result<Arc<Proxy>, Refusal> {
    pool.guard().catch_up(clock);
    let table = pool.table();
    let query = Query::new(pool, &table, context, clock);
    let choice = choose(strategy, &query)?;
    Ok(query.slot(choice).and_then(|slot| slot.share()).expect("a choice names a slot in use"))
}

/// One selection that must succeed, as a number.
pub fn pick(strategy: &dyn Strategy, pool: &Domain, context: &Context, clock: &dyn Clock) -> usize {
    number(&select(strategy, pool, context, clock).unwrap())
}

/// One lease.
pub fn lease_at(strategy: &Shared, pool: &Arc<Domain>, clock: &dyn Clock) -> Result<Lease, Refusal> {
    lease_for(strategy, pool, None, clock)
}

/// One lease for a URL.
pub fn lease_for(
    strategy: &Shared,
    pool: &Arc<Domain>,
    url: Option<&str>,
    clock: &dyn Clock,
) -> Result<Lease, Refusal> {
    let site = url.and_then(|url| pool.site_of(url));
    let request =
        LeaseRequest { context: &Context::default(), site: site.as_ref(), connects: false, clock, foreign: None };
    Lease::take(pool, strategy.clone(), &request, |refusal, _| refusal)
}

/// How often each number comes in that many selections that must all succeed.
pub fn counts(strategy: &dyn Strategy, pool: &Domain, context: &Context, draws: usize) -> HashMap<usize, u64> {
    let clock = clock();
    let mut counts = HashMap::new();
    for _ in 0..draws {
        *counts.entry(pick(strategy, pool, context, &clock)).or_default() += 1;
    }
    counts
}

/// A strategy by its constructor, with what it needs to be able to choose at all.
pub struct Maker {
    pub name: &'static str,
    pub make: fn() -> Shared,
}

impl Maker {
    pub fn make(&self) -> Shared {
        (self.make)()
    }

    /// A context in which the strategy chooses freely: for sessions one outside any session.
    pub fn context(&self) -> Context {
        Context { in_rotation: true, ..Context::default() }
    }
}

fn performance() -> Shared {
    Arc::new(Performance::new(None, Some(1), Some(7)))
}

fn sessions(first: Shared) -> Shared {
    Arc::new(SessionPersistence::new(Arc::new(SessionManager::new(10_000, 100)), None, Some(first), None))
}

/// Every strategy, in every form that takes another way through the core.
pub const EVERY: [Maker; 14] = [
    Maker { name: "round-robin", make: || Arc::new(RoundRobin::default()) },
    Maker { name: "random", make: || Arc::new(Random::new(Some(1))) },
    Maker { name: "weighted by rate", make: || Arc::new(Weighted::new([], Some(2))) },
    Maker {
        name: "weighted by id",
        make: || Arc::new(Weighted::new([("00000000-0000-0000-0000-000000000001", 3.0)], Some(3))),
    },
    Maker { name: "weighted by tag", make: || Arc::new(Weighted::new([("a", 0.8), ("b", 0.2)], Some(4))) },
    Maker { name: "least-used", make: || Arc::new(LeastUsed::new(TieBreak::LowestId, None)) },
    Maker { name: "least-used, random ties", make: || Arc::new(LeastUsed::new(TieBreak::Random, Some(5))) },
    Maker { name: "performance-based", make: performance },
    Maker { name: "session", make: || sessions(Arc::new(Random::new(Some(6)))) },
    Maker { name: "geo", make: || Arc::new(GeoTargeted::new(vec!["US".into()], vec![], None, true)) },
    Maker { name: "cost-aware", make: || Arc::new(CostAware::new(Some(1.0), Some(8))) },
    Maker { name: "composite of geo", make: || composite(geo_filter(), performance()) },
    Maker { name: "composite of geo and cost", make: || composite_of_two() },
    Maker { name: "composite in a composite", make: || composite(composite_of_two(), Arc::new(RoundRobin::default())) },
];

fn geo_filter() -> Shared {
    Arc::new(GeoTargeted::new(vec!["US".into(), "DE".into()], vec![], None, false))
}

fn composite(filter: Shared, selector: Shared) -> Shared {
    Arc::new(Composite::new(vec![filter], selector))
}

fn composite_of_two() -> Shared {
    Arc::new(Composite::new(
        vec![geo_filter(), Arc::new(CostAware::new(Some(1.0), None))],
        Arc::new(LeastUsed::default()),
    ))
}

/// Gives every proxy what some strategy could ask for: a country, a tag, a latency average, a success rate, a price.
/// Numbers divisible by ten are elsewhere, untagged and dear; all are eligible.
pub fn furnish(proxies: &[Arc<Proxy>]) {
    let clock = clock();
    for proxy in proxies {
        let number = number(proxy);
        proxy.set_cold(|cold| {
            let apart = number.is_multiple_of(10);
            cold.country_code = Some(if apart { "FR" } else { "US" }.into());
            cold.tags = if apart { vec![] } else { vec![if number.is_multiple_of(3) { "a" } else { "b" }.into()] };
            cold.cost = Some(if apart { 5.0 } else { (number % 4) as f64 / 8.0 });
        });
        for ms in [20.0, 40.0 + (number % 7) as f64 * 10.0] {
            proxy.start(&clock);
            proxy.complete(Verdict::Success(ms), None, &clock);
        }
    }
}

/// Started, completed and in flight must add up.
pub fn balanced(proxies: &[Arc<Proxy>]) {
    for proxy in proxies {
        let (started, completed, active) = proxy.usage();
        assert_eq!(started, completed + u64::from(active), "the counters of {}", number(proxy));
    }
}

/// Runs `work` on that many threads at once and returns what each brought back.
pub fn on_threads<R: Send>(threads: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let barrier = std::sync::Barrier::new(threads);
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    work(thread)
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    })
}

/// Pearson's statistic of `counts` against `expected` probabilities, which must sum to one; its degrees of freedom are
/// one less than the number of cells. A cell with probability 0 must be empty.
pub fn chi_square(counts: &[u64], expected: &[f64]) -> f64 {
    let draws: u64 = counts.iter().sum();
    let total: f64 = expected.iter().sum();
    assert!((total - 1.0).abs() < 1e-9, "probabilities sum to {total}");
    counts.iter().zip(expected).fold(0.0, |sum, (count, probability)| {
        if *probability == 0.0 {
            assert_eq!(*count, 0, "the impossible happened");
            return sum;
        }
        let mean = draws as f64 * probability;
        assert!(mean >= 5.0, "too few draws for the test: {mean} expected in a cell");
        sum + (*count as f64 - mean).powi(2) / mean
    })
}

/// Asserts that counts agree with probabilities. The statistic of k degrees of freedom has mean k and variance 2k; the
/// bound is the mean plus `6 sqrt(2k)`, or 40 where k is so small that the tail is heavier than a normal one's: by Laurent
/// and Massart, P(X - k >= 2 sqrt(kx) + 2x) <= exp(-x), it is passed by chance less than once in 10^6 for every k here. Seeds
/// are fixed, so a passing test passes always; a wrong weight of a few per cent fails it.
pub fn agrees(what: &str, counts: &[u64], expected: &[f64]) {
    let cells = expected.iter().filter(|probability| **probability > 0.0).count();
    let freedom = cells as f64 - 1.0;
    let bound = (freedom + 6.0 * (2.0 * freedom).sqrt()).max(40.0);
    let statistic = chi_square(counts, expected);
    assert!(statistic <= bound, "{what}: chi-square {statistic:.1} above {bound:.1} at {freedom} degrees of freedom");
}

pub fn system() -> SystemClock {
    SystemClock
}
