//! Whether proxies work: from the form of the address up to a page fetched through each, many at once, over the wire.
//!
//! A [`Plan`] says what to try, [`Run::start`] tries it on a list, and reports come as they are ready. Every proxy has one
//! deadline for everything; what an answer may hold is limited; so nothing that a proxy sends, or does not send, holds the
//! run up. A run that is cancelled or dropped closes its sockets.
//!
//! A run has threads of its own, each with a [`Reactor`](crate::drive::looped::Reactor) and its share of the checks (`worker`).
//! What one check does is in `steps`, without I/O.

mod ask;
mod detect;
mod hosts;
mod inbox;
mod judge;
mod names;
mod plan;
mod report;
mod reports;
mod run;
mod shared;
mod steps;
mod worker;

pub use crate::net::target::Target;
pub use crate::net::tls::Verification;
pub use judge::judge;
pub use plan::{Level, Plan, PlanError, Rule};
pub use report::{Failure, Report, Stage};
pub use run::{Forked, Item, Run, StartError};
