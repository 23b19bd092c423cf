//! The check of one proxy, stage by stage.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::detect;
use super::dial::{Way, fetch};
use super::http::{Answer, Meter, broken};
use super::judge::judge;
use super::plan::Level;
use super::report::{Failure, Report, Stage};
use super::run::Shared;
use crate::clock::{Clock, SystemClock};
use crate::net::address::{Address, is_public};
use crate::net::target::Target;

/// Milliseconds since a moment of the steady clock.
pub(super) fn since(begun: u64) -> f64 {
    SystemClock.steady().saturating_sub(begun) as f64 / 1e6
}

/// Checks one proxy; never longer than the plan allows.
pub(super) async fn check(shared: &Shared, index: usize, address: &Address, public_only: bool) -> Report {
    let begun = SystemClock.steady();
    let mut report = Report::new(index, address.protocol);
    let mut meter = shared.meter();
    let done = timeout(shared.plan.timeout, stages(shared, address, public_only, &mut report, &mut meter)).await;
    report.bytes = meter.own;
    report.total_ms = since(begun);
    report.failure = match done {
        Ok(outcome) => outcome.err(),
        Err(_) => Some(Failure::Timeout),
    };
    report
}

async fn stages(
    shared: &Shared,
    address: &Address,
    public_only: bool,
    report: &mut Report,
    meter: &mut Meter<'_>,
) -> Result<(), Failure> {
    let plan = &shared.plan;
    if meter.is_used_up() {
        return Err(Failure::Budget);
    }
    let begun = SystemClock.steady();
    let mut places = shared.names.resolve(&address.host, address.effective_port()).await;
    if places.is_empty() {
        return Err(Failure::Dns);
    }
    // Judged here and not by the name: what is checked is what is connected to.
    if public_only {
        places.retain(|place| is_public(place.ip()));
        if places.is_empty() {
            return Err(Failure::Local);
        }
    }
    report.stage = Stage::Dns;
    let stream = connect(&places).await?;
    report.stage = Stage::Tcp;
    report.connect_ms = Some(since(begun));
    if plan.level == Level::Basic {
        return Ok(());
    }
    let begun = SystemClock.steady();
    let target = &plan.targets[report.index % plan.targets.len()];
    let mut way = Way { protocol: address.protocol, tunnel: false };
    let answer = if plan.detect {
        let (found, answer) = detect::fetch_somehow(shared, stream, &places, address, target, meter, begun).await?;
        way = found;
        answer
    } else {
        fetch(shared, stream, address, way, target, meter).await?
    };
    (report.protocol, report.tunnels_only) = (way.protocol, way.tunnel);
    follow(shared, &places, address, way, target, answer, report, meter).await?;
    report.response_ms = Some(since(begun));
    report.stage = Stage::Http;
    if plan.level < Level::Full {
        return Ok(());
    }
    let Some(page) = &plan.judge else { return Ok(()) };
    let stream = connect(&places).await?;
    let answer = fetch(shared, stream, address, way, page, meter).await?;
    if !(200..300).contains(&answer.status) {
        return Err(Failure::Status(answer.status));
    }
    (report.anonymity, report.exit) = judge(&answer.body, &shared.own());
    report.stage = Stage::Anonymity;
    match plan.anonymity {
        Some(least) if report.anonymity < Some(least) => Err(Failure::Anonymity),
        _ => Ok(()),
    }
}

/// Connects to the first of the addresses that answers.
pub(super) async fn connect(places: &[SocketAddr]) -> Result<TcpStream, Failure> {
    let mut failed = Failure::Unreachable;
    for place in places {
        loop {
            match TcpStream::connect(place).await {
                Ok(stream) => {
                    // What is sent is sent in one piece; without the option it may still wait for an acknowledgement.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                // That we have no socket left is not the proxy's fault: others give theirs back.
                Err(error) if is_shortage(&error) => sleep(SHORTAGE).await,
                Err(error) => {
                    failed = broken(&error);
                    break;
                }
            }
        }
    }
    Err(failed)
}

/// How long to wait for descriptors or ports; the check's own deadline ends it.
const SHORTAGE: Duration = Duration::from_millis(20);

fn is_shortage(error: &std::io::Error) -> bool {
    // Not by ErrorKind: it has no name for most of them.
    [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::EADDRNOTAVAIL]
        .iter()
        .any(|code| error.raw_os_error() == Some(*code))
}

/// Follows redirections and holds the page that they end at against the rule.
#[allow(clippy::too_many_arguments)]
async fn follow(
    shared: &Shared,
    places: &[SocketAddr],
    address: &Address,
    way: Way,
    target: &Target,
    mut answer: Answer,
    report: &mut Report,
    meter: &mut Meter<'_>,
) -> Result<(), Failure> {
    let plan = &shared.plan;
    let mut target = target.clone();
    let mut left = plan.max_redirects;
    loop {
        report.status = Some(answer.status);
        let redirected = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
        if plan.rule.accepts(answer.status) {
            let fits = |wanted: &[u8]| memchr::memmem::find(&answer.body, wanted).is_some();
            return if plan.rule.contains.as_deref().is_none_or(fits) { Ok(()) } else { Err(Failure::Body) };
        }
        if !redirected || plan.max_redirects == 0 {
            return Err(Failure::Status(answer.status));
        }
        left = left.checked_sub(1).ok_or(Failure::Redirect)?;
        target = answer.location.as_deref().and_then(|to| target.join(to)).ok_or(Failure::Redirect)?;
        let stream = connect(places).await?;
        answer = fetch(shared, stream, address, way, &target, meter).await?;
    }
}
