//! When requests must be looked at again: at most one entry for each of them, however often its bounds move.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Alarms of numbered requests, in nanoseconds of the steady clock.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(u64, usize)>>,
    /// The earliest alarm of each number. Others in the heap are void.
    earliest: Vec<Option<u64>>,
}

impl Timers {
    /// Rings at that moment at the latest. An alarm that is set earlier stays: what it finds decides on the next.
    pub(crate) fn set(&mut self, number: usize, at: Option<u64>) {
        let Some(at) = at else { return };
        if self.earliest.len() <= number {
            self.earliest.resize(number + 1, None);
        }
        if self.earliest[number].is_none_or(|set| at < set) {
            self.earliest[number] = Some(at);
            self.heap.push(Reverse((at, number)));
        }
    }

    /// A number whose alarm has rung.
    pub(crate) fn due(&mut self, now: u64) -> Option<usize> {
        while let Some(&Reverse((at, number))) = self.heap.peek()
            && at <= now
        {
            self.heap.pop();
            if self.earliest[number] == Some(at) {
                self.earliest[number] = None;
                return Some(number);
            }
        }
        None
    }

    /// When the next one rings.
    pub(crate) fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_alarm_stands_for_a_later_one() {
        let mut timers = Timers::default();
        timers.set(3, Some(50));
        for later in 51..1000 {
            timers.set(3, Some(later));
        }
        assert_eq!(timers.heap.len(), 1);
        assert_eq!((timers.due(49), timers.due(50), timers.due(2000)), (None, Some(3), None));
        timers.set(3, Some(99));
        assert_eq!(timers.next(), Some(99));
    }

    #[test]
    fn a_later_alarm_that_was_overtaken_is_void() {
        let mut timers = Timers::default();
        timers.set(0, Some(50));
        timers.set(0, Some(20));
        timers.set(1, None);
        assert_eq!((timers.due(20), timers.due(100), timers.next()), (Some(0), None, None));
    }
}
