//! What of an answer has come.

use super::now;
use super::order::Order;
use crate::net::http1::ResponseHead;
use crate::wire::collect::{Body, Collector};
use crate::wire::error::Error;
use crate::wire::flight::Event;

/// Takes the events of one flight.
pub(super) struct Collected<'a> {
    order: &'a Order,
    pub(super) head: Option<ResponseHead>,
    /// When the head came.
    pub(super) head_at: Option<u64>,
    collector: Option<Collector>,
    pub(super) whole: Option<Body>,
    /// Of a stream: what its caller has not taken yet.
    pub(super) pending: Vec<u8>,
}

impl<'a> Collected<'a> {
    pub(super) fn new(order: &'a Order) -> Self {
        Self { order, head: None, head_at: None, collector: None, whole: None, pending: Vec::new() }
    }

    pub(super) fn take(&mut self, event: Event<'_>) -> Result<(), Error> {
        match event {
            Event::Head(head) => {
                self.head_at = Some(now());
                if self.order.is_whole {
                    self.collector = Some(Collector::new(&head, &self.order.limits, self.order.keeps_coded)?);
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
