//! What changes cost: health, latency, membership; with nothing kept but the index, and with everything kept.

mod common;

use std::cell::Cell;
use std::hint::black_box;

use common::{Ours, cases, choose_once, pool_of, proxy};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use proxywhirl::pool::AttachmentOps;
use proxywhirl::proxy::health::Health;
use proxywhirl::rotation::Domain;

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];

fn changes(criterion: &mut Criterion) {
    for size in SIZES {
        for kept in ["the index", "everything"] {
            let (pool, proxies) = pool_of(size);
            if kept == "everything" {
                for (_, strategy, context, _) in cases(&proxies) {
                    choose_once(&Ours { pool: pool.clone(), strategy, context });
                }
            }
            let at = Cell::new(0usize);
            // Far apart, so that each is another line of memory.
            let next = || {
                at.set((at.get() + 7919) % size);
                &proxies[at.get()]
            };
            let mut group = criterion.benchmark_group(format!("change, {kept} kept"));
            group.bench_function(BenchmarkId::new("health there and back", size), |bencher| {
                bencher.iter(|| {
                    let proxy = next();
                    proxy.set_health(Health::Dead);
                    proxy.set_health(Health::Healthy);
                });
            });
            group.bench_function(BenchmarkId::new("latency over a power of two", size), |bencher| {
                bencher.iter(|| {
                    let proxy = next();
                    proxy.update_latency(10.0, Some(1.0));
                    proxy.update_latency(100.0, Some(1.0));
                });
            });
            group.bench_function(BenchmarkId::new("one out, one in", size), |bencher| {
                bencher.iter(|| {
                    let proxy = next();
                    pool.remove(proxy.id());
                    pool.add(proxy.clone(), None, true).expect("room");
                });
            });
            group.finish();
        }
    }
}

fn filling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fill");
    for size in [1_000, 100_000] {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new("add, one by one", size), |bencher| {
            bencher.iter_batched(
                || (0..size).map(proxy).collect::<Vec<_>>(),
                |proxies| {
                    let pool = Domain::new(usize::MAX, AttachmentOps::default(), 0);
                    for proxy in proxies {
                        pool.add(proxy, None, true).expect("room");
                    }
                    pool
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("add_all", size), |bencher| {
            bencher.iter_batched(
                || (0..size).map(proxy).collect::<Vec<_>>(),
                |proxies| {
                    let pool = Domain::new(usize::MAX, AttachmentOps::default(), 0);
                    pool.add_all(proxies).expect("room");
                    pool
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("make the proxies", size), |bencher| {
            bencher.iter(|| (0..size).map(|n| black_box(proxy(n))).collect::<Vec<_>>());
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = common::criterion(); targets = changes, filling }
criterion_main!(benches);
