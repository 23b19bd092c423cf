//! The end of a request: recorded on the proxy, through a strategy, through a lease; unwatched and fully watched.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{CLOCK, Ours, cases, choose_once, on_threads, pool_of};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use proxywhirl::judge::outcome::Outcome;
use proxywhirl::pool::context::Context;
use proxywhirl::proxy::{Proxy, Verdict};
use proxywhirl::rotation::lease::{Ending, Lease, LeaseRequest};
use proxywhirl::strategy::Shared;
use proxywhirl::strategy::round_robin::RoundRobin;

fn records(criterion: &mut Criterion) {
    for size in [10, 1_000, 1_000_000] {
        for watched in ["unwatched", "fully watched"] {
            let (pool, proxies) = pool_of(size);
            if watched == "fully watched" {
                for (_, strategy, context, _) in cases(&proxies) {
                    choose_once(&Ours { pool: pool.clone(), strategy, context });
                }
            }
            let at = AtomicUsize::new(0);
            let next = || &proxies[at.fetch_add(7919, Ordering::Relaxed) % size];
            let end = |verdict: Verdict| {
                let proxy: &Proxy = next();
                proxy.start(&CLOCK);
                proxy.complete(verdict, None, &CLOCK);
            };
            let mut group = criterion.benchmark_group(format!("record, {watched}"));
            group.bench_function(BenchmarkId::new("start", size), |bencher| bencher.iter(|| next().start(&CLOCK)));
            group.bench_function(BenchmarkId::new("end with success", size), |bencher| {
                bencher.iter(|| next().complete(Verdict::Success(50.0), None, &CLOCK));
            });
            for threads in [1, 2] {
                let name = format!("start and end with success, {threads} thread(s)");
                group.bench_function(BenchmarkId::new(name, size), |bencher| {
                    bencher.iter_custom(|times| on_threads(threads, times, &|| end(Verdict::Success(50.0))));
                });
            }
            group.bench_function(BenchmarkId::new("start and take back", size), |bencher| {
                bencher.iter(|| {
                    let proxy = next();
                    proxy.start(&CLOCK);
                    proxy.cancel_start(&CLOCK);
                });
            });
            group.bench_function(BenchmarkId::new("start and refused by the site", size), |bencher| {
                bencher.iter(|| end(Verdict::Refused));
            });
            group.finish();
        }
    }
}

fn leases(criterion: &mut Criterion) {
    for size in [10, 1_000, 1_000_000] {
        let (pool, _) = pool_of(size);
        let strategy: Shared = Arc::new(RoundRobin::default());
        let context = Context::default();
        let lease = || {
            let request = LeaseRequest { context: &context, site: None, connects: false, clock: &CLOCK, foreign: None };
            Lease::take(&pool, strategy.clone(), &request, |refusal, _| refusal).expect("a proxy is eligible")
        };
        for threads in [1, 2] {
            let mut group = criterion.benchmark_group(format!("lease, {threads} thread(s)"));
            group.bench_function(BenchmarkId::new("finished", size), |bencher| {
                bencher.iter_custom(|times| {
                    on_threads(threads, times, &|| {
                        lease().finish(Outcome::Success, &Ending::default(), &CLOCK).expect("the first verdict");
                    })
                });
            });
            group.bench_function(BenchmarkId::new("dropped", size), |bencher| {
                bencher.iter_custom(|times| on_threads(threads, times, &|| drop(lease())));
            });
            group.finish();
        }
    }
}

criterion_group! { name = benches; config = common::criterion(); targets = records, leases }
criterion_main!(benches);
