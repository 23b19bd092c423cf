//! From "TCP is connected" to "the request may be written": TLS with the proxy, asking it for the way, TLS with the target.

use super::channel::Channel;
use super::error::{Cut, Error, Kind, Stage};
use super::route::{Route, Way};
use crate::net::connect::Connect;
use crate::net::destination::Destination;
use crate::net::handshake::{Handshake, Inexpressible, Malformed, Progress, Refusal};
use crate::net::protocol::Protocol;

/// What is left to be done.
enum Step {
    ProxyTls,
    Handshake(Handshake),
    TargetTls,
}

/// The opening of one connection, over its [`Channel`].
pub(super) struct Opening {
    route: Route,
    step: Option<Step>,
    /// Whether a byte of the proxy's reply has come.
    is_replied: bool,
    /// In a tunnel for bytes of any kind: what the target has said behind the proxy's reply.
    early: Option<Vec<u8>>,
}

impl Opening {
    /// Begins; `None` if nothing has to be opened.
    pub(super) fn begin(route: &Route, channel: &mut Channel) -> Result<Option<Self>, Error> {
        Self::begin_with(route, channel, None)
    }

    /// The same for a tunnel in which the target may speak first.
    pub(super) fn begin_any(route: &Route, channel: &mut Channel) -> Result<Option<Self>, Error> {
        Self::begin_with(route, channel, Some(Vec::new()))
    }

    /// What the target has said already.
    pub(super) fn take_early(&mut self) -> Vec<u8> {
        self.early.take().unwrap_or_default()
    }

    fn begin_with(route: &Route, channel: &mut Channel, early: Option<Vec<u8>>) -> Result<Option<Self>, Error> {
        let mut opening = Self { route: route.clone(), step: None, is_replied: false, early };
        let proxy = route.proxy().filter(|proxy| proxy.protocol == Protocol::Https);
        match proxy {
            Some(proxy) => {
                let tls = route.proxy_tls().connect(&proxy.host, route.identity().party());
                channel.add_layer(tls.map_err(|error| opening.tls_fault(Stage::ProxyTls, &error))?);
                opening.step = Some(Step::ProxyTls);
            }
            None => opening.ask_for_the_way(channel)?,
        }
        Ok(opening.step.is_some().then_some(opening))
    }

    /// Where the opening stands.
    pub(super) fn stage(&self) -> Stage {
        match self.step {
            Some(Step::ProxyTls) => Stage::ProxyTls,
            Some(Step::Handshake(_)) => Stage::Handshake,
            Some(Step::TargetTls) => Stage::TargetTls,
            None => Stage::Write,
        }
    }

    /// Looks at what was received: `plain` is what came out of the channel. Whether the way is open now.
    pub(super) fn advance(&mut self, channel: &mut Channel, plain: &[u8]) -> Result<bool, Error> {
        if let Some(Step::Handshake(handshake)) = &mut self.step {
            if plain.is_empty() {
                return Ok(false);
            }
            self.is_replied = true;
            let progress = handshake.feed(plain);
            match if self.early.is_some() { progress } else { progress.client_speaks_first() } {
                Progress::NeedMore(_) => return Ok(false),
                Progress::Write(message) => {
                    channel.write(&message);
                    return Ok(false);
                }
                Progress::Done { leftover } => {
                    self.early = self.early.as_ref().map(|_| leftover);
                    self.begin_target_tls(channel)?;
                }
                Progress::Refused(refusal) => return Err(refused(refusal)),
                Progress::Malformed(malformed) => {
                    return Err(Error::new(Kind::Proxy(None), Stage::Handshake, malformed.to_string()));
                }
            }
        } else if !channel.is_handshaking() {
            if !plain.is_empty() {
                return Err(self.early_data());
            }
            match self.step {
                Some(Step::ProxyTls) => self.ask_for_the_way(channel)?,
                _ => self.step = None,
            }
        }
        Ok(self.step.is_none())
    }

    /// The error of bytes before the first that this side has written, and so is no answer to anything.
    fn early_data(&self) -> Error {
        match self.stage() {
            Stage::ProxyTls => Error::new(Kind::Proxy(None), Stage::Handshake, Malformed::EarlyData.to_string()),
            stage => Error::new(Kind::RemoteProtocol, stage, "the target sent data before the request"),
        }
    }

    /// The error of a connection that the other side closed.
    pub(super) fn closed(&self) -> Error {
        let cut = if self.is_replied && self.stage() == Stage::Handshake { Cut::Amid } else { Cut::Silent };
        let error = match self.stage() {
            Stage::Handshake => {
                Error::new(Kind::Proxy(None), Stage::Handshake, "the proxy closed the connection during the handshake")
            }
            Stage::ProxyTls => Error::new(
                Kind::Connect,
                Stage::ProxyTls,
                "the proxy closed the connection while starting TLS with the proxy",
            ),
            stage => {
                Error::new(Kind::Connect, stage, "the connection was closed during the TLS handshake with the target")
            }
        };
        error.with_cut(cut)
    }

    /// The error of a layer of TLS.
    pub(super) fn tls_fault(&self, stage: Stage, error: &rustls::Error) -> Error {
        let error = match error {
            // By this text, which is OpenSSL's, users tell that a certificate was refused.
            rustls::Error::InvalidCertificate(why) => {
                format!("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {why}")
            }
            _ => error.to_string(),
        };
        let text = match stage {
            Stage::ProxyTls => format!("{error} while starting TLS with the proxy"),
            Stage::Handshake => format!("{error} while talking to the proxy"),
            _ => format!("TLS with the target: {error}"),
        };
        Error::new(Kind::Connect, stage, text)
    }

    fn ask_for_the_way(&mut self, channel: &mut Channel) -> Result<(), Error> {
        if self.route.way() != Way::Tunnel {
            return self.begin_target_tls(channel);
        }
        let Some(proxy) = self.route.proxy() else { return Ok(()) };
        let origin = self.route.origin();
        let to = Destination::new(&origin.host, origin.port)
            .map_err(|_| refused(Refusal::Inexpressible(Inexpressible::Name)))?;
        let mut handshake = if proxy.is_http() {
            Handshake::Connect(Connect::new(to, self.route.authorization()))
        } else {
            Handshake::new(proxy.protocol, to, proxy.credentials.clone())
        };
        let first = handshake.start().map_err(|what| refused(Refusal::Inexpressible(what)))?;
        channel.write(&first);
        self.step = Some(Step::Handshake(handshake));
        Ok(())
    }

    fn begin_target_tls(&mut self, channel: &mut Channel) -> Result<(), Error> {
        let origin = self.route.origin();
        // With a forwarded request the connection ends at the proxy.
        if !origin.tls || self.route.way() == Way::Forward {
            self.step = None;
            return Ok(());
        }
        let tls = self.route.target_tls().connect(&origin.host, self.route.identity().party());
        channel.add_layer(tls.map_err(|error| self.tls_fault(Stage::TargetTls, &error))?);
        self.step = Some(Step::TargetTls);
        Ok(())
    }
}

/// The proxy may repeat the login in its reason, so the text is without it: the refusal is kept whole beside.
fn refused(refusal: Refusal) -> Error {
    let text = refusal.to_string();
    Error::new(Kind::Proxy(Some(Box::new(refusal))), Stage::Handshake, text)
}
