//! What a driver is asked to send.

use std::fmt;
use std::net::SocketAddr;

use crate::sync::Arc;
use crate::wire::allowance::Timeouts;
use crate::wire::limits::Limits;
use crate::wire::request::Request;
use crate::wire::route::Route;

/// A request, its way, and its bounds.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its way. A proxy that a list of others named is marked there, as [`Proxy::public_only`](crate::wire::route::Proxy).
    pub route: Route,
    /// Its head.
    pub request: Request,
    /// Its body.
    pub body: OrderBody,
    /// The timeouts of httpx.
    pub timeouts: Timeouts,
    /// When everything must be over, in nanoseconds of the steady clock.
    pub deadline: Option<u64>,
    /// Bounds of the answer.
    pub limits: Limits,
    /// Whether the request may reach the site twice: then it is sent anew, once, where an idle connection was found closed.
    pub is_repeatable: bool,
    /// Whether the answer's body is read to its end at once, within the limits, and decoded.
    pub is_whole: bool,
    /// Whether a coded body that is read whole is kept as it came, too.
    pub keeps_coded: bool,
    /// Bytes of a body that is read whole, as it is on the wire, that are enough: what comes behind them is not read, which is
    /// no error and costs the connection. Such a body is not decoded; a limit of bodies counts for the length that it announces.
    pub enough: Option<usize>,
    /// The addresses of the first hop, where they are known: then no name is looked up.
    pub addresses: Option<Arc<[SocketAddr]>>,
}

/// The body of a request.
#[derive(Clone)]
pub enum OrderBody {
    /// None.
    Empty,
    /// All of it.
    Bytes(Arc<dyn AsRef<[u8]> + Send + Sync>),
    /// In pieces, asked for when there is room for the next.
    Pulled,
}

impl fmt::Debug for OrderBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes(<{} bytes>)", (**bytes).as_ref().len()),
            Self::Pulled => f.write_str("Pulled"),
        }
    }
}

impl Order {
    /// A request without a body and without bounds of time, whose answer is read whole.
    #[must_use]
    pub fn new(route: Route, request: Request) -> Self {
        Self {
            route,
            request,
            body: OrderBody::Empty,
            timeouts: Timeouts::default(),
            deadline: None,
            limits: Limits::default(),
            is_repeatable: true,
            is_whole: true,
            keeps_coded: false,
            enough: None,
            addresses: None,
        }
    }
}
