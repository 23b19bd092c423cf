//! What a reactor replies.

use std::time::Duration;

use proxywhirl::drive::looped::{Answer, Key, Reactor, Reply};
use proxywhirl::wire::connections::Bounds;
use proxywhirl::wire::error::Error;

pub fn reactor() -> Reactor {
    Reactor::new(Bounds { keep_alive: Some(Duration::from_secs(60)), ..Bounds::default() }).unwrap()
}

/// Lets the reactor work until that many replies have come; in a loop that waits for its descriptor alone, as an event loop
/// does.
pub fn replies(reactor: &mut Reactor, count: usize) -> Vec<(Key, Reply)> {
    let mut all = taken(reactor);
    for _ in 0..30_000 {
        if all.len() >= count {
            return all;
        }
        let mut poll = libc::pollfd {
            fd: reactor.descriptor().expect("nothing watches it apart"),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one entry is passed, and lives across the call.
        unsafe { libc::poll(&raw mut poll, 1, 1) };
        reactor.turn().unwrap();
        all.extend(taken(reactor));
    }
    panic!("waited for half a minute: {all:?}");
}

fn taken(reactor: &mut Reactor) -> Vec<(Key, Reply)> {
    reactor.replies().into_iter().map(|(key, reply, _)| (key, reply)).collect()
}

pub fn one(reactor: &mut Reactor) -> Reply {
    let mut all = replies(reactor, 1);
    assert_eq!(all.len(), 1);
    all.remove(0).1
}

pub fn answer(reply: Reply) -> Answer {
    match reply {
        Reply::Answer(answer) => *answer,
        other => panic!("no answer: {other:?}"),
    }
}

pub fn failure(reply: Reply) -> Error {
    match reply {
        Reply::Failed(error) => error,
        other => panic!("no failure: {other:?}"),
    }
}

pub fn body(answer: &Answer) -> String {
    String::from_utf8(answer.body.as_ref().unwrap().decoded.clone()).unwrap()
}
