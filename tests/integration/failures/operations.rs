//! Every operation in the conditions in which they differ: what fails, and what each is told.

use std::thread;

use outrigger::api::failures::{Class, Operation};

use super::caller::{Asks, Heard};
use crate::harness::{
    canary::{self, key},
    client::Client,
    eventually,
    redis::Redis,
    sidecar::{Setup, Sidecar},
};

const OPERATIONS: [Operation; 6] = [
    Operation::Get,
    Operation::BulkGet,
    Operation::Save,
    Operation::Delete,
    Operation::BulkDelete,
    Operation::Transaction,
];

/// What is wrong; also the name of the store that it is wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Full,
    Replica,
    Stopped,
    Open,
    Frozen,
}

impl Condition {
    const ALL: [Self; 5] = [Self::Full, Self::Replica, Self::Stopped, Self::Open, Self::Frozen];

    fn store(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn policies(self) -> &'static str {
        match self {
            Self::Open => "circuitBreaker: trips",
            Self::Frozen => "timeout: short",
            Self::Full | Self::Replica | Self::Stopped => "retry: twice",
        }
    }

    /// The class of the operation's failure, if it fails.
    fn class(self, operation: Operation) -> Option<Class> {
        let reads = matches!(operation, Operation::Get | Operation::BulkGet);
        let deletes = matches!(operation, Operation::Delete | Operation::BulkDelete);
        match self {
            // To read and to delete needs no memory.
            Self::Full => (!reads && !deletes).then_some(Class::Unavailable),
            Self::Replica => (!reads).then_some(Class::Unavailable),
            Self::Stopped => Some(Class::Unreachable),
            Self::Open => Some(Class::BreakerOpen),
            Self::Frozen => Some(Class::Timeout),
        }
    }

    fn comes_about(self, redis: &mut Redis) {
        match self {
            Self::Full => redis.query(&["CONFIG", "SET", "maxmemory", "1"]),
            Self::Replica => redis.query(&["REPLICAOF", "127.0.0.1", "1"]),
            Self::Stopped | Self::Open => redis.stop(),
            Self::Frozen => redis.pause(),
        }
    }
}

const POLICIES: &str = "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata:\n  name: operations\n\
    spec:\n  policies:\n    timeouts: {short: 300ms}\n    \
    retries: {twice: {policy: constant, duration: 10ms, maxRetries: 1}}\n    \
    circuitBreakers: {trips: {timeout: 1h, trip: consecutiveFailures >= 1}}\n  targets:\n    components:\n";

fn component(name: &str, redis: &Redis) -> String {
    format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\nspec:\n  \
         type: state.redis\n  version: v1\n  metadata:\n  \
         - {{name: redisHost, value: \"127.0.0.1:{}\"}}\n  \
         - {{name: redisPassword, value: {}}}\n",
        redis.port,
        canary::PASSWORD
    )
}

fn start(servers: &[(Condition, Redis)]) -> Sidecar {
    let mut setup = Setup::default();
    let mut policies = POLICIES.to_owned();
    for (condition, redis) in servers {
        let store = condition.store();
        policies.push_str(&format!("      {store}: {{outbound: {{{}}}}}\n", condition.policies()));
        setup = setup.resource(&format!("{store}.yaml"), &component(&store, redis));
    }
    setup.resource("policies.yaml", &policies).start()
}

/// Asserts that this is what a caller hears of such a failure, in the words of its protocol.
fn check(condition: Condition, operation: Operation, heard: &Heard, over_grpc: bool) {
    let class = condition.class(operation);
    let told = class.unwrap_or(Class::Ok).told(operation);
    let place = format!("{condition:?}, {operation:?}, gRPC: {over_grpc}: {heard:?}");
    if operation == Operation::BulkGet && matches!(class, None | Some(Class::Unreachable)) {
        // Each key is told by itself.
        assert_eq!(heard.code, if over_grpc { "OK" } else { "200" }, "{place}");
        assert_eq!(heard.unread.len(), if class.is_none() { 0 } else { 2 }, "{place}");
        return;
    }
    let code = if over_grpc { told.grpc.as_str().to_owned() } else { told.http.to_string() };
    assert_eq!(heard.code, code, "{place}");
    let has_word = class.is_some() && !(over_grpc && operation == Operation::BulkGet);
    assert_eq!(heard.word.as_deref(), has_word.then(|| operation.error_code()), "{place}");
}

fn call(client: &Client, sidecar: &Sidecar, condition: Condition, operation: Operation) {
    let asks = Asks { operation, ..Asks::default() };
    let (store, key) = (condition.store(), key(&format!("{condition:?}-{operation:?}")));
    check(condition, operation, &asks.over_grpc(client, &store, &key), true);
    // HTTP has no such call.
    if operation != Operation::BulkDelete {
        check(condition, operation, &asks.over_http(sidecar, &store, &key), false);
    }
}

#[test]
fn every_operation_is_told_what_its_class_says() {
    let mut servers = Condition::ALL.map(|condition| (condition, Redis::start()));
    let sidecar = start(&servers);
    let client = sidecar.client();
    for (condition, redis) in &mut servers {
        let connected = format!("outrigger.store.{}.connected", condition.store());
        eventually("the store is connected", || client.extended(&connected) == "true");
        condition.comes_about(redis);
    }
    // The first failure opens it.
    let first = Asks::default().over_grpc(&client, &Condition::Open.store(), &key("opens"));
    assert_eq!(first.code, "INTERNAL", "{first:?}");
    thread::scope(|scope| {
        for condition in Condition::ALL {
            for operation in OPERATIONS {
                let (client, sidecar) = (&client, &sidecar);
                let call = move || call(client, sidecar, condition, operation);
                // A server that is silent for long is no longer waited for, so all at once. Elsewhere
                // one by one: in one script with a delete, Redis lets a save have memory.
                if condition == Condition::Frozen {
                    scope.spawn(call);
                } else {
                    call();
                }
            }
        }
    });
    sidecar.finish();
}
