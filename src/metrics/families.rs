//! Every metric there is. `docs/metrics.md` lists the same, and a test compares them.

use super::text::Kind::{self, Counter, Gauge, Histogram};

/// One metric with all its series.
#[derive(Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What its numbers are.
    pub kind: Kind,
    /// What it says, in one line.
    pub help: &'static str,
    /// Its labels, in alphabetical order.
    pub labels: &'static [&'static str],
}

macro_rules! families {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $constant: Family =
                Family { name: $name, kind: $kind, help: $help, labels: &[$($label),*] };
        )*
        /// All of them.
        pub static ALL: &[&Family] = &[$(&$constant),*];
    };
}

families! {
    STATE_COUNT: Counter "dapr_component_state_count"
        ["app_id", "component", "namespace", "operation", "success"]
        "Calls of the state API that reached a store's policies.";
    STATE_LATENCIES: Histogram "dapr_component_state_latencies"
        ["app_id", "component", "namespace", "operation", "success"]
        "Milliseconds of a call of the state API, with all its retries.";
    RESILIENCY_LOADED: Counter "dapr_resiliency_loaded"
        ["app_id", "name", "namespace"]
        "Resiliency resources that were loaded.";
    RESILIENCY_COUNT: Counter "dapr_resiliency_count"
        ["app_id", "flow_direction", "name", "namespace", "policy", "status", "target"]
        "Calls that ran under a policy; of a circuit breaker, by its state at that moment.";
    RESILIENCY_ACTIVATIONS: Counter "dapr_resiliency_activations_total"
        ["app_id", "flow_direction", "name", "namespace", "policy", "status", "target"]
        "Calls that a policy timed out or retried, and changes of a circuit breaker to a state.";
    RESILIENCY_CB_STATE: Gauge "dapr_resiliency_cb_state"
        ["app_id", "flow_direction", "name", "namespace", "policy", "status", "target"]
        "1 for the state a circuit breaker has at the moment of the scrape, 0 for the others.";
    GRPC_COMPLETED: Counter "dapr_grpc_io_server_completed_rpcs"
        ["app_id", "grpc_server_method", "grpc_server_status"]
        "Calls of the gRPC API that were answered.";
    GRPC_LATENCY: Histogram "dapr_grpc_io_server_server_latency"
        ["app_id", "grpc_server_method", "grpc_server_status"]
        "Milliseconds between a call of the gRPC API and its answer.";
    GRPC_RECEIVED: Histogram "dapr_grpc_io_server_received_bytes_per_rpc"
        ["app_id", "grpc_server_method"]
        "Bytes of the message of a call of the gRPC API.";
    GRPC_SENT: Histogram "dapr_grpc_io_server_sent_bytes_per_rpc"
        ["app_id", "grpc_server_method"]
        "Bytes of the message that answered a call of the gRPC API.";
    HTTP_SERVER_REQUEST_COUNT: Counter "dapr_http_server_request_count"
        ["app_id", "method", "path", "status"]
        "Requests of the HTTP API that were answered.";
    HTTP_SERVER_RESPONSE_COUNT: Counter "dapr_http_server_response_count"
        ["app_id", "method", "path", "status"]
        "Answers of the HTTP API; only with increased cardinality.";
    HTTP_SERVER_LATENCY: Histogram "dapr_http_server_latency"
        ["app_id", "method", "path", "status"]
        "Milliseconds between a request of the HTTP API and its answer.";
    HTTP_SERVER_REQUEST_BYTES: Histogram "dapr_http_server_request_bytes"
        ["app_id"]
        "Bytes of a request's body as it was announced; 0 if it was not.";
    HTTP_SERVER_RESPONSE_BYTES: Histogram "dapr_http_server_response_bytes"
        ["app_id"]
        "Bytes of an answer's body.";
    COMPONENT_INIT: Counter "dapr_runtime_component_init_total"
        ["app_id", "component"]
        "Components that were loaded, by their type.";
    COMPONENT_INIT_FAIL: Counter "dapr_runtime_component_init_fail_total"
        ["app_id", "component", "componentName", "reason"]
        "Components that could not be loaded and whose errors are ignored.";
    ERROR_CODES: Counter "dapr_error_code_total"
        ["app_id", "category", "error_code"]
        "Failed calls by error code; only with recordErrorCodes.";
    OUTCOMES: Counter "outrigger_state_outcomes_total"
        ["app_id", "class", "component", "operation"]
        "The calls of dapr_component_state_count by what came of them.";
    ATTEMPTS: Counter "outrigger_store_attempts_total"
        ["app_id", "command", "component"]
        "Commands that were handed to a connection to the store: a batch of reads, a batch of writes.";
    BATCH_ITEMS: Histogram "outrigger_store_batch_items"
        ["app_id", "command", "component"]
        "Keys that were read, or writes, in one command to the store.";
    QUEUE_DEPTH: Gauge "outrigger_store_queue_depth"
        ["app_id", "component"]
        "Calls whose reads or writes wait to be sent to the store at the moment of the scrape.";
    CONNECTED: Gauge "outrigger_store_connected"
        ["app_id", "component"]
        "1 while every connection to the store is up, 0 otherwise.";
    CONNECTIONS: Counter "outrigger_store_connections_total"
        ["app_id", "component"]
        "Connections to the store that were made; all but the first ones are reconnects.";
    CONNECTION_FAILURES: Counter "outrigger_store_connection_failures_total"
        ["app_id", "component"]
        "Connections to the store that were lost, and tries to connect that failed.";
    REFUSALS: Counter "outrigger_refusals_total"
        ["app_id", "protocol", "reason"]
        "Calls that were turned away before a handler saw them.";
    LIMIT: Gauge "outrigger_limit"
        ["app_id", "limit"]
        "The most that may be in flight or open at once, for limits that are set.";
    LIMIT_USE: Gauge "outrigger_limit_use"
        ["app_id", "limit"]
        "How much of it is in flight or open at the moment of the scrape.";
    LIMIT_PEAK: Gauge "outrigger_limit_use_peak"
        ["app_id", "limit"]
        "The most of it that was in flight or open at once since the start.";
    LIMIT_REFUSALS: Counter "outrigger_limit_refusals_total"
        ["app_id", "limit"]
        "What was turned away because of it.";
    PROCESS_CPU: Counter "process_cpu_seconds_total" []
        "Processor time that the process has used, in seconds.";
    PROCESS_MAX_FDS: Gauge "process_max_fds" []
        "How many files the process may have open.";
    PROCESS_OPEN_FDS: Gauge "process_open_fds" []
        "Open files of the process.";
    PROCESS_RESIDENT: Gauge "process_resident_memory_bytes" []
        "Memory of the process that is in use, in bytes.";
    PROCESS_START: Gauge "process_start_time_seconds" []
        "When the process began, in seconds since 1970.";
    PROCESS_VIRTUAL: Gauge "process_virtual_memory_bytes" []
        "Address space of the process, in bytes.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_labels_in_order() {
        let mut names: Vec<_> = ALL.iter().map(|family| family.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for family in ALL {
            assert!(family.labels.is_sorted(), "{}", family.name);
            assert!(!family.help.contains(['\n', '\\']), "{}", family.name);
        }
    }
}
