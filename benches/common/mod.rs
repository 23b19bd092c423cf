//! What the benches share: pools that have been used, strategies by name, the naive structure, and timing on two threads.

#![allow(dead_code)]
// A bench is about real time.
#![allow(clippy::disallowed_methods)]

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use criterion::Criterion;
use proxywhirl::clock::{Clock, SystemClock, exact_wall};
use proxywhirl::net::address::Address;
use proxywhirl::pool::AttachmentOps;
use proxywhirl::pool::context::{Context, Excluded};
use proxywhirl::pool::query::Query;
use proxywhirl::proxy::health::Source;
use proxywhirl::proxy::{Counter, Proxy};
use proxywhirl::rotation::Domain;
use proxywhirl::session::SessionManager;
use proxywhirl::strategy::composite::Composite;
use proxywhirl::strategy::geo_targeted::GeoTargeted;
use proxywhirl::strategy::least_used::LeastUsed;
use proxywhirl::strategy::performance::Performance;
use proxywhirl::strategy::random::Random;
use proxywhirl::strategy::round_robin::RoundRobin;
use proxywhirl::strategy::session::SessionPersistence;
use proxywhirl::strategy::weighted::Weighted;
use proxywhirl::strategy::{Shared, choose};

pub const SIZES: [usize; 4] = [10, 1_000, 100_000, 1_000_000];
pub const CLOCK: SystemClock = SystemClock;

/// Short: what is looked for are factors, not per cents, and there are many.
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(250))
}

pub fn address(number: usize) -> Address {
    let [_, a, b, c] = (number as u32).to_be_bytes();
    Address::parse(&format!("http://10.{a}.{b}.{c}:8080")).expect("an address")
}

pub fn proxy(number: usize) -> Arc<Proxy> {
    Arc::new(Proxy::new(&address(number), Source::User, exact_wall()))
}

/// A proxy that has been used: a latency average of 20 to 420 ms, a success rate of 0.5 to 1, one of four countries.
pub fn used_proxy(number: usize) -> Arc<Proxy> {
    let proxy = proxy(number);
    // Measured, not assigned: an assigned average parts from the other documented one, which then is kept apart.
    proxy.update_latency(20.0 + (number * 7919 % 401) as f64, None);
    proxy.set_counter(Counter::Successes, 10 + (number % 11) as u64);
    proxy.set_counter(Counter::Failures, (number % 10) as u64);
    proxy.set_counter(Counter::Total, 20 + (number % 10) as u64);
    let country = ["US", "DE", "FR", "JP"][number % 4];
    proxy.set_cold(|cold| cold.country_code = Some(country.into()));
    proxy
}

pub fn pool_of(count: usize) -> (Arc<Domain>, Vec<Arc<Proxy>>) {
    let pool = Domain::new(usize::MAX, AttachmentOps::default(), exact_wall());
    pool.reserve(count);
    let proxies: Vec<_> = (0..count).map(used_proxy).collect();
    for proxy in &proxies {
        pool.add(proxy.clone(), None, true).expect("room");
    }
    (pool, proxies)
}

/// One way of choosing, ours or another.
pub trait Chooser: Sync {
    /// Chooses a proxy and counts a start on it; its slot or index.
    fn choose(&self) -> usize;
}

pub struct Ours {
    pub pool: Arc<Domain>,
    pub strategy: Shared,
    pub context: Context,
}

impl Chooser for Ours {
    fn choose(&self) -> usize {
        let table = self.pool.table();
        let query = Query::new(&self.pool, &table, &self.context, &CLOCK);
        choose(&*self.strategy, &query).expect("a proxy is eligible").0 as usize
    }
}

/// The obvious structure: a list under a lock, looked through at every choice.
pub struct Naive {
    pub proxies: Mutex<Vec<Arc<Proxy>>>,
    pub rule: Rule,
    turn: AtomicUsize,
    seed: Mutex<u64>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Rule {
    InTurn,
    Uniform,
    ByRate,
    ByLatency,
    LeastUsed,
}

impl Naive {
    pub fn new(proxies: &[Arc<Proxy>], rule: Rule) -> Self {
        Self { proxies: Mutex::new(proxies.to_vec()), rule, turn: AtomicUsize::new(0), seed: Mutex::new(1) }
    }

    fn unit(&self) -> f64 {
        let mut seed = self.seed.lock().expect("no panic");
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Chooser for Naive {
    fn choose(&self) -> usize {
        let all = self.proxies.lock().expect("no panic");
        let healthy: Vec<&Arc<Proxy>> = all.iter().filter(|proxy| proxy.reasons() == 0).collect();
        let by = |weight: &dyn Fn(&Proxy) -> f64| {
            let total: f64 = healthy.iter().map(|proxy| weight(proxy)).sum();
            let mut point = self.unit() * total;
            let chosen = healthy.iter().position(|proxy| {
                point -= weight(proxy);
                point < 0.0
            });
            chosen.unwrap_or(healthy.len() - 1)
        };
        let chosen = match self.rule {
            Rule::InTurn => self.turn.fetch_add(1, Ordering::Relaxed) % healthy.len(),
            Rule::Uniform => (self.unit() * healthy.len() as f64) as usize,
            Rule::ByRate => by(&|proxy| proxy.success_rate().max(0.1)),
            Rule::ByLatency => by(&|proxy| proxy.ema().map_or(0.0, |ms| 1.0 / ms)),
            Rule::LeastUsed => (0..healthy.len()).min_by_key(|n| healthy[*n].use_count()).expect("a healthy proxy"),
        };
        healthy[chosen].start(&CLOCK);
        chosen
    }
}

/// Every case of the tables: name, strategy, context, and the naive rule that does the same where there is one.
pub fn cases(proxies: &[Arc<Proxy>]) -> Vec<(&'static str, Shared, Context, Option<Rule>)> {
    let us = || Context { target_country: Some("US".into()), ..Context::default() };
    let fifty = Context {
        excluded: Excluded::new(proxies.iter().step_by((proxies.len() / 50).max(2)).take(50).map(|proxy| proxy.id())),
        ..Context::default()
    };
    let performance = || Arc::new(Performance::new(None, Some(5), None));
    let session = SessionPersistence::new(Arc::new(SessionManager::new(10_000, 100)), None, None, None);
    vec![
        ("round-robin", Arc::new(RoundRobin::default()), Context::default(), Some(Rule::InTurn)),
        ("random", Arc::new(Random::new(None)), Context::default(), Some(Rule::Uniform)),
        ("weighted", Arc::new(Weighted::default()), Context::default(), Some(Rule::ByRate)),
        ("least-used", Arc::new(LeastUsed::default()), Context::default(), Some(Rule::LeastUsed)),
        ("performance", performance(), Context::default(), Some(Rule::ByLatency)),
        (
            "session hit",
            Arc::new(session),
            Context { session_id: Some("a session".into()), ..Context::default() },
            None,
        ),
        ("geo", Arc::new(GeoTargeted::new(vec![], vec![], None, true)), us(), None),
        (
            "composite geo + performance",
            Arc::new(Composite::new(vec![Arc::new(GeoTargeted::new(vec![], vec![], None, true))], performance())),
            us(),
            None,
        ),
        ("round-robin, 50 excluded", Arc::new(RoundRobin::default()), fifty.clone(), None),
        ("performance, 50 excluded", performance(), fifty, None),
    ]
}

/// Time for `times` runs on each of `threads` threads at once: that of the slowest.
pub fn on_threads(threads: usize, times: u64, work: &(impl Fn() + Sync)) -> Duration {
    if threads == 1 {
        let begun = Instant::now();
        for _ in 0..times {
            work();
        }
        return begun.elapsed();
    }
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let begun = Instant::now();
                    for _ in 0..times {
                        work();
                    }
                    begun.elapsed()
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().expect("no panic")).max().expect("threads")
    })
}

/// Keeps the optimiser from seeing through a choice.
pub fn choose_once(chooser: &dyn Chooser) {
    black_box(chooser.choose());
}

/// The time of day as the hot path reads it.
pub fn wall() -> i64 {
    CLOCK.wall()
}
