//! Whom a lease sets aside: proxies that have yet to succeed and have their hands full.
//!
//! Before a proxy's first answer nobody knows whether it will ever give one. Requests that come meanwhile go to others, where
//! there are others: a proxy that hangs would otherwise take its share of everything until the first timeout. It is a
//! preference, not a limit: who finds nobody else takes one of these.

use smallvec::SmallVec;

use crate::pool::context::{Context, Excluded};
use crate::proxy::health::Health;
use crate::proxy::{Id, Proxy};

/// Requests in flight through a proxy that has never succeeded, the one about to be sent included, up to which it serves
/// before others.
const AT_ONCE: u32 = 1;
/// Proxies that one request passes over; then it takes what it is given.
const MOST: usize = 8;

/// See the module. Made for one lease; nothing happens to it in the usual case.
#[derive(Default)]
pub(super) struct Aside {
    ids: SmallVec<[Id; MOST]>,
    context: Option<Context>,
    over: bool,
}

impl Aside {
    /// Whether the proxy just chosen, whose start is counted, is to be passed over; the next choice is then under
    /// [`Aside::context`].
    #[inline]
    pub(super) fn takes(&mut self, proxy: &Proxy, asked: &Context) -> bool {
        // Who is healthy has succeeded.
        if proxy.health() == Health::Healthy || self.over {
            return false;
        }
        self.looks_at(proxy, asked)
    }

    fn looks_at(&mut self, proxy: &Proxy, asked: &Context) -> bool {
        // A session stays where it is.
        let crowded = proxy.totals().1 == 0 && proxy.usage().2 > AT_ONCE && asked.session_id.is_none();
        if !crowded || self.ids.len() == MOST {
            return false;
        }
        self.ids.push(proxy.id());
        let mut context = asked.clone();
        let all = asked.excluded.ids().chain(self.ids.iter().copied());
        context.excluded = Excluded::new(all);
        self.context = Some(context);
        true
    }

    /// What to ask for: what was asked, without whom was set aside.
    #[inline]
    pub(super) fn context<'a>(&'a self, asked: &'a Context) -> &'a Context {
        self.context.as_ref().unwrap_or(asked)
    }

    /// Whether the next choice is under what was asked.
    pub(super) fn is_empty(&self) -> bool {
        self.context.is_none()
    }

    /// Nobody is left but them: from now on they are as good as any.
    pub(super) fn give_up(&mut self) {
        self.over = true;
        self.context = None;
    }
}
