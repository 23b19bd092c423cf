//! What of an answer has come: of one that is read whole the decoded body, of a stream what its caller has not taken yet.

use super::now;
use super::order::Order;
use crate::net::http1::ResponseHead;
use crate::wire::collect::{Body, Collector};
use crate::wire::error::Error;
use crate::wire::flight::Event;

/// What of an answer has come.
#[derive(Default)]
pub(super) struct Collected {
    /// Until it is taken.
    pub(super) head: Option<ResponseHead>,
    /// When it came.
    pub(super) head_at: Option<u64>,
    collector: Option<Collector>,
    /// What has come of a body of which the beginning is enough.
    beginning: Vec<u8>,
    /// The body of an answer that is read whole, once it is.
    pub(super) whole: Option<Body>,
    /// Of a stream: what its caller has not taken yet.
    pub(super) pending: Vec<u8>,
}

impl Collected {
    /// Takes what was received.
    pub(super) fn take(&mut self, order: &Order, event: Event<'_>) -> Result<(), Error> {
        match event {
            Event::Head(head) => {
                self.head_at = Some(now());
                if order.is_whole && order.enough.is_none() {
                    self.collector = Some(Collector::new(&head, &order.limits, order.keeps_coded)?);
                }
                self.head = Some(head);
                if order.is_whole && order.enough == Some(0) {
                    self.whole = Some(Body::default());
                }
            }
            Event::Data(data) => match (&mut self.collector, order.enough.filter(|_| order.is_whole)) {
                (Some(collector), _) => collector.push(data)?,
                (None, Some(enough)) => self.begin(data, enough),
                (None, None) => self.pending.extend_from_slice(data),
            },
            Event::End if self.whole.is_some() => {}
            Event::End if order.is_whole && order.enough.is_some() => self.whole = Some(self.taken_beginning()),
            Event::End => self.whole = self.collector.take().map(Collector::finish).transpose()?,
        }
        Ok(())
    }
    /// Takes a piece of a body of which so many bytes are enough.
    fn begin(&mut self, data: &[u8], enough: usize) {
        if self.whole.is_some() {
            return;
        }
        let room = enough - self.beginning.len();
        self.beginning.extend_from_slice(&data[..data.len().min(room)]);
        if self.beginning.len() == enough {
            self.whole = Some(self.taken_beginning());
        }
    }

    fn taken_beginning(&mut self) -> Body {
        let decoded = std::mem::take(&mut self.beginning);
        let received = decoded.len() as u64;
        Body { decoded, coded: None, received }
    }
}
