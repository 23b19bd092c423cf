//! The end of a lease: what it was judged to be, and what is written down and told of it.

use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::Objects;
use super::PyLease;
use crate::clock::{Clock, Reading, SystemClock, exact_wall};
use crate::judge::outcome::{Judgement, Outcome};
use crate::metrics::attempts::Label;
use crate::metrics::request_log::AttemptEnd;
use crate::py::attempts::LoggedAttempt;
use crate::py::convert;
use crate::py::errors;
use crate::py::judge;
use crate::py::judge::report::{Extras, PyReportJudge, Reported};
use crate::py::log;
use crate::rotation::lease::{Ending, Lease, conclude};

/// What ended a lease, for its observer.
struct LeaseEnd<'a, 'py> {
    outcome: Option<Outcome>,
    elapsed_ms: f64,
    error: Option<&'a Bound<'py, PyAny>>,
    status: Option<u16>,
}

/// The verdict of the rules on what a client got.
pub(super) struct Judged {
    /// `None`: nothing is known of the attempt; `Some(None)`: evidence has to decide.
    pub(super) verdict: Option<Option<Outcome>>,
    /// Seconds for which the site asks to be left alone.
    pub(super) hold: Option<f64>,
    /// The status, if an answer was judged.
    pub(super) status: Option<u16>,
}

impl From<Reported> for Judged {
    fn from(found: Reported) -> Self {
        Self { verdict: found.judgement.map(Judgement::outcome), hold: found.hold, status: found.status }
    }
}

/// An attempt ended as a suspect: its lease, milliseconds, error and status.
pub(crate) type Suspect<'a, 'py> = (&'a Bound<'py, PyLease>, Option<f64>, Option<&'a Bound<'py, PyAny>>, Option<u16>);

/// A length of time in seconds, as it came over the border.
fn seconds(value: f64) -> PyResult<f64> {
    if value.is_nan() || value < 0.0 {
        return Err(PyValueError::new_err("a number of seconds must not be negative"));
    }
    Ok(value)
}

impl PyLease {
    /// Ends the lease; `None` for what evidence has to decide. The outcome.
    pub(crate) fn end(
        slf: &Bound<'_, Self>,
        outcome: impl Into<Option<Outcome>>,
        elapsed_ms: Option<f64>,
        hold: Option<f64>,
        error: Option<&Bound<'_, PyAny>>,
        status: Option<u16>,
    ) -> PyResult<Outcome> {
        let this = slf.get();
        let elapsed_ms = elapsed_ms.map(convert::duration).transpose()?;
        let hold = hold.map(seconds).transpose()?;
        let error = error.filter(|error| !error.is_none());
        let clock = &Reading::now();
        let answered = status.is_some();
        let judged = answered || error.is_some();
        let ending = Ending { elapsed_ms, hold, judged, answered, carried: false };
        let (outcome, elapsed_ms) = match outcome.into() {
            Some(outcome) => (outcome, this.core.finish(outcome, &ending, clock).map_err(errors::closed)?),
            None => {
                let suspicion = this.core.suspect(&ending, clock).map_err(errors::closed)?;
                let decide = || conclude(&[&this.core], None, clock).pop();
                let outcome = suspicion.outcome.or_else(decide).unwrap_or(Outcome::TargetFault);
                (outcome, suspicion.elapsed_ms)
            }
        };
        Self::tell(slf, outcome, elapsed_ms, error, status)?;
        Ok(outcome)
    }

    /// Keeps how the lease ended, and calls the observer.
    fn tell(
        slf: &Bound<'_, Self>,
        outcome: Outcome,
        elapsed_ms: f64,
        error: Option<&Bound<'_, PyAny>>,
        status: Option<u16>,
    ) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if let Some(error) = error {
            py.import("proxywhirl._native.lease")?
                .call_method1("note_error", (this.core.references().proxy.bind(py), error))?;
        }
        if log::is_on(py) {
            log::tell(py, outcome.as_str(), "lease", this.core.proxy(), Some(outcome == Outcome::Success))?;
        }
        Self::settled(slf, &LeaseEnd { outcome: Some(outcome), elapsed_ms, error, status })
    }

    /// Gives the proxy back as if it had never been chosen.
    pub(crate) fn give_back(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().core.release(&SystemClock).map_err(errors::closed)?;
        let elapsed_ms = if slf.get().observer.is_some() { slf.get().core.elapsed_ms(&SystemClock) } else { 0.0 };
        Self::settled(slf, &LeaseEnd { outcome: None, elapsed_ms, error: None, status: None })
    }

    /// Calls the observer.
    fn settled(slf: &Bound<'_, Self>, ended: &LeaseEnd<'_, '_>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        this.core.pool().guard().deliver();
        if let (Some(logged), Some(outcome)) = (&this.logged, ended.outcome)
            && outcome != Outcome::ClientFault
            && let Err(error) = Self::write_down(slf, logged, outcome, ended)
        {
            log::tell_fault(py, "an attempt could not be written down", &error)?;
        }
        // What was given back may have cost bytes all the same.
        this.write_bill();
        let Some(observer) = &this.observer else { return Ok(()) };
        let call = || -> PyResult<()> {
            let outcome = ended.outcome.map(|outcome| convert::outcome(py, outcome)).transpose()?;
            observer.bind(py).call1((slf, outcome, ended.elapsed_ms, ended.error, ended.status))?;
            Ok(())
        };
        match call() {
            // An interrupt belongs to the program.
            Err(error) if !error.is_instance_of::<PyException>(py) => Err(error),
            Err(error) => log::tell_fault(py, "an observer of a lease failed", &error),
            Ok(()) => Ok(()),
        }
    }

    /// Counts how the lease ended in the metrics of retries, and in those of proxies and sites.
    fn write_down(
        slf: &Bound<'_, Self>,
        logged: &LoggedAttempt,
        outcome: Outcome,
        end: &LeaseEnd<'_, '_>,
    ) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let success = outcome == Outcome::Success;
        let error = match end.error {
            None => None,
            Some(error) if error.is_instance_of::<PyString>() => Some((error.str()?, error.str()?)),
            Some(error) => {
                let name = error.get_type().name()?;
                let text = PyString::new(py, &format!("{}: {}", name.to_str()?, error.str()?.to_str()?));
                Some((name, text))
            }
        };
        let error = error.as_ref().map(|(name, text)| Ok::<_, PyErr>((name.to_str()?, text.to_str()?))).transpose()?;
        let proxy = this.core.proxy().id();
        logged.log.note(&AttemptEnd {
            number: logged.number,
            delay: logged.delay,
            proxy,
            at: exact_wall(),
            success,
            status: end.status,
            elapsed_ms: end.elapsed_ms,
            error,
        });
        let Some((metrics, key)) = logged.metrics(proxy) else { return Ok(()) };
        let site = this.core.site().map(|site| Label::Text(site.key().into()));
        metrics.record(&key, site.as_ref(), outcome, end.elapsed_ms, SystemClock.steady() as f64 / 1e9);
        // The history of the proxy itself; a ban is not its doing.
        if outcome.effects().counters.is_of_the_proxy() {
            this.core.references().proxy.call_method1(py, "_note_request", (success, end.elapsed_ms))?;
        }
        Ok(())
    }

    /// What the rules say of an answer or an exception.
    pub(super) fn judged<'py>(
        slf: &Bound<'py, Self>,
        answer: Option<&Bound<'py, PyAny>>,
        headers: Option<&Bound<'py, PyAny>>,
        body: Option<&Bound<'py, PyAny>>,
        error: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Judged> {
        let py = slf.py();
        let this = slf.get();
        let judge = this.judge.as_ref().map(|judge| judge.bind(py));
        let url = this.url_text(py)?;
        if let (Some(answer), None) = (answer, error)
            && let Some(found) = judge::report::of_head(judge, url.as_ref(), answer, headers)?
        {
            return Ok(found.into());
        }
        let judge = match judge {
            Some(judge) => match judge.cast::<PyReportJudge>() {
                Ok(ours) => Ok(ours.get()),
                Err(_) => Err(judge),
            },
            None => Ok(&PyReportJudge::default()),
        };
        let judged = match judge {
            Ok(ours) => return Ok(ours.judge(py, url.as_ref(), answer, Extras { headers, body }, error)?.into()),
            Err(judge) => judge.call1((url, answer, headers, body, error))?,
        };
        // A judge of the caller's may leave out the status: then it has judged the given one.
        let (outcome, hold, status): (Option<Bound<'_, PyAny>>, Option<f64>, Option<u16>) = if judged.len()? == 2 {
            let (outcome, hold) = judged.extract()?;
            (outcome, hold, answer.and_then(|answer| answer.extract().ok()))
        } else {
            judged.extract()?
        };
        Ok(Judged { verdict: outcome.as_ref().map(convert::outcome_of).transpose()?, hold, status })
    }

    /// Ends the attempt of a request that goes on: it has failed, and the site may be at fault. [`Self::conclude`] tells the
    /// observer.
    pub(crate) fn suspect(&self, elapsed_ms: Option<f64>) -> PyResult<()> {
        let ending = Ending { elapsed_ms, ..Ending::default() };
        self.core.suspect(&ending, &SystemClock).map_err(errors::closed)?;
        self.core.pool().guard().deliver();
        Ok(())
    }

    /// Decides the failures of one request as far as there is evidence, and calls their observers. `answered_by`: the
    /// lease that the site's answer came through.
    pub(crate) fn conclude(suspects: &[Suspect<'_, '_>], answered_by: Option<&Self>) -> PyResult<Vec<Outcome>> {
        let leases: Vec<&Lease<Objects>> = suspects.iter().map(|suspect| &suspect.0.get().core).collect();
        let outcomes = conclude(&leases, answered_by.map(|lease| &lease.core), &SystemClock);
        for (&(lease, elapsed_ms, error, status), outcome) in suspects.iter().zip(&outcomes) {
            let elapsed_ms = elapsed_ms.unwrap_or_else(|| lease.get().core.elapsed_ms(&SystemClock));
            Self::tell(lease, *outcome, elapsed_ms, error, status)?;
        }
        Ok(outcomes)
    }

    /// A block that was left without a word: the proxy carried bytes; what the site said is not known.
    pub(crate) fn carried(slf: &Bound<'_, Self>, elapsed_ms: Option<f64>) -> PyResult<()> {
        let this = slf.get();
        let ending = Ending { carried: true, elapsed_ms, ..Ending::default() };
        let elapsed_ms = this.core.finish(Outcome::Success, &ending, &Reading::now()).map_err(errors::closed)?;
        Self::tell(slf, Outcome::Success, elapsed_ms, None, None)
    }

    /// Releases a lease whose object is on its way out; its observer is given another object that says the same.
    pub(super) fn release_dropped(&self, py: Python<'_>) {
        if self.core.release(&SystemClock).is_err() {
            return;
        }
        self.core.pool().guard().deliver();
        let Some(observer) = &self.observer else { return };
        let twin = Self {
            core: self.core.remains(self.core.references().clone_ref(py)),
            url: self.url.as_ref().map(|url| url.clone_ref(py)),
            logged: None,
            observer: Some(observer.clone_ref(py)),
            judge: None,
        };
        let elapsed_ms = self.core.elapsed_ms(&SystemClock);
        let ended = LeaseEnd { outcome: None, elapsed_ms, error: None, status: None };
        if let Err(error) = Bound::new(py, twin).and_then(|twin| Self::settled(&twin, &ended)) {
            error.write_unraisable(py, None);
        }
    }

    pub(super) fn leave(slf: &Bound<'_, Self>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        if slf.get().core.is_closed() {
            return Ok(());
        }
        let Some(error) = error.filter(|error| !error.is_none()) else {
            return Self::carried(slf, None);
        };
        let judged = Self::judged(slf, None, None, None, Some(error))?;
        match judged.verdict {
            Some(outcome) => Self::end(slf, outcome, None, judged.hold, Some(error), judged.status).map(drop),
            None => Self::give_back(slf),
        }
    }
}
