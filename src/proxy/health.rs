//! What is known of a proxy's liveness, and what speaks against choosing it.

use crate::net::locality::{Locality, locality};

/// A proxy's documented health states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Health {
    /// Never tried.
    Unknown,
    /// The last request through it succeeded.
    Healthy,
    /// One or two failures in a row.
    Degraded,
    /// Three or four failures in a row.
    Unhealthy,
    /// Five failures in a row or more.
    Dead,
}

impl Health {
    /// Every state, in the order of its number.
    pub const ALL: [Self; 5] = [Self::Unknown, Self::Healthy, Self::Degraded, Self::Unhealthy, Self::Dead];

    /// The state with that number.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        Self::ALL[(number as usize) % Self::ALL.len()]
    }

    /// The documented name, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Dead => "dead",
        }
    }

    /// The state of that name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(name))
    }

    /// The state after that many failures in a row.
    #[must_use]
    pub const fn after_failures(in_a_row: u32) -> Self {
        match in_a_row {
            0 => Self::Healthy,
            1 | 2 => Self::Degraded,
            3 | 4 => Self::Unhealthy,
            _ => Self::Dead,
        }
    }

    /// Whether a proxy in this state may be chosen.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        !matches!(self, Self::Unhealthy | Self::Dead)
    }
}

/// Where a proxy came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Source {
    /// Named by the user.
    User,
    /// Found in a fetched list.
    Fetched,
    /// Handed out by a provider's API.
    Api,
    /// Read from the user's file.
    File,
}

impl Source {
    /// Every source, in the order of its number.
    pub const ALL: [Self; 4] = [Self::User, Self::Fetched, Self::Api, Self::File];

    /// The source with that number.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        Self::ALL[(number as usize) % Self::ALL.len()]
    }

    /// The documented name, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Fetched => "fetched",
            Self::Api => "api",
            Self::File => "file",
        }
    }

    /// The source of that name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether a proxy from here may lie in the user's own network: a list of others may not point into it.
    #[must_use]
    pub const fn may_be_local(self, allow_local: bool) -> bool {
        allow_local || matches!(self, Self::User | Self::File)
    }

    /// The kind of address for which a host from here is refused; `None` where it is accepted.
    #[must_use]
    pub fn refuses(self, host: &str, allow_local: bool) -> Option<Locality> {
        let found = if self.may_be_local(allow_local) { Locality::Public } else { locality(host) };
        (found != Locality::Public).then_some(found)
    }
}

/// Reasons against a proxy, one bit each. The owner of a reason sets and clears its bit; zero means eligible.
pub mod reason {
    /// Its health forbids it.
    pub const UNHEALTHY: u32 = 1;
    /// Its time to live is over.
    pub const EXPIRED: u32 = 1 << 1;
    /// Its circuit breaker is open.
    pub const BREAKER: u32 = 1 << 2;
    /// It carries as many requests as it may.
    pub const AT_CAPACITY: u32 = 1 << 3;
    /// It is on its way out.
    pub const DRAINING: u32 = 1 << 4;
    /// It has failed and rests until its time comes.
    pub const RESTING: u32 = 1 << 5;
    /// It is on trial, and the one request it may have is under way.
    pub const PROBE_OUT: u32 = 1 << 6;
    /// Its token bucket is empty.
    pub const NO_TOKENS: u32 = 1 << 7;
    /// As many connections through it are in use as there may be. A request that brings its own connection may have it.
    pub const NO_CONNECTION: u32 = 1 << 8;
}

/// What else is known of a proxy in the same word: these do not keep it from being chosen.
pub mod mark {
    /// Its rest is over: whatever its health says, one request at a time may try it, until one succeeds.
    pub const ON_TRIAL: u32 = 1 << 16;
    /// Its breaker was open long enough: likewise.
    pub const BREAKER_TRIAL: u32 = 1 << 17;
    /// Too much of the pool fails for this proxy to be at fault: it stays eligible whatever its health says.
    pub const PANIC_EXEMPT: u32 = 1 << 18;
    /// It rests for want of credentials.
    pub const LOGIN: u32 = 1 << 19;
    /// It has failed where it may be the site's fault, and has brought no answer since: the next answer is news.
    pub const DOUBTED: u32 = 1 << 20;
    /// One request at a time.
    pub const TRIAL: u32 = ON_TRIAL | BREAKER_TRIAL;
}
