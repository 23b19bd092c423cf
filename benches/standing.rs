//! What site bans cost: a selection at a site that holds back none, a tenth and nine tenths of the pool, with the right
//! to send and its end; and finding the site of a URL.
//!
//! `cargo bench --bench standing`; `-- 'round-robin'` for one strategy. Nanoseconds are per request.

mod common;

use std::hint::black_box;
use std::sync::Arc;

use common::{CLOCK, pool_of};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use proxywhirl::clock::Clock;
use proxywhirl::pool::context::Context;
use proxywhirl::pool::query::Query;
use proxywhirl::resilience::site::Site;
use proxywhirl::resilience::standing::SiteOutcome;
use proxywhirl::rotation::Domain;
use proxywhirl::strategy::least_used::LeastUsed;
use proxywhirl::strategy::performance::Performance;
use proxywhirl::strategy::random::Random;
use proxywhirl::strategy::round_robin::RoundRobin;
use proxywhirl::strategy::{Shared, choose};

const URL: &str = "https://www.example.com/a/page?with=arguments";

/// One request that succeeds; without a site it is what it cost before there were any.
fn request(pool: &Domain, strategy: &Shared, site: Option<&Arc<Site>>) {
    let context = Context::default();
    loop {
        let table = pool.table();
        let site_mask = site.and_then(|site| pool.mask_of(&table, site, &CLOCK));
        let query = Query::new(pool, &table, &context, &CLOCK).masked(site_mask.as_ref());
        let choice = choose(&**strategy, &query).expect("a proxy is eligible");
        let Some(site) = site else {
            black_box(choice);
            return;
        };
        match pool.admit_at(&table, site, choice.0, &CLOCK) {
            Ok(admission) => {
                black_box(pool.settle_at(&admission, SiteOutcome::Welcome, 0, &CLOCK));
                return;
            }
            Err(_) => query.proxy(choice).expect("chosen").cancel_start(&CLOCK),
        }
    }
}

/// Bans so many of every ten at a site for long.
fn ban(pool: &Domain, site: &Arc<Site>, of_ten: usize) {
    let table = pool.table();
    for slot in (0..pool.len()).filter(|slot| slot % 10 < of_ten) {
        let admission = pool.admit_at(&table, site, slot as u32, &CLOCK).expect("no proxy is held yet");
        pool.settle_at(&admission, SiteOutcome::Banned(Some(1e6)), CLOCK.steady(), &CLOCK);
    }
}

fn requests(criterion: &mut Criterion) {
    for size in [10, 1_000, 100_000] {
        let (pool, _) = pool_of(size);
        let sites = [0, 1, 9].map(|of_ten| {
            let site = pool.site_named(&format!("site {of_ten}"));
            ban(&pool, &site, of_ten);
            (of_ten, site)
        });
        let strategies: [(&str, Shared); 4] = [
            ("round-robin", Arc::new(RoundRobin::default())),
            ("random", Arc::new(Random::new(None))),
            ("least-used", Arc::new(LeastUsed::default())),
            ("performance", Arc::new(Performance::new(None, Some(5), None))),
        ];
        for (name, strategy) in strategies {
            let mut group = criterion.benchmark_group(format!("standing, {name}"));
            request(&pool, &strategy, None);
            group.bench_function(BenchmarkId::new("no site", size), |b| b.iter(|| request(&pool, &strategy, None)));
            for (of_ten, site) in &sites {
                request(&pool, &strategy, Some(site));
                let name = BenchmarkId::new(format!("{of_ten}0 % benched"), size);
                group.bench_function(name, |bencher| bencher.iter(|| request(&pool, &strategy, Some(site))));
            }
            group.finish();
        }
    }
}

fn sites(criterion: &mut Criterion) {
    let (pool, _) = pool_of(10);
    let mut group = criterion.benchmark_group("site");
    group.bench_function("of a URL seen lately", |bencher| bencher.iter(|| pool.site_of(black_box(URL))));
    group.bench_function("of a new URL", |bencher| {
        bencher.iter(|| proxywhirl::net::site_key::site_key(black_box(URL)));
    });
    group.finish();
}

criterion_group! { name = benches; config = common::criterion(); targets = sites, requests }
criterion_main!(benches);
