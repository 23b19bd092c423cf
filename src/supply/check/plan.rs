//! What is to be checked, and how hard.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::net::target::Target;
use crate::net::tls::{BadCertificates, Verification};
use crate::supply::Anonymity;

/// How much of a proxy is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Address, name, TCP.
    Basic,
    /// And a page through it.
    Standard,
    /// And what a judge sees.
    Full,
}

/// What the page must be.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Accepted statuses; empty for those from 200 to 299.
    pub statuses: Vec<u16>,
    /// What must occur in the body, in the part of it that is read.
    pub contains: Option<Box<[u8]>>,
}

impl Rule {
    pub(super) fn accepts(&self, status: u16) -> bool {
        if self.statuses.is_empty() { (200..300).contains(&status) } else { self.statuses.contains(&status) }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How much is checked.
    pub level: Level,
    /// Pages to fetch, in turn.
    pub targets: Vec<Target>,
    /// A page that shows the headers of the request it got.
    pub judge: Option<Target>,
    /// What a page must be.
    pub rule: Rule,
    /// Deadline of everything about one proxy.
    pub timeout: Duration,
    /// Proxies under way at a time.
    pub concurrency: usize,
    /// Of one host at a time.
    pub per_host: Option<usize>,
    /// Bytes that all checks together may read.
    pub budget: Option<u64>,
    /// Bytes of a body that are read; a longer one is cut off there, which is no failure.
    pub max_body: usize,
    /// Redirections to follow.
    pub max_redirects: usize,
    /// Find out how a proxy is spoken to, beginning with what its address says.
    pub detect: bool,
    /// Least anonymity that passes.
    pub anonymity: Option<Anonymity>,
    /// Our own public addresses, by which a judge's page identifies a transparent proxy. When empty, the judge is
    /// asked.
    pub own: Vec<IpAddr>,
    /// What the request says we are.
    pub user_agent: Box<str>,
    /// Which certificates are accepted.
    pub verification: Verification,
}

/// Why a plan cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// A page is to be fetched and there is none.
    NoTarget,
    /// Anonymity is to be judged and there is no judge.
    NoJudge,
    /// A number that must be above zero is not.
    Zero(&'static str),
    /// The certificates given cannot be read.
    Certificates,
}

impl From<BadCertificates> for PlanError {
    fn from(_: BadCertificates) -> Self {
        Self::Certificates
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTarget => f.write_str("a check at this level needs the URL of a page to fetch"),
            Self::NoJudge => f.write_str("a check of anonymity needs the URL of a judge"),
            Self::Zero(name) => write!(f, "{name} must be positive"),
            Self::Certificates => f.write_str("the certificates of the authority cannot be read"),
        }
    }
}

impl std::error::Error for PlanError {}

impl Default for Plan {
    fn default() -> Self {
        Self {
            level: Level::Standard,
            targets: Vec::new(),
            judge: None,
            rule: Rule { statuses: Vec::new(), contains: None },
            timeout: Duration::from_secs(5),
            concurrency: 500,
            per_host: None,
            budget: None,
            max_body: 64 << 10,
            max_redirects: 3,
            detect: false,
            anonymity: None,
            own: Vec::new(),
            user_agent: concat!("proxywhirl/", env!("CARGO_PKG_VERSION")).into(),
            verification: Verification::default(),
        }
    }
}

impl Plan {
    /// Whether it can be followed.
    ///
    /// # Errors
    /// [`PlanError`]
    pub fn check(&self) -> Result<(), PlanError> {
        if self.level > Level::Basic && self.targets.is_empty() {
            return Err(PlanError::NoTarget);
        }
        if self.level == Level::Full && self.judge.is_none() {
            return Err(PlanError::NoJudge);
        }
        for (name, zero) in [
            ("timeout", self.timeout.is_zero()),
            ("concurrency", self.concurrency == 0),
            ("per_host", self.per_host == Some(0)),
        ] {
            if zero {
                return Err(PlanError::Zero(name));
            }
        }
        Ok(())
    }
}
