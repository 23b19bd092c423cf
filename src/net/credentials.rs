//! A login, and how it is written in a URL.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::address::AddressError;

/// User name and password, percent-decoded.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The user name.
    pub username: Box<str>,
    /// The password.
    pub password: Box<str>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

impl Credentials {
    /// The value of `Proxy-Authorization` (RFC 7617, in UTF-8).
    #[must_use]
    pub fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.username, self.password)))
    }
}

/// Percent-encodes every byte that is not unreserved in a URL (RFC 3986, 2.3).
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

pub(super) fn unescape(text: &str) -> Result<Box<str>, AddressError> {
    if text.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Err(AddressError::BadEscape);
    }
    if !text.contains('%') {
        return Ok(text.into());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| b.and_then(|b| (b as char).to_digit(16)).ok_or(AddressError::BadEscape);
        let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
        out.push(u8::try_from(value).map_err(|_| AddressError::BadEscape)?);
    }
    String::from_utf8(out).map(Into::into).map_err(|_| AddressError::BadEscape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_credentials_reversibly() {
        let odd = "p@ss:w/ö%";
        assert_eq!(&*unescape(&escape(odd)).unwrap(), odd);
    }
}
