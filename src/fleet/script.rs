//! The part a proxy plays: what happens to its n-th request. Pure over a given time, so that tests need no clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::behaviour::{Behaviour, Flap, FlapUnit, Latency};
use super::fault::Fault;
use super::rng::Draws;

/// What happens to one exchange (a forwarded request, a CONNECT, a SOCKS request).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plan {
    /// Waited before anything else.
    pub(crate) delay: Duration,
    /// Then this goes wrong.
    pub(crate) fault: Option<Fault>,
    /// How much of the body a cut lets through.
    pub(crate) cut_after: u64,
}

/// Whether the port is open, and until when that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) open: bool,
    pub(crate) until: Option<Instant>,
}

/// A behaviour being played.
#[derive(Debug)]
pub(crate) struct Script {
    draws: Draws,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    behaviour: Arc<Behaviour>,
    /// When the behaviour was set; schedules in time begin here.
    since: Instant,
    /// Exchanges since the behaviour was set; schedules in requests begin here.
    exchanges: u64,
    /// Draws made in the proxy's life, so that a change of behaviour does not repeat luck.
    drawn: u64,
}

/// Which of an exchange's draws decides what.
const LUCK: u64 = 0;
const LATENCY: u64 = 1;

impl Script {
    pub(crate) fn new(behaviour: Behaviour, draws: Draws, now: Instant) -> Self {
        Self { draws, state: Mutex::new(State { behaviour: Arc::new(behaviour), since: now, exchanges: 0, drawn: 0 }) }
    }

    /// What is being played.
    pub(crate) fn behaviour(&self) -> Arc<Behaviour> {
        Arc::clone(&self.state.lock().behaviour)
    }

    /// Plays something else from now on, from its beginning.
    pub(crate) fn change(&self, behaviour: Behaviour, now: Instant) {
        let mut state = self.state.lock();
        state.behaviour = Arc::new(behaviour);
        state.since = now;
        state.exchanges = 0;
    }

    /// The fate of the next exchange.
    pub(crate) fn next(&self, now: Instant) -> Plan {
        let mut state = self.state.lock();
        let position = state.exchanges;
        let draw = state.drawn;
        state.exchanges += 1;
        state.drawn += 1;
        let behaviour = &state.behaviour;
        Plan {
            delay: delay(behaviour.latency, self.draws, position, draw),
            fault: fault(behaviour, self.draws, state.since, position, draw, now),
            cut_after: behaviour.cut_after,
        }
    }

    /// How long a turn inside a tunnel takes: the latency of an exchange, without counting as one.
    pub(crate) fn turn(&self) -> Duration {
        let mut state = self.state.lock();
        if state.behaviour.latency == Latency::None {
            return Duration::ZERO;
        }
        let draw = state.drawn;
        state.drawn += 1;
        // The exchange that opened the tunnel is already counted: the drift is unchanged.
        let position = state.exchanges.saturating_sub(1);
        delay(state.behaviour.latency, self.draws, position, draw)
    }

    /// Whether the port is open at this time.
    pub(crate) fn gate(&self, now: Instant) -> Gate {
        let state = self.state.lock();
        let behaviour = &state.behaviour;
        match behaviour.flap {
            _ if behaviour.fault == Some(Fault::Refuse) => Gate { open: false, until: None },
            // A schedule in requests cannot close the port: no request would arrive and be counted.
            Some(flap) if flap.unit == FlapUnit::Milliseconds && behaviour.fail_with == Fault::Refuse => {
                let (down, left) = by_time(flap, now.saturating_duration_since(state.since));
                Gate { open: !down, until: left.map(|left| now + left) }
            }
            _ => Gate { open: true, until: None },
        }
    }
}

fn fault(behaviour: &Behaviour, draws: Draws, since: Instant, position: u64, draw: u64, now: Instant) -> Option<Fault> {
    if behaviour.fault.is_some() {
        return behaviour.fault;
    }
    let fails = position < behaviour.fail_first
        || behaviour.flap.is_some_and(|flap| match flap.unit {
            FlapUnit::Requests => {
                // The failing ones at the beginning are not part of the schedule.
                (position - behaviour.fail_first) % (flap.up + flap.down) >= flap.up
            }
            FlapUnit::Milliseconds => by_time(flap, now.saturating_duration_since(since)).0,
        })
        || behaviour.fail_rate > 0.0 && draws.unit(draw, LUCK) < behaviour.fail_rate;
    fails.then_some(behaviour.fail_with)
}

/// Whether a schedule in time is down after this time, and how long that stays so (`None`: for ever).
fn by_time(flap: Flap, elapsed: Duration) -> (bool, Option<Duration>) {
    if flap.up == 0 || flap.down == 0 {
        return (flap.up == 0, None);
    }
    let up = Duration::from_millis(flap.up);
    let period = Duration::from_millis(flap.up + flap.down);
    let nanos = elapsed.as_nanos() % period.as_nanos();
    let phase = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
    if phase < up { (false, Some(up - phase)) } else { (true, Some(period.saturating_sub(phase))) }
}

fn delay(latency: Latency, draws: Draws, position: u64, draw: u64) -> Duration {
    let ms = match latency {
        Latency::None => return Duration::ZERO,
        Latency::Fixed(ms) => ms,
        Latency::Uniform { lo, hi } => lo + (hi - lo) * draws.unit(draw, LATENCY),
        // Five standard deviations at most: a single draw shall not stop a test for minutes.
        Latency::LogNormal { median, sigma } => median * (sigma * draws.normal(draw, LATENCY).clamp(-5.0, 5.0)).exp(),
        Latency::Drift { from, to, requests } => from + (to - from) * (position.min(requests) as f64 / requests as f64),
    };
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(behaviour: Behaviour) -> (Script, Instant) {
        let now = Instant::now();
        (Script::new(behaviour, Draws::new(42, 0), now), now)
    }

    fn fates(script: &Script, now: Instant, n: usize) -> Vec<bool> {
        (0..n).map(|_| script.next(now).fault.is_some()).collect()
    }

    #[test]
    fn the_first_requests_fail_and_then_it_flaps() {
        let (script, now) = script(Behaviour {
            fail_first: 2,
            flap: Some(Flap { up: 3, down: 1, unit: FlapUnit::Requests }),
            ..Behaviour::default()
        });
        let expected = [true, true, false, false, false, true, false, false, false, true];
        assert_eq!(fates(&script, now, 10), expected);
    }

    #[test]
    fn luck_repeats_for_a_seed_and_has_the_asked_rate() {
        let behaviour = Behaviour { fail_rate: 0.3, ..Behaviour::default() };
        let (one, now) = script(behaviour.clone());
        let (two, _) = script(behaviour);
        let fates_of_one = fates(&one, now, 10_000);
        assert_eq!(fates_of_one, fates(&two, now, 10_000));
        let failed = fates_of_one.iter().filter(|failed| **failed).count();
        // Binomial(10000, 0.3): mean 3000, standard deviation 46; five of them.
        assert!(failed.abs_diff(3000) < 230, "{failed}");
    }

    #[test]
    fn latency_drifts_and_stays() {
        let (script, now) =
            script(Behaviour { latency: Latency::Drift { from: 10.0, to: 30.0, requests: 2 }, ..Behaviour::default() });
        let ms: Vec<_> = (0..4).map(|_| script.next(now).delay.as_millis()).collect();
        assert_eq!(ms, [10, 20, 30, 30]);
        assert_eq!(script.turn().as_millis(), 30);
    }

    #[test]
    fn a_spread_stays_within_its_bounds() {
        let (script, now) =
            script(Behaviour { latency: Latency::Uniform { lo: 5.0, hi: 9.0 }, ..Behaviour::default() });
        for _ in 0..1000 {
            let ms = script.next(now).delay.as_secs_f64() * 1e3;
            assert!((4.999..9.001).contains(&ms), "{ms}");
        }
    }

    #[test]
    fn a_schedule_in_time_closes_the_port_when_asked_to_refuse() {
        let (script, now) = script(Behaviour {
            fail_with: Fault::Refuse,
            flap: Some(Flap { up: 100, down: 50, unit: FlapUnit::Milliseconds }),
            ..Behaviour::default()
        });
        let ms = Duration::from_millis;
        let at = |t| script.gate(now + ms(t));
        assert_eq!(at(0), Gate { open: true, until: Some(now + ms(100)) });
        assert_eq!(at(120), Gate { open: false, until: Some(now + ms(150)) });
        assert!(at(150).open);
        assert_eq!(script.next(now + ms(120)).fault, Some(Fault::Refuse));
        assert_eq!(script.next(now + ms(160)).fault, None);
    }

    #[test]
    fn a_change_starts_the_schedule_again_but_not_the_luck() {
        let (script, now) = script(Behaviour::default());
        fates(&script, now, 5);
        script.change(Behaviour { fail_first: 1, ..Behaviour::default() }, now);
        assert_eq!(fates(&script, now, 2), [true, false]);
        assert_eq!(script.state.lock().drawn, 7);
    }
}
