//! `spec.metric` and `spec.metrics` of a Configuration: what is counted, and under which labels.

use regex::Regex;
use serde_json::json;

use crate::{
    metrics::{families, http::HttpSettings, instrument::LATENCY_MILLIS, text::Rule},
    nearest::did_you_mean,
    resources::{
        fields::{Field, Fields, Findings, Text},
        report::Report,
    },
};

/// How metrics are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSettings {
    /// Whether anything but the process is told about.
    pub enabled: bool,
    /// What becomes of labels' values.
    pub rules: Vec<Rule>,
    /// How requests of the HTTP API are told apart.
    pub http: HttpSettings,
    /// The latency buckets in milliseconds, if not the usual ones.
    pub latencies: Option<Vec<u64>>,
    /// Whether failed calls are counted by their codes.
    pub record_error_codes: bool,
    /// What of the HTTP settings was given.
    given_http: serde_json::Map<String, serde_json::Value>,
}

impl Default for MetricSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            rules: Vec::new(),
            http: HttpSettings::default(),
            latencies: None,
            record_error_codes: false,
            given_http: serde_json::Map::new(),
        }
    }
}

impl MetricSettings {
    /// The latency buckets in milliseconds.
    pub fn latencies(&self) -> &[u64] {
        self.latencies.as_deref().unwrap_or(&LATENCY_MILLIS)
    }

    /// The settings in one line, as daprd logs them.
    pub fn text(&self) -> String {
        let mut parts = vec![format!("\"enabled\":{}", self.enabled)];
        if !self.rules.is_empty() {
            let rules = self.rules.iter().map(|rule| {
                let regex: serde_json::Map<_, _> = rule
                    .replacements
                    .iter()
                    .map(|(replacement, pattern)| (replacement.clone(), json!(pattern.as_str())))
                    .collect();
                format!(
                    "{{\"name\":{},\"labels\":[{{\"name\":{},\"regex\":{}}}]}}",
                    json!(rule.metric),
                    json!(rule.label),
                    json!(regex)
                )
            });
            parts.push(format!("\"rules\":[{}]", rules.collect::<Vec<_>>().join(",")));
        }
        if !self.given_http.is_empty() {
            parts.push(format!("\"http\":{}", json!(self.given_http)));
        }
        if let Some(latencies) = &self.latencies {
            parts.push(format!("\"latencyDistributionBuckets\":{}", json!(latencies)));
        }
        if self.record_error_codes {
            parts.push("\"recordErrorCodes\":true".to_owned());
        }
        format!("{{{}}}", parts.join(","))
    }
}

/// Reads both spellings; where both say something, `metrics` wins.
pub fn read(
    spec: &mut Fields<'_>,
    findings: &mut Findings<'_>,
    settings: &mut MetricSettings,
    report: &mut Report,
) {
    for spelling in ["metric", "metrics"] {
        let mut metric = spec.map(spelling, findings);
        read_one(&mut metric, findings, settings, report);
        metric.finish(findings);
    }
}

fn read_one(
    metric: &mut Fields<'_>,
    findings: &mut Findings<'_>,
    settings: &mut MetricSettings,
    report: &mut Report,
) {
    if let Some(enabled) = metric.boolean("enabled", findings) {
        settings.enabled = enabled;
    }
    if let Some(list) = metric.get("rules", findings) {
        settings.rules = list
            .items(findings)
            .iter()
            .flat_map(|rule| read_rule(rule, findings, report))
            .collect();
    }
    read_http(metric, findings, settings);
    if let Some(list) = metric.get("latencyDistributionBuckets", findings) {
        read_buckets(&list, findings, settings, report);
    }
    if let Some(record) = metric.boolean("recordErrorCodes", findings) {
        settings.record_error_codes = record;
    }
    if let Some(place) = metric.skip("workflow", findings) {
        report.warn_at(&place, "has no effect, because workflows are not served");
    }
}

fn read_http(metric: &mut Fields<'_>, findings: &mut Findings<'_>, settings: &mut MetricSettings) {
    let mut http = metric.map("http", findings);
    let MetricSettings { http: read, given_http: given, .. } = settings;
    if let Some(increased) = http.boolean("increasedCardinality", findings) {
        read.increased_cardinality = increased;
        given.insert("increasedCardinality".to_owned(), json!(increased));
    }
    if http.get("pathMatching", findings).is_some() {
        let templates = http.texts("pathMatching", findings).into_iter().map(|text| text.text);
        read.path_matching = templates.collect();
        given.insert("pathMatching".to_owned(), json!(read.path_matching));
    }
    if let Some(exclude) = http.boolean("excludeVerbs", findings) {
        read.exclude_verbs = exclude;
        given.insert("excludeVerbs".to_owned(), json!(exclude));
    }
    http.finish(findings);
}

fn read_buckets(
    list: &Field<'_>,
    findings: &mut Findings<'_>,
    settings: &mut MetricSettings,
    report: &mut Report,
) {
    let mut bounds: Vec<u64> = Vec::new();
    for item in list.items(findings) {
        let Some(Text { text, place }) = item.text(findings) else { continue };
        match text.parse() {
            Ok(bound) if bounds.last().is_none_or(|last| *last < bound) => bounds.push(bound),
            _ => {
                let message = format!(
                    "error loading configuration: {text:?} is no bucket: expected whole \
                     milliseconds, each greater than the one before"
                );
                report.refuse(place, message);
            }
        }
    }
    settings.latencies = (!bounds.is_empty()).then_some(bounds);
}

fn read_rule(field: &Field<'_>, findings: &mut Findings<'_>, report: &mut Report) -> Vec<Rule> {
    let mut fields = field.fields(findings);
    let metric = fields.text("name", findings);
    let mut rules = Vec::new();
    for label in fields.items("labels", findings) {
        let mut label = label.fields(findings);
        let name = label.text("name", findings);
        let mut replacements = Vec::new();
        for named in label.named("regex", findings) {
            let Some(Text { text, place }) = named.field.text(findings) else { continue };
            match Regex::new(&text) {
                Ok(pattern) => replacements.push((named.name.to_owned(), pattern)),
                Err(_) => {
                    let message =
                        "error loading configuration: the pattern is no regular expression";
                    report.refuse(place, message.to_owned());
                }
            }
        }
        label.finish(findings);
        if let (Some(metric), Some(label)) = (&metric, name)
            && let Some(rule) = meant(metric, &label, replacements, report)
        {
            rules.push(rule);
        }
    }
    fields.finish(findings);
    rules
}

/// The rule with its metric's full name; a warning if nothing has it. As in daprd the name may lack
/// `dapr_` and have slashes.
fn meant(
    metric: &Text,
    label: &Text,
    replacements: Vec<(String, Regex)>,
    report: &mut Report,
) -> Option<Rule> {
    let name = metric.text.replace('/', "_");
    let full = format!("dapr_{name}");
    let family = families::ALL.iter().find(|family| family.name == name || family.name == full);
    let Some(family) = family else {
        let hint = did_you_mean(&name, families::ALL.iter().map(|family| family.name));
        report.warn_at(&metric.place, format!("no metric has this name{hint}"));
        return None;
    };
    if !family.labels.contains(&label.text.as_str()) {
        let hint = did_you_mean(&label.text, family.labels.iter().copied());
        report.warn_at(&label.place, format!("{} has no such label{hint}", family.name));
        return None;
    }
    Some(Rule { metric: family.name.to_owned(), label: label.text.clone(), replacements })
}
