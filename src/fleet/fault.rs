//! The ways in which a proxy of the fleet fails, and the names by which they are asked for and counted.

use std::fmt;

/// One way to fail. What each means for forwarded requests, tunnels and SOCKS is written in
/// the [module documentation](crate::fleet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// No listener: the port is closed, or, for a single request, the connection is reset.
    Refuse,
    /// The connection is accepted, the request read, and nothing is ever answered.
    Hang,
    /// The connection is reset (RST) after the request was read.
    Reset,
    /// The answer begins and the connection closes in the middle of it.
    Cut,
    /// The proxy itself answers with this status. One of [`Fault::STATUSES`].
    Status(u16),
}

/// What is counted as an injected fault: every [`Fault`], and the two verdicts of a site.
pub(crate) const COUNTED: [&str; 13] =
    ["refuse", "hang", "reset", "cut", "403", "407", "429", "500", "502", "503", "504", "ban", "rate_limit"];

/// Where a site's ban is counted in [`COUNTED`].
pub(crate) const BAN: usize = 11;
/// Where a site's 429 is counted in [`COUNTED`].
pub(crate) const RATE_LIMIT: usize = 12;

impl Fault {
    /// The statuses that a proxy can be set to answer with.
    pub const STATUSES: [u16; 7] = [403, 407, 429, 500, 502, 503, 504];

    /// The fault of this name: `refuse`, `hang`, `reset`, `cut`, or a status such as `502`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "refuse" => Some(Self::Refuse),
            "hang" => Some(Self::Hang),
            "reset" => Some(Self::Reset),
            "cut" => Some(Self::Cut),
            _ => name.parse().ok().filter(|status| Self::STATUSES.contains(status)).map(Self::Status),
        }
    }

    /// The name that [`parse`](Self::parse) understands.
    #[must_use]
    pub fn name(self) -> &'static str {
        COUNTED[self.index()]
    }

    /// Where this fault is counted in [`COUNTED`].
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Refuse => 0,
            Self::Hang => 1,
            Self::Reset => 2,
            Self::Cut => 3,
            // A status outside the list cannot be parsed; built by hand it counts as the general 502.
            Self::Status(status) => Self::STATUSES.iter().position(|known| *known == status).map_or(8, |at| at + 4),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counted_fault_parses_back_to_its_own_place() {
        for (at, name) in COUNTED.iter().enumerate().take(BAN) {
            let fault = Fault::parse(name).unwrap();
            assert_eq!((fault.index(), fault.name()), (at, *name));
        }
        assert_eq!(COUNTED[BAN], "ban");
        assert_eq!(COUNTED[RATE_LIMIT], "rate_limit");
    }

    #[test]
    fn unknown_names_are_not_faults() {
        for name in ["", "ban", "200", "418", "Refuse", "-502"] {
            assert_eq!(Fault::parse(name), None, "{name:?}");
        }
    }
}
