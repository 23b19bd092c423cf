//! What came back of an attempt: its class, and what follows from it.
//!
//! [`outcome`] is the one table of effects. [`status`] reads the class off an answer, [`retry_after`] how long a site asks
//! for a pause, [`handshake`] what a refused tunnel says of the proxy, by its status and its words. [`ban`] has the rules that
//! look inside an answer. Where an attempt by itself does not tell whose fault it was, `blame` decides by evidence.

pub mod ban;
pub(crate) mod blame;
pub mod handshake;
pub mod outcome;
pub mod retry_after;
pub mod status;
mod used_up;
