//! The thread that asks the director, and the way there and back.

use std::sync::mpsc::Receiver;

use mio::Waker;

use super::dial::Found;
use super::{Director, News, Ticket, Verdict};
use crate::sync::{Arc, Mutex};

/// News that are told at a time.
const BATCH: usize = 256;

type Verdicts = Vec<(Ticket, Verdict)>;
type Names = Vec<(Ticket, Found)>;

/// What comes back to the server's thread.
pub(super) struct Back {
    verdicts: Mutex<Verdicts>,
    names: Mutex<Names>,
    waker: Waker,
}

impl Back {
    pub(super) fn new(waker: Waker) -> Self {
        Self { verdicts: Mutex::new(Vec::new()), names: Mutex::new(Vec::new()), waker }
    }

    pub(super) fn wake(&self) {
        // A full counter of wakes has woken, too.
        let _ = self.waker.wake();
    }

    pub(super) fn found(&self, ticket: Ticket, found: Found) {
        self.names.lock().push((ticket, found));
        self.wake();
    }

    pub(super) fn take(&self) -> (Verdicts, Names) {
        (std::mem::take(&mut *self.verdicts.lock()), std::mem::take(&mut *self.names.lock()))
    }
}

/// Asks until the server is gone.
pub(super) fn ask(mut director: Box<dyn Director>, news: &Receiver<News>, back: &Arc<Back>) {
    while let Ok(first) = news.recv() {
        let mut batch = vec![first];
        batch.extend(news.try_iter().take(BATCH - 1));
        let verdicts = director.tell(batch);
        if !verdicts.is_empty() {
            back.verdicts.lock().extend(verdicts);
            back.wake();
        }
    }
}
