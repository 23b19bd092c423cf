//! Requests over connections, without I/O: the driver moves the bytes, this says which, and what they mean.
//!
//! [`request`] is what is sent, [`exchange`] one request and its answer over one connection, [`body`] where an answer's
//! body ends, [`decode`] its content codings, [`collect`] a body held in memory. [`limits`] bounds everything that a server
//! could let grow; [`error`] is everything that can go wrong, in the classes of httpx. Nothing here knows of pools, rotation
//! or Python.

pub mod body;
mod chunked;
pub mod collect;
pub mod decode;
pub mod error;
pub mod exchange;
pub mod limits;
pub mod request;
