//! What sites think of a proxy: bans after so many requests, 429 above so many in a window.
//!
//! Judged by the origin, which knows through which proxy a request came. So it is the same for forwarded
//! requests, inside tunnels and behind SOCKS, as it is with real sites.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

use super::behaviour::Behaviour;

/// What a site does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Serve,
    /// 403 and a captcha page.
    Ban,
    /// 429; to be tried again after this time.
    TooMany(Duration),
}

/// The memory of all sites about one proxy. Sites are forgotten, the longest unseen first, above a bound.
#[derive(Debug)]
pub(crate) struct Sites {
    seen: Mutex<LruCache<String, Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    served: u64,
    banned: Option<Instant>,
    window: Option<Instant>,
    in_window: u64,
}

const SITES_MAX: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

impl Default for Sites {
    fn default() -> Self {
        Self {
            // Unbounded at first and bounded on insertion: a full table per proxy would cost 200 KiB each.
            seen: Mutex::new(LruCache::unbounded()),
        }
    }
}

impl Sites {
    /// Forgets everything, bans included.
    pub(crate) fn forget(&self) {
        self.seen.lock().clear();
    }

    /// Judges one request to a site (a lower-case host name).
    pub(crate) fn judge(&self, behaviour: &Behaviour, site: &str, now: Instant) -> Verdict {
        let mut sites = self.seen.lock();
        if sites.peek(site).is_none() {
            if sites.len() >= SITES_MAX.get() {
                sites.pop_lru();
            }
            sites.put(site.to_owned(), Seen::default());
        }
        match sites.get_mut(site) {
            Some(seen) => seen.judge(behaviour, site, now),
            // Just put there: unreachable, and serving is the harmless answer.
            None => Verdict::Serve,
        }
    }
}

impl Seen {
    fn judge(&mut self, behaviour: &Behaviour, site: &str, now: Instant) -> Verdict {
        if let Some(since) = self.banned {
            let over = behaviour.bans.lasts.is_some_and(|lasts| now.saturating_duration_since(since) >= lasts);
            if !over {
                return Verdict::Ban;
            }
            self.banned = None;
            self.served = 0;
        }
        if behaviour.bans.after(site).is_some_and(|after| self.served >= after) {
            self.banned = Some(now);
            return Verdict::Ban;
        }
        if let Some(limit) = behaviour.rate_limit {
            let opened = *self.window.get_or_insert(now);
            let elapsed = now.saturating_duration_since(opened);
            if elapsed >= limit.window {
                self.window = Some(now);
                self.in_window = 0;
            } else if self.in_window >= limit.requests {
                return Verdict::TooMany(limit.window - elapsed);
            }
            if limit.requests == 0 {
                return Verdict::TooMany(limit.window);
            }
            self.in_window += 1;
        }
        self.served += 1;
        Verdict::Serve
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::behaviour::{Bans, RateLimit};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_site_bans_after_so_many_and_only_that_site() {
        let behaviour = Behaviour {
            bans: Bans { everywhere: None, sites: vec![("a.test".into(), 2)], lasts: Some(10 * SECOND) },
            ..Behaviour::default()
        };
        let (sites, now) = (Sites::default(), Instant::now());
        let judge = |site, seconds| sites.judge(&behaviour, site, now + seconds * SECOND);
        assert_eq!(judge("a.test", 0), Verdict::Serve);
        assert_eq!(judge("a.test", 0), Verdict::Serve);
        assert_eq!(judge("a.test", 1), Verdict::Ban);
        assert_eq!(judge("b.test", 1), Verdict::Serve);
        assert_eq!(judge("a.test", 10), Verdict::Ban);
        assert_eq!(judge("a.test", 11), Verdict::Serve);
        sites.forget();
        assert_eq!(judge("a.test", 11), Verdict::Serve);
    }

    #[test]
    fn a_window_opens_with_its_first_request() {
        let behaviour =
            Behaviour { rate_limit: Some(RateLimit { requests: 2, window: 10 * SECOND }), ..Behaviour::default() };
        let (sites, now) = (Sites::default(), Instant::now());
        let judge = |seconds| sites.judge(&behaviour, "a.test", now + seconds * SECOND);
        assert_eq!(judge(100), Verdict::Serve);
        assert_eq!(judge(104), Verdict::Serve);
        assert_eq!(judge(107), Verdict::TooMany(3 * SECOND));
        assert_eq!(judge(110), Verdict::Serve);
    }

    #[test]
    fn memory_is_bounded() {
        let behaviour = Behaviour { bans: Bans { everywhere: Some(1), ..Bans::default() }, ..Behaviour::default() };
        let (sites, now) = (Sites::default(), Instant::now());
        for i in 0..10_000 {
            sites.judge(&behaviour, &format!("s{i}.test"), now);
        }
        assert_eq!(sites.seen.lock().len(), SITES_MAX.get());
    }
}
