//! Which label a path has: that of its route, or of the template it matches; everything else has
//! the empty one, so that nobody can make series by calling paths that do not exist.

use std::{borrow::Cow, collections::BTreeMap};

use super::http::HttpSettings;

/// The routes that name no store.
const ROUTES: [(&str, &str); 4] = [
    ("/v1.0/healthz", "/v1.0/healthz"),
    ("/v1.0/healthz/outbound", "/v1.0/healthz/outbound"),
    ("/v1.0/metadata", "/v1.0/metadata"),
    ("/v1.0/shutdown", "/v1.0/shutdown"),
];

/// Where the routes begin that name a store.
const STATE: [&str; 2] = ["/v1.0/state/", "/v1.0-alpha1/state/"];

/// Where a key is written to the metadata; it is dropped as the state's keys are.
const METADATA_KEY: &str = "/v1.0/metadata/";

/// What stands before a method of another app.
const INVOCATION: &str = "/v1.0/invoke/{app_id}/method";

const NONE: usize = 0;

/// Labels of paths.
#[derive(Debug)]
pub struct Paths {
    /// The first one is empty.
    labels: Vec<String>,
    templates: Vec<Template>,
    routes: BTreeMap<String, usize>,
    /// By store, for each of [`STATE`].
    stores: BTreeMap<String, [usize; STATE.len()]>,
}

#[derive(Debug)]
struct Template {
    label: usize,
    /// `None` for any one segment.
    segments: Vec<Option<String>>,
}

impl Paths {
    /// The labels as `settings` want them, for routes of these stores.
    pub fn new<'a>(settings: &HttpSettings, stores: impl IntoIterator<Item = &'a str>) -> Self {
        let mut paths = Self {
            labels: vec![String::new()],
            templates: Vec::new(),
            routes: BTreeMap::new(),
            stores: BTreeMap::new(),
        };
        for template in &settings.path_matching {
            paths.add_template(template);
            if !template.starts_with("/v1.0/invoke/") {
                paths.add_template(&format!("{INVOCATION}{template}"));
            }
        }
        // A literal segment says more than a placeholder, the earlier the more.
        paths.templates.sort_by_key(|template| {
            template.segments.iter().map(Option::is_none).collect::<Vec<_>>()
        });
        if settings.increased_cardinality {
            for (path, label) in ROUTES {
                let label = paths.label(label);
                paths.routes.insert(path.to_owned(), label);
            }
            for store in stores {
                let labels = STATE.map(|route| paths.label(&format!("{route}{store}")));
                paths.stores.insert(store.to_owned(), labels);
            }
        }
        paths
    }

    /// All labels.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The number of a clean path's label.
    pub fn find(&self, path: &str) -> usize {
        let by_template = || self.templates.iter().find(|template| template.matches(path));
        if !self.templates.is_empty()
            && let Some(template) = by_template()
        {
            return template.label;
        }
        for (number, route) in STATE.iter().enumerate() {
            if let Some(rest) = path.strip_prefix(route) {
                let store = rest.split_once('/').map_or(rest, |(store, _)| store);
                let labels = self.stores.get(&*unescaped(store));
                return labels.map_or(NONE, |labels| labels[number]);
            }
        }
        let path = match path.strip_prefix(METADATA_KEY) {
            Some(key) if !key.contains('/') => "/v1.0/metadata",
            _ => path,
        };
        self.routes.get(path).copied().unwrap_or(NONE)
    }

    fn add_template(&mut self, template: &str) {
        let label = self.label(template);
        let segments = template.split('/').filter(|segment| !segment.is_empty());
        let segments = segments.map(|segment| {
            let is_placeholder = segment.starts_with('{') && segment.ends_with('}');
            (!is_placeholder).then(|| segment.to_owned())
        });
        self.templates.push(Template { label, segments: segments.collect() });
    }

    fn label(&mut self, label: &str) -> usize {
        if let Some(known) = self.labels.iter().position(|known| known == label) {
            return known;
        }
        self.labels.push(label.to_owned());
        self.labels.len() - 1
    }
}

impl Template {
    fn matches(&self, path: &str) -> bool {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let fits = self.segments.iter().all(|wanted| match (segments.next(), wanted) {
            (Some(found), Some(wanted)) => unescaped(found) == wanted.as_str(),
            (found, None) => found.is_some(),
            (None, Some(_)) => false,
        });
        fits && segments.next().is_none()
    }
}

/// A segment as it was before it was escaped; one that cannot be read stays as it is.
fn unescaped(segment: &str) -> Cow<'_, str> {
    if !segment.contains(['%', '+']) {
        return Cow::Borrowed(segment);
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok());
        match (*first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => {
                let (Some(high), Some(low)) = (hex(*high), hex(*low)) else {
                    return Cow::Borrowed(segment);
                };
                bytes.push((high << 4) | low);
                rest = after;
            }
            (byte, _) => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(segment), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(settings: &HttpSettings, cases: &[(&str, &str)]) {
        let paths = Paths::new(settings, ["orders", "sp ace"]);
        for (path, label) in cases {
            assert_eq!(paths.labels()[paths.find(path)], *label, "{path}");
        }
    }

    #[test]
    fn a_route_is_its_own_label_without_keys_and_everything_else_is_nothing() {
        check(
            &HttpSettings::default(),
            &[
                ("/v1.0/state/orders", "/v1.0/state/orders"),
                ("/v1.0/state/orders/some-key", "/v1.0/state/orders"),
                ("/v1.0/state/orders/bulk", "/v1.0/state/orders"),
                ("/v1.0/state/sp%20ace/k", "/v1.0/state/sp ace"),
                ("/v1.0/state/sp+ace", "/v1.0/state/sp ace"),
                ("/v1.0/state/nope/k", ""),
                ("/v1.0/state/%zz/k", ""),
                ("/v1.0/state/", ""),
                ("/v1.0-alpha1/state/orders/query", "/v1.0-alpha1/state/orders"),
                ("/v1.0/healthz", "/v1.0/healthz"),
                ("/v1.0/healthz/outbound", "/v1.0/healthz/outbound"),
                ("/v1.0/metadata", "/v1.0/metadata"),
                ("/v1.0/metadata/some-key", "/v1.0/metadata"),
                ("/v1.0/metadata/a/b", ""),
                ("/v1.0/shutdown", "/v1.0/shutdown"),
                ("/v1.0/invoke/app/method/x", ""),
                ("/", ""),
            ],
        );
    }

    fn matching(increased_cardinality: bool) -> HttpSettings {
        HttpSettings {
            increased_cardinality,
            path_matching: [
                "/v1.0/state/{store}/{key}",
                "/v1.0/state/orders/{key}",
                "/v1.0/state/orders/special",
                "/orders/{id}",
            ]
            .map(str::to_owned)
            .to_vec(),
            ..HttpSettings::default()
        }
    }

    #[test]
    fn the_most_specific_template_wins() {
        let cases = [
            ("/v1.0/state/orders/special", "/v1.0/state/orders/special"),
            ("/v1.0/state/orders/1", "/v1.0/state/orders/{key}"),
            ("/v1.0/state/other/1", "/v1.0/state/{store}/{key}"),
            ("/orders/5", "/orders/{id}"),
            ("/orders/5/6", ""),
            ("/v1.0/invoke/app/method/orders/5", "/v1.0/invoke/{app_id}/method/orders/{id}"),
        ];
        check(&matching(false), &cases);
        check(&matching(true), &cases);
        check(&matching(false), &[("/v1.0/healthz", ""), ("/v1.0/state/orders", "")]);
        check(
            &matching(true),
            &[("/v1.0/healthz", "/v1.0/healthz"), ("/v1.0/state/orders", "/v1.0/state/orders")],
        );
    }
}
