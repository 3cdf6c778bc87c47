//! The calls of the gRPC API, by method. Methods are a closed list: a name that is not on it has no
//! series.

use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

use super::{
    families,
    instrument::{Buckets, Histogram, SIZES},
    text::Scrape,
};

/// gRPC's codes in the order of their numbers, as Go spells them.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

const CANCELED: usize = 1;
const UNKNOWN: usize = 2;

/// What is counted for all methods of one service.
#[derive(Debug)]
pub struct GrpcMeters {
    service: &'static str,
    /// A method's meters come with its first call.
    methods: Vec<(&'static str, OnceLock<Box<MethodMeters>>)>,
    latencies: Buckets,
    sizes: Buckets,
}

#[derive(Debug)]
struct MethodMeters {
    by_code: [OnceLock<Box<Histogram>>; CODES.len()],
    received: Histogram,
    sent: Histogram,
}

impl GrpcMeters {
    /// For these methods of `service`, the busiest first, with these latency buckets in
    /// milliseconds.
    pub fn new(
        service: &'static str,
        methods: impl IntoIterator<Item = &'static str>,
        latencies: &[u64],
    ) -> Arc<Self> {
        Arc::new(Self {
            service,
            methods: methods.into_iter().map(|name| (name, OnceLock::new())).collect(),
            latencies: Buckets::whole(latencies),
            sizes: Buckets::whole(&SIZES),
        })
    }

    /// A call of `method` begins.
    pub fn begin(self: &Arc<Self>, method: &str) -> Option<Rpc> {
        let method = self.methods.iter().position(|(name, _)| *name == method)?;
        Some(Rpc { meters: self.clone(), method, begun: Instant::now(), answered: false })
    }

    /// Puts the methods' series into a scrape.
    pub fn collect(&self, scrape: &mut Scrape, app_id: &str) {
        for (name, meters) in &self.methods {
            let Some(meters) = meters.get() else { continue };
            let path = format!("/{}/{name}", self.service);
            let labels = [("app_id", app_id), ("grpc_server_method", path.as_str())];
            scrape.histogram(&families::GRPC_RECEIVED, labels, meters.received.snapshot());
            scrape.histogram(&families::GRPC_SENT, labels, meters.sent.snapshot());
            for (code, latencies) in CODES.iter().zip(&meters.by_code) {
                let Some(latencies) = latencies.get() else { continue };
                let [app_id, method] = labels;
                let labels = [app_id, method, ("grpc_server_status", code)];
                let latencies = latencies.snapshot();
                scrape.counter(&families::GRPC_COMPLETED, labels, latencies.count);
                scrape.histogram(&families::GRPC_LATENCY, labels, latencies);
            }
        }
    }

    fn method(&self, number: usize) -> &MethodMeters {
        self.methods[number].1.get_or_init(|| {
            Box::new(MethodMeters {
                by_code: Default::default(),
                received: Histogram::new(&self.sizes),
                sent: Histogram::new(&self.sizes),
            })
        })
    }
}

/// One call under way. Dropped before it was answered it says that the caller left.
#[derive(Debug)]
pub struct Rpc {
    meters: Arc<GrpcMeters>,
    method: usize,
    begun: Instant,
    answered: bool,
}

impl Rpc {
    /// What counts the sizes of the call's messages.
    pub fn messages(&self) -> Messages {
        Messages { meters: self.meters.clone(), method: self.method }
    }

    /// The call was answered with this code.
    pub fn answer(mut self, code: usize) {
        self.record(if code < CODES.len() { code } else { UNKNOWN });
    }

    fn record(&mut self, code: usize) {
        self.answered = true;
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let latencies = self.meters.method(self.method).by_code[code]
            .get_or_init(|| Box::new(Histogram::new(&self.meters.latencies)));
        latencies.record(millis);
    }
}

impl Drop for Rpc {
    fn drop(&mut self) {
        if !self.answered {
            self.record(CANCELED);
        }
    }
}

/// Counts the sizes of one call's messages.
#[derive(Clone, Debug)]
pub struct Messages {
    meters: Arc<GrpcMeters>,
    method: usize,
}

impl Messages {
    /// The caller's message has so many bytes.
    pub fn received(&self, bytes: usize) {
        self.meters.method(self.method).received.record(bytes as u64);
    }

    /// The answer's message has so many bytes.
    pub fn sent(&self, bytes: usize) {
        self.meters.method(self.method).sent.record(bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_are_counted_by_method_and_code_in_whole_milliseconds() {
        let meters = GrpcMeters::new("pkg.Service", ["Get", "Save"], &[1, 2]);
        let call = meters.begin("Get").unwrap();
        tokio::time::advance(std::time::Duration::from_micros(1900)).await;
        call.messages().received(1024);
        call.messages().sent(0);
        call.answer(0);
        drop(meters.begin("Get"));
        meters.begin("Save").unwrap().answer(99);
        assert!(meters.begin("Other").is_none());
        let mut scrape = Scrape::default();
        meters.collect(&mut scrape, "a");
        let text = scrape.into_text();
        let lines: Vec<_> =
            text.lines().filter(|line| !line.starts_with('#') && !line.contains("bytes")).collect();
        assert_eq!(
            lines[..3],
            [
                "dapr_grpc_io_server_completed_rpcs{app_id=\"a\",grpc_server_method=\"/pkg.Service/Get\",grpc_server_status=\"Canceled\"} 1",
                "dapr_grpc_io_server_completed_rpcs{app_id=\"a\",grpc_server_method=\"/pkg.Service/Get\",grpc_server_status=\"OK\"} 1",
                "dapr_grpc_io_server_completed_rpcs{app_id=\"a\",grpc_server_method=\"/pkg.Service/Save\",grpc_server_status=\"Unknown\"} 1",
            ]
        );
        assert!(text.contains("grpc_server_status=\"OK\",le=\"1\"} 1\n"), "{text}");
        assert!(text.contains("received_bytes_per_rpc_sum{app_id=\"a\",grpc_server_method=\"/pkg.Service/Get\"} 1024\n"), "{text}");
        assert!(
            text.contains(
                "sent_bytes_per_rpc_count{app_id=\"a\",grpc_server_method=\"/pkg.Service/Get\"} 1\n"
            ),
            "{text}"
        );
    }
}
