//! The same proxy for every request of a session.

use crate::clock::Clock;
use crate::pool::query::{Choice, Query};
use crate::proxy::{Proxy, Verdict};
use crate::session::{Session, SessionManager};
use crate::strategy::config::Config;
use crate::strategy::round_robin::RoundRobin;
use crate::strategy::{Common, Refusal, Shared, Strategy};
use crate::sync::{Arc, ArcSwap, AtomicBool, AtomicI64, Ordering};

/// How long a session lasts, in seconds, by default.
pub const DEFAULT_TTL: i64 = 3600;
/// The same after `configure` without a time.
const CONFIGURED_TTL: i64 = 300;

/// A session stays with its proxy until that is unhealthy, gone or excluded, or the session's time is over.
pub struct SessionPersistence {
    common: Common,
    manager: Arc<SessionManager>,
    first: ArcSwap<Shared>,
    ttl: AtomicI64,
    ttl_given: bool,
    sliding: AtomicBool,
}

impl SessionPersistence {
    /// `ttl` in seconds; `first` chooses the proxy of a new session.
    #[must_use]
    pub fn new(manager: Arc<SessionManager>, ttl: Option<i64>, first: Option<Shared>, sliding: Option<bool>) -> Self {
        let first: Shared = first.unwrap_or_else(|| Arc::new(RoundRobin::default()));
        Self {
            common: Common::default(),
            manager,
            first: ArcSwap::from_pointee(first),
            ttl: AtomicI64::new(ttl.unwrap_or(DEFAULT_TTL)),
            ttl_given: ttl.is_some(),
            // The form of the constructor that names a timeout counts it from the last use.
            sliding: AtomicBool::new(sliding.unwrap_or(ttl.is_some())),
        }
    }

    /// The sessions.
    #[must_use]
    pub fn manager(&self) -> &Arc<SessionManager> {
        &self.manager
    }

    /// How long a session lasts, in seconds.
    #[must_use]
    pub fn ttl(&self) -> i64 {
        self.ttl.load(Ordering::Relaxed)
    }

    /// Sets how long new sessions last, in seconds.
    pub fn set_ttl(&self, seconds: i64) {
        self.ttl.store(seconds, Ordering::Relaxed);
    }

    /// The strategy that chooses the proxy of a new session.
    #[must_use]
    pub fn first(&self) -> Shared {
        Shared::clone(&self.first.load())
    }

    /// Sets the strategy that chooses the proxy of a new session.
    pub fn set_first(&self, first: Shared) {
        self.first.store(Arc::new(first));
    }
}

impl Strategy for SessionPersistence {
    fn name(&self) -> &str {
        "SessionPersistenceStrategy"
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn pick(&self, query: &Query<'_>) -> Result<Choice, Refusal> {
        let Some(session_id) = query.context().session_id.as_deref() else {
            if query.context().in_rotation {
                return self.first.load().select(query);
            }
            return Err(Refusal::NeedsSession);
        };
        let bound = self.manager.find(session_id, query.clock());
        if let Some(session) = &bound
            && let Some(slot) = session.slot(query)
            && query.admits(slot)
            && let Some(choice) = query.take(slot)
        {
            session.touch(query.clock());
            return Ok(choice);
        }
        let choice = self.first.load().select(query)?;
        if let Some(notes) = query.notes().filter(|_| bound.is_some()) {
            notes.session_moved.set(true);
        }
        if let Some(proxy) = query.slot(choice).and_then(|slot| slot.share()) {
            let sliding = self.sliding.load(Ordering::Relaxed);
            // What was found before is no longer good; what came since is another thread's answer to the same question.
            let since = |session: &Arc<Session>| bound.as_ref().is_none_or(|bound| !Arc::ptr_eq(bound, session));
            let (session, mine) =
                self.manager.bind_unless(session_id, &proxy, self.ttl(), sliding, query.clock(), since);
            if !mine
                && let Some(slot) = session.slot(query)
                && query.admits(slot)
                && let Some(theirs) = query.take(slot)
            {
                proxy.cancel_start(query.clock());
                session.touch(query.clock());
                return Ok(theirs);
            }
            let session =
                if mine { session } else { self.manager.bind(session_id, &proxy, self.ttl(), sliding, query.clock()) };
            session.remember(choice);
            session.touch(query.clock());
        }
        Ok(choice)
    }

    fn configure(&self, config: &Config) {
        self.common.configure(config);
        let ttl = if config.sets("session_stickiness_duration_seconds") {
            config.session_stickiness_duration_seconds
        } else if config.sets("session_timeout_seconds") {
            config.session_timeout_seconds
        } else if self.ttl_given {
            None
        } else {
            Some(CONFIGURED_TTL)
        };
        if let Some(ttl) = ttl {
            self.set_ttl(ttl);
        }
    }

    // The strategy that chose a session's proxy records its results, unless this strategy has an alpha of its own.
    fn record(&self, proxy: &Arc<Proxy>, verdict: Verdict, clock: &dyn Clock) {
        match self.common.alpha() {
            Some(alpha) => proxy.complete(verdict, Some(alpha), clock),
            None => self.first.load().record(proxy, verdict, clock),
        }
    }

    fn each_part(&self, visit: &mut dyn FnMut(&Shared)) {
        visit(&self.first.load());
        if let Some(fallback) = self.common.fallback() {
            visit(&fallback);
        }
    }

    fn clear_parts(&self) {
        self.common.set_fallback(None);
        self.set_first(Arc::new(RoundRobin::default()));
    }

    fn enter_rotation(&self) {
        self.first.load().enter_rotation();
    }
}
