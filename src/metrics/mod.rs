//! What is measured: distributions that many threads write to and that can be added up, and what became of attempts.

pub mod attempts;
pub mod groups;
pub mod histogram;
pub mod request_log;
