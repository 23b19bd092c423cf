//! What a request's end says about the proxy that carried it.

use crate::proxy::Verdict;

/// The documented outcome classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An answer the site meant.
    Success,
    /// The proxy did not carry the request.
    ProxyDown,
    /// The proxy wants a login, or refuses the one it got.
    ProxyAuth,
    /// The site refuses this proxy.
    Banned,
    /// The site asks for a pause.
    RateLimited,
    /// The site is in trouble.
    TargetFault,
    /// The fault is on this side.
    ClientFault,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Success,
        Self::ProxyDown,
        Self::ProxyAuth,
        Self::Banned,
        Self::RateLimited,
        Self::TargetFault,
        Self::ClientFault,
    ];

    /// The documented value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ProxyDown => "proxy_down",
            Self::ProxyAuth => "proxy_auth",
            Self::Banned => "banned",
            Self::RateLimited => "rate_limited",
            Self::TargetFault => "target_fault",
            Self::ClientFault => "client_fault",
        }
    }

    /// The outcome of that value, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str().eq_ignore_ascii_case(name))
    }

    /// The effect on the proxy's books; `None` takes the start back.
    #[must_use]
    pub fn verdict(self, elapsed_ms: f64) -> Option<Verdict> {
        match self {
            Self::Success => Some(Verdict::Success(elapsed_ms)),
            Self::ProxyDown | Self::ProxyAuth => Some(Verdict::Failure(elapsed_ms)),
            Self::Banned | Self::RateLimited => Some(Verdict::Refused),
            Self::TargetFault => Some(Verdict::Elsewhere),
            Self::ClientFault => None,
        }
    }

    /// What an answer says by its status alone. A 502, 503 or 504 through a tunnel comes from the site; through a forward
    /// proxy nobody can tell, and the proxy is suspected first.
    #[must_use]
    pub fn of_status(status: u16, tunnelled: bool, retry_after: bool) -> Self {
        match status {
            407 => Self::ProxyAuth,
            429 => Self::RateLimited,
            503 if retry_after => Self::RateLimited,
            502..=504 if tunnelled => Self::TargetFault,
            502..=504 => Self::ProxyDown,
            500..=599 => Self::TargetFault,
            403 => Self::Banned,
            _ => Self::Success,
        }
    }
}
