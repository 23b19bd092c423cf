//! What may be shown of a text: the one home of the rules for secrets.
//!
//! [`excerpt`](excerpt::excerpt) shows what an unreadable entry consists of, [`LoginSecrets`] hides a login that is
//! known, in whatever form a proxy repeats it, and [`text`] hides the logins of URLs.

pub mod excerpt;
mod login;
mod spelling;
pub mod text;

pub use login::LoginSecrets;

/// What stands for the login in a URL.
pub const MASKED_LOGIN: &str = "***:***@";

/// What stands for a secret.
pub const MASK: &str = "***";
