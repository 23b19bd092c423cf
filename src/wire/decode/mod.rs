//! Content codings of an answer's body.
