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
                if order.is_whole {
                    self.collector = Some(Collector::new(&head, &order.limits, order.keeps_coded)?);
                }
                self.head = Some(head);
            }
            Event::Data(data) => match &mut self.collector {
                Some(collector) => collector.push(data)?,
                None => self.pending.extend_from_slice(data),
            },
            Event::End => self.whole = self.collector.take().map(Collector::finish).transpose()?,
        }
        Ok(())
    }
}
