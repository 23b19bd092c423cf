//! A pool as bytes: the documented layout of one JSON object per proxy, written and read without an object of the
//! embedding program for any of them.
//!
//! This module reads and writes records, not files: the embedding program opens, locks, flushes and renames.

mod gzip;
mod read;
mod record;
mod restore;
mod seal;
mod write;

pub use read::{Entry, Image, ReadError};
pub use record::{Extra, SEALED, SavedProxy};
pub use seal::{Seals, Secret, Unsealed, binding, binding_of, protocol_said};
pub use write::{Marks, Options, Secrets, Shape, WriteError, Written, write};
