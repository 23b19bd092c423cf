//! What the sockets of a reactor are ready for: asked by the thread of the reactor, or told by one that does nothing but ask,
//! for an event loop that cannot watch a descriptor.

use std::io;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Registry, Token};

use super::names::Wake;
use super::{EVENTS, Reactor};
use crate::fork;
use crate::sync::{Arc, Mutex};

/// What one socket is ready for.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "as the system reports them")]
pub(crate) struct Ready {
    pub(crate) token: Token,
    pub(crate) is_readable: bool,
    pub(crate) is_writable: bool,
    pub(crate) is_read_closed: bool,
    pub(crate) is_broken: bool,
}

impl From<&Event> for Ready {
    fn from(event: &Event) -> Self {
        Self {
            token: event.token(),
            is_readable: event.is_readable(),
            is_writable: event.is_writable(),
            is_read_closed: event.is_read_closed(),
            is_broken: event.is_error(),
        }
    }
}

/// Who asks.
pub(super) enum Watch {
    Own(Poll),
    /// A [`Watcher`].
    Apart(Registry, Reports),
}

impl Watch {
    pub(super) fn registry(&self) -> &Registry {
        match self {
            Self::Own(poll) => poll.registry(),
            Self::Apart(registry, _) => registry,
        }
    }

    /// Asks, for so long; or takes what was told.
    pub(super) fn poll(&mut self, events: &mut Events, most: Duration) -> io::Result<Vec<Ready>> {
        match self {
            Self::Own(poll) => uninterrupted(poll, events, most).map(|()| Vec::new()),
            Self::Apart(_, reports) => Ok(std::mem::take(&mut reports.0.state.lock().told)),
        }
    }
}

/// The reactor's end of an inbox. The watcher ends when it is dropped.
pub(super) struct Reports(Arc<Inbox>);

impl Drop for Reports {
    fn drop(&mut self) {
        let inbox = &self.0;
        inbox.state.lock().is_over = true;
        // The child of a fork has no such thread, and shares what wakes that of its parent.
        if inbox.generation == fork::generation() {
            inbox.wake.wake();
        }
    }
}

fn uninterrupted(poll: &mut Poll, events: &mut Events, most: Duration) -> io::Result<()> {
    loop {
        match poll.poll(events, Some(most)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            polled => return polled,
        }
    }
}

/// What a watcher has told and the reactor has not taken.
struct Inbox {
    state: Mutex<Told>,
    wake: Wake,
    generation: u64,
}

#[derive(Default)]
struct Told {
    told: Vec<Ready>,
    is_over: bool,
}

/// What a watcher has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// [`Reactor::turn`] has something to do. This is said once, until that was called.
    Something,
    /// Nothing in that time.
    Nothing,
    /// The reactor is gone.
    Over,
}

/// Asks what the sockets of a reactor are ready for, on a thread of its own.
///
/// In the child of a fork, which does not have that thread, its descriptor stays open; connections do not hang on it.
pub struct Watcher {
    poll: Poll,
    events: Events,
    inbox: Arc<Inbox>,
}

impl Watcher {
    /// Waits, for so long, until there is something.
    ///
    /// # Errors
    /// The system refuses to say what is ready.
    pub fn wait(&mut self, most: Duration) -> io::Result<Found> {
        loop {
            uninterrupted(&mut self.poll, &mut self.events, most)?;
            let (events, inbox) = (&self.events, &self.inbox);
            // The child of a fork locks it, too.
            let (is_over, had_some) = fork::inside(|| {
                let mut state = inbox.state.lock();
                let had_some = !state.told.is_empty();
                state.told.extend(events.iter().map(Ready::from));
                (state.is_over, had_some)
            });
            if is_over {
                return Ok(Found::Over);
            }
            if events.is_empty() {
                return Ok(Found::Nothing);
            }
            if !had_some {
                return Ok(Found::Something);
            }
        }
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watcher")
    }
}

impl Reactor {
    /// What asks from now on, instead of the thread of this reactor; `None` if something does already. [`Reactor::turn`] is to be
    /// called when it has found something, and [`Reactor::turn_within`] does not wait any more.
    ///
    /// # Errors
    /// The system has no descriptors left.
    pub fn watch_apart(&mut self) -> io::Result<Option<Watcher>> {
        let Watch::Own(poll) = &self.watch else { return Ok(None) };
        let registry = poll.registry().try_clone()?;
        let inbox = Inbox { state: Mutex::default(), wake: self.wake(), generation: fork::generation() };
        let inbox = Arc::new(inbox);
        let reports = Reports(Arc::clone(&inbox));
        let Watch::Own(poll) = std::mem::replace(&mut self.watch, Watch::Apart(registry, reports)) else {
            return Ok(None);
        };
        Ok(Some(Watcher { poll, events: Events::with_capacity(EVENTS), inbox }))
    }
}
