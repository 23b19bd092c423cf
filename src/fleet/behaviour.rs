//! How a proxy behaves: slow, flaky, flapping, banned. A description only; [`script`](super::script) plays it.

use std::time::Duration;

use super::error::SpecError;
use super::fault::Fault;

/// How long a proxy takes before it does anything. All times in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Latency {
    /// As fast as the machine allows.
    #[default]
    None,
    /// Always the same.
    Fixed(f64),
    /// Anything between two bounds, equally likely.
    Uniform {
        /// The least.
        lo: f64,
        /// The most.
        hi: f64,
    },
    /// Log-normal, as real round trips are: a median with a long tail to the right.
    LogNormal {
        /// Half of all requests are faster.
        median: f64,
        /// Standard deviation of the logarithm; 0.5 is a moderate tail.
        sigma: f64,
    },
    /// Moves in a straight line from one value to another, and stays there.
    Drift {
        /// At the first request.
        from: f64,
        /// From request number `requests` on.
        to: f64,
        /// Over how many requests.
        requests: u64,
    },
}

/// In what a [`Flap`] is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlapUnit {
    /// Requests (tunnels and SOCKS handshakes count as one each).
    Requests,
    /// Milliseconds since the behaviour was set.
    Milliseconds,
}

/// Up for a while, down for a while, and so on, starting up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flap {
    /// How long it works.
    pub up: u64,
    /// How long it does not.
    pub down: u64,
    /// In what both are measured.
    pub unit: FlapUnit,
}

/// When sites ban a proxy: after so many requests, they answer 403 and a captcha page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bans {
    /// For every site that [`sites`](Self::sites) does not name.
    pub everywhere: Option<u64>,
    /// For single sites, by lower-case host name.
    pub sites: Vec<(String, u64)>,
    /// How long a ban lasts; `None`: until the behaviour is changed.
    pub lasts: Option<Duration>,
}

impl Bans {
    /// After how many requests this site bans the proxy.
    #[must_use]
    pub fn after(&self, site: &str) -> Option<u64> {
        self.sites.iter().find(|(name, _)| name == site).map(|(_, after)| *after).or(self.everywhere)
    }

    fn is_empty(&self) -> bool {
        self.everywhere.is_none() && self.sites.is_empty()
    }
}

/// So many requests per window and site; the ones above are answered 429 with `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests served in one window.
    pub requests: u64,
    /// How long a window is; it opens with its first request.
    pub window: Duration,
}

/// Everything that is scripted about a proxy. The default is a perfect one.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// How slow it is.
    pub latency: Latency,
    /// A fault that hits every request.
    pub fault: Option<Fault>,
    /// How many bytes of the body a cut lets through, at most half of it where its length is known.
    pub cut_after: u64,
    /// What `fail_rate`, `fail_first` and `flap` fail with.
    pub fail_with: Fault,
    /// The probability, 0 to 1, with which a request fails.
    pub fail_rate: f64,
    /// So many requests fail before the proxy works.
    pub fail_first: u64,
    /// Up and down by schedule.
    pub flap: Option<Flap>,
    /// When sites ban it.
    pub bans: Bans,
    /// When sites slow it down.
    pub rate_limit: Option<RateLimit>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            latency: Latency::None,
            fault: None,
            cut_after: 64,
            fail_with: Fault::Status(502),
            fail_rate: 0.0,
            fail_first: 0,
            flap: None,
            bans: Bans::default(),
            rate_limit: None,
        }
    }
}

/// A latency above this is a mistake in the unit: one hour, in milliseconds.
const LATENCY_MAX: f64 = 3_600_000.0;

impl Behaviour {
    /// Whether sites have a say in it, so that the others need not ask.
    #[must_use]
    pub fn has_site_rules(&self) -> bool {
        self.rate_limit.is_some() || !self.bans.is_empty()
    }

    /// Says which field holds nonsense.
    ///
    /// # Errors
    /// The first field whose value is out of its range.
    pub fn check(&self) -> Result<(), SpecError> {
        self.latency.check()?;
        if !(0.0..=1.0).contains(&self.fail_rate) {
            return Err(SpecError::new(
                "fail_rate",
                format!("{} is not a probability between 0 and 1", self.fail_rate),
            ));
        }
        if let Some(flap) = self.flap
            && (flap.up == 0 && flap.down == 0 || flap.up.checked_add(flap.down).is_none())
        {
            return Err(SpecError::new("flap", "up and down cannot both be 0, nor overflow together"));
        }
        if let Some((site, _)) = self.bans.sites.iter().find(|(site, _)| site.is_empty()) {
            return Err(SpecError::new("ban_after", format!("{site:?} is not a site's host name")));
        }
        if let Some(limit) = self.rate_limit
            && limit.window.is_zero()
        {
            return Err(SpecError::new("rate_limit", "the window must last longer than 0 seconds"));
        }
        Ok(())
    }
}

impl Latency {
    fn check(&self) -> Result<(), SpecError> {
        let (values, names): (&[f64], _) = match self {
            Self::None => return Ok(()),
            Self::Fixed(ms) => (&[*ms], "the latency"),
            Self::Uniform { lo, hi } => (&[*lo, *hi], "a bound"),
            Self::LogNormal { median, .. } => (&[*median], "the median"),
            Self::Drift { from, to, .. } => (&[*from, *to], "an end of the drift"),
        };
        if let Some(bad) = values.iter().find(|value| !(0.0..=LATENCY_MAX).contains(*value)) {
            return Err(SpecError::new(
                "latency",
                format!("{names} is {bad}, not between 0 and {LATENCY_MAX} milliseconds"),
            ));
        }
        match self {
            Self::Uniform { lo, hi } if lo > hi => {
                Err(SpecError::new("latency", format!("the lower bound {lo} is above the upper bound {hi}")))
            }
            Self::LogNormal { sigma, .. } if !(0.0..=5.0).contains(sigma) => {
                Err(SpecError::new("latency", format!("sigma is {sigma}, not between 0 and 5")))
            }
            Self::Drift { requests: 0, .. } => Err(SpecError::new("latency", "a drift needs at least 1 request")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_named() {
        let cases = [
            ("latency", Behaviour { latency: Latency::Fixed(-1.0), ..Behaviour::default() }),
            ("latency", Behaviour { latency: Latency::Fixed(f64::NAN), ..Behaviour::default() }),
            ("latency", Behaviour { latency: Latency::Uniform { lo: 5.0, hi: 1.0 }, ..Behaviour::default() }),
            ("fail_rate", Behaviour { fail_rate: 1.5, ..Behaviour::default() }),
            (
                "flap",
                Behaviour { flap: Some(Flap { up: 0, down: 0, unit: FlapUnit::Requests }), ..Behaviour::default() },
            ),
        ];
        for (field, behaviour) in cases {
            assert_eq!(behaviour.check().unwrap_err().field, field);
        }
        assert!(Behaviour::default().check().is_ok());
    }

    #[test]
    fn a_named_site_goes_before_everywhere() {
        let bans = Bans { everywhere: Some(5), sites: vec![("a.test".into(), 2)], lasts: None };
        assert_eq!((bans.after("a.test"), bans.after("b.test")), (Some(2), Some(5)));
    }
}
