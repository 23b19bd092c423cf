//! Whether proxies work: from the form of the address up to a page fetched through each, many at once, on tokio.
//!
//! A [`Plan`] says what to try, [`Run::start`] tries it on a list, and reports come as they are ready. Every proxy has one
//! deadline for everything; what an answer may hold is limited; so nothing that a proxy sends, or does not send, holds the
//! run up. A run that is cancelled or dropped closes its sockets.

mod detect;
mod dial;
mod dns;
mod http;
mod judge;
mod plan;
mod report;
mod run;
mod runtime;
mod stages;

pub use crate::net::target::Target;
pub use crate::net::tls::Verification;
pub use judge::judge;
pub use plan::{Level, Plan, PlanError, Rule};
pub use report::{Failure, Report, Stage};
pub use run::{Item, Run};
pub use runtime::{Forked, handle};
