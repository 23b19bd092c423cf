//! What is measured: distributions that many threads write to and that can be added up.

pub mod histogram;
