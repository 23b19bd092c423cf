//! The wire as Python sees it: requests sent by the core, and requests and responses of httpx filled without their
//! constructors.
//!
//! [`order`] reads what is to be sent, for the blocking driver and for the one of event loops; [`blocking`] sends it on the
//! caller's thread, [`looped`] on that of an event loop, which [`watching`] wakes where it cannot watch for itself; [`answer`] and [`failure`] are what comes back. [`objects`] makes the
//! objects of httpx, [`asked`] reads what is said of a request by keyword; [`short`] does all of it in one call, where nothing
//! else has a say.

pub(crate) mod answer;
mod asked;
mod awaited;
mod bare;
pub(crate) mod blocking;
mod body;
mod bounds;
mod compose;
pub(crate) mod decoder;
pub(crate) mod failure;
pub(crate) mod looped;
pub(crate) mod objects;
pub(crate) mod order;
pub(crate) mod read;
pub(crate) mod short;
mod slots;
pub(crate) mod tls;
mod url;
mod watching;
