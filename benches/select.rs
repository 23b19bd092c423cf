//! One selection by every strategy, at 10 to a million proxies, on one thread and on two, with the naive structure beside.
//!
//! `cargo bench --bench select`; `-- 'round-robin/1000$'` for one of them. Nanoseconds are per selection and thread.

mod common;

use common::{Naive, Ours, SIZES, cases, choose_once, on_threads, pool_of};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn select(criterion: &mut Criterion) {
    for size in SIZES {
        // One pool for all strategies, as in a program that tries several: each finds what it needs kept up to date.
        let (pool, proxies) = pool_of(size);
        for (name, strategy, context, rule) in cases(&proxies) {
            if name.contains("excluded") && size < 1000 {
                continue;
            }
            let ours = Ours { pool: pool.clone(), strategy, context };
            choose_once(&ours);
            for threads in [1, 2] {
                let mut group = criterion.benchmark_group(format!("select, {threads} thread(s)"));
                group.bench_function(BenchmarkId::new(name, size), |bencher| {
                    bencher.iter_custom(|times| on_threads(threads, times, &|| choose_once(&ours)));
                });
                group.finish();
            }
            if let Some(rule) = rule {
                let naive = Naive::new(&proxies, rule);
                let mut group = criterion.benchmark_group("naive, 1 thread(s)");
                group.bench_function(BenchmarkId::new(name, size), |bencher| {
                    bencher.iter_custom(|times| on_threads(1, times, &|| choose_once(&naive)));
                });
                group.finish();
            }
        }
    }
}

fn ninety_nine_dead(criterion: &mut Criterion) {
    let (pool, proxies) = pool_of(100_000);
    for (number, proxy) in proxies.iter().enumerate() {
        if number % 100 != 0 {
            proxy.set_health(proxywhirl::proxy::health::Health::Dead);
        }
    }
    let mut group = criterion.benchmark_group("select, 99 % of 100000 dead");
    for (name, strategy, context, _) in cases(&proxies).into_iter().take(6) {
        let ours = Ours { pool: pool.clone(), strategy, context };
        choose_once(&ours);
        group.bench_function(name, |bencher| bencher.iter(|| choose_once(&ours)));
    }
    group.finish();
}

fn clock(criterion: &mut Criterion) {
    use proxywhirl::clock::Clock;
    let mut group = criterion.benchmark_group("clock");
    group.bench_function("wall", |bencher| bencher.iter(common::wall));
    group.bench_function("steady", |bencher| bencher.iter(|| common::CLOCK.steady()));
    group.finish();
}

criterion_group! { name = benches; config = common::criterion(); targets = clock, select, ninety_nine_dead }
criterion_main!(benches);
