//! What is counted over all threads, and the port that tells it.

use std::sync::Arc;

use crate::{
    edge::admission::Admission,
    grpc, http,
    metrics::{
        Registry, error_codes::ErrorCodes, families, grpc::GrpcMeters, http::HttpMeters, process,
        refusals::Refusals, text::Scrape,
    },
    resources::{FailedComponent, MetricSettings},
    sidecar::{
        options::SidecarOptions,
        stores::{StoreLabels, Stores},
    },
};

/// What the data-plane threads count into.
#[derive(Clone, Debug)]
pub struct Meters {
    /// The gRPC API's calls.
    calls: Arc<GrpcMeters>,
    /// The HTTP API's requests.
    requests: Arc<HttpMeters>,
    /// Failed calls by their codes, if somebody wants that.
    pub error_codes: Option<Arc<ErrorCodes>>,
    refusals: Arc<Refusals>,
}

impl Meters {
    /// Everything at zero, as the Configuration wants it.
    pub fn new(settings: &MetricSettings, stores: &Stores) -> Self {
        Self {
            calls: grpc::call_meters(settings.latencies()),
            requests: HttpMeters::new(settings.http.clone(), stores.names(), settings.latencies()),
            error_codes: settings.record_error_codes.then(Arc::default),
            refusals: Arc::default(),
        }
    }

    /// What the gRPC edge counts into.
    pub fn grpc(&self) -> grpc::Meters {
        grpc::Meters { calls: self.calls.clone(), refusals: self.refusals.clone() }
    }

    /// What the HTTP edge counts into.
    pub fn http(&self) -> http::Meters {
        http::Meters {
            requests: self.requests.clone(),
            error_codes: self.error_codes.clone(),
            refusals: self.refusals.clone(),
        }
    }
}

/// What the resources led to.
pub struct Loaded {
    /// The Resiliency resources that apply, each with its namespace.
    pub resiliencies: Vec<(String, String)>,
    /// The components that are left out.
    pub failed_components: Vec<FailedComponent>,
}

/// Who is asked at a scrape. With metrics turned off by the Configuration only the process is, as
/// in daprd.
pub fn registry(
    options: &SidecarOptions,
    settings: &MetricSettings,
    meters: &Meters,
    stores: &Stores,
    admission: Admission,
    loaded: Loaded,
) -> Registry {
    let registry = Registry::new(settings.rules.clone());
    registry.register(process::collect);
    if !settings.enabled {
        return registry;
    }
    let labels = store_labels(options, &loaded.resiliencies);
    let (meters, stores) = (meters.clone(), stores.clone());
    registry.register(move |scrape| {
        let app_id = labels.app_id.as_str();
        meters.calls.collect(scrape, app_id);
        meters.requests.collect(scrape, app_id);
        meters.refusals.collect(scrape, app_id);
        limits(scrape, &admission, app_id);
        if let Some(codes) = &meters.error_codes {
            codes.collect(scrape, app_id);
        }
        for (name, namespace) in &loaded.resiliencies {
            let labels =
                [("app_id", app_id), ("name", name.as_str()), ("namespace", namespace.as_str())];
            scrape.counter(&families::RESILIENCY_LOADED, labels, 1);
        }
        for FailedComponent { name, kind_type, reason } in &loaded.failed_components {
            let labels = [
                ("app_id", app_id),
                ("component", kind_type.as_str()),
                ("componentName", name.as_str()),
                ("reason", reason),
            ];
            scrape.counter(&families::COMPONENT_INIT_FAIL, labels, 1);
        }
        stores.collect(scrape, &labels);
    });
    registry
}

fn limits(scrape: &mut Scrape, admission: &Admission, app_id: &str) {
    for (limit, reading) in admission.snapshot().readings() {
        let labels = [("app_id", app_id), ("limit", limit.label())];
        if let Some(most) = reading.most {
            scrape.number(&families::LIMIT, labels, most as f64);
        }
        scrape.number(&families::LIMIT_USE, labels, reading.current as f64);
        scrape.number(&families::LIMIT_PEAK, labels, reading.peak as f64);
        scrape.number(&families::LIMIT_REFUSALS, labels, reading.refused as f64);
    }
}

fn store_labels(options: &SidecarOptions, resiliencies: &[(String, String)]) -> StoreLabels {
    let (resiliency, resiliency_namespace) = resiliencies.last().cloned().unwrap_or_default();
    StoreLabels {
        app_id: options.app_id.clone(),
        namespace: options.namespace.clone().unwrap_or_default(),
        resiliency,
        resiliency_namespace,
    }
}
