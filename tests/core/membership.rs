//! The members of a pool: against a plain list, and what hangs on its members against a count.

use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proxywhirl::net::address::Address;
use proxywhirl::pool::context::Context;
use proxywhirl::pool::filter::Filter;
use proxywhirl::pool::{AddError, Added, Attachment, AttachmentOps, Word};
use proxywhirl::proxy::health::{Health, Source};
use proxywhirl::proxy::{Id, Proxy, Verdict};
use proxywhirl::rotation::Domain;
use proxywhirl::strategy::round_robin::RoundRobin;

use crate::common::*;

fn order(pool: &Domain) -> Vec<usize> {
    let table = pool.table();
    proxywhirl::pool::Pool::members(&table).into_iter().map(|slot| number(table.proxy(slot).unwrap())).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Add(usize),
    AddAll(Vec<usize>),
    Remove(usize),
    Replace(Vec<usize>),
    RemoveWhere(usize),
    Reserve(usize),
    Move(usize, usize),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// The pool against a `Vec` of (identity, address), under every change of membership.
    #[test]
    fn agrees_with_a_list(steps in prop::collection::vec(prop_oneof![
        6 => (0..80usize).prop_map(Step::Add),
        1 => prop::collection::vec(0..80usize, 0..40).prop_map(Step::AddAll),
        5 => (0..80usize).prop_map(Step::Remove),
        1 => prop::collection::vec(0..80usize, 0..40).prop_map(Step::Replace),
        1 => (1..6usize).prop_map(Step::RemoveWhere),
        1 => (0..50usize).prop_map(Step::Reserve),
        1 => (0..80usize, 80..100usize).prop_map(|(from, to)| Step::Move(from, to)),
    ], 1..80), limit in 20..70usize) {
        let pool = Domain::new(limit, AttachmentOps::default(), START);
        let proxies: Vec<Arc<Proxy>> = (0..80).map(proxy).collect();
        let mut at: Vec<usize> = (0..80).collect();
        let mut model: Vec<usize> = Vec::new();
        for step in steps {
            let taken = |model: &[usize], at: &[usize], n: usize| model.iter().any(|other| at[*other] == at[n]);
            match step {
                Step::Add(n) => {
                    let expected = if taken(&model, &at, n) { Ok(Added::Duplicate) }
                        else if model.len() >= limit { Err(AddError::Full { limit }) }
                        else { model.push(n); Ok(Added::New) };
                    prop_assert_eq!(pool.add(proxies[n].clone(), None, true), expected);
                }
                Step::AddAll(list) => {
                    let mut new: Vec<usize> = Vec::new();
                    for n in &list {
                        if !taken(&model, &at, *n) && !taken(&new, &at, *n) { new.push(*n); }
                    }
                    let expected = if model.len() + new.len() > limit { Err(AddError::Full { limit }) }
                        else { Ok((new.len(), list.len() - new.len())) };
                    let offered = list.iter().map(|n| proxies[*n].clone()).collect();
                    prop_assert_eq!(pool.add_all(offered), expected);
                    if expected.is_ok() { model.extend(new); }
                }
                Step::Remove(n) => {
                    let there = model.iter().position(|other| *other == n);
                    prop_assert_eq!(pool.remove(proxies[n].id()).is_some(), there.is_some());
                    there.map(|position| model.remove(position));
                }
                Step::Replace(list) => {
                    model.clear();
                    for n in &list {
                        if !taken(&model, &at, *n) { model.push(*n); }
                    }
                    pool.replace_all(list.iter().map(|n| (proxies[*n].clone(), None)).collect());
                }
                Step::RemoveWhere(k) => {
                    let gone = pool.remove_where(|proxy| number(proxy).is_multiple_of(k));
                    let before = model.len();
                    model.retain(|n| n % k != 0);
                    prop_assert_eq!(gone, before - model.len());
                }
                Step::Reserve(more) => pool.reserve(more),
                Step::Move(n, to) => if !model.iter().any(|other| at[*other] == to) {
                    proxies[n].set_address(&address(to), None);
                    at[n] = to;
                },
            }
            prop_assert_eq!(order(&pool), model.clone());
            prop_assert_eq!(pool.len(), model.len());
            for (n, proxy) in proxies.iter().enumerate() {
                let inside = model.contains(&n);
                let found = pool.find(proxy.id()).map(|(table, slot)| number(table.proxy(slot).unwrap()));
                prop_assert_eq!(found, inside.then_some(n));
                let owner = model.iter().copied().find(|other| at[*other] == n);
                let found = pool.find_address(&address(n)).map(|(table, slot)| number(table.proxy(slot).unwrap()));
                prop_assert_eq!(found, owner, "address {}", n);
                prop_assert_eq!(proxy.observers().len(), usize::from(inside));
            }
            for (rank, n) in model.iter().enumerate() {
                let table = pool.table();
                prop_assert_eq!(proxywhirl::pool::Pool::nth(&table, rank).map(|slot| number(table.proxy(slot).unwrap())), Some(*n));
            }
        }
    }
}

// ---- what hangs on the members -------------------------------------------------------------------------------------

static SHARES: Mutex<Option<HashMap<usize, i64>>> = Mutex::new(None);
static RELEASED: AtomicI64 = AtomicI64::new(0);

fn count(word: Word, by: i64) {
    let mut shares = SHARES.lock().unwrap();
    let shares = shares.get_or_insert_default();
    let share = shares.entry(word.as_ptr() as usize).or_default();
    *share += by;
    assert!(*share >= 0, "released more often than taken");
}

unsafe fn release(word: Word) {
    RELEASED.fetch_add(1, Ordering::Relaxed);
    count(word, -1);
}

const OPS: AttachmentOps = AttachmentOps { release };

/// A word with one reference.
fn word(n: usize) -> Attachment {
    let word = NonNull::new((n + 1) as *mut ()).unwrap();
    count(word, 1);
    // SAFETY: the reference counted just now is the attachment's; counting works on any thread.
    unsafe { Attachment::new(word, OPS) }
}

/// Attaches a word to the member of that identifier; what is attached then.
fn attach(pool: &Domain, id: Id, n: usize) -> Option<usize> {
    let (table, slot) = pool.find(id)?;
    Some(table.slot(slot)?.member()?.attach(word(n)).as_ptr() as usize - 1)
}

fn shares() -> Vec<(usize, i64)> {
    let mut shares: Vec<_> = SHARES
        .lock()
        .unwrap()
        .get_or_insert_default()
        .iter()
        .filter(|(_, share)| **share != 0)
        .map(|(w, s)| (w - 1, *s))
        .collect();
    shares.sort_unstable();
    shares
}

#[test]
fn attachments_are_shared_and_given_back_exactly() {
    let pool = Domain::new(usize::MAX, OPS, START);
    let proxies: Vec<Arc<Proxy>> = (0..100).map(proxy).collect();
    for (n, proxy) in proxies.iter().enumerate().take(50) {
        assert_eq!(pool.add(proxy.clone(), (n % 2 == 0).then(|| word(n)), true), Ok(Added::New));
    }
    // A duplicate's reference is given back.
    assert_eq!(pool.add(proxies[0].clone(), Some(word(0)), true), Ok(Added::Duplicate));
    // Attached later, once; the second word is given back and the first returned.
    assert_eq!(attach(&pool, proxies[1].id(), 1), Some(1));
    assert_eq!(attach(&pool, proxies[1].id(), 77), Some(1));
    assert_eq!(attach(&pool, Id::from_u128(5555), 77), None, "there is no such proxy");
    // Growth, compaction and removal; a reader that holds an old table keeps what hangs on it.
    let old = pool.table();
    for (n, proxy) in proxies.iter().enumerate().skip(50) {
        assert_eq!(pool.add(proxy.clone(), Some(word(n)), true), Ok(Added::New));
    }
    for proxy in &proxies[10..90] {
        assert!(pool.remove(proxy.id()).is_some());
    }
    assert!(shares().iter().any(|(n, _)| *n == 48), "the old table still shows 48");
    drop(old);
    pool.reserve(1000);
    let alive = [0, 1, 2, 4, 6, 8].into_iter().chain(90..100);
    assert_eq!(shares(), alive.map(|n| (n, 1)).collect::<Vec<_>>(), "after a rebuild only members hold shares");
    // Replaced: members that stay come with a new share, duplicates are given back.
    let members = vec![
        (proxies[95].clone(), Some(word(95))),
        (proxies[20].clone(), Some(word(20))),
        (proxies[95].clone(), Some(word(95))),
        (proxies[21].clone(), None),
    ];
    pool.replace_all(members);
    assert_eq!(shares(), [(20, 1), (95, 1)]);
    let kept = pool.table();
    assert_eq!(kept.slot(pool.find(proxies[95].id()).unwrap().1).unwrap().attachment(), NonNull::new(96 as *mut ()));
    drop(kept);
    drop(pool);
    assert_eq!(shares(), []);
    assert!(RELEASED.load(Ordering::Relaxed) > 70);
    for proxy in &proxies {
        assert_eq!(Arc::strong_count(proxy), 1, "no table keeps {}", number(proxy));
        assert!(proxy.observers().is_empty());
    }
}

#[test]
fn adding_many_is_all_or_nothing() {
    let pool = Domain::new(10, AttachmentOps::default(), START);
    let offer = |range: std::ops::Range<usize>| range.map(proxy).collect::<Vec<_>>();
    assert_eq!(pool.add_all(offer(0..6)), Ok((6, 0)));
    assert_eq!(pool.add_all(offer(3..11)), Err(AddError::Full { limit: 10 }));
    assert_eq!(pool.len(), 6, "nothing half-done");
    assert_eq!(pool.add_all(offer(3..10)), Ok((4, 3)));
    assert_eq!(pool.add(proxy(3), None, true), Ok(Added::Duplicate), "even in a full pool");
    assert_eq!(pool.add(proxy(50), None, true), Err(AddError::Full { limit: 10 }));
    assert_eq!(pool.add(proxy(50), None, false), Ok(Added::New), "unless the limit does not apply");
}

#[test]
fn the_same_proxy_is_told_by_protocol_host_port_and_login() {
    let pool = empty();
    let of = |url: &str| Arc::new(Proxy::new(&Address::parse(url).unwrap(), Source::User, START));
    for (url, expected) in [
        ("http://one.example:80", Added::New),
        ("http://ONE.example", Added::Duplicate),
        ("https://one.example:80", Added::New),
        ("http://user:a@one.example:80", Added::New),
        ("http://user:b@one.example:80", Added::New),
        ("http://us%65r:a@one.example", Added::Duplicate),
        ("socks5://one.example", Added::New),
        ("socks5://one.example:1080/", Added::Duplicate),
        ("http://[::1]:80", Added::New),
        ("http://[0:0::1]", Added::Duplicate),
    ] {
        assert_eq!(pool.add(of(url), None, true), Ok(expected), "{url}");
    }
    let same = of("http://two.example");
    same.set_id(pool.table().proxy(0).unwrap().id());
    assert_eq!(pool.add(same, None, true), Err(AddError::SameId));
}

#[test]
fn one_proxy_in_two_pools_is_told_to_both() {
    let (one, proxies) = pool_of(3);
    let two = empty();
    add(&two, &proxies[0]);
    add(&two, &proxies[1]);
    proxies[0].set_health(Health::Dead);
    for pool in [&one, &two] {
        assert_eq!(pool.eligible(&pool.table(), &clock()).len(), pool.len() - 1);
    }
    one.remove(proxies[0].id());
    proxies[0].set_health(Health::Healthy);
    assert_eq!(two.eligible(&two.table(), &clock()).len(), 2);
    drop(two);
    assert!(proxies[0].observers().is_empty());
    assert_eq!(proxies[1].observers().len(), 1);
}

#[test]
fn the_dead_are_removed_where_that_is_asked_for() {
    let (pool, proxies) = pool_of(2);
    pool.set_removal_of_dead(true, 6);
    let clock = clock();
    for failures in 1..=6 {
        assert_eq!(pool.len(), 2, "before failure {failures}");
        proxies[0].start(&clock);
        proxies[0].complete(Verdict::Failure(1.0), None, &clock);
    }
    assert_eq!(order(&pool), [1]);
    proxies[1].set_health(Health::Dead);
    assert_eq!(pool.len(), 1, "written by hand, it stays until asked");
    assert_eq!(pool.clear_unhealthy(), 1);
    assert!(pool.is_empty());
}

#[test]
fn any_number_of_filters_is_served_right() {
    // More filters than a pool keeps views, in an order that makes them displace each other.
    let (pool, proxies) = pool_of(700);
    for proxy in &proxies {
        tag(proxy, &[&format!("t{}", number(proxy) % 350)]);
    }
    let strategy = RoundRobin::default();
    for (round, changed) in proxies.iter().enumerate().take(3) {
        for n in 0..350 {
            let required = Some(Filter::tags([format!("t{n}").as_str()]));
            let context = Context { required, ..Context::default() };
            let chosen = pick(&strategy, &pool, &context, &clock());
            assert_eq!(chosen % 350, n, "round {round}");
        }
        // Descriptions change while some views are kept and others are not.
        tag(changed, &["gone"]);
        let (_, left) = pool.matching(&Filter::tags([format!("t{round}").as_str()]));
        assert_eq!(left.len(), 1);
    }
}

#[test]
fn readers_of_a_changing_pool_always_find_members() {
    let (pool, proxies) = pool_of(40);
    let seen = AtomicUsize::new(0);
    let clock = clock();
    on_threads(3, |thread| {
        if thread == 0 {
            for round in 0..3000 {
                // Half of them go and come back; the first twenty never leave.
                let proxy = &proxies[20 + round % 20];
                assert!(pool.remove(proxy.id()).is_some());
                add(&pool, proxy);
            }
        } else {
            let strategy = RoundRobin::default();
            for _ in 0..20_000 {
                let chosen = select(&strategy, &pool, &Context::default(), &clock).unwrap();
                chosen.complete(Verdict::Success(1.0), None, &clock);
                seen.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    assert_eq!(seen.into_inner(), 40_000);
    assert_eq!(pool.len(), 40);
    balanced(&proxies);
    assert_eq!(proxies.iter().map(|proxy| proxy.usage().0).sum::<u64>(), 40_000);
}
