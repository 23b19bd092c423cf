//! The check of one proxy, step by step, without I/O: each step says what is to be asked next.

use std::net::{IpAddr, SocketAddr};

use super::ask::{Through, Way, failure_of};
use super::detect::{Detection, Found};
use super::judge::judge;
use super::plan::Level;
use super::report::{Failure, Report, Stage};
use super::shared::Shared;
use crate::clock::{Clock, SystemClock};
use crate::drive::looped::Answer;
use crate::drive::order::Order;
use crate::net::address::{Address, is_public};
use crate::net::target::Target;
use crate::sync::Arc;
use crate::wire::error::Error;

/// One proxy's check.
pub(super) struct Check {
    pub(super) report: Report,
    began: u64,
    deadline: u64,
    /// When it was connected to.
    opened: u64,
    places: Arc<[SocketAddr]>,
    way: Way,
    purpose: Purpose,
    /// The page that is asked for now.
    target: Option<Target>,
    /// When that must be over.
    until: u64,
    /// Whether the connection under way is the first.
    is_first: bool,
}

/// What the page under way is for.
enum Purpose {
    /// To find out how the proxy is spoken to.
    Detect(Detection<Page>),
    /// To be held against the rule, after so many redirections as are left.
    Follow(usize),
    /// To see what the proxy reveals.
    Judge,
}

/// Of an answer what a check needs.
#[derive(Default)]
struct Page {
    status: u16,
    location: Option<String>,
    body: Vec<u8>,
}

/// What is to be done next.
pub(super) enum Next {
    /// Open a connection, and wait.
    Open(Order),
    /// Send the request over it, to be answered by then.
    Proceed(u64),
    /// Send a request over a new connection.
    Send(Order),
    Over(Result<(), Failure>),
}

impl From<Result<Next, Failure>> for Next {
    fn from(result: Result<Next, Failure>) -> Self {
        result.unwrap_or_else(|failure| Self::Over(Err(failure)))
    }
}

fn now() -> u64 {
    SystemClock.steady()
}

fn milliseconds(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e6
}

impl Check {
    pub(super) fn new(index: usize, address: &Address) -> Self {
        Self {
            report: Report::new(index, address.protocol),
            began: 0,
            deadline: 0,
            opened: 0,
            places: Arc::new([]),
            way: Way { protocol: address.protocol, tunnel: false },
            purpose: Purpose::Judge,
            target: None,
            until: 0,
            is_first: true,
        }
    }

    /// When everything must be over.
    pub(super) fn deadline(&self) -> u64 {
        self.deadline
    }

    /// The report, once it is over.
    pub(super) fn into_report(mut self, outcome: Result<(), Failure>) -> Report {
        self.report.failure = outcome.err();
        if self.began > 0 {
            self.report.total_ms = milliseconds(self.began, now());
        }
        self.report
    }

    /// Its turn has come.
    pub(super) fn begin(&mut self, shared: &Shared) -> Result<(), Failure> {
        #[cfg(test)]
        assert_ne!(&*shared.address(self.report.index).host, super::run::tests::PANICS, "a deliberate panic");
        self.began = now();
        let allowed = u64::try_from(shared.plan.timeout.as_nanos()).unwrap_or(u64::MAX);
        self.deadline = self.began.saturating_add(allowed);
        if shared.bytes_left() == Some(0) { Err(Failure::Budget) } else { Ok(()) }
    }

    /// It was found out where it is.
    pub(super) fn placed(&mut self, shared: &Shared, found: &[IpAddr]) -> Next {
        if found.is_empty() {
            return Next::Over(Err(Failure::Dns));
        }
        let address = shared.address(self.report.index);
        // Judged here and not by the name: what is checked is what is connected to.
        let is_public_only = shared.items[self.report.index].public_only;
        let fit = |ip: &IpAddr| !is_public_only || is_public(*ip);
        self.places =
            found.iter().copied().filter(fit).map(|ip| SocketAddr::new(ip, address.effective_port())).collect();
        if self.places.is_empty() {
            return Next::Over(Err(Failure::Local));
        }
        self.report.stage = Stage::Dns;
        let plan = &shared.plan;
        self.purpose = Purpose::Follow(plan.max_redirects);
        // At the basic level there may be no page, and none is asked for.
        let Some(target) = plan.targets.get(self.report.index % plan.targets.len().max(1)) else {
            self.target = Some(Target { tls: false, host: address.host.clone(), port: 80, path: "/".into() });
            return self.again(shared);
        };
        if plan.detect && plan.level > Level::Basic {
            let detection = Detection::new(address, target);
            self.way = detection.way();
            self.purpose = Purpose::Detect(detection);
        }
        self.target = Some(target.clone());
        self.again(shared)
    }

    /// Asks for what is asked for now, or did not get so far.
    pub(super) fn again(&mut self, shared: &Shared) -> Next {
        if self.is_first {
            self.until = self.deadline;
        }
        self.order(shared).map(|order| if self.is_first { Next::Open(order) } else { Next::Send(order) }).into()
    }

    fn order(&self, shared: &Shared) -> Result<Order, Failure> {
        let index = self.report.index;
        let target = self.target.as_ref().ok_or(Failure::Internal)?;
        let through = Through { number: index, address: shared.address(index), way: self.way, places: &self.places };
        let left = shared.bytes_left().and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX);
        shared.asker.order(Some(&through), target, shared.plan.max_body.min(left), self.until)
    }

    /// It was connected to.
    pub(super) fn opened(&mut self, shared: &Shared) -> Next {
        self.opened = now();
        self.is_first = false;
        self.report.stage = Stage::Tcp;
        self.report.connect_ms = Some(milliseconds(self.began, self.opened));
        if shared.plan.level == Level::Basic {
            return Next::Over(Ok(()));
        }
        if let Purpose::Detect(detection) = &self.purpose {
            self.until = detection.until(self.opened, self.deadline);
        }
        Next::Proceed(self.until)
    }

    fn count(&mut self, shared: &Shared, received: u64) -> Result<(), Failure> {
        self.report.bytes += received;
        if shared.count(received) { Ok(()) } else { Err(Failure::Budget) }
    }

    /// No answer came.
    pub(super) fn failed(&mut self, shared: &Shared, error: &Error, received: u64) -> Next {
        let failure = self.count(shared, received).err().unwrap_or_else(|| failure_of(error, self.way.protocol));
        self.without_answer(shared, failure)
    }

    fn without_answer(&mut self, shared: &Shared, failure: Failure) -> Next {
        match &mut self.purpose {
            // One that cannot be connected to needs no other way.
            Purpose::Detect(detection) if !self.is_first => {
                let found = detection.failed(failure);
                self.detected(shared, found)
            }
            _ => Next::Over(Err(failure)),
        }
    }

    /// An answer came.
    pub(super) fn answered(&mut self, shared: &Shared, answer: Answer, received: u64) -> Next {
        if let Err(failure) = self.count(shared, received) {
            return self.without_answer(shared, failure);
        }
        let status = answer.head.status;
        if status == 407 && self.target.as_ref().is_some_and(|target| self.way.forwards(target)) {
            return self.without_answer(shared, Failure::Auth);
        }
        let location = answer.head.values("location").next().map(|to| String::from_utf8_lossy(to).into_owned());
        let body = answer.body.map_or_else(Vec::new, |body| body.decoded);
        let page = Page { status, location, body };
        match &mut self.purpose {
            Purpose::Detect(detection) => {
                let found = detection.answered(&shared.plan.rule, status, page);
                self.detected(shared, found)
            }
            Purpose::Follow(left) => {
                let left = *left;
                self.follow(shared, &page, left).into()
            }
            Purpose::Judge => Next::Over(self.judged(shared, &page)),
        }
    }

    fn detected(&mut self, shared: &Shared, found: Found<Page>) -> Next {
        match (found, &self.purpose) {
            (Found::Next, Purpose::Detect(detection)) => {
                self.way = detection.way();
                self.until = detection.until(now(), self.deadline);
                self.order(shared).map(Next::Send).into()
            }
            (Found::Way(way, page), _) => {
                self.way = way;
                self.until = self.deadline;
                self.follow(shared, &page, shared.plan.max_redirects).into()
            }
            (Found::None(failure), _) => Next::Over(Err(failure)),
            (Found::Next, _) => Next::Over(Err(Failure::Internal)),
        }
    }

    /// Holds a page against the rule; follows redirections.
    fn follow(&mut self, shared: &Shared, page: &Page, left: usize) -> Result<Next, Failure> {
        let plan = &shared.plan;
        (self.report.protocol, self.report.tunnels_only) = (self.way.protocol, self.way.tunnel);
        self.report.status = Some(page.status);
        if plan.rule.accepts(page.status) {
            let fits = |wanted: &[u8]| memchr::memmem::find(&page.body, wanted).is_some();
            return if plan.rule.contains.as_deref().is_none_or(fits) {
                self.passed(shared)
            } else {
                Err(Failure::Body)
            };
        }
        if !matches!(page.status, 301 | 302 | 303 | 307 | 308) || plan.max_redirects == 0 {
            return Err(Failure::Status(page.status));
        }
        let left = left.checked_sub(1).ok_or(Failure::Redirect)?;
        let to = page.location.as_deref().zip(self.target.as_ref()).and_then(|(to, from)| from.join(to));
        self.target = Some(to.ok_or(Failure::Redirect)?);
        self.purpose = Purpose::Follow(left);
        self.order(shared).map(Next::Send)
    }

    /// A page came, and is the right one.
    fn passed(&mut self, shared: &Shared) -> Result<Next, Failure> {
        self.report.response_ms = Some(milliseconds(self.opened, now()));
        self.report.stage = Stage::Http;
        let Some(page) = shared.plan.judge.as_ref().filter(|_| shared.plan.level == Level::Full) else {
            return Ok(Next::Over(Ok(())));
        };
        self.target = Some(page.clone());
        self.purpose = Purpose::Judge;
        self.order(shared).map(Next::Send)
    }

    fn judged(&mut self, shared: &Shared, page: &Page) -> Result<(), Failure> {
        if !(200..300).contains(&page.status) {
            return Err(Failure::Status(page.status));
        }
        (self.report.anonymity, self.report.exit) = judge(&page.body, shared.own());
        self.report.stage = Stage::Anonymity;
        match shared.plan.anonymity {
            Some(least) if self.report.anonymity < Some(least) => Err(Failure::Anonymity),
            _ => Ok(()),
        }
    }
}
