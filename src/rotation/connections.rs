//! The limit that one transport sets on the connections in use through each proxy of a pool.

use crate::pool::Pool;
use crate::rotation::Domain;
use crate::sync::{Arc, Weak};

/// In force as long as it lives. Several limits may hold for one pool: the lowest counts.
#[derive(Debug)]
pub struct ConnectionLimit {
    pool: Weak<Domain>,
    most: u32,
}

impl ConnectionLimit {
    /// Limits the connections of `pool` to `most` per proxy, at least 1.
    #[must_use]
    pub fn new(pool: &Arc<Domain>, most: u32) -> Self {
        let most = most.max(1);
        pool.guard().add_connection_limit(most);
        Self { pool: Arc::downgrade(pool), most }
    }
}

impl Drop for ConnectionLimit {
    fn drop(&mut self) {
        let Some(pool) = self.pool.upgrade() else { return };
        let table = pool.table();
        let members: Vec<_> = Pool::members(&table).into_iter().filter_map(|slot| table.slot(slot)?.share()).collect();
        drop(table);
        pool.guard().remove_connection_limit(self.most, &members);
    }
}
