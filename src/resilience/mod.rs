//! Judging: which proxies are eligible, for how long not, and which may be probed.
//!
//! Liveness (can it carry bytes) is one state per proxy, see [`liveness`](crate::proxy::liveness). Here a pool's guard draws
//! consequences for it, and keeps what is to happen later in timers, which the next selection runs. Nothing asks every proxy
//! on every request.
//!
//! What may be the site's fault as well as the proxy's is decided by evidence: see `judge::blame`.
//!
//! Site bans (is the proxy welcome at a site) are one state per proxy and site: see [`standing`].

mod connections;
pub mod explain;
pub mod guard;
pub mod limiter;
pub mod notice;
mod panic;
pub mod settings;
pub mod site;
pub mod standing;
pub(crate) mod timers;

pub use guard::OutlierDetector;
pub use notice::Notice;
pub use settings::Settings;
