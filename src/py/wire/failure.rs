//! `WireFailure`: why a request got no answer, as Python makes an exception of httpx of it.

use pyo3::prelude::*;

use crate::clock::{Clock, SystemClock};
use crate::judge::handshake::of_refusal;
use crate::net::handshake::Refusal;
use crate::net::redact::LoginSecrets;
use crate::py::handshake::verdict;
use crate::wire::error::{Error, Excess, Kind, Stage};
use crate::wire::route::Route;

/// Why a request got no answer.
#[pyclass(name = "WireFailure", module = "proxywhirl._core", frozen, get_all)]
pub(crate) struct WireFailure {
    /// The class of httpx that tells it best.
    name: &'static str,
    /// What happened.
    message: String,
    /// The number of the system's error; `None` where it was none.
    errno: Option<i32>,
    /// What of opening the way failed; `None` where it was open.
    phase: Option<&'static str>,
    /// Whether some of the request can have left.
    sent: bool,
    /// Whether a connection that had been idle was found closed, which is its other side's right.
    stale: bool,
    /// The bound of a body that was passed: "body" or "decoded".
    excess: Option<&'static str>,
    /// What a proxy's refusal says of it: an `Outcome`, or `AMBIGUOUS`.
    outcome: Option<Py<PyAny>>,
    /// Seconds for which the proxy asks to be left alone.
    retry_after: Option<f64>,
}

impl WireFailure {
    pub(super) fn new(py: Python<'_>, error: &Error, route: Option<&Route>) -> PyResult<Self> {
        let refusal = match &error.kind {
            Kind::Proxy(Some(refusal)) => Some(&**refusal),
            _ => None,
        };
        let (outcome, retry_after) = match refusal {
            Some(refusal) => {
                let (judgement, retry_after) = of_refusal(refusal, || SystemClock.wall() as f64 / 1e6);
                (Some(verdict(py, judgement)?), retry_after)
            }
            None => (None, None),
        };
        Ok(Self {
            name: name(error),
            message: message(error, refusal, route),
            errno: error.errno,
            phase: phase(error.stage),
            sent: error.sent,
            stale: error.stale,
            excess: match error.kind {
                Kind::TooLarge(Excess::Body) => Some("body"),
                Kind::TooLarge(Excess::Decoded) => Some("decoded"),
                _ => None,
            },
            outcome,
            retry_after,
        })
    }
}

fn name(error: &Error) -> &'static str {
    match &error.kind {
        Kind::Connect => "ConnectError",
        Kind::ConnectTimeout => "ConnectTimeout",
        Kind::Read | Kind::Interrupted => "ReadError",
        Kind::ReadTimeout => "ReadTimeout",
        Kind::Write => "WriteError",
        Kind::WriteTimeout => "WriteTimeout",
        Kind::PoolTimeout => "PoolTimeout",
        Kind::Proxy(_) => "ProxyError",
        Kind::RemoteProtocol | Kind::TooLarge(_) => "RemoteProtocolError",
        Kind::LocalProtocol => "LocalProtocolError",
        Kind::Decoding => "DecodingError",
        Kind::Unsupported => "UnsupportedProtocol",
        // httpx has no deadline: the timeout of the operation that it fell on.
        Kind::Deadline => match error.stage {
            Stage::Pool => "PoolTimeout",
            Stage::Resolve | Stage::Tcp | Stage::ProxyTls | Stage::Handshake | Stage::TargetTls => "ConnectTimeout",
            Stage::Write => "WriteTimeout",
            Stage::Head | Stage::Body => "ReadTimeout",
        },
    }
}

fn phase(stage: Stage) -> Option<&'static str> {
    match stage {
        Stage::Resolve | Stage::Tcp => Some("connecting to the proxy"),
        Stage::ProxyTls => Some("starting TLS with the proxy"),
        Stage::Handshake => Some("talking to the proxy"),
        _ => None,
    }
}

/// What happened; of a refusal also the reason that the proxy gave, without the login that it may repeat there.
fn message(error: &Error, refusal: Option<&Refusal>, route: Option<&Route>) -> String {
    let Some(Refusal::Connect(reply)) = refusal else { return error.text().to_owned() };
    let login = route.and_then(|route| match route.proxy()?.credentials.as_ref() {
        Some(login) => Some(LoginSecrets::new(&login.username, &login.password)),
        None => route.authorization().map(|value| LoginSecrets::of_authorization(&value)),
    });
    reply.message(|text| login.as_ref().map_or_else(|| text.to_owned(), |login| login.scrub(text)))
}
