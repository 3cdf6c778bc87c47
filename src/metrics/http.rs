//! The requests of the HTTP API. Paths come from a closed list, so that no caller can make series.

use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

use super::{
    families,
    instrument::{Buckets, Histogram, SIZES},
    path::Paths,
    text::Scrape,
};

/// The verbs there are; every other one is the last.
const METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "UNKNOWN"];

/// The statuses that are answered; one that is missing is counted as 500.
const STATUSES: [(u16, &str); 16] = [
    (200, "200"),
    (204, "204"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (413, "413"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (501, "501"),
    (503, "503"),
    (504, "504"),
];

const INTERNAL_SERVER_ERROR: usize = 12;

/// How requests are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// Whether paths are labels where no template matches, and whether answers are counted, too.
    pub increased_cardinality: bool,
    /// Whether verbs are left out.
    pub exclude_verbs: bool,
    /// Paths that are labels, with `{name}` for any one segment.
    pub path_matching: Vec<String>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { increased_cardinality: true, exclude_verbs: false, path_matching: Vec::new() }
    }
}

/// What is counted for the requests of the HTTP API.
#[derive(Debug)]
pub struct HttpMeters {
    settings: HttpSettings,
    paths: Paths,
    by_path: Vec<[OnceLock<Box<Statuses>>; METHODS.len()]>,
    latencies: Buckets,
    request_bytes: Histogram,
    response_bytes: Histogram,
}

type Statuses = [OnceLock<Box<Histogram>>; STATUSES.len()];

impl HttpMeters {
    /// For the routes of these stores, with these latency buckets in milliseconds.
    pub fn new<'a>(
        settings: HttpSettings,
        stores: impl IntoIterator<Item = &'a str>,
        latencies: &[u64],
    ) -> Arc<Self> {
        let paths = Paths::new(&settings, stores);
        let sizes = Buckets::whole(&SIZES);
        Arc::new(Self {
            by_path: paths.labels().iter().map(|_| Default::default()).collect(),
            settings,
            paths,
            latencies: Buckets::whole(latencies),
            request_bytes: Histogram::new(&sizes),
            response_bytes: Histogram::new(&sizes),
        })
    }

    /// A request begins; its path is clean.
    pub fn begin(&self, method: &str, path: &str, bytes: u64) -> InFlight {
        self.request_bytes.record(bytes);
        let method = METHODS.iter().position(|name| *name == method).unwrap_or(METHODS.len() - 1);
        InFlight { path: self.paths.find(path), method, begun: Instant::now() }
    }

    /// A request that was begun here is answered.
    pub fn answer(&self, request: InFlight, status: u16, bytes: u64) {
        let InFlight { path, method, begun } = request;
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let status = STATUSES.iter().position(|(code, _)| *code == status);
        let latencies = self.by_path[path][method].get_or_init(Box::default);
        latencies[status.unwrap_or(INTERNAL_SERVER_ERROR)]
            .get_or_init(|| Box::new(Histogram::new(&self.latencies)))
            .record(millis);
        self.response_bytes.record(bytes);
    }

    /// Puts the series into a scrape.
    pub fn collect(&self, scrape: &mut Scrape, app_id: &str) {
        let app_id = ("app_id", app_id);
        let sizes = self.request_bytes.snapshot();
        scrape.histogram(&families::HTTP_SERVER_REQUEST_BYTES, [app_id], sizes);
        let sizes = self.response_bytes.snapshot();
        scrape.histogram(&families::HTTP_SERVER_RESPONSE_BYTES, [app_id], sizes);
        for (path, methods) in self.paths.labels().iter().zip(&self.by_path) {
            for (method, statuses) in METHODS.iter().zip(methods) {
                let method = if self.settings.exclude_verbs { "" } else { method };
                for ((_, status), latencies) in
                    STATUSES.iter().zip(statuses.get().iter().flat_map(|all| all.iter()))
                {
                    let Some(latencies) = latencies.get() else { continue };
                    let labels =
                        [app_id, ("method", method), ("path", path.as_str()), ("status", status)];
                    let latencies = latencies.snapshot();
                    let count = latencies.count;
                    scrape.counter(&families::HTTP_SERVER_REQUEST_COUNT, labels, count);
                    if self.settings.increased_cardinality {
                        scrape.counter(&families::HTTP_SERVER_RESPONSE_COUNT, labels, count);
                    }
                    scrape.histogram(&families::HTTP_SERVER_LATENCY, labels, latencies);
                }
            }
        }
    }
}

/// One request under way; one whose caller leaves before its answer is not counted.
#[derive(Debug)]
pub struct InFlight {
    path: usize,
    method: usize,
    begun: Instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_for_the_rest_is_500() {
        assert_eq!(STATUSES[INTERNAL_SERVER_ERROR].0, 500);
    }

    fn lines(settings: HttpSettings) -> Vec<String> {
        let meters = HttpMeters::new(settings, ["s"], &[1]);
        for (method, path, bytes, status, answered) in [
            ("GET", "/v1.0/state/s/k1", 0, 200, 5),
            ("GET", "/v1.0/state/s/k2", 0, 200, 5),
            ("PUT", "/v1.0/state/s", 9, 204, 0),
            ("BREW", "/coffee", 0, 418, 0),
        ] {
            meters.answer(meters.begin(method, path, bytes), status, answered);
        }
        let mut scrape = Scrape::default();
        meters.collect(&mut scrape, "a");
        let text = scrape.into_text();
        let counts = text.lines().filter(|line| line.starts_with("dapr_http_server_re"));
        let counts = counts.filter(|line| !line.contains("bytes"));
        counts
            .map(|line| line.replace("dapr_http_server_", "").replace("app_id=\"a\",", ""))
            .collect()
    }

    #[test]
    fn requests_are_counted_by_method_path_and_status() {
        assert_eq!(
            lines(HttpSettings::default()),
            [
                "request_count{method=\"GET\",path=\"/v1.0/state/s\",status=\"200\"} 2",
                "request_count{method=\"PUT\",path=\"/v1.0/state/s\",status=\"204\"} 1",
                "request_count{method=\"UNKNOWN\",path=\"\",status=\"500\"} 1",
                "response_count{method=\"GET\",path=\"/v1.0/state/s\",status=\"200\"} 2",
                "response_count{method=\"PUT\",path=\"/v1.0/state/s\",status=\"204\"} 1",
                "response_count{method=\"UNKNOWN\",path=\"\",status=\"500\"} 1",
            ]
        );
    }

    #[test]
    fn verbs_and_paths_can_be_left_out() {
        let settings = HttpSettings {
            increased_cardinality: false,
            exclude_verbs: true,
            path_matching: vec![],
        };
        assert_eq!(
            lines(settings),
            [
                "request_count{method=\"\",path=\"\",status=\"200\"} 2",
                "request_count{method=\"\",path=\"\",status=\"204\"} 1",
                "request_count{method=\"\",path=\"\",status=\"500\"} 1",
            ]
        );
    }
}
