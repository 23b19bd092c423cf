//! What keeps a request from harm: which proxy may be used now, and which one where.

pub mod host;
pub mod site;
pub mod standing;
