//! Closing connections of a reactor before their time.

use super::Idle;
use crate::wire::connections::{Connections, Leaving};
use crate::wire::route::Identity;

/// Says which connections are closed.
pub struct Evictor<'a> {
    pub(super) connections: &'a mut Connections<Idle>,
    pub(super) leaving: &'a mut Leaving<Idle>,
}

impl Evictor<'_> {
    /// Those of one identity.
    pub(super) fn identity(&mut self, identity: &Identity) {
        self.connections.evict(identity, self.leaving);
    }

    /// Those of a proxy.
    pub fn proxy(&mut self, id: u128) {
        self.connections.evict_proxy(id, self.leaving);
    }

    /// Those of a session.
    pub fn owner(&mut self, owner: u64) {
        self.connections.evict_owner(owner, self.leaving);
    }

    /// All.
    pub fn all(&mut self) {
        self.connections.evict_all(self.leaving);
    }
}
