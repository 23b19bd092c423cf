//! What judging adds to a lease: the breaker (always), limits, a site that holds back no proxy, one that holds back
//! some.

mod common;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use common::{CLOCK, on_threads, pool_of};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use proxywhirl::clock::Clock;
use proxywhirl::judge::outcome::Outcome;
use proxywhirl::pool::context::Context;
use proxywhirl::pool::query::Query;
use proxywhirl::proxy::Verdict;
use proxywhirl::proxy::liveness::Rate;
use proxywhirl::resilience::Settings;
use proxywhirl::rotation::Domain;
use proxywhirl::rotation::lease::{Ending, Lease, LeaseRequest};
use proxywhirl::strategy::round_robin::RoundRobin;
use proxywhirl::strategy::{Shared, choose};

/// A lease without judging: choosing, a share of the proxy, two readings of the clock, the result.
fn unjudged(pool: &Arc<Domain>, strategy: &Shared, context: &Context) {
    let table = pool.table();
    let query = Query::new(pool, &table, context, &CLOCK);
    let choice = choose(&**strategy, &query).expect("a proxy is eligible");
    let proxy = query.slot(choice).and_then(|slot| slot.share()).expect("a slot in use");
    let chosen_by = black_box(strategy.clone());
    let began = CLOCK.steady();
    let elapsed = CLOCK.steady().saturating_sub(began) as f64 / 1e6;
    chosen_by.record(&proxy, Verdict::Success(elapsed), &CLOCK);
}

fn lease(pool: &Arc<Domain>, strategy: &Shared, context: &Context, url: Option<&str>) -> Lease {
    let site = url.and_then(|url| pool.site_of(url));
    let request = LeaseRequest { context, site: site.as_ref(), connects: false, clock: &CLOCK, foreign: None };
    Lease::take(pool, strategy.clone(), &request, |refusal, _| refusal).expect("a proxy is eligible")
}

fn end(lease: &Lease, outcome: Outcome, hold: Option<f64>) {
    lease.finish(outcome, &Ending { hold, ..Ending::default() }, &CLOCK).expect("the first verdict");
}

/// Processor time of this thread.
fn own_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn judging(criterion: &mut Criterion) {
    for size in [10, 100_000] {
        for threads in [1, 2] {
            let (pool, _) = pool_of(size);
            let strategy: Shared = Arc::new(RoundRobin::default());
            let context = Context::default();
            let mut group = criterion.benchmark_group(format!("lease and success, {threads} thread(s)"));
            let mut bench = |name: &str, work: &(dyn Fn() + Sync)| {
                group.bench_function(BenchmarkId::new(name, size), |bencher| {
                    bencher.iter_custom(|times| {
                        let begun = own_time();
                        let elapsed = on_threads(threads, times, &|| work());
                        // Alone, its own time counts: the differences are small, and machines are seldom idle.
                        if threads == 1 { own_time() - begun } else { elapsed }
                    });
                });
            };
            bench("unjudged", &|| unjudged(&pool, &strategy, &context));
            bench("breaker", &|| end(&lease(&pool, &strategy, &context, None), Outcome::Success, None));
            let url = Some("https://www.example.com/page?number=1");
            bench("breaker, site", &|| end(&lease(&pool, &strategy, &context, url), Outcome::Success, None));
            end(&lease(&pool, &strategy, &context, url), Outcome::Banned, Some(3600.0));
            bench("breaker, site that bans one", &|| {
                end(&lease(&pool, &strategy, &context, url), Outcome::Success, None);
            });
            let limited = Settings {
                max_in_flight: Some(64),
                proxy_rate: Some(Rate::new(1e9, 1.0, None).expect("a rate")),
                ..Settings::default()
            };
            pool.configure(limited, &CLOCK).expect("settings that make sense");
            bench("breaker, cap, rate", &|| end(&lease(&pool, &strategy, &context, None), Outcome::Success, None));
            group.finish();
        }
    }
}

criterion_group! { name = benches; config = common::criterion(); targets = judging }
criterion_main!(benches);
