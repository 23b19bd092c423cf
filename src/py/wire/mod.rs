//! The wire as Python sees it: requests and responses of httpx filled directly, without their constructors.

pub(crate) mod objects;
mod url;
