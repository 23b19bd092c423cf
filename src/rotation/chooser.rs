//! The strategy that chooses for the requests of one pool, which can be swapped at any time.
//!
//! A lease remembers the strategy that made it, so a result always reaches that one. Requests of a session stay on one proxy under
//! any strategy: one that keeps no sessions is wrapped in the sticky one. So does the next hop of a redirect, by a session for
//! the length of one selection, kept apart so that hops never push out a session of a user.

use std::fmt;

use crate::clock::Clock;
use crate::proxy::Id;
use crate::rotation::Domain;
use crate::rotation::queue::Hope;
use crate::session::SessionManager;
use crate::strategy::Shared;
use crate::strategy::session::SessionPersistence;
use crate::sync::{Arc, ArcSwap, AtomicU64, OnceLock, Ordering};

/// Seconds that the session of a hop lasts at most: one selection is far shorter.
const HOP_TTL: i64 = 60;
const SECOND: i64 = 1_000_000;

/// A strategy as the program that embeds the core holds it.
pub trait Handle: Send + Sync + Sized {
    /// What fails while a sticky strategy is made.
    type Error;

    /// The strategy.
    fn strategy(&self) -> &Shared;

    /// Where it keeps sessions, if it does.
    fn sessions(&self) -> Option<&Arc<SessionManager>>;

    /// Whether it serves the requests of a session itself, by sessions that the core does not see.
    fn is_session_aware(&self) -> bool;

    /// A sticky strategy that asks this one for the proxy of a new session.
    ///
    /// # Errors
    /// What the embedding program fails with.
    fn sticky(&self) -> Result<Self, Self::Error>;
}

/// A strategy of the core alone.
pub struct Owned {
    strategy: Shared,
    sessions: Option<Arc<SessionManager>>,
}

impl Owned {
    /// A strategy that keeps no sessions.
    #[must_use]
    pub fn new(strategy: Shared) -> Self {
        Self { strategy, sessions: None }
    }

    /// A sticky strategy.
    #[must_use]
    pub fn keeping(strategy: Arc<SessionPersistence>) -> Self {
        let sessions = Some(strategy.manager().clone());
        Self { strategy, sessions }
    }
}

impl Handle for Owned {
    type Error = std::convert::Infallible;

    fn strategy(&self) -> &Shared {
        &self.strategy
    }

    fn sessions(&self) -> Option<&Arc<SessionManager>> {
        self.sessions.as_ref()
    }

    fn is_session_aware(&self) -> bool {
        false
    }

    fn sticky(&self) -> Result<Self, Self::Error> {
        let manager = Arc::new(SessionManager::default());
        Ok(Self::keeping(Arc::new(SessionPersistence::new(manager, None, Some(self.strategy.clone()), None))))
    }
}

/// The strategy in force, with what makes it sticky.
pub struct Active<H> {
    given: H,
    sticky: OnceLock<H>,
    hops: OnceLock<H>,
}

impl<H: Handle> Active<H> {
    fn new(given: H) -> Self {
        Self { given, sticky: OnceLock::new(), hops: OnceLock::new() }
    }

    /// The strategy as it was given.
    #[inline]
    pub fn given(&self) -> &H {
        &self.given
    }

    /// What was made so far to make it sticky.
    pub fn made(&self) -> impl Iterator<Item = &H> {
        self.sticky.get().into_iter().chain(self.hops.get())
    }

    /// What keeps the sessions of users: the strategy itself where it keeps sessions.
    ///
    /// # Errors
    /// What [`Handle::sticky`] fails with.
    pub fn sticky(&self) -> Result<&H, H::Error> {
        if self.given.sessions().is_some() { Ok(&self.given) } else { self.wrapped(&self.sticky) }
    }

    /// What serves a request of a session: the strategy itself where it keeps sessions.
    ///
    /// # Errors
    /// What [`Handle::sticky`] fails with.
    pub fn for_sessions(&self) -> Result<&H, H::Error> {
        if self.given.is_session_aware() { Ok(&self.given) } else { self.sticky() }
    }

    /// The strategy that the wrapped one is made of in `place`. Made outside of the cell: making it may call the embedding
    /// program, and a thread that waits for the cell would keep that one from going on.
    fn wrapped<'a>(&'a self, place: &'a OnceLock<H>) -> Result<&'a H, H::Error> {
        if let Some(made) = place.get() {
            return Ok(made);
        }
        let mut made = Some(self.given.sticky()?);
        let held = place.get_or_init(|| made.take().expect("the cell is filled once"));
        drop(made);
        Ok(held)
    }

    /// What chooses for a request.
    ///
    /// # Errors
    /// What [`Handle::sticky`] fails with.
    #[inline]
    pub fn serving(&self, domain: &Domain, stay: Stay, clock: &dyn Clock) -> Result<Serving<'_, H>, H::Error> {
        match stay {
            Stay::Anywhere => Ok(Serving { handle: &self.given, hop: None }),
            Stay::InSession => Ok(Serving { handle: self.for_sessions()?, hop: None }),
            Stay::On(id) => self.staying(domain, id, clock),
        }
    }

    fn staying(&self, domain: &Domain, id: Id, clock: &dyn Clock) -> Result<Serving<'_, H>, H::Error> {
        let proxy = domain.find(id).and_then(|(table, slot)| table.slot(slot)?.share());
        let Some(proxy) = proxy else { return Ok(Serving { handle: &self.given, hop: None }) };
        let handle = self.wrapped(&self.hops)?;
        let hop = handle.sessions().map(|manager| {
            let name = Id::random().to_string();
            manager.bind(&name, &proxy, HOP_TTL, false, clock);
            Hop { manager: manager.clone(), name }
        });
        Ok(Serving { handle, hop })
    }

    fn has_sessions(&self) -> bool {
        let kept = self.given.sessions().or_else(|| self.sticky.get()?.sessions());
        kept.is_some_and(|manager| manager.stats().0 > 0)
    }

    /// Binds the sessions of the strategy before to the same proxies.
    fn take_over(&self, domain: &Domain, before: &Self, clock: &dyn Clock) -> Result<(), H::Error> {
        let (Some(old), Some(new)) = (before.sticky()?.sessions(), self.sticky()?.sessions()) else { return Ok(()) };
        if Arc::ptr_eq(old, new) {
            return Ok(());
        }
        for session in old.all(clock) {
            let proxy = domain.find(session.proxy_id()).and_then(|(table, slot)| table.slot(slot)?.share());
            if let Some(proxy) = proxy
                && new.find(&session.id, clock).is_none()
            {
                let (_, expires, used) = session.times();
                new.bind(&session.id, &proxy, ((expires - used) / SECOND).max(1), false, clock);
            }
        }
        Ok(())
    }
}

/// On which proxy a request wants to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// On none.
    Anywhere,
    /// On that of its session.
    InSession,
    /// On the one of the hop before, as long as it is eligible.
    On(Id),
}

/// What chooses for one request. Lives as long as the selection.
pub struct Serving<'a, H> {
    /// The strategy.
    pub handle: &'a H,
    hop: Option<Hop>,
}

impl<H> Serving<'_, H> {
    /// The session that the request is asked with in place of its own, if it has to.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.hop.as_ref().map(|hop| &*hop.name)
    }
}

/// A session for the length of one selection.
struct Hop {
    manager: Arc<SessionManager>,
    name: String,
}

impl Drop for Hop {
    fn drop(&mut self) {
        self.manager.remove(&self.name);
    }
}

/// See the module. Thread-safe.
pub struct Chooser<H> {
    domain: Arc<Domain>,
    active: ArcSwap<Active<H>>,
    swaps: AtomicU64,
}

impl<H: Handle> Chooser<H> {
    /// Chooses from a pool by a strategy.
    #[must_use]
    pub fn new(domain: Arc<Domain>, given: H) -> Self {
        Self { domain, active: ArcSwap::from_pointee(Active::new(given)), swaps: AtomicU64::new(0) }
    }

    /// The pool.
    #[inline]
    #[must_use]
    pub fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }

    /// What chooses for requests that begin now.
    #[inline]
    #[must_use]
    pub fn active(&self) -> arc_swap::Guard<Arc<Active<H>>> {
        self.active.load()
    }

    /// How often the strategy was swapped.
    #[must_use]
    pub fn swaps(&self) -> u64 {
        self.swaps.load(Ordering::Relaxed)
    }

    /// Chooses by another strategy from the next selection on. Sessions move over.
    ///
    /// # Errors
    /// What [`Handle::sticky`] fails with; the strategy stays the one before then.
    pub fn swap(&self, given: H, clock: &dyn Clock) -> Result<(), H::Error> {
        let next = Arc::new(Active::new(given));
        let mut before = self.active.load_full();
        loop {
            if before.has_sessions() {
                next.take_over(&self.domain, &before, clock)?;
            }
            // A request sees the old strategy or the new one, never half of each.
            let found = self.active.compare_and_swap(&before, next.clone());
            if Arc::ptr_eq(&found, &before) {
                self.swaps.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            before = arc_swap::Guard::into_inner(found);
        }
    }

    /// The proxy of a session, if it has one. Counts as no use of the session.
    ///
    /// # Errors
    /// What [`Handle::sticky`] fails with.
    pub fn bound_to(&self, session_id: &str, clock: &dyn Clock) -> Result<Option<Id>, H::Error> {
        let active = self.active();
        let Some(manager) = active.sticky()?.sessions() else { return Ok(None) };
        Ok(manager.all(clock).iter().find(|session| *session.id == *session_id).map(|session| session.proxy_id()))
    }
}

/// What a request demands of its proxy, for its place in line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The session it belongs to.
    pub session_id: Option<Box<str>>,
    /// Country of the proxy.
    pub country: Option<Box<str>>,
    /// Region of the proxy.
    pub region: Option<Box<str>>,
    /// Tags of the proxy, all of them, sorted.
    pub tags: Option<Vec<Box<str>>>,
    /// Protocols of which the proxy speaks one.
    pub protocols: Option<Vec<Box<str>>>,
    /// Identity of a context that the others are laid over.
    pub context: Option<usize>,
    /// The proxy of the hop before.
    pub hop: Option<Id>,
}

impl Wishes {
    /// Whether nothing is demanded.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// The key in line of an attempt: equal for attempts that want the same.
#[must_use]
pub fn line_key(host: Option<&str>, wishes: Option<&Wishes>, excluded: &[Id], chooser: usize) -> Arc<str> {
    let wishes = wishes.filter(|wishes| !wishes.is_plain());
    let mut excluded: Vec<u128> = excluded.iter().map(|id| id.as_u128()).collect();
    excluded.sort_unstable();
    let host = host.map(str::to_ascii_lowercase);
    format!("{:?}", (host, wishes, excluded, chooser)).into()
}

/// Whether a request that was refused should wait in line.
#[must_use]
pub fn is_worth_waiting(hope: Option<Hope>, patience: Option<u64>, now: u64) -> bool {
    let deadline = patience.map_or(u64::MAX, |patience| now.saturating_add(patience));
    patience != Some(0) && hope.is_some_and(|hope| !hope.is_vain(now, deadline))
}

/// Chooses; once more where a source can provide a proxy after a refusal.
///
/// # Errors
/// What `choose` fails with in the end, or `provide`.
pub fn choose_with<R, E: fmt::Debug>(
    mut choose: impl FnMut() -> Result<R, E>,
    provide: impl FnOnce(&E) -> Result<bool, E>,
) -> Result<R, E> {
    match choose() {
        Err(refusal) if provide(&refusal)? => choose(),
        chosen => chosen,
    }
}
