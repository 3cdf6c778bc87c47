use super::*;
use crate::metrics::{
    families,
    instrument::{Buckets, Histogram},
};

fn histogram(values: &[u64]) -> Snapshot {
    let histogram = Histogram::new(&Buckets::whole(&[1, 5]));
    for value in values {
        histogram.record(*value);
    }
    histogram.snapshot()
}

#[test]
fn families_series_and_labels_come_in_alphabetical_order() {
    let mut scrape = Scrape::default();
    let labels = |path| [("path", path), ("app_id", "a"), ("method", "GET"), ("status", "204")];
    scrape.counter(&families::HTTP_SERVER_REQUEST_COUNT, labels("/b"), 2);
    scrape.counter(&families::HTTP_SERVER_REQUEST_COUNT, labels("/a"), 1);
    scrape.number(&families::PROCESS_OPEN_FDS, [], 7.0);
    scrape.histogram(&families::HTTP_SERVER_LATENCY, labels("/b"), histogram(&[0, 3, 9]));
    insta::assert_snapshot!(scrape.into_text(), @r#"
    # HELP dapr_http_server_latency Milliseconds between a request of the HTTP API and its answer.
    # TYPE dapr_http_server_latency histogram
    dapr_http_server_latency_bucket{app_id="a",method="GET",path="/b",status="204",le="1"} 1
    dapr_http_server_latency_bucket{app_id="a",method="GET",path="/b",status="204",le="5"} 2
    dapr_http_server_latency_bucket{app_id="a",method="GET",path="/b",status="204",le="+Inf"} 3
    dapr_http_server_latency_sum{app_id="a",method="GET",path="/b",status="204"} 12
    dapr_http_server_latency_count{app_id="a",method="GET",path="/b",status="204"} 3
    # HELP dapr_http_server_request_count Requests of the HTTP API that were answered.
    # TYPE dapr_http_server_request_count counter
    dapr_http_server_request_count{app_id="a",method="GET",path="/a",status="204"} 1
    dapr_http_server_request_count{app_id="a",method="GET",path="/b",status="204"} 2
    # HELP process_open_fds Open files of the process.
    # TYPE process_open_fds gauge
    process_open_fds 7
    "#);
}

#[test]
fn what_never_happened_has_no_series() {
    let mut scrape = Scrape::default();
    scrape.counter(&families::RESILIENCY_LOADED, [("app_id", "a")], 0);
    scrape.histogram(&families::HTTP_SERVER_LATENCY, [], histogram(&[]));
    assert_eq!(scrape.into_text(), "");
}

#[test]
fn label_values_are_escaped() {
    let mut scrape = Scrape::default();
    scrape.counter(&families::RESILIENCY_LOADED, [("name", "a\"b\\c\nd")], 1);
    let text = scrape.into_text();
    assert!(text.ends_with("{name=\"a\\\"b\\\\c\\nd\"} 1\n"), "{text}");
}

#[test]
fn rules_rewrite_labels_and_make_equal_series_one() {
    let mut scrape = Scrape::default();
    for path in ["/orders/1", "/orders/2", "/other"] {
        scrape.counter(&families::HTTP_SERVER_REQUEST_COUNT, [("path", path)], 2);
        scrape.histogram(&families::HTTP_SERVER_LATENCY, [("path", path)], histogram(&[1, 9]));
    }
    let pattern = regex::Regex::new("/orders/.+").unwrap();
    let rule = |metric: &str| Rule {
        metric: metric.to_owned(),
        label: "path".to_owned(),
        replacements: vec![("/orders/".to_owned(), pattern.clone())],
    };
    scrape.rewrite(&[rule("dapr_http_server_request_count"), rule("dapr_http_server_latency")]);
    let text = scrape.into_text();
    for line in [
        "dapr_http_server_request_count{path=\"/orders/\"} 4",
        "dapr_http_server_request_count{path=\"/other\"} 2",
        "dapr_http_server_latency_bucket{path=\"/orders/\",le=\"1\"} 2",
        "dapr_http_server_latency_count{path=\"/orders/\"} 4",
        "dapr_http_server_latency_sum{path=\"/orders/\"} 20",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
    }
}
