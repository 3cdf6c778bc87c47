//! `spec.policies`: timeouts, retries and circuit breakers by name.

use std::time::Duration;

use crate::{
    go_text::{self, GoDuration},
    nearest::{did_you_mean, listed},
    resiliency::{
        backoff::Backoff,
        catalog::Definitions,
        circuit::CircuitSettings,
        retry::RetryPolicy,
        trip::{TripRule, TripRuleError},
    },
    resources::{
        error::Place,
        fields::{Fields, Findings, Integer, Named, Text},
        report::Report,
        resiliency::{
            Decoding,
            ledger::{Ledger, Subject},
            matching,
        },
    },
};

/// The only one of daprd's own policies that a component target can sensibly name.
const SERVICE_RETRIES: &str = "DaprBuiltInServiceRetries";
const BUILT_IN: &str = "DaprBuiltIn";

/// What daprd defines before it reads a resource.
pub fn built_in() -> Definitions {
    let backoff = Backoff::Constant { duration: Duration::from_secs(1) };
    let retries = RetryPolicy { backoff, max_retries: Some(3) };
    let mut definitions = Definitions::default();
    definitions.retries.insert(SERVICE_RETRIES.to_owned(), retries);
    definitions
}

/// The policies of one resource as written.
pub struct Policies {
    timeouts: Vec<Timeout>,
    retries: Vec<Retry>,
    breakers: Vec<Breaker>,
}

struct Timeout {
    name: String,
    place: Place,
    text: String,
}

struct Retry {
    name: String,
    place: Place,
    policy: Option<Text>,
    duration: Option<Text>,
    max_interval: Option<Text>,
    max_retries: Option<Integer>,
    http_codes: Option<Text>,
    grpc_codes: Option<Text>,
}

struct Breaker {
    name: String,
    place: Place,
    max_requests: Option<Integer>,
    interval: Option<Text>,
    timeout: Option<Text>,
    trip: Option<Text>,
}

/// Why a field of a policy cannot be: where, what is wrong, and how daprd says it.
struct Flaw {
    place: Place,
    message: String,
    daprd: String,
}

impl Flaw {
    fn new(place: &Place, message: impl ToString) -> Self {
        let message = message.to_string();
        Self { place: place.clone(), daprd: message.clone(), message }
    }
}

impl Policies {
    /// Reads the shape.
    pub fn read(spec: &mut Fields<'_>, findings: &mut Findings<'_>) -> Self {
        let mut policies = spec.map("policies", findings);
        let mut timeouts = Vec::new();
        for Named { name, field, .. } in policies.named("timeouts", findings) {
            let place = findings.place(field.node.at, field.path.clone());
            let text = field.text(findings).map(|text| text.text).unwrap_or_default();
            timeouts.push(Timeout { name: name.to_owned(), place, text });
        }
        let retries = policies.named("retries", findings);
        let retries = retries.iter().map(|named| Retry::read(named, findings)).collect();
        let breakers = policies.named("circuitBreakers", findings);
        let breakers = breakers.iter().map(|named| Breaker::read(named, findings)).collect();
        policies.finish(findings);
        Self { timeouts, retries, breakers }
    }

    /// Adds the policies to those of other resources, in daprd's order.
    pub fn decode(
        self,
        decoding: &mut Decoding<'_>,
        definitions: &mut Definitions,
        ledger: &mut Ledger,
        report: &mut Report,
    ) {
        let Self { timeouts, retries, breakers } = self;
        for Timeout { name, place, text } in timeouts {
            ledger.note(Subject::Timeout, &name, decoding.resource, &place, report);
            match go_text::parse_policy_duration(&text) {
                Ok(timeout) => drop(definitions.timeouts.insert(name, timeout.positive())),
                Err(error) => {
                    let message = format!("{error}; valid is a time such as 5s");
                    let daprd = format!("invalid duration {name:?}, {text}: {error}");
                    decoding.flaw(place, message, daprd, report);
                }
            }
            if decoding.is_over {
                return;
            }
        }
        for retry in retries {
            ledger.note(Subject::Retry, &retry.name, decoding.resource, &retry.place, report);
            let flaws = match retry.decode(report) {
                Ok(policy) => {
                    definitions.retries.insert(retry.name.clone(), policy);
                    Vec::new()
                }
                Err(flaws) => flaws,
            };
            tell(&retry.name, flaws, decoding, report);
            if decoding.is_over {
                return;
            }
        }
        for breaker in breakers {
            let Breaker { name, place, .. } = &breaker;
            ledger.note(Subject::CircuitBreaker, name, decoding.resource, place, report);
            let flaws = match breaker.decode(report) {
                Ok(settings) => {
                    definitions.circuit_breakers.insert(name.clone(), settings);
                    Vec::new()
                }
                Err(flaws) => flaws,
            };
            tell(name, flaws, decoding, report);
            if decoding.is_over {
                return;
            }
        }
    }
}

/// daprd words circuit breakers as if they were retries.
fn tell(name: &str, flaws: Vec<Flaw>, decoding: &mut Decoding<'_>, report: &mut Report) {
    for Flaw { place, message, daprd } in flaws {
        if !decoding.is_over {
            let daprd = if daprd.starts_with("invalid pattern") {
                daprd
            } else {
                format!("invalid retry configuration {name:?}: {daprd}")
            };
            decoding.flaw(place, message, daprd, report);
        }
    }
}

impl Retry {
    fn read(named: &Named<'_>, findings: &mut Findings<'_>) -> Self {
        let place = findings.place(named.at, named.field.path.clone());
        let mut fields = named.field.fields(findings);
        let policy = fields.text("policy", findings);
        let duration = fields.text("duration", findings);
        let max_interval = fields.text("maxInterval", findings);
        let max_retries = fields.integer("maxRetries", findings);
        let mut matching = fields.map("matching", findings);
        let http_codes = matching.text("httpStatusCodes", findings);
        let grpc_codes = matching.text("gRPCStatusCodes", findings);
        matching.finish(findings);
        fields.finish(findings);
        Self {
            name: named.name.to_owned(),
            place,
            policy,
            duration,
            max_interval,
            max_retries,
            http_codes,
            grpc_codes,
        }
    }

    fn decode(&self, report: &mut Report) -> Result<RetryPolicy, Vec<Flaw>> {
        let mut flaws = Vec::new();
        let duration = read_duration(self.duration.as_ref(), &mut flaws);
        let max_interval = read_duration(self.max_interval.as_ref(), &mut flaws);
        let backoff = match lower(self.policy.as_ref()).as_str() {
            "" | "constant" => {
                let duration = duration.map_or(Backoff::DEFAULT_DURATION, GoDuration::or_zero);
                if let Some(Text { place, .. }) = &self.max_interval {
                    let pause = go_text::duration(duration);
                    let message =
                        format!("has no effect on a constant policy; its pause is {pause}");
                    report.warn_at(place, message);
                }
                Some(Backoff::Constant { duration })
            }
            "exponential" => {
                if let Some(Text { place, .. }) = &self.duration {
                    let message = "has no effect on an exponential policy; its pauses grow from \
                                   500ms up to maxInterval";
                    report.warn_at(place, message);
                }
                let max_interval =
                    max_interval.map_or(Backoff::DEFAULT_MAX_INTERVAL, GoDuration::or_zero);
                Some(Backoff::Exponential { max_interval })
            }
            _ => {
                flaws.extend(self.policy.as_ref().map(unknown_policy));
                None
            }
        };
        if let Some(backoff) = backoff {
            self.warn_about_haste(backoff, report);
        }
        check_codes(self.http_codes.as_ref(), matching::HTTP, &mut flaws);
        check_codes(self.grpc_codes.as_ref(), matching::GRPC, &mut flaws);
        // Negative is unlimited, and so is what nobody lives to see.
        let max_retries = self.max_retries.as_ref().map_or(-1, |number| number.value);
        let max_retries = self.at_least_as_built_in(u32::try_from(max_retries).ok(), report);
        match backoff {
            Some(backoff) if flaws.is_empty() => Ok(RetryPolicy { backoff, max_retries }),
            _ => Err(flaws),
        }
    }

    /// A pause of nothing is legal, and hammers a target that is down.
    fn warn_about_haste(&self, backoff: Backoff, report: &mut Report) {
        let (greatest, written) = match backoff {
            Backoff::Constant { duration } => (duration, &self.duration),
            Backoff::Exponential { max_interval } => (max_interval, &self.max_interval),
        };
        if let (true, Some(Text { place, .. })) = (greatest.is_zero(), written) {
            report.warn_at(place, "leaves no pause: a target that is down is called without rest");
        }
    }

    /// daprd's own policies may be made to try more often, not less often.
    fn at_least_as_built_in(&self, max_retries: Option<u32>, report: &mut Report) -> Option<u32> {
        let name = &self.name;
        if !name.starts_with(BUILT_IN) || max_retries.is_none_or(|number| number >= 3) {
            return max_retries;
        }
        report.warn(format!(
            "Attempted override of {name} did not meet minimum retry count, resetting to 3."
        ));
        Some(3)
    }
}

impl Breaker {
    fn read(named: &Named<'_>, findings: &mut Findings<'_>) -> Self {
        let place = findings.place(named.at, named.field.path.clone());
        let mut fields = named.field.fields(findings);
        let max_requests = fields.integer("maxRequests", findings);
        let interval = fields.text("interval", findings);
        let timeout = fields.text("timeout", findings);
        let trip = fields.text("trip", findings);
        fields.finish(findings);
        Self { name: named.name.to_owned(), place, max_requests, interval, timeout, trip }
    }

    fn decode(&self, report: &mut Report) -> Result<CircuitSettings, Vec<Flaw>> {
        let mut flaws = Vec::new();
        let max_requests = match &self.max_requests {
            None => 0,
            Some(Integer { value, place }) => u32::try_from(*value).unwrap_or_else(|_| {
                let message = format!("found {value}; valid is a number from 0 to {}", u32::MAX);
                flaws.push(Flaw::new(place, message));
                0
            }),
        };
        let interval = read_duration(self.interval.as_ref(), &mut flaws);
        let timeout = read_duration(self.timeout.as_ref(), &mut flaws);
        let trip = match &self.trip {
            Some(text) => read_trip(text, &mut flaws, report),
            None => TripRule::default_rule(),
        };
        if !flaws.is_empty() {
            return Err(flaws);
        }
        let positive = |time: Option<GoDuration>| time.and_then(GoDuration::positive);
        Ok(CircuitSettings::new(max_requests, positive(interval), positive(timeout), trip))
    }
}

fn read_trip(text: &Text, flaws: &mut Vec<Flaw>, report: &mut Report) -> TripRule {
    let Text { text, place } = text;
    let rule = match TripRule::parse(text) {
        Ok(rule) => rule,
        Err(error @ TripRuleError::UnknownFunction { .. }) => {
            // This hangs daprd.
            report.refuse(place.clone(), error.to_string());
            return TripRule::default_rule();
        }
        Err(error @ (TripRuleError::Syntax { .. } | TripRuleError::TooDeep { .. })) => {
            flaws.push(Flaw::new(place, error));
            return TripRule::default_rule();
        }
    };
    for name in rule.unknown_names() {
        let valid = listed(TripRule::VARIABLES);
        let meant = did_you_mean(name, TripRule::VARIABLES);
        let message = format!(
            "unknown variable {name:?} in the trip rule {text:?}, where it is reached the circuit \
             stays closed; valid are {valid}{meant}"
        );
        report.refuse_if_strict(place.clone(), message);
    }
    if let Some(flaw) = rule.flaw() {
        let message = format!("the trip rule {text:?} can stay without effect: {flaw}");
        report.refuse_if_strict(place.clone(), message);
    }
    rule
}

/// A time; an empty text is the same as none.
fn read_duration(text: Option<&Text>, flaws: &mut Vec<Flaw>) -> Option<GoDuration> {
    let Text { text, place } = text.filter(|text| !text.text.is_empty())?;
    match go_text::parse_policy_duration(text) {
        Ok(duration) => Some(duration),
        Err(error) => {
            let message = format!("{error}; valid is a time such as 5s");
            flaws.push(Flaw { place: place.clone(), message, daprd: error.to_string() });
            None
        }
    }
}

fn unknown_policy(text: &Text) -> Flaw {
    let Text { text, place } = text;
    let valid = ["constant", "exponential"];
    let meant = did_you_mean(text, valid);
    Flaw {
        place: place.clone(),
        message: format!("unknown back-off policy {text:?}; valid are {}{meant}", listed(valid)),
        daprd: format!("invalid PolicyType {text:?}: unexpected back off policy type: {text}"),
    }
}

fn check_codes(codes: Option<&Text>, valid: std::ops::RangeInclusive<i64>, flaws: &mut Vec<Flaw>) {
    let Some(Text { text, place }) = codes else { return };
    if let Err(flaw) = matching::check(text, valid) {
        flaws.push(Flaw::new(place, flaw));
    }
}

fn lower(text: Option<&Text>) -> String {
    text.map(|text| text.text.to_lowercase()).unwrap_or_default()
}
