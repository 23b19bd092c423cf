//! Requests over connections, without I/O: answers in every split, what servers get wrong, and what they do on purpose.

// When a reader hangs is real time.
#![allow(clippy::disallowed_methods)]

mod body;
mod common;
mod decode;
mod exchange;
mod fuzz;
mod h11;
mod hostile;
mod request;
