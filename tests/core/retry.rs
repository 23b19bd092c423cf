//! The rotation of one request, driven by hand: no clock that runs, no network.

use std::sync::Arc;

use proxywhirl::clock::{Clock, ManualClock};
use proxywhirl::judge::outcome::Judgement::{self, Ambiguous};
use proxywhirl::judge::outcome::Outcome::{self, Banned, ClientFault, ProxyDown, RateLimited, Success, TargetFault};
use proxywhirl::judge::status::{Answer as Head, StatusRules};
use proxywhirl::proxy::Id;
use proxywhirl::rotation::policy::{Backoff, Growth, Policy};
use proxywhirl::rotation::retry::Rotation;
use proxywhirl::rotation::step::{Answer, Attempt, Event, Failure, Fault, Host, Job, Step, is_idempotent};

/// One lease of the fake pool, and every verdict that it was given.
struct Lease {
    /// A letter; `None` for the way without a proxy.
    name: Option<char>,
    verdicts: Vec<&'static str>,
    hold: Option<f64>,
    status: Option<u16>,
}

/// Hands out proxies in order, passing over those that are excluded.
struct Pool {
    names: Vec<char>,
    next: usize,
    busy: Vec<char>,
    leases: Vec<Lease>,
    clock: ManualClock,
    /// The proxy that stands for many exits, if the site has named no time.
    gateway: Option<char>,
    allows_direct: bool,
    /// Whether the next verdict cannot be recorded.
    is_broken: bool,
    reports: Vec<(Judgement, u32)>,
}

impl Pool {
    fn take(&mut self, exclude: &[Id], seconds: Option<f64>) -> Taken {
        for step in 0..self.names.len() {
            let name = self.names[(self.next + step) % self.names.len()];
            if !exclude.contains(&id(name)) && !self.busy.contains(&name) {
                self.next += step + 1;
                return Taken::Lease(self.lease(Some(name)));
            }
        }
        if seconds != Some(0.0) && self.busy.iter().any(|&name| !exclude.contains(&id(name))) {
            return Taken::Busy;
        }
        Taken::None
    }

    fn lease(&mut self, name: Option<char>) -> usize {
        self.leases.push(Lease { name, verdicts: Vec::new(), hold: None, status: None });
        self.leases.len() - 1
    }

    fn end(&mut self, lease: usize, verdict: &'static str) {
        let lease = &mut self.leases[lease];
        if lease.name.is_some() {
            assert!(lease.verdicts.is_empty(), "second verdict {verdict} after {:?}", lease.verdicts);
        }
        lease.verdicts.push(verdict);
    }
}

enum Taken {
    Lease(usize),
    Busy,
    None,
}

fn id(name: char) -> Id {
    Id::from_u128(name as u128)
}

impl Host for Pool {
    type Lease = usize;
    type Fault = &'static str;
    type Error = &'static str;

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn id(&self, lease: &usize) -> Option<Id> {
        self.leases[*lease].name.map(id)
    }

    fn has_exits(&self, lease: &usize, is_held: bool) -> bool {
        !is_held && self.gateway.is_some() && self.leases[*lease].name == self.gateway
    }

    fn finish(&mut self, outcome: Outcome, attempt: &Attempt<Self>) -> Result<(), &'static str> {
        if self.is_broken {
            return Err("broken");
        }
        self.end(attempt.lease, outcome.as_str());
        self.leases[attempt.lease].hold = attempt.hold;
        self.leases[attempt.lease].status = attempt.status;
        Ok(())
    }

    fn suspect(&mut self, attempt: &Attempt<Self>) -> Result<(), &'static str> {
        assert!(self.leases[attempt.lease].verdicts.is_empty());
        Ok(())
    }

    // The core's rule for a request by itself: answered through another proxy, the suspects are to blame.
    fn conclude(
        &mut self,
        suspects: &[&Attempt<Self>],
        answered_by: Option<&usize>,
    ) -> Result<Vec<Outcome>, &'static str> {
        let answering = answered_by.map(|&lease| self.leases[lease].name);
        let mut outcomes = Vec::new();
        for suspect in suspects {
            let is_blamed = answering.is_some_and(|name| name != self.leases[suspect.lease].name);
            let outcome = if is_blamed { ProxyDown } else { TargetFault };
            self.leases[suspect.lease].status = suspect.status;
            self.end(suspect.lease, outcome.as_str());
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn release(&mut self, lease: &usize) -> Result<(), &'static str> {
        self.end(*lease, "released");
        Ok(())
    }

    fn direct(&mut self) -> Result<Option<usize>, &'static str> {
        Ok(self.allows_direct.then(|| self.lease(None)))
    }

    fn report(&mut self, attempt: &Attempt<Self>, number: u32) -> Result<(), &'static str> {
        self.reports.push((attempt.outcome, number));
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
enum Reply {
    Answer(Answer),
    Failure { outcome: Judgement, error: &'static str, is_sent: bool, is_timeout: bool },
}

fn answer(status: u16, is_tunnelled: bool, retry_after: Option<f64>) -> Reply {
    let head = Head { status, tunnelled: is_tunnelled, retry_after: retry_after.is_some(), opinion: None };
    let outcome = StatusRules::default().judge(head);
    Reply::Answer(Answer { outcome, status: Some(status), elapsed_ms: Some(10.0), is_tunnelled, retry_after })
}

fn forward(status: u16) -> Reply {
    answer(status, false, None)
}

fn tunnelled(status: u16) -> Reply {
    answer(status, true, None)
}

fn failure(outcome: Judgement, error: &'static str, is_sent: bool, is_timeout: bool) -> Reply {
    Reply::Failure { outcome, error, is_sent, is_timeout }
}

fn refused() -> Reply {
    failure(ProxyDown.into(), "refused", false, false)
}

fn timed_out() -> Reply {
    failure(ProxyDown.into(), "too slow", true, true)
}

fn cut_off() -> Reply {
    failure(ProxyDown.into(), "reset", true, false)
}

fn doubtful() -> Reply {
    failure(Ambiguous, "reset", true, false)
}

fn attempts(max_attempts: u32) -> Policy {
    Policy { max_attempts, is_open_ended: false, ..Policy::default() }
}

fn within(timeout: f64) -> Policy {
    Policy { timeout: Some(timeout), ..Policy::default() }
}

/// Plays replies into the rotation and keeps its steps.
struct Run {
    rotation: Rotation<Pool>,
    replies: Vec<Reply>,
    seconds_per_attempt: f64,
    steps: Vec<Step>,
}

#[derive(Debug, PartialEq)]
enum End {
    Delivered { outcome: Judgement, attempts: u32, is_open: bool },
    Failed(Failure),
}

const EXHAUSTED: End = End::Failed(Failure::Attempts { is_ban: false, is_login: false, has_answer: false });
const EXHAUSTED_WITH_ANSWER: End = End::Failed(Failure::Attempts { is_ban: false, is_login: false, has_answer: true });
const LOGIN: End = End::Failed(Failure::Attempts { is_ban: false, is_login: true, has_answer: false });
const RAISED_BAN: End = End::Failed(Failure::Attempts { is_ban: true, is_login: false, has_answer: true });

fn delivered(outcome: Outcome, attempts: u32) -> End {
    End::Delivered { outcome: outcome.into(), attempts, is_open: false }
}

impl Run {
    fn new(names: &str, replies: &[Reply]) -> Self {
        Self::with(names, replies, Job::default(), Policy::default())
    }

    fn by(names: &str, replies: &[Reply], policy: Policy) -> Self {
        Self::with(names, replies, Job::default(), policy)
    }

    fn sending(names: &str, replies: &[Reply], method: &str) -> Self {
        Self::with(names, replies, Job { is_idempotent: is_idempotent(method), ..Job::default() }, Policy::default())
    }

    fn with(names: &str, replies: &[Reply], job: Job, policy: Policy) -> Self {
        let pool = Pool {
            names: names.chars().collect(),
            next: 0,
            busy: Vec::new(),
            leases: Vec::new(),
            clock: ManualClock::at(0),
            gateway: None,
            allows_direct: false,
            is_broken: false,
            reports: Vec::new(),
        };
        let replies = replies.iter().rev().copied().collect();
        let rotation = Rotation::new(pool, job, Arc::new(policy));
        Self { rotation, replies, seconds_per_attempt: 0.0, steps: Vec::new() }
    }

    fn pool(&mut self) -> &mut Pool {
        self.rotation.host_mut()
    }

    fn pass(&mut self, seconds: f64) {
        self.pool().clock.advance((seconds * 1e6) as i64);
    }

    fn finish(&mut self) -> End {
        let mut step = self.rotation.start().unwrap();
        loop {
            let event = match self.keep(step) {
                Step::Admit { exclude, seconds } => match self.pool().take(&exclude, seconds) {
                    Taken::Lease(lease) => Event::Admitted(lease),
                    Taken::Busy => self.wait_in_line(&exclude, seconds),
                    Taken::None => Event::Empty("empty"),
                },
                Step::Send { .. } => {
                    self.pass(self.seconds_per_attempt);
                    self.reply()
                }
                Step::Wait(seconds) => {
                    self.pass(seconds);
                    Event::Done
                }
                Step::Discard | Step::Renew => Event::Done,
                Step::Deliver { outcome, is_open } => {
                    return self.ended(End::Delivered { outcome, attempts: self.rotation.attempts(), is_open });
                }
                Step::Fail(failure) => return self.ended(End::Failed(failure)),
            };
            step = self.rotation.next(event).unwrap();
        }
    }

    fn keep(&mut self, step: Step) -> Step {
        let kept = match &step {
            Step::Admit { exclude, seconds } => Step::Admit { exclude: exclude.clone(), seconds: *seconds },
            Step::Send { time_left } => Step::Send { time_left: *time_left },
            Step::Wait(seconds) => Step::Wait(*seconds),
            Step::Discard => Step::Discard,
            Step::Renew => Step::Renew,
            Step::Deliver { outcome, is_open } => Step::Deliver { outcome: *outcome, is_open: *is_open },
            Step::Fail(failure) => Step::Fail(*failure),
        };
        self.steps.push(kept);
        step
    }

    fn ended(&self, end: End) -> End {
        assert!(self.replies.is_empty(), "left over: {:?}", self.replies);
        assert!(self.rotation.is_over());
        end
    }

    fn reply(&mut self) -> Event<usize, &'static str> {
        match self.replies.pop().expect("no more than these attempts") {
            Reply::Answer(answer) => Event::Answered(answer),
            Reply::Failure { outcome, error, is_sent, is_timeout } => {
                Event::Failed(Fault { outcome, error, is_sent, elapsed_ms: None, is_timeout, retry_after: None })
            }
        }
    }

    /// A request in line waits for two seconds, or in vain.
    fn wait_in_line(&mut self, exclude: &[Id], seconds: Option<f64>) -> Event<usize, &'static str> {
        if let Some(seconds) = seconds.filter(|&seconds| seconds < 2.0) {
            self.pass(seconds);
            return Event::Empty("still busy");
        }
        self.pass(2.0);
        self.pool().busy.clear();
        match self.pool().take(exclude, Some(0.0)) {
            Taken::Lease(lease) => Event::Admitted(lease),
            _ => Event::Empty("empty"),
        }
    }

    /// Plays it to its end, and says what became of every lease.
    fn story(&mut self) -> Vec<(char, &'static str)> {
        self.finish();
        self.verdicts()
    }

    /// The proxies that were tried, and what was said of them.
    fn verdicts(&self) -> Vec<(char, &'static str)> {
        let leases = self.rotation.host().leases.iter();
        leases.map(|lease| (lease.name.unwrap_or('-'), lease.verdicts.first().copied().unwrap_or("open"))).collect()
    }

    fn names(&self) -> String {
        self.rotation.host().leases.iter().map(|lease| lease.name.unwrap_or('-')).collect()
    }

    fn waits(&self) -> Vec<f64> {
        let seconds = |step: &Step| if let Step::Wait(seconds) = step { Some(*seconds) } else { None };
        self.steps.iter().filter_map(seconds).collect()
    }

    fn count(&self, wanted: &Step) -> usize {
        self.steps.iter().filter(|step| *step == wanted).count()
    }
}

#[test]
fn a_good_answer_is_delivered() {
    let mut run = Run::new("ab", &[forward(200)]);
    assert_eq!(run.finish(), delivered(Success, 1));
    assert_eq!(run.verdicts(), [('a', "success")]);
    assert_eq!(run.rotation.host().reports, [(Success.into(), 1)]);
}

#[test]
fn a_streamed_answer_keeps_its_lease_open() {
    let mut run = Run::with("ab", &[forward(200)], Job { is_streaming: true, ..Job::default() }, Policy::default());
    assert_eq!(run.finish(), End::Delivered { outcome: Success.into(), attempts: 1, is_open: true });
    assert_eq!(run.verdicts(), [('a', "open")]);
    assert_eq!(run.rotation.lease(), Some(&0));
    run.rotation.close().unwrap();
    assert_eq!(run.verdicts(), [('a', "open")], "the lease is the driver's");
}

#[test]
fn a_proxy_that_carried_an_answer_unseen_has_succeeded() {
    let unseen =
        Answer { outcome: Success.into(), status: None, elapsed_ms: None, is_tunnelled: false, retry_after: None };
    let mut run = Run::new("ab", &[Reply::Answer(unseen)]);
    assert_eq!(run.finish(), delivered(Success, 1));
    assert_eq!(run.rotation.host().leases[0].status, None);
}

#[test]
fn failover_goes_to_another_proxy_at_once() {
    let mut run = Run::new("abc", &[refused(), refused(), forward(200)]);
    assert_eq!(run.finish(), delivered(Success, 3));
    assert_eq!(run.verdicts(), [('a', "proxy_down"), ('b', "proxy_down"), ('c', "success")]);
    assert!(run.waits().is_empty());
}

#[test]
fn the_same_proxy_again_only_after_a_pause() {
    let mut run = Run::new("a", &[refused(), refused(), forward(200)]);
    assert_eq!(run.story(), [('a', "proxy_down"), ('a', "proxy_down"), ('a', "success")]);
    assert_eq!(run.waits(), [1.0, 2.0]);
}

#[test]
fn exhausted() {
    let mut run = Run::by("abcd", &[refused(), refused(), refused()], attempts(3));
    assert_eq!(run.finish(), EXHAUSTED);
    assert_eq!(run.rotation.attempts(), 3);
    let last = run.rotation.last_failure().unwrap();
    assert_eq!((last.fault, last.lease), (Some("refused"), 2));
}

#[test]
fn what_must_not_be_repeated_is_sent_once() {
    for method in ["POST", "PATCH", "LOCK"] {
        let mut run = Run::sending("abc", &[cut_off()], method);
        assert_eq!((run.finish(), run.rotation.attempts()), (EXHAUSTED, 1), "{method}");
        assert_eq!(run.verdicts(), [('a', "proxy_down")]);
    }
}

#[test]
fn what_must_not_be_repeated_moves_on_while_nothing_was_sent() {
    let mut run = Run::sending("abc", &[refused(), refused(), forward(200)], "POST");
    assert_eq!(run.finish(), delivered(Success, 3));
}

#[test]
fn repetition_on_request() {
    let policy = Policy { retry_non_idempotent: true, ..Policy::default() };
    let job = Job { is_idempotent: is_idempotent("POST"), ..Job::default() };
    assert_eq!(Run::with("abc", &[cut_off(), forward(200)], job, policy).finish(), delivered(Success, 2));
}

#[test]
fn a_body_that_is_used_up_is_not_sent_again() {
    let job = Job { is_replayable: false, ..Job::default() };
    let mut run = Run::with("abc", &[cut_off()], job, Policy::default());
    assert_eq!(run.finish(), EXHAUSTED);
    assert_eq!(run.names(), "a");
}

#[test]
fn a_503_to_a_post_is_the_callers() {
    let mut run = Run::sending("abc", &[forward(503)], "POST");
    assert_eq!(run.finish(), delivered(TargetFault, 1));
    assert_eq!(run.verdicts(), [('a', "target_fault")]);
}

#[test]
fn gateway_status_of_one_proxy_is_its_own_fault() {
    let mut run = Run::new("ab", &[forward(502), forward(200)]);
    assert_eq!(run.story(), [('a', "proxy_down"), ('b', "success")]);
    assert!(run.waits().is_empty());
    assert_eq!(run.count(&Step::Discard), 1);
}

#[test]
fn the_sites_answer_through_another_proxy_convicts_all_before_it() {
    for statuses in [&[502, 502][..], &[502, 503], &[504, 504, 502]] {
        let mut replies: Vec<_> = statuses.iter().copied().map(forward).collect();
        replies.push(forward(200));
        let mut run = Run::new("abcd", &replies);
        let story = run.story();
        let (last, before) = story.split_last().unwrap();
        assert_eq!(last.1, "success");
        assert!(before.iter().all(|(_, verdict)| *verdict == "proxy_down"), "{before:?}");
        assert_eq!(before.len(), statuses.len());
        assert!(run.waits().is_empty());
    }
}

#[test]
fn a_site_that_fails_through_five_proxies_is_given_up_at_once() {
    for (reply, end) in [(forward(502), EXHAUSTED_WITH_ANSWER), (doubtful(), EXHAUSTED)] {
        let mut run = Run::new("abcdefgh", &[reply; 5]);
        assert_eq!(run.finish(), end);
        assert_eq!(run.verdicts(), ['a', 'b', 'c', 'd', 'e'].map(|name| (name, "target_fault")));
        assert!(run.waits().is_empty());
    }
}

#[test]
fn whatever_the_site_says_is_its_answer() {
    for said in [forward(403), forward(429), tunnelled(503)] {
        let mut run = Run::by("ab", &[doubtful(), said], attempts(2));
        assert_eq!(run.story()[0], ('a', "proxy_down"), "{said:?}");
    }
}

#[test]
fn a_refusal_of_credentials_is_no_answer_of_the_site() {
    let mut run = Run::by("ab", &[doubtful(), forward(407)], attempts(2));
    assert_eq!(run.finish(), LOGIN);
    assert_eq!(run.verdicts(), [('a', "target_fault"), ('b', "proxy_auth")]);
}

#[test]
fn a_proxy_with_exits_is_asked_again_at_once_when_an_exit_is_refused() {
    let mut run = Run::new("a", &[forward(403), forward(200)]);
    run.pool().gateway = Some('a');
    assert_eq!(run.finish(), delivered(Success, 2));
    assert!(run.waits().is_empty());
    assert_eq!(run.count(&Step::Renew), 1);
}

#[test]
fn exits_are_tried_as_often_as_the_policy_says() {
    let mut run = Run::new("a", &[forward(403); 3]);
    run.pool().gateway = Some('a');
    assert_eq!(run.finish(), delivered(Banned, 3));
    assert_eq!(run.count(&Step::Renew), 3, "the connection that brought the last one, too");
}

#[test]
fn other_proxies_come_before_another_exit() {
    let mut run = Run::new("ab", &[forward(403), forward(200)]);
    run.pool().gateway = Some('a');
    run.finish();
    assert_eq!(run.names(), "ab");
}

#[test]
fn a_third_proxy_with_the_same_status_is_not_blamed_either() {
    let mut run = Run::by("abcd", &[forward(502); 3], attempts(3));
    assert_eq!(run.finish(), EXHAUSTED_WITH_ANSWER);
    assert_eq!(run.verdicts(), ['a', 'b', 'c'].map(|name| (name, "target_fault")));
}

#[test]
fn the_same_proxy_twice_is_no_second_opinion() {
    let mut run = Run::new("a", &[forward(502); 3]);
    assert_eq!(run.finish(), EXHAUSTED_WITH_ANSWER);
    assert_eq!(run.verdicts(), [('a', "target_fault"); 3]);
}

#[test]
fn inside_a_tunnel_a_gateway_status_is_the_sites() {
    let mut run = Run::new("abc", &[tunnelled(503), tunnelled(503), tunnelled(200)]);
    assert_eq!(run.story(), [('a', "target_fault"), ('b', "target_fault"), ('c', "success")]);
    assert_eq!(run.waits(), [1.0]);
}

#[test]
fn rate_limits_are_returned_at_the_end() {
    let mut run = Run::by("abc", &[answer(503, false, Some(7.0)); 3], attempts(3));
    assert_eq!(run.finish(), delivered(RateLimited, 3));
    assert_eq!(run.verdicts(), ['a', 'b', 'c'].map(|name| (name, "rate_limited")));
}

#[test]
fn a_proxy_that_the_site_wants_back_later_may_come_back() {
    // A real pool holds it until then.
    let held = answer(429, false, Some(1.0));
    let mut run = Run::new("ab", &[held, held, forward(200)]);
    assert_eq!(run.finish(), delivered(Success, 3));
    assert_eq!((run.names().as_str(), run.waits().len()), ("aba", 0));
    assert_eq!(Run::new("ab", &[forward(429); 2]).finish(), delivered(RateLimited, 2));
}

#[test]
fn statuses_of_the_policy() {
    let policy = Policy { retry_statuses: [404].into(), ..Policy::default() };
    assert_eq!(Run::by("ab", &[forward(404), forward(200)], policy).finish(), delivered(Success, 2));
    let policy = Policy { retry_statuses: [].into(), ..Policy::default() };
    assert_eq!(Run::by("ab", &[forward(502)], policy).finish(), delivered(TargetFault, 1));
}

#[test]
fn other_statuses_are_returned() {
    for status in [301, 400, 401, 404, 500, 501] {
        let mut run = Run::new("ab", &[forward(status)]);
        assert!(matches!(run.finish(), End::Delivered { attempts: 1, .. }), "{status}");
    }
}

#[test]
fn a_407_moves_on_whatever_the_method() {
    for method in ["GET", "POST"] {
        let mut run = Run::sending("ab", &[forward(407), forward(200)], method);
        assert_eq!(run.story(), [('a', "proxy_auth"), ('b', "success")], "{method}");
    }
}

#[test]
fn a_407_of_the_only_proxy() {
    let mut run = Run::new("a", &[forward(407)]);
    assert_eq!(run.finish(), LOGIN);
    assert_eq!(run.verdicts(), [('a', "proxy_auth")], "a proxy that refuses the credentials is not asked again");
    assert!(run.waits().is_empty());
}

#[test]
fn a_proxy_that_said_407_is_not_asked_again() {
    let mut run = Run::new("ab", &[forward(407), refused(), refused()]);
    assert_eq!(run.finish(), EXHAUSTED);
    assert_eq!(run.verdicts(), [('a', "proxy_auth"), ('b', "proxy_down"), ('b', "proxy_down")]);
}

#[test]
fn a_407_inside_a_tunnel_is_the_sites() {
    assert_eq!(Run::new("ab", &[tunnelled(407)]).finish(), delivered(Success, 1));
}

#[test]
fn an_empty_pool() {
    let mut run = Run::new("", &[]);
    assert_eq!(run.finish(), End::Failed(Failure::NoProxy));
    assert_eq!((run.rotation.fault(), run.rotation.attempts()), (Some(&"empty"), 0));
}

#[test]
fn a_fault_of_the_client_ends_it() {
    let mut run = Run::new("ab", &[failure(ClientFault.into(), "bad header", false, false)]);
    assert_eq!(run.finish(), End::Failed(Failure::Request));
    assert_eq!(run.rotation.last_failure().unwrap().fault, Some("bad header"));
    assert_eq!(run.verdicts(), [('a', "client_fault")]);
    assert!(run.rotation.host().reports.is_empty(), "no fault of a proxy to report");
}

#[test]
fn the_budget_covers_all_attempts() {
    let mut run = Run::by("abcdefgh", &[cut_off(); 3], Policy { timeout: Some(5.0), ..attempts(10) });
    run.seconds_per_attempt = 2.0;
    assert_eq!(run.finish(), End::Failed(Failure::Deadline));
    let left = |step: &Step| if let Step::Send { time_left } = step { *time_left } else { None };
    assert_eq!(run.steps.iter().filter_map(left).collect::<Vec<_>>(), [5.0, 3.0, 1.0]);
}

#[test]
fn a_deadline_of_the_request_goes_before_the_timeout_of_the_policy() {
    let job = Job { time_left: Some(0.0), ..Job::default() };
    let mut run = Run::with("ab", &[], job, within(60.0));
    assert_eq!(run.finish(), End::Failed(Failure::Deadline));
    assert_eq!(run.verdicts(), [('a', "released")], "no time was left to begin");
}

#[test]
fn a_pause_that_does_not_fit_the_budget_is_not_begun() {
    let mut run = Run::by("a", &[refused()], within(0.5));
    assert_eq!(run.finish(), End::Failed(Failure::Deadline));
    assert!(run.waits().is_empty());
}

fn begun(names: &str) -> Run {
    let mut run = Run::new(names, &[]);
    assert!(matches!(run.rotation.start().unwrap(), Step::Admit { .. }));
    let Taken::Lease(lease) = run.pool().take(&[], None) else { panic!("a lease") };
    assert!(matches!(run.rotation.next(Event::Admitted(lease)).unwrap(), Step::Send { .. }));
    run
}

#[test]
fn an_interruption_gives_the_lease_back() {
    let mut run = begun("ab");
    run.rotation.close().unwrap();
    assert_eq!(run.verdicts(), [('a', "released")]);
}

#[test]
fn an_interruption_later_keeps_what_is_known() {
    let mut run = begun("ab");
    run.replies = vec![forward(502)];
    let event = run.reply();
    let Step::Admit { exclude, seconds } = run.rotation.next(event).unwrap() else { panic!("another proxy") };
    let Taken::Lease(lease) = run.pool().take(&exclude, seconds) else { panic!("a lease") };
    assert_eq!(run.rotation.next(Event::Admitted(lease)).unwrap(), Step::Discard);
    assert!(matches!(run.rotation.next(Event::Done).unwrap(), Step::Send { .. }));
    run.rotation.close().unwrap();
    assert_eq!(run.verdicts(), [('a', "target_fault"), ('b', "released")]);
}

#[test]
fn an_error_of_the_host_ends_it() {
    let mut run = begun("ab");
    run.replies = vec![refused()];
    run.pool().is_broken = true;
    let event = run.reply();
    assert_eq!(run.rotation.next(event), Err("broken"));
    assert!(run.rotation.is_over());
}

#[test]
fn every_lease_gets_exactly_one_verdict() {
    let kinds = [
        refused(),
        cut_off(),
        doubtful(),
        forward(200),
        forward(403),
        forward(407),
        forward(429),
        forward(502),
        forward(503),
        forward(504),
        tunnelled(503),
    ];
    for method in ["GET", "POST", "PUT"] {
        for seed in 0..200_usize {
            // A little generator: what matters is that the replies differ.
            let mut state = seed.wrapping_mul(0x9E37_79B9).wrapping_add(12_345);
            let mut draw = |bound: usize| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % bound
            };
            let names = &"abcde"[..=draw(5)];
            let replies: Vec<_> = (0..10).map(|_| kinds[draw(kinds.len())]).collect();
            let mut run = Run::sending(names, &replies, method);
            // An answer ends it before all replies are used.
            let mut step = run.rotation.start().unwrap();
            loop {
                let event = match step {
                    Step::Admit { exclude, seconds } => match run.pool().take(&exclude, seconds) {
                        Taken::Lease(lease) => Event::Admitted(lease),
                        _ => Event::Empty("empty"),
                    },
                    Step::Send { .. } => run.reply(),
                    Step::Wait(_) | Step::Discard | Step::Renew => Event::Done,
                    Step::Deliver { .. } | Step::Fail(_) => break,
                };
                step = run.rotation.next(event).unwrap();
            }
            let leases = &run.rotation.host().leases;
            assert!(leases.iter().all(|lease| lease.verdicts.len() == 1), "{method} {seed}: {:?}", run.verdicts());
            assert!((1..=10).contains(&leases.len()));
            if method != "POST" && leases.len() > 3 {
                let names = run.names();
                let (first, beyond) = names.split_at(3);
                for (place, name) in beyond.char_indices() {
                    assert!(!first.contains(name) && !beyond[..place].contains(name), "only new ones: {names}");
                }
            }
        }
    }
}

#[test]
fn faults_of_proxies_are_passed_by_beyond_three_attempts() {
    let mut replies = vec![refused(); 6];
    replies.push(forward(200));
    let mut run = Run::new("abcdefgh", &replies);
    assert_eq!(run.finish(), delivered(Success, 7));
    assert!(run.waits().is_empty());
}

#[test]
fn attempts_that_were_asked_for_are_a_hard_bound() {
    for most in [3, 5] {
        let mut run = Run::by("abcdefgh", &vec![refused(); most as usize], attempts(most));
        assert_eq!((run.finish(), run.rotation.attempts()), (EXHAUSTED, most));
    }
}

#[test]
fn ten_attempts_in_all() {
    let mut run = Run::new("abcdefghijkl", &[refused(); 10]);
    assert_eq!((run.finish(), run.rotation.attempts()), (EXHAUSTED, 10));
}

#[test]
fn no_more_timeouts_than_attempts_of_the_policy() {
    let mut run = Run::new("abcdefgh", &[refused(), timed_out(), timed_out(), refused(), timed_out()]);
    assert_eq!((run.finish(), run.rotation.attempts()), (EXHAUSTED, 5));
}

#[test]
fn faults_of_the_site_are_not_looked_for_elsewhere_for_long() {
    let mut run = Run::new("abcdefgh", &[tunnelled(503); 3]);
    assert_eq!(run.finish(), EXHAUSTED_WITH_ANSWER);
    assert_eq!(run.names(), "abc");
}

#[test]
fn beyond_the_attempts_no_proxy_is_asked_twice() {
    let mut run = Run::new("abcd", &[refused(); 4]);
    assert_eq!((run.finish(), run.rotation.attempts()), (EXHAUSTED, 4));
    assert_eq!(run.names(), "abcd");
}

#[test]
fn a_ban_moves_on_at_once() {
    let replies = [forward(403), tunnelled(403), forward(429), answer(429, false, Some(9.0)), forward(200)];
    let mut run = Run::new("abcde", &replies);
    assert_eq!(run.finish(), delivered(Success, 5));
    let verdicts: Vec<_> = run.verdicts().iter().map(|(_, verdict)| *verdict).collect();
    assert_eq!(verdicts, ["banned", "banned", "rate_limited", "rate_limited", "success"]);
    let leases = &run.rotation.host().leases;
    let holds: Vec<_> = leases.iter().map(|lease| lease.hold).collect();
    assert_eq!(holds, [None, None, None, Some(9.0), None]);
    let statuses: Vec<_> = leases.iter().map(|lease| lease.status.unwrap()).collect();
    assert_eq!(statuses, [403, 403, 429, 429, 200]);
    assert!(run.waits().is_empty());
}

#[test]
fn banned_everywhere_is_an_answer() {
    let mut run = Run::new("ab", &[forward(403); 2]);
    assert_eq!(run.finish(), delivered(Banned, 2));
    assert_eq!(run.verdicts(), [('a', "banned"), ('b', "banned")], "no proxy is asked a second time");
    assert!(run.waits().is_empty());
}

#[test]
fn banned_everywhere_while_streaming() {
    let streaming = Job { is_streaming: true, ..Job::default() };
    let mut run = Run::with("ab", &[forward(403); 2], streaming, Policy::default());
    assert_eq!(run.finish(), delivered(Banned, 2), "its verdict was needed to go on looking");
    let mut run = Run::with("ab", &[forward(200)], streaming, Policy::default());
    assert!(matches!(run.finish(), End::Delivered { is_open: true, .. }));
}

#[test]
fn banned_everywhere_is_raised_on_request() {
    for status in [403, 429] {
        let job = Job { raise_on_ban: true, ..Job::default() };
        let mut run = Run::with("ab", &[forward(status); 2], job, Policy::default());
        assert_eq!((run.finish(), run.rotation.attempts()), (RAISED_BAN, 2));
        assert_eq!(run.rotation.last_failure().unwrap().status, Some(status));
    }
}

#[test]
fn a_ban_of_what_must_not_be_repeated() {
    let mut run = Run::sending("ab", &[forward(403)], "POST");
    assert_eq!(run.finish(), delivered(Banned, 1));
    assert_eq!(run.verdicts(), [('a', "banned")]);
    let job = Job { is_idempotent: false, raise_on_ban: true, ..Job::default() };
    assert_eq!(Run::with("ab", &[forward(403)], job, Policy::default()).finish(), RAISED_BAN);
}

#[test]
fn a_failure_that_is_a_ban() {
    let ban = failure(Banned.into(), "reset", true, false);
    let job = Job { raise_on_ban: true, ..Job::default() };
    let mut run = Run::with("ab", &[ban, ban], job, Policy::default());
    let expected = Failure::Attempts { is_ban: true, is_login: false, has_answer: false };
    assert_eq!(run.finish(), End::Failed(expected));
    assert_eq!(run.rotation.last_failure().unwrap().fault, Some("reset"));
    assert_eq!(run.verdicts(), [('a', "banned"), ('b', "banned")]);
}

fn patient(seconds: Option<f64>) -> Job {
    Job { patience: seconds, ..Job::default() }
}

fn admissions(run: &Run) -> Vec<(String, Option<f64>)> {
    let names = |exclude: &[Id]| exclude.iter().map(|id| id.as_u128() as u8 as char).collect();
    let taken = |step: &Step| match step {
        Step::Admit { exclude, seconds } => Some((names(exclude), *seconds)),
        _ => None,
    };
    run.steps.iter().filter_map(taken).collect()
}

#[test]
fn waiting_in_line() {
    let mut run = Run::with("a", &[forward(200)], patient(Some(5.0)), Policy::default());
    run.pool().busy = vec!['a'];
    run.finish();
    assert_eq!(admissions(&run), [(String::new(), Some(5.0))]);
}

#[test]
fn patience_is_for_all_attempts_together() {
    let mut run = Run::with("ab", &[forward(403), forward(200)], patient(Some(3.0)), Policy::default());
    run.pool().busy = vec!['a', 'b'];
    run.finish();
    assert_eq!(admissions(&run), [(String::new(), Some(3.0)), ("a".to_owned(), Some(1.0))]);
}

#[test]
fn no_proxy_in_the_end() {
    let mut run = Run::with("a", &[], patient(Some(1.0)), Policy::default());
    run.pool().busy = vec!['a'];
    assert_eq!(run.finish(), End::Failed(Failure::NoProxy));
    assert_eq!(run.rotation.fault(), Some(&"still busy"));
}

#[test]
fn the_budget_bounds_the_waiting() {
    let mut run = Run::with("a", &[], patient(None), within(1.5));
    run.pool().busy = vec!['a'];
    assert_eq!(run.finish(), End::Failed(Failure::NoProxy));
    assert_eq!(admissions(&run), [(String::new(), Some(1.5))]);
}

#[test]
fn a_banned_answer_when_there_is_no_time_for_another() {
    let mut run = Run::by("ab", &[forward(403)], within(1.0));
    run.seconds_per_attempt = 2.0;
    assert_eq!(run.finish(), delivered(Banned, 1));
}

#[test]
fn a_limit_that_refuses_the_next_attempt_leaves_the_answer() {
    for (said, end) in [(403, Some(Step::Deliver { outcome: Banned.into(), is_open: false })), (502, None)] {
        let mut run = begun("ab");
        run.replies = vec![forward(said)];
        let event = run.reply();
        let mut step = run.rotation.next(event).unwrap();
        if step == Step::Renew {
            step = run.rotation.next(Event::Done).unwrap();
        }
        assert!(matches!(step, Step::Admit { .. }));
        let step = run.rotation.next(Event::Refused("limit")).unwrap();
        assert_eq!(step, end.unwrap_or(Step::Fail(Failure::NoProxy)));
    }
}

#[test]
fn without_a_proxy_only_when_there_is_none() {
    let going_direct = |names: &str, replies: &[Reply], policy: Policy| {
        let mut run = Run::by(names, replies, policy);
        run.pool().allows_direct = true;
        let end = run.finish();
        (end, run.names())
    };
    assert_eq!(going_direct("a", &[refused(), forward(200)], attempts(2)), (delivered(Success, 2), "aa".to_owned()));
    let open = Policy::default;
    assert_eq!(going_direct("a", &[forward(403), forward(200)], open()), (delivered(Success, 2), "a-".to_owned()));
    assert_eq!(going_direct("", &[forward(200)], open()), (delivered(Success, 1), "-".to_owned()));
    assert_eq!(going_direct("", &[refused()], open()), (EXHAUSTED, "-".to_owned()));
    assert_eq!(going_direct("", &[forward(502); 1], Policy { retry_statuses: [].into(), ..open() }).1, "-");
}

#[test]
fn delays() {
    let at = |growth, attempt| {
        let backoff = Backoff { growth, base: 1.0, longest: 30.0, jitter: false };
        backoff.delay(attempt, None, |_, _| Err("no jitter, no draw")).unwrap()
    };
    assert_eq!([0, 1, 2, 5, 4_000].map(|attempt| at(Growth::Exponential(2.0), attempt)), [1.0, 2.0, 4.0, 30.0, 30.0]);
    assert_eq!([0, 1, 2, 50].map(|attempt| at(Growth::Linear, attempt)), [1.0, 2.0, 3.0, 30.0]);
    assert_eq!([0, 1, 50].map(|attempt| at(Growth::Fixed, attempt)), [1.0, 1.0, 1.0]);
}

#[test]
fn jitter_is_drawn_between_the_base_and_three_times_the_pause_before() {
    let backoff = Backoff { growth: Growth::Exponential(2.0), base: 1.0, longest: 30.0, jitter: true };
    let bounds = |attempt, previous| {
        let mut seen = (0.0, 0.0);
        let drawn = backoff.delay(attempt, previous, |low, high| {
            seen = (low, high);
            Ok::<_, ()>(high)
        });
        (seen, drawn.unwrap())
    };
    assert_eq!(bounds(2, None), ((0.0, 4.0), 4.0));
    assert_eq!(bounds(2, Some(4.0)), ((1.0, 12.0), 12.0));
    assert_eq!(bounds(2, Some(0.1)), ((1.0, 1.0), 1.0));
    assert_eq!(bounds(2, Some(20.0)), ((1.0, 60.0), 30.0));
}

#[test]
fn jitter_of_the_same_seed_repeats_itself() {
    let pauses = |seed| {
        let backoff = Backoff { jitter: true, ..Policy::default().backoff };
        let policy = Policy { backoff, ..attempts(5) }.with_seed(seed);
        let mut run = Run::by("a", &[refused(); 5], policy);
        run.finish();
        run.waits()
    };
    assert_eq!(pauses(7).len(), 4);
    assert_eq!(pauses(7), pauses(7));
    assert_ne!(pauses(7), pauses(8));
}
