//! Tables are built beside the pool's use: no change is lost, and nothing of the embedding program runs under a lock.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use proxywhirl::pool::filter::Filter;
use proxywhirl::pool::{Added, Attachment, AttachmentOps, Word};
use proxywhirl::proxy::health::reason;
use proxywhirl::proxy::{Id, Proxy};
use proxywhirl::rotation::Domain;

use crate::common::*;

static POOL: OnceLock<Arc<Domain>> = OnceLock::new();
static GIVEN_BACK: AtomicUsize = AtomicUsize::new(0);

/// What an embedding program may do when a reference dies: anything with the pool.
unsafe fn release(_: Word) {
    let pool = POOL.get().unwrap();
    let n = GIVEN_BACK.fetch_add(1, Ordering::Relaxed);
    let newcomer = proxy(1_000_000 + n);
    assert_eq!(pool.add(newcomer.clone(), None, false), Ok(Added::New));
    newcomer.set_reason(reason::BREAKER, true);
    assert!(pool.find(newcomer.id()).is_some());
    assert!(pool.remove(newcomer.id()).is_some());
}

fn attachment() -> Attachment {
    // SAFETY: the word refers to nothing, and `release` works on any thread.
    unsafe { Attachment::new(NonNull::dangling(), AttachmentOps { release }) }
}

// Hangs where a reference is given back under the writer lock, which a release may need.
#[test]
fn what_is_attached_dies_outside_every_lock() {
    let (done, finished) = channel();
    std::thread::spawn(move || {
        let pool = POOL.get_or_init(|| Domain::new(usize::MAX, AttachmentOps { release }, START));
        let proxies: Vec<Arc<Proxy>> = (0..300).map(proxy).collect();
        for proxy in &proxies {
            assert_eq!(pool.add(proxy.clone(), Some(attachment()), true), Ok(Added::New));
        }
        // Refused: as a duplicate, for its identifier, at the limit.
        assert_eq!(pool.add(proxies[0].clone(), Some(attachment()), true), Ok(Added::Duplicate));
        let other = proxy(400);
        other.set_id(proxies[0].id());
        assert!(pool.add(other, Some(attachment()), true).is_err());
        pool.set_limit(1);
        assert!(pool.add(proxy(401), Some(attachment()), true).is_err());
        pool.set_limit(usize::MAX);
        assert_eq!(GIVEN_BACK.load(Ordering::Relaxed), 3);
        // Too late: another attachment was first.
        {
            let (table, slot) = pool.find(proxies[0].id()).unwrap();
            table.slot(slot).unwrap().member().unwrap().attach(attachment());
        }
        assert_eq!(GIVEN_BACK.load(Ordering::Relaxed), 4);
        // Removed, and dropped with the table.
        for proxy in &proxies[..200] {
            assert!(pool.remove(proxy.id()).is_some());
        }
        pool.reserve(5_000);
        assert_eq!(GIVEN_BACK.load(Ordering::Relaxed), 204);
        // By a check, by what a health says, by a new list.
        pool.set_removal_of_dead(true, 1);
        proxies[200].set_health(proxywhirl::proxy::health::Health::Dead);
        assert_eq!(pool.clear_unhealthy(), 1);
        let again = proxies[250..].iter().map(|proxy| (proxy.clone(), Some(attachment())));
        pool.replace_all(again.clone().chain(again).collect());
        pool.replace_all(Vec::new());
        assert_eq!(GIVEN_BACK.load(Ordering::Relaxed), 4 + 300 + 100);
        done.send(()).unwrap();
    });
    finished
        .recv_timeout(Duration::from_secs(60))
        .expect("a reference was given back under a lock, or the test failed");
}

// Fails where the builder of a table misses a change that was made while it copied.
#[test]
fn no_change_is_lost_while_tables_are_built() {
    const KEPT: usize = 3_000;
    let (pool, proxies) = pool_of(KEPT);
    let odd = Filter::tags(["odd"]);
    for proxy in proxies.iter().skip(1).step_by(2) {
        proxy.set_cold(|cold| cold.tags = vec!["odd".into()]);
    }
    let stop = AtomicBool::new(false);
    let rounds = AtomicU64::new(0);
    on_threads(5, |thread| match thread {
        0 => {
            // Big lists come and go: the table grows and shrinks all the time.
            for round in 0..12 {
                let list: Vec<_> = (0..6_000).map(|n| proxy(100_000 + round * 10_000 + n)).collect();
                assert_eq!(pool.add_all(list), Ok((6_000, 0)));
                assert_eq!(pool.remove_where(|proxy| number(proxy) >= 100_000 && number(proxy) < 900_000), 6_000);
            }
            stop.store(true, Ordering::Relaxed);
        }
        1 => {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                n = (n + 7) % KEPT;
                proxies[n].set_reason(reason::BREAKER, n % 3 == 0);
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        }
        2 => {
            // Identifiers and addresses move; more often than an index has room for.
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                n = (n + 1) % 50;
                proxies[n].set_id(Id::from_u128(n as u128 + 1 + (5_000_000 << (rounds.load(Ordering::Relaxed) & 1))));
                proxies[n].set_address(&address(2_000_000 + n), None);
                proxies[n].set_address(&address(n), None);
                proxies[n].set_id(Id::from_u128(n as u128 + 1));
            }
        }
        3 => {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                let stranger = proxy(950_000 + n % 100);
                n += 1;
                add(&pool, &stranger);
                assert!(pool.find(stranger.id()).is_some(), "what was added is found at once");
                assert!(pool.remove(stranger.id()).is_some());
                assert!(pool.find(stranger.id()).is_none());
            }
        }
        _ => {
            while !stop.load(Ordering::Relaxed) {
                for n in (50..KEPT).step_by(37) {
                    let (table, slot) = pool.find(proxies[n].id()).expect("it never left");
                    assert!(std::ptr::eq(table.proxy(slot).unwrap(), &*proxies[n]));
                    assert!(pool.find_address(&address(n)).is_some());
                }
                let (_, slots) = pool.matching(&odd);
                assert!(slots.len() >= KEPT / 2);
            }
        }
    });
    // At rest everything agrees with the proxies themselves, in the order in which they came.
    let table = pool.table();
    let members: Vec<usize> =
        proxywhirl::pool::Pool::members(&table).into_iter().map(|slot| number(table.proxy(slot).unwrap())).collect();
    assert_eq!(members, (0..KEPT).collect::<Vec<_>>());
    assert_eq!(pool.len(), KEPT);
    let eligible: Vec<usize> =
        pool.eligible(&table, &clock()).into_iter().map(|slot| number(table.proxy(slot).unwrap())).collect();
    let expected: Vec<usize> = (0..KEPT).filter(|n| proxies[*n].reasons() == 0).collect();
    assert_eq!(eligible, expected);
    let (table, slots) = pool.matching(&odd);
    assert_eq!(slots.len(), KEPT / 2);
    assert!(slots.iter().all(|slot| number(table.proxy(*slot).unwrap()) % 2 == 1));
    for (n, proxy) in proxies.iter().enumerate() {
        assert!(pool.find(proxy.id()).is_some());
        assert!(pool.find_address(&address(n)).is_some());
    }
}

// A list and single proxies that are added at once never exceed the limit.
#[test]
fn the_limit_holds_for_lists_beside_single_proxies() {
    for round in 0..20 {
        let pool = Domain::new(500, AttachmentOps::default(), START);
        let lists = AtomicUsize::new(0);
        on_threads(4, |thread| {
            let from = (round * 4 + thread) * 10_000;
            if thread < 2 {
                let list = (from..from + 300).map(proxy).collect();
                lists.fetch_add(usize::from(pool.add_all(list).is_ok()), Ordering::Relaxed);
            } else {
                for n in from..from + 300 {
                    let _ = pool.add(proxy(n), None, true);
                }
            }
        });
        assert!(pool.len() <= 500);
        assert!(lists.into_inner() <= 1, "two lists of 300 do not fit");
    }
}
