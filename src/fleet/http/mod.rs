//! The part of HTTP/1.1 that proxies and origin share: buffers, heads, bodies.

pub(crate) mod body;
pub(crate) mod buffer;
pub(crate) mod head;
