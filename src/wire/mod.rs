//! Requests over connections, without I/O: the driver moves the bytes, this says which, and what they mean.
//!
//! [`request`] is what is sent, [`exchange`] one request and its answer over one connection, [`body`] where an answer's
//! body ends, [`decode`] its content codings, [`collect`] a body held in memory. [`limits`] bounds everything that a server
//! could let grow; [`error`] is everything that can go wrong, in the classes of httpx. Nothing here names pools, rotation
//! or Python.
//!
//! [`route`] says where a connection leads and which requests may share it, [`tls`] how TLS is spoken, [`channel`] what the
//! bytes on the socket are, `opening` how the way through a proxy is opened; [`allowance`] bounds times. [`flight`] puts all
//! of it together: one request over one socket, and [`tunnel`] is the same for bytes of any kind. [`connections`] are those that wait for another request.

pub mod allowance;
pub mod body;
pub mod channel;
mod chunked;
pub mod collect;
pub mod connections;
pub mod decode;
pub mod error;
pub mod exchange;
pub mod flight;
pub mod limits;
mod opening;
pub mod request;
pub mod route;
pub mod tls;
pub mod tunnel;
