//! From a record to the proxy that it describes, and what a proxy that is known already learns from it.

use ahash::AHashMap;
use serde_json::value::RawValue;

use super::record::{Extra, SavedProxy, Stood};
use crate::clock::{Clock, Micros, SystemClock};
use crate::net::address::{Address, Credentials, Protocol};
use crate::proxy::health::{Health, Source};
use crate::proxy::money::Money;
use crate::proxy::traffic::Direction;
use crate::proxy::{Counter, Id, Moment, Proxy, end_of_life};
use crate::resilience::standing::{Kind, SavedHold};
use crate::sync::Arc;

fn is_mask(text: &str) -> bool {
    text.len() >= 3 && text.bytes().all(|byte| byte == b'*')
}

pub(super) fn is_masked(address: &Address) -> bool {
    address.credentials.as_ref().is_some_and(|login| is_mask(&login.password))
}

impl SavedProxy {
    /// Whether everything in it is as a proxy may be. What is not goes the slow way, which explains itself.
    pub(super) fn is_plausible(&self, address: &Address) -> bool {
        let times = [self.average_response_time_ms, self.latency_ms, self.ema_response_time_ms.flatten()];
        let money = [self.cost_per_request.flatten(), self.cost_per_gb, self.spent];
        times.into_iter().chain(money).flatten().all(|amount| amount >= 0.0)
            && self.ema_alpha.is_none_or(|alpha| (0.0..=1.0).contains(&alpha))
            && self.window_duration_seconds != Some(0)
            && self.id.as_deref().is_none_or(|id| Id::parse(id).is_some())
            && self.source.as_deref().is_none_or(|source| Source::parse(source).is_some())
            && self.health_status.as_deref().is_none_or(|health| Health::parse(health).is_some())
            && self.protocol.as_deref().is_none_or(|protocol| Protocol::parse(protocol).is_some())
            && self.username.is_some() == self.password.is_some()
            && !self.password.as_deref().is_some_and(is_mask)
            && !is_masked(address)
            && self.source().refuses(&address.host, self.allow_local == Some(true)).is_none()
    }

    fn source(&self) -> Source {
        self.source.as_deref().and_then(Source::parse).unwrap_or(Source::File)
    }

    /// What only the embedding program can take.
    #[must_use]
    pub fn extra(&self) -> Option<Extra> {
        let useful = |raw: &Option<Box<RawValue>>| raw.clone().filter(|raw| !matches!(raw.get(), "{}" | "null"));
        let extra = Extra { metadata: useful(&self.metadata), geo_location: useful(&self.geo_location) };
        (extra.metadata.is_some() || extra.geo_location.is_some()).then_some(extra)
    }

    /// Country and region as the record has them.
    #[must_use]
    pub fn place(&self) -> (Option<&str>, Option<&str>) {
        (self.country_code.as_deref(), self.region.as_deref())
    }

    /// The proxy it describes; `opened` has the plain text of each sealed one.
    #[must_use]
    pub fn build(&self, address: &Address, opened: &AHashMap<String, String>, now: Micros) -> Arc<Proxy> {
        let open = |text: &Option<Box<str>>| -> Option<Box<str>> {
            let text = text.as_deref()?;
            Some(opened.get(text).map_or(text, String::as_str).into())
        };
        let url = self.url.as_deref().unwrap_or_default();
        let mut raw: Option<Box<str>> = (!address.is_written(url)).then(|| url.into());
        let mut address = address.clone();
        if let Some(protocol) = self.protocol.as_deref().and_then(Protocol::parse)
            && protocol != address.protocol
        {
            address.protocol = protocol;
            raw = Some(url.into());
        }
        if let (Some(username), Some(password)) = (open(&self.username), open(&self.password)) {
            address.credentials = Some(Credentials { username, password });
        }
        let created = self.created_at.map_or(now, |stamp| stamp.0);
        let proxy = Proxy::new(&address, self.source(), created);
        if let Some(id) = self.id.as_deref().and_then(Id::parse) {
            proxy.set_id(id);
        }
        let in_url = self.credentials_in_url == Some(true) && address.credentials.is_some();
        if in_url {
            let scheme = address.protocol.scheme_of(url);
            raw = Some(proxy.url_with(scheme).into_boxed_str());
        }
        let mut tags = self.tags.clone().unwrap_or_default();
        tags.sort_unstable();
        tags.dedup();
        let expires = self.expires_at.map(|stamp| stamp.0);
        let expires = expires.or_else(|| self.ttl.map(|ttl| end_of_life(created, ttl)));
        let plain = raw.is_none()
            && tags.is_empty()
            && expires.is_none()
            && self.ttl.is_none()
            && self.ema_alpha.is_none()
            && self.window_duration_seconds.is_none()
            && self.source_url.is_none()
            && !self.tells()
            && self.cost_per_request.is_none_or(|cost| cost == Some(0.0));
        if !plain {
            proxy.set_cold(|cold| {
                cold.raw_url = raw;
                cold.tags = tags;
                cold.ttl = self.ttl;
                cold.expires_at = expires;
                cold.ema_alpha = self.ema_alpha.unwrap_or(cold.ema_alpha);
                cold.window_duration = self.window_duration_seconds.unwrap_or(cold.window_duration);
                cold.source_url = open(&self.source_url);
                self.tell(cold);
                cold.cost = self.cost_per_request.unwrap_or(cold.cost);
            });
        }
        let proxy = Arc::new(proxy);
        self.teach(&proxy, &SystemClock);
        proxy
    }

    /// What sites held against it.
    #[must_use]
    pub fn held(&self) -> Vec<SavedHold> {
        let held = |stood: &Stood| {
            let kind = Kind::parse(&stood.kind)?;
            Some(SavedHold {
                site: stood.site.clone(),
                kind,
                until: stood.until.map(|stamp| stamp.0),
                level: stood.level,
            })
        };
        self.standings.iter().flatten().filter_map(held).collect()
    }

    /// A proxy that is known already, and `built`, which is what this record says of it: what has never been used learns
    /// from the record, tags are united, and what was not known is filled in. Whether it learned.
    pub fn merge_into(&self, held: &Arc<Proxy>, built: &Proxy) -> bool {
        let (tags, country, region) =
            built.cold(|cold| (cold.tags.clone(), cold.country_code.clone(), cold.region.clone()));
        let wanting = held.cold(|cold| {
            tags.iter().any(|tag| !cold.tags.contains(tag))
                || (cold.country_code.is_none() && country.is_some())
                || (cold.region.is_none() && region.is_some() && cold.country_code == country)
        });
        if wanting {
            held.set_cold(|cold| {
                cold.tags.extend(tags);
                cold.tags.sort_unstable();
                cold.tags.dedup();
                if cold.country_code.is_none() {
                    cold.country_code.clone_from(&country);
                }
                // A region means something in its own country only.
                if cold.region.is_none() && cold.country_code == country {
                    cold.region = region;
                }
            });
        }
        if held.total() == 0 && held.usage() == (0, 0, 0) && held.health() == Health::Unknown {
            self.teach(held, &SystemClock);
            return true;
        }
        false
    }

    /// Gives a proxy what the record has learned of it.
    pub fn teach(&self, proxy: &Arc<Proxy>, clock: &dyn Clock) {
        for (counter, value) in [
            (Counter::Successes, self.total_successes),
            (Counter::Failures, self.total_failures),
            (Counter::Total, self.total_requests),
            (Counter::Started, self.requests_completed),
            (Counter::Completed, self.requests_completed),
            (Counter::ConsecutiveFailures, self.consecutive_failures),
        ] {
            if let Some(value) = value.filter(|value| *value > 0) {
                proxy.set_counter(counter, value);
            }
        }
        for (direction, value) in [(Direction::Sent, self.bytes_sent), (Direction::Received, self.bytes_received)] {
            if let Some(value) = value.filter(|value| *value > 0) {
                proxy.set_bytes(direction, value);
            }
        }
        if let Some(spent) = self.spent {
            proxy.set_spent(Money::of(spent));
        }
        let average = self.average_response_time_ms;
        let ema = self.ema_response_time_ms.unwrap_or(average);
        if let Some(ms) = ema {
            // The first sample initialises, so that both averages remain one until they are set apart.
            proxy.update_latency(ms, None);
            proxy.set_latency(self.latency_ms);
            if average != ema {
                proxy.set_average(average);
            }
        } else {
            if average.is_some() {
                proxy.set_average(average);
            }
            if self.latency_ms.is_some() {
                proxy.set_latency(self.latency_ms);
            }
        }
        if self.has_learned() {
            proxy.set_cold(|cold| self.teach_cold(cold));
        }
        for (moment, stamp) in [
            (Moment::LastSuccess, self.last_success_at),
            (Moment::LastFailure, self.last_failure_at),
            (Moment::WindowStart, self.window_start),
            (Moment::Updated, self.updated_at),
        ] {
            if let Some(stamp) = stamp {
                proxy.set_time(moment, Some(stamp.0));
            }
        }
        if let Some(health) = self.health_status.as_deref().and_then(Health::parse)
            && health != proxy.health()
        {
            proxy.set_health(health);
        }
        if let Some(until) = self.rest_until {
            proxy.rest_again(self.rest_level.unwrap_or(1), until.0, clock);
        }
    }
}
