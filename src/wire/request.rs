//! A request as it is written: method, target and headers byte for byte as given, in the order given.

use std::fmt;

use super::error::{Error, Kind, Stage};
use crate::net::http1::{self, BadRequest};

/// Names and values of headers in one buffer, in the order given, names in the case given.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    bytes: Vec<u8>,
    /// Where the name and where the value of each ends.
    ends: Vec<(u32, u32)>,
}

impl Headers {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// None, with room for so many, and for so many bytes of theirs.
    #[must_use]
    pub fn with_capacity(count: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    /// Adds one at the end.
    ///
    /// # Panics
    /// When all of them together have more than 4 GiB.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(name);
        let name_end = u32::try_from(self.bytes.len()).expect("headers of less than 4 GiB");
        self.bytes.extend_from_slice(value);
        self.ends.push((name_end, u32::try_from(self.bytes.len()).expect("headers of less than 4 GiB")));
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(name, value)| {
            let (name, value) = (name as usize, value as usize);
            let pair = (&self.bytes[start..name], &self.bytes[name..value]);
            start = value;
            pair
        })
    }

    /// The values of a header, in any case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in pairs {
            headers.push(name.as_ref(), value.as_ref());
        }
        headers
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers carry logins and cookies.
        write!(f, "Headers({})", self.ends.len())
    }
}

/// How the end of a request's body is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// By its length; without a body it is zero.
    Length(u64),
    /// By an empty chunk.
    Chunked,
}

/// A request, without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    method: String,
    target: String,
    headers: Headers,
    framing: Framing,
}

impl Request {
    /// `target` is in origin form, `/path?query`. The headers say how the body is framed.
    ///
    /// # Errors
    /// [`Kind::LocalProtocol`]: the headers contradict each other about the body, or name several hosts.
    pub fn new(method: impl Into<String>, target: impl Into<String>, mut headers: Headers) -> Result<Self, Error> {
        if headers.values("host").nth(1).is_some() {
            return Err(local("Found multiple Host: headers"));
        }
        let framing = framing(&headers)?;
        if headers.values("content-length").nth(1).is_some() {
            headers = once(&headers, "content-length");
        }
        Ok(Self { method: method.into(), target: target.into(), headers, framing })
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The target in origin form.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// How the end of the body is marked.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Writes the head behind what is in `out`: `onward` goes before the target, as `http://host` does for a proxy that
    /// passes the request on, and `first` are headers for that proxy, which come before the others.
    ///
    /// # Errors
    /// [`Kind::LocalProtocol`]: it would be read as something else; `out` is then as before.
    pub fn write_head(&self, out: &mut Vec<u8>, onward: &str, first: &Headers) -> Result<(), Error> {
        out.reserve(
            self.method.len() + onward.len() + self.target.len() + 16 + self.headers.written() + first.written(),
        );
        let headers = first.iter().chain(self.headers.iter());
        http1::write_onward(out, &self.method, onward, &self.target, headers).map_err(refused)
    }
}

impl Headers {
    /// Bytes that they take in a head, with the colons, blanks and line ends.
    fn written(&self) -> usize {
        self.bytes.len() + 4 * self.ends.len()
    }
}

/// The messages are those of h11, which httpx passes on.
fn refused(bad: BadRequest) -> Error {
    let text = match bad {
        BadRequest::Method => "Illegal method characters",
        BadRequest::Target => "Illegal target characters",
        BadRequest::HeaderName => "Illegal header name",
        BadRequest::HeaderValue => "Illegal header value",
    };
    local(text)
}

pub(super) fn local(text: &'static str) -> Error {
    Error::new(Kind::LocalProtocol, Stage::Write, text)
}

/// The headers, with only the first of a name: a length that is said twice is one to a reader, and an attack to another.
fn once(headers: &Headers, name: &str) -> Headers {
    let mut seen = false;
    let mut is_kept =
        |found: &[u8]| !found.eq_ignore_ascii_case(name.as_bytes()) || !std::mem::replace(&mut seen, true);
    headers.iter().filter(|(found, _)| is_kept(found)).collect()
}

fn framing(headers: &Headers) -> Result<Framing, Error> {
    let mut codings = headers.values("transfer-encoding");
    if let Some(coding) = codings.next() {
        if codings.next().is_some() {
            return Err(local("multiple Transfer-Encoding headers"));
        }
        let is_chunked = coding.eq_ignore_ascii_case(b"chunked");
        return if is_chunked {
            Ok(Framing::Chunked)
        } else {
            Err(local("Only Transfer-Encoding: chunked is supported"))
        };
    }
    let mut lengths = headers.values("content-length");
    let Some(length) = lengths.next() else { return Ok(Framing::Length(0)) };
    if lengths.any(|other| other != length) {
        return Err(local("conflicting Content-Length headers"));
    }
    match http1::number(length) {
        Some(length) => Ok(Framing::Length(length)),
        None => Err(local("bad Content-Length")),
    }
}
