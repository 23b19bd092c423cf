//! The wire as Python sees it: requests and responses of httpx filled directly, without their constructors.

mod compose;
pub(crate) mod objects;
mod url;
