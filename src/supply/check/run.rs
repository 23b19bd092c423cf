//! Many checks at once, and their reports as they come.

use std::time::Duration;
use std::{fmt, io, thread};

use super::ask::Asker;
use super::plan::{Level, Plan, PlanError};
use super::report::Report;
use super::reports::Waker;
use super::shared::Shared;
use super::worker::{Desk, Worker};
use crate::clock::{Clock, SystemClock};
use crate::net::address::{Address, Protocol};
use crate::net::target::Target;
use crate::proxy::Proxy;
use crate::sync::Arc;

/// How long cancelling waits for the sockets to close; workers end at their next turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most threads of a run.
const MOST_THREADS: usize = 4;
/// Checks at a time that are worth a thread.
const WORTH: usize = 32;

/// What is checked.
#[derive(Debug, Clone)]
pub struct Item {
    /// Where it is; `None` for what could not be read, which is reported so.
    pub address: Option<Address>,
    /// The proxy that the result is recorded on, if any.
    pub proxy: Option<Arc<Proxy>>,
    /// Whether it must not lead into the user's own network: it was named by a list of others.
    pub public_only: bool,
}

/// Why no checks are begun.
#[derive(Debug)]
pub enum StartError {
    /// The plan cannot be followed.
    Plan(PlanError),
    /// The system grants no thread, or no descriptors.
    System(io::Error),
}

impl From<PlanError> for StartError {
    fn from(error: PlanError) -> Self {
        Self::Plan(error)
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(error) => error.fmt(f),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

/// A run was used in a child of the process that started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forked;

impl fmt::Display for Forked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these checks were started by the parent process; start them anew here")
    }
}

impl std::error::Error for Forked {}

/// Checks under way. May be used from any thread. Dropped, it ends them.
pub struct Run {
    shared: Arc<Shared>,
    process: u32,
}

/// Whether TLS may be spoken. A redirection may lead to it unexpectedly; to load certificates takes milliseconds, so it is
/// spared where it cannot happen.
fn may_need_tls(plan: &Plan, items: &[Item]) -> bool {
    let https = |target: &Target| target.tls;
    let speaks_tls = |item: &Item| item.address.as_ref().is_some_and(|address| address.protocol == Protocol::Https);
    plan.level > Level::Basic
        && (plan.targets.iter().any(https)
            || plan.judge.as_ref().is_some_and(https)
            || plan.max_redirects > 0
            || items.iter().any(speaks_tls))
}

/// Threads for so many checks at a time.
fn threads_for(at_once: usize) -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    processors.min(MOST_THREADS).min(at_once.div_ceil(WORTH)).max(1)
}

impl Run {
    /// Begins to check a list.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn start(plan: Plan, items: Vec<Item>) -> Result<Self, StartError> {
        plan.check()?;
        let asker = Asker::new(&plan, may_need_tls(&plan, &items)).map_err(PlanError::from)?;
        let at_once = plan.concurrency.min(items.len());
        let threads = threads_for(at_once);
        let desks = (0..threads).map(|_| Desk::new()).collect::<io::Result<Vec<_>>>()?;
        let inboxes = desks.iter().map(|desk| Arc::new(desk.inbox())).collect();
        let shared = Arc::new(Shared::new(plan, items, asker, inboxes));
        let share = |number| at_once / threads + usize::from(number < at_once % threads);
        let mut workers: Vec<Worker> = (desks.into_iter().enumerate())
            .map(|(number, desk)| Worker::new(&shared, number, desk, share(number)))
            .collect();
        let of_first = Arc::clone(&shared);
        spawn(move || {
            of_first.find_own_address();
            // One that gets no thread leaves its share to the others.
            workers.drain(1..).for_each(|worker| drop(spawn(|| worker.run())));
            workers.into_iter().for_each(Worker::run);
        })?;
        Ok(Self { shared, process: std::process::id() })
    }

    /// How many are checked.
    #[must_use]
    pub fn total(&self) -> usize {
        self.shared.items.len()
    }

    /// Bytes read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.bytes()
    }

    /// What has been checked, by its place in the list.
    #[must_use]
    pub fn item(&self, index: usize) -> Option<&Item> {
        self.shared.items.get(index)
    }

    /// Takes the reports that are ready, at most so many; `None` when all have been taken and no more will come.
    #[must_use]
    pub fn take(&self, most: usize) -> Option<Vec<Report>> {
        let (taken, had_paused) = self.shared.reports.take(most);
        if had_paused && self.is_own() {
            self.shared.wake_all();
        }
        taken
    }

    /// Waits until something is ready or everything is over, no longer than `limit`.
    ///
    /// # Errors
    /// [`Forked`] in a child of the process that started it.
    pub fn wait(&self, limit: Duration) -> Result<(), Forked> {
        if !self.is_own() {
            return Err(Forked);
        }
        // Over after the limit, ready or not: the caller checks again.
        if !self.shared.reports.is_ready() {
            self.shared.reports.wait(limit);
        }
        Ok(())
    }

    /// Has `waker` called once when something is ready or everything is over: at once if it is so already. It replaces the
    /// one before.
    pub fn wake(&self, waker: Waker) {
        self.shared.reports.wake(waker);
    }

    /// Ends the checks and waits until their sockets are closed. Reports that are ready stay.
    pub fn cancel(&self) {
        if !self.is_own() {
            return;
        }
        self.shared.cancel();
        let begun = now();
        while !self.shared.reports.is_finished() && now().saturating_sub(begun) < PATIENCE.as_nanos() as u64 {
            self.shared.reports.wait(Duration::from_millis(5));
        }
    }

    fn is_own(&self) -> bool {
        self.process == std::process::id()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.is_own() {
            self.shared.cancel();
        }
    }
}

fn now() -> u64 {
    SystemClock.steady()
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("check".into()).spawn(work).map(drop)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::proxy::health::Source;

    /// A check of this host panics.
    pub(in super::super) const PANICS: &str = "panics.test";

    #[test]
    fn a_check_that_panics_is_reported_and_the_others_go_on() {
        for concurrency in [1, 3] {
            // Port 1 of loopback: refused at once.
            let item = |host: &str, proxy| Item {
                address: Address::parse_line(&format!("http://{host}:1")).ok(),
                proxy,
                public_only: false,
            };
            let proxy = Arc::new(Proxy::new(&Address::parse_line("http://panics.test:1").unwrap(), Source::User, 0));
            let items = vec![
                item("127.0.0.1", None),
                item(PANICS, Some(proxy.clone())),
                item("127.0.0.1", None),
                item(PANICS, None),
                item("127.0.0.1", None),
            ];
            let plan = Plan { level: Level::Basic, concurrency, ..Plan::default() };
            let run = Run::start(plan, items).unwrap();
            let mut reports = Vec::new();
            while let Some(more) = run.take(10) {
                reports.extend(more);
                run.wait(Duration::from_millis(50)).unwrap();
            }
            reports.sort_by_key(|report| report.index);
            let failures: Vec<_> =
                reports.iter().map(|report| report.failure.map(|failure| failure.as_str())).collect();
            let (refused, internal) = (Some("refused"), Some("internal"));
            assert_eq!(failures, [refused, internal, refused, internal, refused], "{concurrency} at a time");
            // Not the proxy's fault: nothing is counted.
            assert_eq!(proxy.totals().0, 0);
            assert_eq!(proxy.cold(|cold| cold.total_checks), 0);
        }
    }
}
