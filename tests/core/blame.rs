//! Whose fault a failure is, by evidence: crawls with an injected clock over pools of every size, of which some proxies are
//! broken and a quarter of the sites is dead. No good page is lost, and what is broken is found.

use std::sync::Arc;

use proxywhirl::clock::{Clock, ManualClock};
use proxywhirl::judge::outcome::Outcome::{self, Banned, ProxyDown, Success, TargetFault};
use proxywhirl::proxy::Proxy;
use proxywhirl::proxy::health::{Health, reason};
use proxywhirl::resilience::explain::Why;
use proxywhirl::resilience::site::Site;
use proxywhirl::rotation::Domain;
use proxywhirl::rotation::lease::{Ending, Lease, LeaseRequest, conclude};
use proxywhirl::strategy::Shared;
use proxywhirl::strategy::round_robin::RoundRobin;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::common::*;

const SIZES: [usize; 7] = [1, 2, 3, 4, 6, 10, 50];
/// As the loop of the rotators has it.
const MOST_FAULTS: usize = 5;
const MOST_AGAIN: usize = 3;

struct Request {
    site: Arc<Site>,
    dead: bool,
    tried: Vec<Arc<Proxy>>,
    suspects: Vec<Lease>,
    open: Option<Lease>,
    not_before: u64,
    give_up_at: Option<u64>,
    got: Option<bool>,
}

struct Crawl {
    pool: Arc<Domain>,
    proxies: Vec<Arc<Proxy>>,
    turns: Shared,
    clock: ManualClock,
    broken: Vec<usize>,
    rested: Vec<bool>,
    has_lost: bool,
}

impl Crawl {
    fn new(size: usize, broken: &[usize]) -> Self {
        let (pool, proxies) = pool_of(size);
        let turns: Shared = Arc::new(RoundRobin::default());
        Self {
            pool,
            proxies,
            turns,
            clock: clock(),
            broken: broken.to_vec(),
            rested: vec![false; size],
            has_lost: false,
        }
    }

    fn request(&self, number: usize, dead: bool, sites: usize) -> Request {
        let name = if dead { format!("gone{number}.test") } else { format!("good{}.test", number % sites) };
        Request {
            site: self.pool.site_named(&name),
            dead,
            tried: Vec::new(),
            suspects: Vec::new(),
            open: None,
            not_before: 0,
            give_up_at: None,
            got: None,
        }
    }

    fn take(&self, site: &Arc<Site>, not: &[Arc<Proxy>]) -> Option<Lease> {
        self.pool.guard().catch_up(&self.clock);
        let context = excluding(not);
        let request =
            LeaseRequest { context: &context, site: Some(site), connects: false, clock: &self.clock, foreign: None };
        Lease::take(&self.pool, self.turns.clone(), &request, |refusal, _| refusal).ok()
    }

    fn end(&self, request: &mut Request, answered_by: Option<&Lease>) {
        let suspects: Vec<&Lease> = request.suspects.iter().collect();
        conclude(&suspects, answered_by, &self.clock);
        request.got = Some(answered_by.is_some());
    }

    /// One step of a request, as the loop of the rotators goes.
    fn step(&mut self, request: &mut Request) {
        let now = self.clock.steady();
        if let Some(lease) = request.open.take() {
            let number = number(lease.proxy());
            if request.dead || self.broken.contains(&number) {
                lease.suspect(&Ending::after(5.0), &self.clock).unwrap();
                self.has_lost |= !request.dead;
                request.tried.push(lease.proxy().clone());
                request.suspects.push(lease);
                if request.suspects.len() >= MOST_FAULTS {
                    self.end(request, None);
                }
            } else {
                self.end(request, Some(&lease));
                let ending = Ending { elapsed_ms: Some(5.0), judged: true, answered: true, ..Ending::default() };
                lease.finish(Success, &ending, &self.clock).unwrap();
            }
        } else if now >= request.not_before {
            request.open = self.take(&request.site, &request.tried);
            if request.open.is_some() {
                return;
            }
            if request.suspects.is_empty() {
                // Waits in line, as long as a pool timeout.
                let until = *request.give_up_at.get_or_insert(now + 30_000_000_000);
                if now > until {
                    self.end(request, None);
                }
            } else if request.suspects.len() >= MOST_AGAIN {
                self.end(request, None);
            } else if request.not_before == 0 {
                request.not_before = now + 1_000_000_000;
            } else {
                request.not_before = 0;
                request.open = self.take(&request.site, &[]);
                if request.open.is_none() {
                    self.end(request, None);
                }
            }
        }
        for (proxy, rested) in self.proxies.iter().zip(&mut self.rested) {
            *rested |= proxy.reasons() & reason::RESTING != 0;
        }
    }

    /// Good pages that were lost, `width` requests at a time.
    fn run(&mut self, pages: Vec<Request>, width: usize, rng: &mut StdRng) -> usize {
        let mut waiting = pages.into_iter();
        let mut active: Vec<Request> = Vec::new();
        let mut lost = 0;
        loop {
            while active.len() < width
                && let Some(request) = waiting.next()
            {
                active.push(request);
            }
            if active.is_empty() {
                return lost;
            }
            let at = rng.random_range(0..active.len());
            let mut request = active.swap_remove(at);
            self.step(&mut request);
            self.clock.advance(rng.random_range(100..5_000));
            match request.got {
                None => active.push(request),
                Some(got) => lost += usize::from(!got && !request.dead),
            }
        }
    }
}

/// A list of pages of which every fourth is dead: in order, shuffled, or the dead ones first.
fn pages(crawl: &Crawl, count: usize, sites: usize, order: u8, rng: &mut StdRng) -> Vec<Request> {
    let mut pages: Vec<Request> = (0..count).map(|number| crawl.request(number, number % 4 == 0, sites)).collect();
    match order {
        1 => pages.shuffle(rng),
        2 => pages.sort_by_key(|page| !page.dead),
        _ => {}
    }
    pages
}

fn every_crawl(mut check: impl FnMut(usize, usize, usize, u8, u64)) {
    for size in SIZES {
        for width in [1, 50] {
            for sites in [1, 40] {
                for order in 0..3 {
                    for seed in 0..4 {
                        check(size, width, sites, order, seed);
                    }
                }
            }
        }
    }
}

#[test]
fn a_list_of_which_a_quarter_is_dead_loses_no_good_page() {
    every_crawl(|size, width, sites, order, seed| {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut crawl = Crawl::new(size, &[]);
        let list = pages(&crawl, 200, sites, order, &mut rng);
        let lost = crawl.run(list, width, &mut rng);
        assert_eq!(lost, 0, "{size} proxies, {width} at a time, {sites} sites, order {order}, seed {seed}");
        let out: Vec<usize> = (0..size).filter(|at| crawl.rested[*at]).collect();
        assert!(out.is_empty(), "{size} proxies, {width} at a time, order {order}, seed {seed}: {out:?} rested");
    });
}

#[test]
fn a_broken_proxy_is_found_and_loses_no_good_page() {
    every_crawl(|size, width, sites, order, seed| {
        if size < 2 {
            return;
        }
        let mut rng = StdRng::seed_from_u64(seed);
        let broken = rng.random_range(0..size);
        let mut crawl = Crawl::new(size, &[broken]);
        let list = pages(&crawl, 400, sites, order, &mut rng);
        let lost = crawl.run(list, width, &mut rng);
        let what = format!("{size} proxies, {width} at a time, {sites} sites, order {order}, seed {seed}");
        assert_eq!(lost, 0, "{what}");
        if !crawl.has_lost {
            // The turns went so that it met nothing but dead sites: there is no evidence.
            assert!(width == 1 && order == 0, "{what}");
            return;
        }
        let proxy = &crawl.proxies[broken];
        let (total, successes, failures) = proxy.totals();
        assert!(crawl.rested[broken] && failures > 0 && successes == 0, "{what}: {:?}", proxy.totals());
        assert!(proxy.health() != Health::Healthy && total >= failures, "{what}");
        let others: Vec<usize> = (0..size).filter(|at| *at != broken && crawl.rested[*at]).collect();
        assert!(others.is_empty(), "{what}: {others:?} rested with it");
    });
}

#[test]
fn several_broken_proxies_do_not_clear_each_other() {
    for (size, broken) in [(4, vec![0, 1]), (6, vec![2, 3]), (10, vec![0, 1, 2]), (10, vec![4, 5, 6, 7])] {
        for width in [1, 50] {
            let mut rng = StdRng::seed_from_u64(7);
            let mut crawl = Crawl::new(size, &broken);
            let list = pages(&crawl, 400, 40, 1, &mut rng);
            assert_eq!(crawl.run(list, width, &mut rng), 0, "{size}, {broken:?}, {width} at a time");
            for at in 0..size {
                assert_eq!(crawl.rested[at], broken.contains(&at), "{size}, {broken:?}, {width}: {at}");
            }
        }
    }
}

#[test]
fn a_proven_proxy_that_breaks_is_found() {
    for size in [2, 3, 10] {
        let mut rng = StdRng::seed_from_u64(1);
        let mut crawl = Crawl::new(size, &[]);
        let list = pages(&crawl, 100, 10, 0, &mut rng);
        assert_eq!(crawl.run(list, 10, &mut rng), 0);
        crawl.broken = vec![1];
        let list = pages(&crawl, 400, 10, 0, &mut rng);
        assert_eq!(crawl.run(list, 10, &mut rng), 0);
        assert!(crawl.rested[1] && !crawl.rested[0]);
    }
}

/// One attempt without a second: what `report` of any client is.
fn report(crawl: &Crawl, proxy: usize, site: &str, fails: bool) -> Outcome {
    let others: Vec<_> =
        crawl.proxies.iter().enumerate().filter(|(at, _)| *at != proxy).map(|(_, p)| p.clone()).collect();
    let site = crawl.pool.site_named(site);
    let lease = crawl.take(&site, &others).expect("it is eligible there");
    crawl.clock.advance(1_000);
    if fails {
        let suspicion = lease.suspect(&Ending::after(1.0), &crawl.clock).unwrap();
        return suspicion.outcome.unwrap_or_else(|| conclude(&[&lease], None, &crawl.clock)[0]);
    }
    let ending = Ending { elapsed_ms: Some(1.0), judged: true, answered: true, ..Ending::default() };
    lease.finish(Success, &ending, &crawl.clock).unwrap();
    Success
}

fn booked(proxy: &Proxy) -> (u64, u64, u64) {
    proxy.totals()
}

#[test]
fn an_answer_through_another_proxy_within_a_minute_convicts_before_and_after() {
    for (wait, convicted) in [(1, true), (55, true), (65, false)] {
        let crawl = Crawl::new(2, &[]);
        assert_eq!(report(&crawl, 0, "a", true), TargetFault);
        assert_eq!(booked(&crawl.proxies[0]), (1, 0, 0), "nothing is known yet");
        crawl.clock.advance(wait * SECOND);
        report(&crawl, 1, "a", false);
        assert_eq!(booked(&crawl.proxies[0]), (1, 0, u64::from(convicted)), "answered {wait} s later");
        report(&crawl, 1, "a", false);
        assert_eq!(booked(&crawl.proxies[0]), (1, 0, u64::from(convicted)), "once");

        let crawl = Crawl::new(2, &[]);
        report(&crawl, 1, "a", false);
        crawl.clock.advance(wait * SECOND);
        assert_eq!(report(&crawl, 0, "a", true), if convicted { ProxyDown } else { TargetFault });
        assert_eq!(booked(&crawl.proxies[0]), (1, 0, u64::from(convicted)), "answered {wait} s before");
    }
}

#[test]
fn its_own_answer_is_no_evidence_against_a_proxy() {
    let crawl = Crawl::new(2, &[]);
    report(&crawl, 0, "a", false);
    assert_eq!(report(&crawl, 0, "a", true), TargetFault);
    crawl.clock.advance(2 * SECOND);
    report(&crawl, 0, "a", false);
    report(&crawl, 1, "a", false);
    assert_eq!(booked(&crawl.proxies[0]), (3, 2, 0));
}

#[test]
fn others_that_fail_alike_clear_each_other_and_the_site_stays_known() {
    let crawl = Crawl::new(4, &[]);
    for proxy in 0..4 {
        assert_eq!(report(&crawl, proxy, "gone", true), TargetFault);
    }
    // A proxy's row of failures leaves out a site at which every proxy failed.
    for proxy in 0..3 {
        assert_eq!(report(&crawl, proxy, "gone2", true), TargetFault);
    }
    assert!(crawl.proxies.iter().all(|proxy| booked(proxy).2 == 0 && proxy.reasons() == 0));
}

#[test]
fn two_sites_in_a_row_convict_and_an_answer_in_between_does_not() {
    let crawl = Crawl::new(3, &[]);
    assert_eq!(report(&crawl, 0, "a", true), TargetFault);
    report(&crawl, 0, "b", false);
    assert_eq!(report(&crawl, 0, "c", true), TargetFault);
    assert_eq!(booked(&crawl.proxies[0]), (3, 1, 0));
    assert_eq!(report(&crawl, 0, "d", true), ProxyDown);
    assert_eq!(booked(&crawl.proxies[0]), (4, 1, 2), "the one before it too");
    assert_eq!(report(&crawl, 0, "e", true), ProxyDown);
    assert_eq!(booked(&crawl.proxies[0]), (5, 1, 3));
    assert_eq!(crawl.proxies[0].reasons() & reason::RESTING, reason::RESTING);
}

#[test]
fn failures_of_a_burst_are_one_in_a_row() {
    let crawl = Crawl::new(2, &[]);
    let others = [crawl.proxies[1].clone()];
    let leases: Vec<Lease> =
        (0..12).map(|number| crawl.take(&crawl.pool.site_named(&format!("gone{number}")), &others).unwrap()).collect();
    for lease in &leases {
        crawl.clock.advance(1_000);
        lease.suspect(&Ending::after(1.0), &crawl.clock).unwrap();
        assert_eq!(conclude(&[lease], None, &crawl.clock), [TargetFault]);
    }
    assert_eq!(booked(&crawl.proxies[0]), (12, 0, 0));
    // Evidence that comes later: the other one fails at the first of them too.
    assert_eq!(report(&crawl, 1, "gone0", true), TargetFault);
    assert_eq!(report(&crawl, 0, "next", true), TargetFault, "the row is empty again");
}

#[test]
fn failures_of_a_burst_count_as_one_in_a_row_for_health_too() {
    let crawl = Crawl::new(2, &[]);
    report(&crawl, 0, "proof", false);
    report(&crawl, 1, "proof", false);
    let site = crawl.pool.site_named("blip");
    let leases: Vec<Lease> = (0..12).map(|_| crawl.take(&site, &[crawl.proxies[1].clone()]).unwrap()).collect();
    crawl.clock.advance(SECOND);
    for lease in &leases {
        lease.suspect(&Ending::after(1.0), &crawl.clock).unwrap();
    }
    let answering = crawl.take(&site, &[crawl.proxies[0].clone()]).unwrap();
    for lease in &leases {
        assert_eq!(conclude(&[lease], Some(&answering), &crawl.clock), [ProxyDown]);
    }
    assert_eq!(booked(&crawl.proxies[0]), (13, 1, 12));
    assert_eq!((crawl.proxies[0].consecutive_failures(), crawl.proxies[0].health()), (1, Health::Degraded));
}

#[test]
fn the_only_proxy_and_one_with_exits_are_touched_by_three_sites_in_a_row() {
    for size in [1, 3] {
        let crawl = Crawl::new(size, &[]);
        let proxy = &crawl.proxies[0];
        proxy.set_cold(|cold| cold.rotating = true);
        if size > 1 {
            report(&crawl, 1, "a", false);
        }
        let found = ["a", "b", "c"].map(|site| report(&crawl, 0, site, true));
        assert_eq!(found, [TargetFault, TargetFault, ProxyDown], "{size} proxies");
        assert_eq!(booked(proxy), (3, 0, 3));
        // The only one goes on: to bench it gains nothing.
        assert_eq!(proxy.reasons() == 0, size == 1, "{size} proxies");
    }
}

fn why_not(crawl: &Crawl, site: &str) -> Vec<(usize, Option<f64>)> {
    let site = crawl.pool.site_named(site);
    let context = Default::default();
    let table = crawl.pool.table();
    let site_mask = crawl.pool.mask_of(&table, &site, &crawl.clock);
    let query =
        proxywhirl::pool::query::Query::new(&crawl.pool, &table, &context, &crawl.clock).masked(site_mask.as_ref());
    let mut found = Vec::new();
    let now = crawl.clock.steady();
    proxywhirl::resilience::explain::explain(&query, crawl.pool.sites(), |slot, reasons| {
        for reason in reasons.iter().filter(|reason| reason.why == Why::RestingHere) {
            found.push((slot as usize, reason.until.map(|until| until.saturating_sub(now) as f64 / 1e9)));
        }
    });
    found
}

#[test]
fn the_pair_rests_and_says_so() {
    let crawl = Crawl::new(2, &[]);
    let mut longest = 1.0;
    for _ in 0..8 {
        report(&crawl, 0, "a", true);
        for (slot, until) in why_not(&crawl, "a") {
            assert_eq!(slot, 0);
            assert!(until.unwrap() <= longest, "{until:?} of {longest}");
        }
        assert!(why_not(&crawl, "b").is_empty());
        longest = f64::min(longest * 2.0, 60.0);
        crawl.clock.advance(61 * SECOND);
    }
    assert_eq!(crawl.proxies[0].reasons(), 0, "the proxy itself does not");
}

#[test]
fn a_pair_that_is_alone_rests_from_its_third_failure_on() {
    let crawl = Crawl::new(1, &[]);
    for failures in 1..=3 {
        assert!(why_not(&crawl, "a").is_empty(), "after {} failures", failures - 1);
        report(&crawl, 0, "a", true);
    }
    assert_eq!(why_not(&crawl, "a").len(), 1);
    crawl.clock.advance(61 * SECOND);
    report(&crawl, 0, "a", false);
    report(&crawl, 0, "a", true);
    assert!(why_not(&crawl, "a").is_empty(), "an answer begins the count anew");
}

#[test]
fn one_probe_at_a_time_after_a_pairs_rest() {
    let crawl = Crawl::new(1, &[]);
    for _ in 0..3 {
        report(&crawl, 0, "a", true);
    }
    crawl.clock.advance(61 * SECOND);
    let site = crawl.pool.site_named("a");
    let probe = crawl.take(&site, &[]).unwrap();
    assert!(crawl.take(&site, &[]).is_none());
    probe.finish(Success, &Ending::after(1.0), &crawl.clock).unwrap();
    assert!(crawl.take(&site, &[]).is_some());
}

#[test]
fn a_site_that_answers_again_frees_the_pairs_that_rested_for_it() {
    let crawl = Crawl::new(3, &[]);
    for proxy in 0..3 {
        report(&crawl, proxy, "a", true);
    }
    crawl.clock.advance(2 * SECOND);
    for _ in 0..4 {
        for proxy in 1..3 {
            crawl.clock.advance(61 * SECOND);
            report(&crawl, proxy, "a", true);
        }
    }
    report(&crawl, 0, "a", false);
    assert!(why_not(&crawl, "a").is_empty());
}

#[test]
fn exits_are_refused_three_times_before_their_proxy_is_benched() {
    let crawl = Crawl::new(3, &[]);
    crawl.proxies[0].set_cold(|cold| cold.rotating = true);
    let others: Vec<_> = crawl.proxies[1..].to_vec();
    let site = crawl.pool.site_named("a");
    let judged = Ending { judged: true, answered: true, ..Ending::default() };
    for round in 0..3 {
        let refuse = || {
            crawl.clock.advance(1_000);
            crawl.take(&site, &others).unwrap().finish(Banned, &judged, &crawl.clock).unwrap();
        };
        refuse();
        refuse();
        if round < 2 {
            crawl.clock.advance(1_000);
            crawl.take(&site, &others).expect("two of three").finish(Success, &judged, &crawl.clock).unwrap();
        } else {
            refuse();
        }
    }
    assert!(crawl.take(&site, &others).is_none(), "three in a row");
    assert!(crawl.take(&crawl.pool.site_named("b"), &others).is_some());
}
