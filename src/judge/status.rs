//! What an answer says by its status.

use crate::judge::outcome::{Judgement, Outcome};

/// What is judged of an answer: its head, and what rules say that look inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Whether it came through a tunnel, so that the proxy cannot have made it up.
    pub tunnelled: bool,
    /// Whether it says when to come back.
    pub retry_after: bool,
    /// What rules say that look inside: a refusal, or welcome; `None` leaves it to the status.
    pub opinion: Option<bool>,
}

/// Whether a status is what a gateway answers in the place of the site (RFC 9110, 15.6.3 to 15.6.5).
#[inline]
const fn is_of_a_gateway(status: u16) -> bool {
    matches!(status, 502..=504)
}

/// Whether a proxy may have made up an answer of that status: it wants credentials, or cannot reach the site.
#[must_use]
pub fn may_be_of_the_proxy(status: u16) -> bool {
    is_of_a_gateway(status) || LOGIN_STATUSES.contains(&status)
}

/// Whether `Retry-After` beside a status asks the client to stay away (RFC 9110, 10.2.3: 503; RFC 6585, 4: 429). Beside a
/// redirect it says when the other address will do.
#[inline]
#[must_use]
pub const fn may_ask_for_a_pause(status: u16) -> bool {
    matches!(status, 429 | 503)
}

/// Statuses by which a site refuses a proxy, where no rule says otherwise: 403 is a ban, 429 a rate limit.
pub const BAN_STATUSES: [u16; 2] = [403, 429];

/// Statuses by which a proxy refuses the credentials, where no rule says otherwise.
pub const LOGIN_STATUSES: [u16; 1] = [407];

/// Whether the answer of a URL comes through a tunnel, as far as the URL tells: that of `https` does. A plain target behind a
/// SOCKS proxy has a tunnel too, but what another client did is not known.
#[must_use]
pub fn is_tunnelled(url: &str) -> bool {
    url.trim_start().get(..6).is_some_and(|head| head.eq_ignore_ascii_case("https:"))
}

/// A set of statuses, 0 to 999.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusSet([u64; 16]);

impl StatusSet {
    /// Whether the status is in it.
    #[inline]
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.get(usize::from(status / 64)).is_some_and(|word| word >> (status % 64) & 1 == 1)
    }
}

impl FromIterator<u16> for StatusSet {
    fn from_iter<T: IntoIterator<Item = u16>>(statuses: T) -> Self {
        let mut set = Self::default();
        for status in statuses {
            if let Some(word) = set.0.get_mut(usize::from(status / 64)) {
                *word |= 1 << (status % 64);
            }
        }
        set
    }
}

/// Which statuses mean that a site refuses a proxy, and which that a proxy refuses the credentials. Does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRules {
    bans: StatusSet,
    auth: StatusSet,
}

impl Default for StatusRules {
    fn default() -> Self {
        Self::new(BAN_STATUSES, LOGIN_STATUSES)
    }
}

impl StatusRules {
    /// Rules by which `bans` are refusals by the site and `auth` refusals of the credentials.
    #[must_use]
    pub fn new(bans: impl IntoIterator<Item = u16>, auth: impl IntoIterator<Item = u16>) -> Self {
        Self { bans: bans.into_iter().collect(), auth: auth.into_iter().collect() }
    }

    /// The same by sets that are made already.
    #[must_use]
    pub fn of_sets(bans: &StatusSet, auth: &StatusSet) -> Self {
        Self { bans: bans.clone(), auth: auth.clone() }
    }

    /// The class of an answer. A 502, 503 or 504 through a tunnel comes from the site; through a forward proxy it may be
    /// either's. A 407 in a tunnel comes from the site too: the proxy has agreed long before.
    #[inline]
    #[must_use]
    pub fn judge(&self, answer: Answer) -> Judgement {
        let Answer { status, tunnelled, retry_after, opinion } = answer;
        let is_listed = opinion != Some(false) && self.bans.contains(status);
        if status < 400 && opinion.is_none() && !is_listed {
            return Outcome::Success.into();
        }
        if self.auth.contains(status) && (status != 407 || !tunnelled) {
            return Outcome::ProxyAuth.into();
        }
        if opinion == Some(true) {
            return Outcome::Banned.into();
        }
        of_status(status, tunnelled, retry_after, is_listed)
    }
}

fn of_status(status: u16, tunnelled: bool, retry_after: bool, is_listed: bool) -> Judgement {
    let outcome = match status {
        407 if !tunnelled => Outcome::ProxyAuth,
        _ if retry_after && may_ask_for_a_pause(status) => Outcome::RateLimited,
        429 if is_listed => Outcome::RateLimited,
        _ if is_listed => Outcome::Banned,
        _ if is_of_a_gateway(status) && !tunnelled => return Judgement::Ambiguous,
        500..=599 => Outcome::TargetFault,
        _ => Outcome::Success,
    };
    outcome.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Banned, ProxyAuth, RateLimited, Success, TargetFault};

    #[test]
    fn the_table_of_statuses() {
        let rows = [
            (200, [Some(Success), Some(Success)], false, false),
            (404, [Some(Success), Some(Success)], false, false),
            (403, [Some(Success), Some(Success)], false, false),
            (403, [Some(Banned), Some(Banned)], false, true),
            (200, [Some(Banned), Some(Banned)], false, true),
            (407, [Some(ProxyAuth), Some(Success)], false, false),
            (429, [Some(Success), Some(Success)], false, false),
            (429, [Some(RateLimited), Some(RateLimited)], false, true),
            (429, [Some(RateLimited), Some(RateLimited)], true, false),
            (500, [Some(TargetFault), Some(TargetFault)], false, false),
            (502, [None, Some(TargetFault)], false, false),
            (503, [None, Some(TargetFault)], false, false),
            (503, [Some(RateLimited), Some(RateLimited)], true, false),
            (503, [Some(Banned), Some(Banned)], false, true),
            (504, [None, Some(TargetFault)], true, false),
            (505, [Some(TargetFault), Some(TargetFault)], false, false),
        ];
        for (status, expected, retry_after, ban) in rows {
            let rules = StatusRules::new(ban.then_some(status), [407]);
            let found = [false, true]
                .map(|tunnelled| rules.judge(Answer { status, tunnelled, retry_after, opinion: None }).outcome());
            assert_eq!(found, expected, "{status}, retry_after {retry_after}, ban {ban}");
        }
    }

    #[test]
    fn what_a_proxy_makes_up_is_never_a_success_outside_a_tunnel() {
        let made_up: Vec<u16> = (100..600).filter(|status| may_be_of_the_proxy(*status)).collect();
        assert_eq!(made_up, [407, 502, 503, 504]);
        for status in made_up {
            let judgement = StatusRules::default().judge(Answer { status, ..Answer::default() });
            assert!(judgement.is_about_the_proxy(), "{status}");
        }
    }

    #[test]
    fn a_tunnel_by_the_url() {
        for url in ["https://a.test/", " HTTPS://a.test", "https:"] {
            assert!(is_tunnelled(url), "{url}");
        }
        for url in ["http://a.test/https:", "", "https", "ws://a.test", "ht\u{e9}tps:"] {
            assert!(!is_tunnelled(url), "{url}");
        }
    }

    #[test]
    fn an_opinion_goes_before_the_status_and_a_refused_login_before_both() {
        let rules = StatusRules::new([403], [401, 407]);
        let judge = |status, opinion| rules.judge(Answer { status, opinion, ..Answer::default() }).outcome();
        assert_eq!(judge(200, Some(true)), Some(Banned));
        assert_eq!(judge(403, Some(false)), Some(Success));
        assert_eq!(judge(500, Some(false)), Some(TargetFault));
        assert_eq!(judge(401, Some(true)), Some(ProxyAuth));
        assert_eq!(judge(401, None), Some(ProxyAuth));
        assert_eq!(judge(999, None), Some(Success));
    }
}
