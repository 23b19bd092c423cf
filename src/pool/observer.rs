//! The owner of a pool, and the changes of the membership that it is notified of.

use ahash::AHashMap;

use crate::pool::Table;
use crate::proxy::{PoolObserver, Proxy};
use crate::sync::Arc;

/// What a pool belongs to: the observer of each of its proxies, and of its membership. Called at changes of the membership
/// alone.
pub trait MembershipObserver: PoolObserver {
    /// A proxy joins. Under the pool's writer lock.
    fn on_join(&self, proxy: &Arc<Proxy>);

    /// The proxy of a slot leaves. Under the pool's writer lock.
    fn on_leave(&self, table: &Table, slot: u32);

    /// Whether anything is kept by the positions of proxies.
    fn keeps_positions(&self) -> bool;

    /// The proxies that stay stand at other positions: from position to position. Under the pool's writer lock.
    fn on_renumber(&self, to: &AHashMap<u64, u64>);

    /// There are more proxies than before. Under no lock.
    fn on_more(&self);
}
