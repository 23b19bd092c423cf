//! Requests over real sockets: what [`wire`](crate::wire) says is to be written and read is written and read here.
