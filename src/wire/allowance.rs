//! How long each operation of a request may take: httpx's four timeouts, a pace, and a deadline for everything.
//!
//! A bound of single reads lets a server that sends a byte now and then keep a request for ever. So the head has twice the
//! read timeout in all, and a body that is read whole has that and one second more for each [`SLOWEST`] bytes. Apache
//! bounds slow clients in the same way (`RequestReadTimeout` with `MinRate`,
//! <https://httpd.apache.org/docs/current/mod/mod_reqtimeout.html>). A body that is left to the caller has no pace: an
//! event stream may be silent for long, and the reader may take its time.
//!
//! Times are nanoseconds of the steady clock.

use std::time::Duration;

use super::error::{Error, Kind, Stage};

/// Bytes a second that a body read whole must bring on average, once its grace is over.
pub const SLOWEST: u64 = 500;
/// Most seconds for a body that is read whole, whatever its pace.
const LONGEST_BODY: Duration = Duration::from_secs(3600);
/// An interim answer may come just before the read timeout, and the final one just as long after it.
const GRACE: u32 = 2;

/// The timeouts of httpx; `None` does not bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// For the name, TCP and the way through the proxy together; again for TLS with the target.
    pub connect: Option<Duration>,
    /// For one read.
    pub read: Option<Duration>,
    /// For one write.
    pub write: Option<Duration>,
    /// For the wait for a free connection.
    pub pool: Option<Duration>,
}

/// The bounds of one request.
#[derive(Debug, Clone)]
pub struct Allowance {
    timeouts: Timeouts,
    deadline: Option<u64>,
    is_whole: bool,
    stage: Stage,
    /// When the operation under way began.
    since: u64,
    /// When the stage must be over, or with connecting the stages together.
    until: Option<u64>,
    /// When a body that is read whole must be over, whatever its pace.
    last: u64,
}

fn after(since: u64, timeout: Option<Duration>) -> Option<u64> {
    timeout.map(|timeout| since.saturating_add(nanos(timeout)))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

impl Allowance {
    /// `is_whole`: the body is read to its end at once.
    #[must_use]
    pub fn new(timeouts: Timeouts, deadline: Option<u64>, is_whole: bool) -> Self {
        Self { timeouts, deadline, is_whole, stage: Stage::Pool, since: 0, until: None, last: u64::MAX }
    }

    /// Goes on to a stage.
    pub fn enter(&mut self, stage: Stage, now: u64) {
        let was_connecting = matches!(self.stage, Stage::Resolve | Stage::Tcp | Stage::ProxyTls);
        let goes_on = was_connecting && matches!(stage, Stage::Tcp | Stage::ProxyTls | Stage::Handshake);
        self.stage = stage;
        self.since = now;
        if goes_on {
            return;
        }
        self.until = match stage {
            Stage::Pool => after(now, self.timeouts.pool),
            Stage::Resolve | Stage::Tcp | Stage::ProxyTls | Stage::Handshake | Stage::TargetTls => {
                after(now, self.timeouts.connect)
            }
            Stage::Write => None,
            Stage::Head => after(now, self.timeouts.read.map(|read| read * GRACE)),
            Stage::Body if self.is_whole => {
                self.last = now.saturating_add(nanos(LONGEST_BODY));
                let paced = after(now, self.timeouts.read.map(|read| read * GRACE));
                least(paced, Some(self.last))
            }
            Stage::Body => None,
        };
    }

    /// Begins another operation of the same stage; `received` bytes of a body were read.
    pub fn progress(&mut self, now: u64, received: usize) {
        self.since = now;
        if self.stage == Stage::Body
            && self.is_whole
            && let Some(until) = self.until
        {
            let earned = (received as u64).saturating_mul(1_000_000_000 / SLOWEST);
            self.until = Some(until.saturating_add(earned).min(self.last));
        }
    }

    /// Other bounds for what is left of a body that the caller reads.
    pub fn renew(&mut self, timeouts: Timeouts, deadline: Option<u64>, now: u64) {
        (self.timeouts, self.deadline, self.since) = (timeouts, deadline, now);
    }

    /// When the operation under way must be over; `None` for never.
    #[must_use]
    pub fn ends(&self) -> Option<u64> {
        let own = match self.stage {
            Stage::Write => self.timeouts.write,
            Stage::Head | Stage::Body => self.timeouts.read,
            _ => None,
        };
        least(least(after(self.since, own), self.until), self.deadline)
    }

    /// Whether it should be over.
    #[must_use]
    pub fn is_over(&self, now: u64) -> bool {
        self.ends().is_some_and(|end| end <= now)
    }

    /// What is wrong when it should be.
    #[must_use]
    pub fn error(&self, now: u64) -> Error {
        let stage = self.stage;
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            let text = match stage {
                Stage::Pool => "no time left to wait for a connection",
                Stage::Write => "no time left to send the request",
                Stage::Head | Stage::Body => "no time left for the rest of the answer",
                _ => "no time left to connect",
            };
            return Error::new(Kind::Deadline, stage, text);
        }
        let is_paced = self.until.is_some_and(|until| until <= now);
        let (kind, text) = match stage {
            Stage::Pool => (Kind::PoolTimeout, "no connection became free in time"),
            Stage::Resolve => (Kind::ConnectTimeout, "timeout while resolving the name"),
            Stage::Tcp => (Kind::ConnectTimeout, "timeout while connecting"),
            Stage::ProxyTls => (Kind::ConnectTimeout, "timeout while starting TLS with the proxy"),
            Stage::Handshake => (Kind::ConnectTimeout, "timeout while talking to the proxy"),
            Stage::TargetTls => (Kind::ConnectTimeout, "the TLS handshake with the target timed out"),
            Stage::Write => (Kind::WriteTimeout, "the write operation timed out"),
            Stage::Head if is_paced => (Kind::ReadTimeout, "the head of the answer did not come to its end in time"),
            Stage::Body if is_paced => (Kind::ReadTimeout, "the body came at less than 500 bytes per second"),
            Stage::Head | Stage::Body => (Kind::ReadTimeout, "the read operation timed out"),
        };
        Error::new(kind, stage, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn allowance(deadline: Option<u64>, is_whole: bool) -> Allowance {
        let second = Some(Duration::from_secs(1));
        Allowance::new(Timeouts { connect: second, read: second, write: second, pool: second }, deadline, is_whole)
    }

    #[test]
    fn connecting_shares_one_timeout_and_tls_with_the_target_has_its_own() {
        let mut times = allowance(None, true);
        times.enter(Stage::Resolve, 10 * S);
        for stage in [Stage::Tcp, Stage::ProxyTls, Stage::Handshake] {
            times.enter(stage, 10 * S + S / 2);
            assert_eq!(times.ends(), Some(11 * S), "{stage:?}");
        }
        times.enter(Stage::TargetTls, 10 * S + S / 2);
        assert_eq!(times.ends(), Some(11 * S + S / 2));
        assert_eq!(times.error(12 * S).kind, Kind::ConnectTimeout);
    }

    #[test]
    fn a_head_in_drips_ends() {
        let mut times = allowance(None, true);
        times.enter(Stage::Head, 0);
        assert_eq!(times.ends(), Some(S));
        times.progress(S - 1, 1);
        assert_eq!(times.ends(), Some(2 * S - 1));
        times.progress(2 * S - 2, 1);
        assert_eq!(times.ends(), Some(2 * S));
        assert!(times.is_over(2 * S));
        assert_eq!(times.error(2 * S).text(), "the head of the answer did not come to its end in time");
    }

    #[test]
    fn a_whole_body_must_keep_a_pace_and_a_stream_need_not() {
        let mut times = allowance(None, true);
        times.enter(Stage::Body, 0);
        times.progress(S, 500);
        times.progress(2 * S, 0);
        times.progress(3 * S - 1, 1);
        assert_eq!(times.ends(), Some(3 * S + S / 500));
        let mut times = allowance(None, false);
        times.enter(Stage::Body, 0);
        times.progress(50 * S, 1);
        assert_eq!(times.ends(), Some(51 * S));
    }

    #[test]
    fn the_deadline_bounds_every_stage() {
        let mut times = allowance(Some(S / 2), true);
        for stage in [Stage::Pool, Stage::Resolve, Stage::TargetTls, Stage::Write, Stage::Head, Stage::Body] {
            times.enter(stage, 0);
            assert_eq!(times.ends(), Some(S / 2));
            assert_eq!((times.error(S / 2).kind, times.error(S / 2).stage), (Kind::Deadline, stage));
        }
    }
}
