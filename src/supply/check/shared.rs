//! What the workers of a run share.

use std::net::IpAddr;

use super::ask::Asker;
use super::hosts::Hosts;
use super::inbox::Inbox;
use super::judge::judge;
use super::names::Names;
use super::plan::{Level, Plan};
use super::report::{Failure, Report};
use super::reports::Reports;
use super::run::Item;
use crate::clock::{Clock, ExactClock, SystemClock};
use crate::drive::answer::Cost;
use crate::drive::blocking::{Reply, Wire};
use crate::fork;
use crate::net::address::Address;
use crate::proxy::{Proxy, Verdict};
use crate::sync::{Arc, AtomicBool, AtomicU64, AtomicUsize, OnceLock, Ordering};
use crate::wire::connections::Bounds;

pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) items: Vec<Item>,
    pub(super) asker: Asker,
    pub(super) names: Arc<Names>,
    pub(super) hosts: Option<Hosts>,
    pub(super) reports: Reports,
    pub(super) inboxes: Vec<Arc<Inbox>>,
    next: AtomicUsize,
    bytes: AtomicU64,
    own: OnceLock<Vec<IpAddr>>,
    is_cancelled: AtomicBool,
    /// Workers that are not at their end.
    workers: AtomicUsize,
}

impl Shared {
    pub(super) fn new(plan: Plan, items: Vec<Item>, asker: Asker, inboxes: Vec<Arc<Inbox>>) -> Self {
        Self {
            hosts: plan.per_host.map(Hosts::new),
            workers: AtomicUsize::new(inboxes.len()),
            plan,
            items,
            asker,
            inboxes,
            names: Arc::new(Names::new()),
            reports: Reports::default(),
            next: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            own: OnceLock::new(),
            is_cancelled: AtomicBool::new(false),
        }
    }

    /// The next place in the list. Relaxed here and below: numbers on which nothing else hangs.
    pub(super) fn next(&self) -> Option<usize> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.items.len()).then_some(index)
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.items.len()
    }

    /// The address of an item that has one.
    pub(super) fn address(&self, index: usize) -> &Address {
        self.items[index].address.as_ref().expect("checked when its turn came")
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes that may still be read; `None` if that is not bounded.
    pub(super) fn bytes_left(&self) -> Option<u64> {
        self.plan.budget.map(|budget| budget.saturating_sub(self.bytes()))
    }

    /// Counts bytes that were read; whether that was allowed.
    pub(super) fn count(&self, bytes: u64) -> bool {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.plan.budget.is_none_or(|budget| before + bytes <= budget)
    }

    /// Our own addresses.
    pub(super) fn own(&self) -> &[IpAddr] {
        if self.plan.own.is_empty() { self.own.get().map_or(&[], |own| &**own) } else { &self.plan.own }
    }

    /// Asks the judge for our own address, without a proxy in between.
    pub(super) fn find_own_address(&self) {
        let is_needed = self.plan.level == Level::Full && self.plan.own.is_empty();
        let Some(page) = self.plan.judge.as_ref().filter(|_| is_needed) else { return };
        let allowed = u64::try_from(self.plan.timeout.as_nanos()).unwrap_or(u64::MAX);
        let deadline = SystemClock.steady().saturating_add(allowed);
        let Ok(order) = self.asker.order(None, page, self.plan.max_body, deadline) else { return };
        let mut cost = Cost::default();
        let sent = Wire::new(Bounds::default()).send(&order, None, &mut || self.is_cancelled(), &mut cost);
        self.count(cost.received);
        if let Ok(Reply::Whole(answer)) = sent {
            let (_, exit) = judge(&answer.body.decoded, &[]);
            let _ = self.own.set(exit.into_iter().collect());
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    pub(super) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
        self.wake_all();
    }

    pub(super) fn wake_all(&self) {
        self.inboxes.iter().for_each(|inbox| inbox.wake());
    }

    /// Hands reports over, and enters them into their proxies' counters.
    pub(super) fn put(&self, reports: &mut Vec<Report>) {
        let booked = reports.iter().filter_map(|report| Some((self.items[report.index].proxy.as_ref()?, report)));
        booked.for_each(|(proxy, report)| fork::inside(|| book(proxy, report)));
        self.reports.put(reports);
    }

    /// The worker of that number is at its end, and its sockets are closed.
    pub(super) fn leave(&self, number: usize) {
        self.inboxes[number].close();
        // The last one has to see what the others have done.
        if self.workers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.reports.finish();
        }
    }
}

/// Enters a result into a proxy's counters.
fn book(proxy: &Proxy, report: &Report) {
    let now = ExactClock.wall();
    match report.failure {
        None => {
            proxy.record(Verdict::Success(report.response_ms.or(report.connect_ms).unwrap_or(0.0)), None, &ExactClock)
        }
        // Our own fault.
        Some(Failure::Budget | Failure::Cancelled | Failure::Internal) => return,
        Some(failure) if is_of_the_site(failure) => {}
        Some(_) => proxy.record(Verdict::Failure(report.total_ms), None, &ExactClock),
    }
    proxy.set_cold(|cold| {
        cold.last_health_check = Some(now);
        cold.total_checks += 1;
        cold.total_health_failures += u64::from(report.failure.is_some_and(|failure| !is_of_the_site(failure)));
        cold.last_health_error = report.failure.map(|failure| failure.to_string().into());
    });
}

/// Whether the proxy brought an answer by which the site refuses the request: it says nothing against the proxy as such.
const fn is_of_the_site(failure: Failure) -> bool {
    // 407 is said by proxies only.
    matches!(failure, Failure::Status(400..=406 | 408..=499))
}
