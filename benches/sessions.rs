//! Sessions: found, opened, and pushed out by newer ones.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{CLOCK, Chooser, Ours, choose_once, on_threads, pool_of};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use proxywhirl::pool::context::Context;
use proxywhirl::session::SessionManager;
use proxywhirl::strategy::session::SessionPersistence;
use std::sync::Arc;

/// Asks for sessions in turn, each far from the one before.
struct Many {
    all: Vec<Ours>,
    at: AtomicUsize,
}

impl Chooser for Many {
    fn choose(&self) -> usize {
        self.all[self.at.fetch_add(7919, Ordering::Relaxed) % self.all.len()].choose()
    }
}

fn hits(criterion: &mut Criterion) {
    let (pool, _) = pool_of(1_000);
    for sessions in [1, 10_000, 100_000] {
        let manager = Arc::new(SessionManager::new(sessions, usize::MAX as u64));
        let strategy = Arc::new(SessionPersistence::new(manager, None, None, None));
        let ours = |n: usize| Ours {
            pool: pool.clone(),
            strategy: strategy.clone(),
            context: Context { session_id: Some(format!("session {n}").into()), ..Context::default() },
        };
        let many = Many { all: (0..sessions).map(ours).collect(), at: AtomicUsize::new(0) };
        for one in &many.all {
            choose_once(one);
        }
        for threads in [1, 2] {
            let mut group = criterion.benchmark_group(format!("session hit, {threads} thread(s)"));
            group.bench_function(BenchmarkId::from_parameter(sessions), |bencher| {
                bencher.iter_custom(|times| on_threads(threads, times, &|| choose_once(&many)));
            });
            group.finish();
        }
    }
}

fn openings(criterion: &mut Criterion) {
    let (_, proxies) = pool_of(10);
    let mut group = criterion.benchmark_group("session opened, another pushed out");
    // The purge of the expired comes every hundred new ones and looks at all.
    for (name, max, every) in
        [("10000", 10_000, 100), ("10000, no purge", 10_000, u64::MAX), ("1000000, no purge", 1_000_000, u64::MAX)]
    {
        let manager = SessionManager::new(max, every);
        let mut n = 0u64;
        let mut open = || {
            n += 1;
            manager.bind(&format!("session {n}"), &proxies[0], 3600, false, &CLOCK)
        };
        for _ in 0..max {
            drop(open());
        }
        group.bench_function(name, |bencher| bencher.iter(&mut open));
    }
    group.finish();
}

criterion_group! { name = benches; config = common::criterion(); targets = hits, openings }
criterion_main!(benches);
