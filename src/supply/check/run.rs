//! Many checks at once, and their reports as they come.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ahash::AHashMap;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::dial::fetch_directly;
use super::dns::Names;
use super::http::Meter;
use super::judge::judge;
use super::plan::{Level, Plan, PlanError};
use super::report::{Failure, Report};
use super::runtime::Forked;
use super::stages::{check, connect};
use crate::clock::{Clock, ExactClock};
use crate::fork;
use crate::net::address::{Address, Protocol};
use crate::net::tls;
use crate::proxy::{Proxy, Verdict};
use crate::sync::{Arc, AtomicBool, AtomicU64, AtomicUsize, Mutex, OnceLock, Ordering};

/// Reports that may wait for their reader; checks pause until some are taken.
const WAITING: usize = 16_384;
/// How long cancelling waits for the sockets to close; tasks end at their next turn.
const PATIENCE: Duration = Duration::from_secs(2);

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

type Waker = Box<dyn FnOnce() + Send>;

/// What checks share.
pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) names: Names,
    items: Vec<Item>,
    connector: Option<TlsConnector>,
    next: AtomicUsize,
    bytes: AtomicU64,
    own: OnceLock<Vec<IpAddr>>,
    hosts: Mutex<AHashMap<Box<str>, Arc<Semaphore>>>,
    reports: Mutex<Reports>,
    room: Semaphore,
    ready: Notify,
    cancelled: AtomicBool,
    cancel: Notify,
}

#[derive(Default)]
struct Reports {
    waiting: VecDeque<Report>,
    finished: bool,
    waker: Option<Waker>,
}

impl Shared {
    pub(super) fn tls(&self) -> Option<&TlsConnector> {
        self.connector.as_ref()
    }

    pub(super) fn meter(&self) -> Meter<'_> {
        Meter { all: &self.bytes, budget: self.plan.budget, own: 0 }
    }

    pub(super) fn own(&self) -> Vec<IpAddr> {
        if self.plan.own.is_empty() { self.own.get().cloned().unwrap_or_default() } else { self.plan.own.clone() }
    }

    fn host(&self, host: &str, most: usize) -> Arc<Semaphore> {
        self.hosts.lock().entry(host.into()).or_insert_with(|| Arc::new(Semaphore::new(most))).clone()
    }

    fn put(&self, report: Option<Report>) {
        let waker = fork::inside(|| {
            let mut reports = self.reports.lock();
            match report {
                Some(report) => reports.waiting.push_back(report),
                None => reports.finished = true,
            }
            reports.waker.take()
        });
        self.ready.notify_one();
        // Foreign code: with no lock held.
        if let Some(waker) = waker {
            waker();
        }
    }

    /// One of those that work through the list.
    async fn work(self: Arc<Self>) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = self.items.get(index) else { return };
            let failed = |failure| Report { failure: Some(failure), ..Report::new(index, Protocol::Http) };
            let judged = survive(async {
                let report = match &item.address {
                    Some(address) => self.check(index, address, item.public_only).await,
                    None => failed(Failure::Format),
                };
                if let Some(proxy) = &item.proxy {
                    fork::inside(|| book(proxy, &report));
                }
                report
            });
            let report = judged.await.unwrap_or_else(|| failed(Failure::Internal));
            match self.room.acquire().await {
                Ok(room) => room.forget(),
                Err(_) => return,
            }
            self.put(Some(report));
        }
    }

    async fn check(&self, index: usize, address: &Address, public_only: bool) -> Report {
        #[cfg(test)]
        assert_ne!(&*address.host, tests::PANICS, "a deliberate panic");
        let limit = self.plan.per_host.map(|most| self.host(&address.host, most));
        let _turn = match &limit {
            Some(limit) => limit.acquire().await.ok(),
            None => None,
        };
        check(self, index, address, public_only).await
    }

    /// Asks the judge for our own address, without a proxy in between.
    async fn find_own_address(&self) {
        let Some(page) =
            self.plan.judge.as_ref().filter(|_| self.plan.level == Level::Full && self.plan.own.is_empty())
        else {
            return;
        };
        let ask = async {
            let places = self.names.resolve(&page.host, page.port).await;
            let stream = connect(&places).await?;
            fetch_directly(self, stream, page, &mut self.meter()).await
        };
        if let Ok(Ok(answer)) = tokio::time::timeout(self.plan.timeout, ask).await {
            let (_, exit) = judge(&answer.body, &[]);
            let _ = self.own.set(exit.into_iter().collect());
        }
    }
}

/// What a future comes to; `None` if it panics: the others, and tasks that wait for them, go on.
async fn survive<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
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
        Some(_) => proxy.record(Verdict::Failure(report.total_ms), None, &ExactClock),
    }
    proxy.set_cold(|cold| {
        cold.last_health_check = Some(now);
        cold.total_checks += 1;
        cold.total_health_failures += u64::from(report.failure.is_some());
        cold.last_health_error = report.failure.map(|failure| failure.to_string().into());
    });
}

/// Checks under way. May be used from any thread. Dropped, it ends them.
pub struct Run {
    shared: Arc<Shared>,
    runtime: Handle,
    process: u32,
}

impl Run {
    /// Begins to check a list.
    ///
    /// # Errors
    /// [`PlanError`]
    pub fn start(runtime: &Handle, plan: Plan, items: Vec<Item>) -> Result<Self, PlanError> {
        plan.check()?;
        let https = |target: &crate::net::target::Target| target.tls;
        // A redirection may lead to TLS unexpectedly; loading certificates takes milliseconds, so it is
        // spared where it cannot happen.
        let may_need_tls = plan.level > Level::Basic
            && (plan.targets.iter().any(https)
                || plan.judge.as_ref().is_some_and(https)
                || plan.max_redirects > 0
                || items
                    .iter()
                    .any(|item| item.address.as_ref().is_some_and(|address| address.protocol == Protocol::Https)));
        let settings = may_need_tls.then(|| tls::client_config(&plan.verification, None)).transpose()?;
        let connector = settings.map(|settings| TlsConnector::from(Arc::new(settings)));
        let workers = plan.concurrency.min(items.len());
        let shared = Arc::new(Shared {
            plan,
            names: Names::new(),
            items,
            connector,
            next: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            own: OnceLock::new(),
            hosts: Mutex::new(AHashMap::new()),
            reports: Mutex::new(Reports::default()),
            room: Semaphore::new(WAITING),
            ready: Notify::new(),
            cancelled: AtomicBool::new(false),
            cancel: Notify::new(),
        });
        let all = shared.clone();
        runtime.spawn(async move {
            let mut tasks = JoinSet::new();
            let work = async {
                all.find_own_address().await;
                for _ in 0..workers {
                    tasks.spawn(all.clone().work());
                }
                while tasks.join_next().await.is_some() {}
            };
            survive(async {
                tokio::select! {
                    () = work => {}
                    () = all.cancel.notified() => {}
                }
            })
            .await;
            // Every task, and with it every socket, is gone before the waiters are notified.
            tasks.shutdown().await;
            all.put(None);
        });
        Ok(Self { shared, runtime: runtime.clone(), process: std::process::id() })
    }

    /// How many are checked.
    #[must_use]
    pub fn total(&self) -> usize {
        self.shared.items.len()
    }

    /// Bytes read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// What has been checked, by its place in the list.
    #[must_use]
    pub fn item(&self, index: usize) -> Option<&Item> {
        self.shared.items.get(index)
    }

    /// Takes the reports that are ready, at most so many; `None` when all have been taken and no more will come.
    #[must_use]
    pub fn take(&self, most: usize) -> Option<Vec<Report>> {
        let mut reports = self.shared.reports.lock();
        let count = reports.waiting.len().min(most);
        if count == 0 && reports.finished {
            return None;
        }
        let taken: Vec<Report> = reports.waiting.drain(..count).collect();
        drop(reports);
        self.shared.room.add_permits(count);
        Some(taken)
    }

    /// Waits until something is ready or everything is over, no longer than `limit`.
    ///
    /// # Errors
    /// [`Forked`] in a child of the process that started it.
    pub fn wait(&self, limit: Duration) -> Result<(), Forked> {
        if self.process != std::process::id() {
            return Err(Forked);
        }
        if self.is_ready() {
            return Ok(());
        }
        // Over after the limit, ready or not: the caller checks again.
        let _ = self.runtime.block_on(async { tokio::time::timeout(limit, self.shared.ready.notified()).await });
        Ok(())
    }

    fn is_ready(&self) -> bool {
        fork::inside(|| {
            let reports = self.shared.reports.lock();
            reports.finished || !reports.waiting.is_empty()
        })
    }

    /// Has `waker` called once when something is ready or everything is over: at once if it is so already. It replaces the
    /// one before.
    pub fn wake(&self, waker: Waker) {
        let (now, _replaced) = fork::inside(|| {
            let mut reports = self.shared.reports.lock();
            if reports.finished || !reports.waiting.is_empty() {
                return (Some(waker), None);
            }
            (None, reports.waker.replace(waker))
        });
        if let Some(waker) = now {
            waker();
        }
    }

    /// Ends the checks and waits until their sockets are closed. Reports that are ready stay.
    pub fn cancel(&self) {
        if self.process != std::process::id() {
            return;
        }
        if !self.shared.cancelled.swap(true, Ordering::Relaxed) {
            self.shared.cancel.notify_one();
        }
        let over = async {
            while !fork::inside(|| self.shared.reports.lock().finished) {
                let _ = tokio::time::timeout(Duration::from_millis(5), self.shared.ready.notified()).await;
            }
        };
        // A task is at most one step from its end.
        let _ = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, over).await });
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            self.shared.cancel.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::health::Source;
    use crate::supply::check::handle;

    /// A check of this host panics.
    pub(super) const PANICS: &str = "panics.test";

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
            let run = Run::start(&handle().unwrap(), plan, items).unwrap();
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
