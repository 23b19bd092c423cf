//! An exchange played from bytes.

use proxywhirl::net::http1::ResponseHead;
use proxywhirl::wire::error::{Error, Kind};
use proxywhirl::wire::exchange::{Event, Exchange};
use proxywhirl::wire::limits::Limits;
use proxywhirl::wire::request::{Headers, Request};

/// What came of an answer.
#[derive(Debug)]
pub struct Played {
    pub head: Option<ResponseHead>,
    pub body: Vec<u8>,
    /// Whether the answer was whole.
    pub end: Result<(), Error>,
    pub is_reusable: bool,
    /// Bytes of the last piece that are not the answer's.
    pub left: usize,
    pub exchange: Exchange,
}

impl Played {
    pub fn text(&self) -> &str {
        self.end.as_ref().unwrap_err().text()
    }

    pub fn kind(&self) -> &Kind {
        &self.end.as_ref().unwrap_err().kind
    }

    /// What must be the same in every split.
    pub fn verdict(&self) -> Result<(&ResponseHead, &[u8]), (&Kind, &str)> {
        match &self.end {
            Ok(()) => Ok((self.head.as_ref().unwrap(), &self.body)),
            Err(error) => Err((&error.kind, error.text())),
        }
    }
}

/// An exchange whose request was written, without a body.
pub fn sent(method: &str, limits: Limits) -> Exchange {
    let request = Request::new(method, "/", Headers::from_iter([("Host", "shop.test")])).unwrap();
    let mut exchange = Exchange::new(&request, "", &Headers::new(), limits).unwrap();
    exchange.wrote(exchange.outgoing().len());
    exchange
}

/// Feeds the pieces, and then the end of the connection.
pub fn play<'a>(mut exchange: Exchange, pieces: impl IntoIterator<Item = &'a [u8]>) -> Played {
    let (mut head, mut body, mut left) = (None, Vec::new(), 0);
    let mut feed = |exchange: &mut Exchange, mut piece: &[u8]| -> Result<bool, Error> {
        loop {
            let before = piece.len();
            let event = exchange.received(&mut piece)?;
            match event {
                Event::More => {
                    assert!(piece.is_empty(), "{before} bytes, more is wanted, and {} are left", piece.len());
                    return Ok(false);
                }
                Event::Head(found) => assert!(head.replace(found).is_none(), "a second head"),
                Event::Data(data) => {
                    assert!(!data.is_empty());
                    body.extend_from_slice(data);
                }
                Event::End => {
                    left = piece.len();
                    return Ok(true);
                }
            }
        }
    };
    let mut end = Ok(false);
    for piece in pieces {
        end = feed(&mut exchange, piece);
        if !matches!(end, Ok(false)) {
            break;
        }
    }
    let is_reusable = exchange.is_reusable();
    let end = match end {
        Ok(false) => exchange.ended(),
        Ok(true) => Ok(()),
        Err(error) => Err(error),
    };
    assert!(end.is_ok() || !exchange.is_reusable(), "a broken connection would be used again");
    Played { head, body, end, is_reusable, left, exchange }
}

/// The answer to a GET, in one piece.
pub fn get(answer: &[u8]) -> Played {
    play(sent("GET", Limits::default()), [answer])
}

/// Cuts at these places.
pub fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let (mut pieces, mut start) = (Vec::new(), 0);
    for at in cuts.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[start..at]);
        start = at;
    }
    pieces
}
