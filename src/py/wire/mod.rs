//! The wire as Python sees it: requests sent by the core, and requests and responses of httpx filled without their
//! constructors.
//!
//! [`order`] reads what is to be sent, for the blocking driver and for the one of event loops; [`blocking`] sends it on the
//! caller's thread, [`looped`] on that of an event loop; [`answer`] and [`failure`] are what comes back. [`objects`] makes the objects of httpx.

pub(crate) mod answer;
pub(crate) mod blocking;
mod bounds;
mod compose;
pub(crate) mod decoder;
pub(crate) mod failure;
#[cfg(unix)]
pub(crate) mod looped;
pub(crate) mod objects;
pub(crate) mod order;
pub(crate) mod read;
pub(crate) mod tls;
mod url;
