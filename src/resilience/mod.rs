//! Judging: who may be chosen now, for how long not, and who may be tried again.
//!
//! Liveness (can it carry bytes) is one state per proxy: rest and trial, the breaker, the limits on what it may carry at
//! once and in a time. Whatever speaks against a proxy is a bit in its one word, so that the pool's index knows; what is to
//! happen later is in the pool's timers, which whoever selects next runs. Nothing asks every proxy on every request.
//!
//! What may be the site's fault as well as the proxy's is decided by evidence: see `blame`.
//!
//! Standing (is it welcome at a site) is one state per proxy and site: see [`standing`].

pub(crate) mod blame;
pub mod breaker;
pub mod bucket;
mod connections;
pub mod explain;
pub mod guard;
pub mod notice;
mod panic;
mod record;
mod rest;
pub mod settings;
pub mod site;
pub mod standing;
mod tally;
pub(crate) mod timers;

pub use breaker::Breaker;
pub use bucket::{Rate, TokenBucket};
pub use guard::OutlierDetector;
pub use notice::Notice;
pub(crate) use record::Liveness;
pub use settings::{BreakerSettings, Settings, SettingsError};
