//! Loom: of several ends of a lease one counts.

use super::{Ending, Lease, LeaseRequest};
use crate::clock::ManualClock;
use crate::judge::outcome::Outcome;
use crate::net::address::Address;
use crate::pool::AttachmentOps;
use crate::pool::context::Context;
use crate::proxy::health::Source;
use crate::proxy::{Id, Proxy};
use crate::rotation::Domain;
use crate::strategy::round_robin::RoundRobin;
use crate::sync::{Arc, model};
use loom::thread;

// Fails when `close` looks and then stores.
#[test]
fn of_two_verdicts_and_a_drop_one_counts() {
    model(|| {
        let clock = ManualClock::at(0);
        let proxy = Arc::new(Proxy::new(&Address::parse("http://10.0.0.1:80").unwrap(), Source::User, 0));
        let pool = Domain::new(1, AttachmentOps::default(), 0);
        proxy.set_id(Id(0, 1));
        pool.add(proxy.clone(), None, true).unwrap();
        let request =
            LeaseRequest { context: &Context::default(), site: None, connects: false, clock: &clock, foreign: None };
        let taken = Lease::take(&pool, Arc::new(RoundRobin::default()), &request, |refusal, _| refusal);
        let lease = Arc::new(taken.unwrap());
        let other = thread::spawn({
            let lease = lease.clone();
            move || lease.finish(Outcome::TargetFault, &Ending::default(), &ManualClock::at(0)).is_ok()
        });
        let mine = lease.release(&clock).is_ok();
        // Whichever of the two lets go last drops the lease, which must add nothing.
        drop(lease);
        let theirs = other.join().unwrap();
        assert!(mine != theirs, "{mine} and {theirs}");
        let expected = if theirs { ((1, 1, 0), (1, 0, 0)) } else { ((0, 0, 0), (0, 0, 0)) };
        assert_eq!((proxy.usage(), proxy.totals()), expected);
    });
}
