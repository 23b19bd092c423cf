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

    /// What an answer says by its status. A 502, 503 or 504 through a tunnel comes from the site; through a forward proxy
    /// nobody can tell, and the proxy is suspected first. A 407 in a tunnel comes from the site too: the proxy has agreed
    /// long before. `retry_after`: the answer says when to come back. `ban`: the ban rules name this status.
    #[must_use]
    pub fn of_status(status: u16, tunnelled: bool, retry_after: bool, ban: bool) -> Self {
        match status {
            407 if !tunnelled => Self::ProxyAuth,
            429 | 503 if retry_after => Self::RateLimited,
            429 if ban => Self::RateLimited,
            _ if ban => Self::Banned,
            502..=504 if !tunnelled => Self::ProxyDown,
            500..=599 => Self::TargetFault,
            _ => Self::Success,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{self, Banned, ProxyAuth, ProxyDown, RateLimited, Success, TargetFault};

    #[test]
    fn the_table_of_statuses() {
        let rows = [
            (200, [Success, Success], false, false),
            (404, [Success, Success], false, false),
            (403, [Success, Success], false, false),
            (403, [Banned, Banned], false, true),
            (200, [Banned, Banned], false, true),
            (407, [ProxyAuth, Success], false, false),
            (429, [Success, Success], false, false),
            (429, [RateLimited, RateLimited], false, true),
            (429, [RateLimited, RateLimited], true, false),
            (500, [TargetFault, TargetFault], false, false),
            (502, [ProxyDown, TargetFault], false, false),
            (503, [ProxyDown, TargetFault], false, false),
            (503, [RateLimited, RateLimited], true, false),
            (503, [Banned, Banned], false, true),
            (504, [ProxyDown, TargetFault], true, false),
            (505, [TargetFault, TargetFault], false, false),
        ];
        for (status, expected, retry_after, ban) in rows {
            let found = [false, true].map(|tunnelled| Outcome::of_status(status, tunnelled, retry_after, ban));
            assert_eq!(found, expected, "{status}, retry_after {retry_after}, ban {ban}");
        }
    }
}
