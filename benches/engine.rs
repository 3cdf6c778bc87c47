//! What the engine's parts cost by themselves: `make bench-engine`, or with a part's name behind
//! `cargo bench --bench engine --`.

use std::{
    collections::BTreeMap,
    fs,
    future::ready,
    hint::black_box,
    path::Path,
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use outrigger::{
    api::key::{KeyPrefix, UserKey},
    call::Call,
    resiliency::{
        backoff::Backoff,
        breaker::Breaker,
        circuit::{CircuitSettings, Counts},
        fault::{Classify, Fault, Outcome, Retry},
        policy::Policy,
        retry::RetryPolicy,
        trip::TripRule,
    },
    resources::{LoadOptions, Strictness, load},
};
use tokio::time::Instant;

/// How an attempt would fail if one did.
#[derive(Debug)]
struct Trouble;

impl Classify for Trouble {
    fn fault(&self) -> Fault {
        Fault { retry: Retry::Worthwhile, outcome: Outcome::Failure }
    }

    fn log_text(&self) -> &str {
        "trouble"
    }
}

fn breaker() -> Arc<Breaker> {
    let trip = TripRule::parse("consecutiveFailures >= 5").expect("a rule");
    Breaker::new("cb-statestore", CircuitSettings::new(1, None, Some(Duration::from_secs(5)), trip))
}

fn policy(timeout: bool, circuit: bool, retry: bool) -> Policy {
    let pause = Backoff::Exponential { max_interval: Duration::from_secs(15) };
    Policy::new(
        "component[statestore] output",
        timeout.then_some(Duration::from_secs(5)),
        circuit.then(breaker),
        retry.then_some(RetryPolicy { backoff: pause, max_retries: None }),
    )
}

/// A call that succeeds at once, under each part of a policy and under all of them.
fn policy_run(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let mut group = criterion.benchmark_group("policy");
    for (name, timeout, circuit, retry) in [
        ("none", false, false, false),
        ("timeout", true, false, false),
        ("breaker", false, true, false),
        ("retry", false, false, true),
        ("all", true, true, true),
    ] {
        let policy = policy(timeout, circuit, retry);
        group.bench_function(name, |bencher| {
            // Entering the runtime for each call would cost more than the policy.
            bencher.iter_custom(|calls| {
                runtime.block_on(async {
                    let call = Call::default();
                    let start = Instant::now();
                    for _ in 0..calls {
                        let result = policy.run(&call, || ready(Ok::<_, Trouble>(1))).await;
                        black_box(result).expect("nothing fails");
                    }
                    start.elapsed()
                })
            });
        });
    }
    group.finish();
}

/// One breaker asked by several threads at once: the time until each has made all its calls.
fn breaker_contention(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker");
    for threads in [1, 2, 4] {
        let policy = policy(false, true, false);
        group.throughput(Throughput::Elements(threads));
        group.bench_function(BenchmarkId::new("threads", threads), |bencher| {
            bencher.iter_custom(|calls| {
                let line = Barrier::new(usize::try_from(threads).expect("few") + 1);
                thread::scope(|scope| {
                    for _ in 0..threads {
                        scope.spawn(|| {
                            line.wait();
                            attempts(&policy, calls);
                            line.wait();
                        });
                    }
                    line.wait();
                    let start = Instant::now();
                    line.wait();
                    start.elapsed()
                })
            });
        });
    }
    group.finish();
}

fn attempts(policy: &Policy, calls: u64) {
    let call = Call::default();
    for _ in 0..calls {
        let attempt = policy.attempt(&call, ready(Ok::<_, Trouble>(1)));
        black_box(attempt.now_or_never().expect("it is ready")).expect("nothing fails");
    }
}

/// The pauses of one call through a long outage.
fn backoff(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("backoff");
    group.throughput(Throughput::Elements(20));
    for (name, backoff) in [
        ("constant", Backoff::Constant { duration: Duration::from_secs(5) }),
        ("exponential", Backoff::Exponential { max_interval: Duration::from_secs(15) }),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut pauses = black_box(backoff).pauses();
                for turn in 0..20 {
                    black_box(pauses.next_pause(Duration::from_secs(turn), 0.5));
                }
            });
        });
    }
    group.finish();
}

/// Compiled once at the start, asked at each failure.
fn trip_rule(criterion: &mut Criterion) {
    const WRITTEN: &str =
        "consecutiveFailures >= 5 || (requests > 20 && totalFailures / requests > 0.5)";
    let counts = Counts {
        requests: 40,
        total_successes: 30,
        total_failures: 10,
        consecutive_successes: 0,
        consecutive_failures: 2,
    };
    let mut group = criterion.benchmark_group("trip");
    for (name, text) in [("default", ""), ("short", "consecutiveFailures >= 5"), ("long", WRITTEN)]
    {
        let rule = TripRule::parse(text).expect("a rule");
        group.bench_function(BenchmarkId::new("matches", name), |bencher| {
            bencher.iter(|| rule.matches(black_box(&counts)));
        });
    }
    group.bench_function("parse/long", |bencher| {
        bencher.iter(|| TripRule::parse(black_box(WRITTEN)).expect("a rule"));
    });
    group.finish();
}

/// From the caller's text to the key in the store.
fn key(criterion: &mut Criterion) {
    let prefix = KeyPrefix::by_app_id("order-processor");
    criterion.bench_function("key", |bencher| {
        bencher.iter_batched(
            || "order-0123456789".to_owned(),
            |text| {
                let key = UserKey::parse(black_box(text)).expect("a key");
                prefix.stored(&key)
            },
            criterion::BatchSize::SmallInput,
        );
    });
}

/// A start with as many files as a large team has: 100 stores, each with its policies and targets
/// in a file of their own, and 100 files of other kinds.
fn loading(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    write_files(folder.path());
    let paths = [folder.path().to_owned()];
    let environment = BTreeMap::new();
    let options = |mode| LoadOptions {
        resources_paths: &paths,
        config_paths: &[],
        app_id: "order-processor",
        namespace: None,
        mode,
        environment: &environment,
    };
    let mut group = criterion.benchmark_group("load");
    group.sample_size(20).throughput(Throughput::Elements(300));
    for (name, mode) in [("strict", Strictness::Strict), ("lenient", Strictness::Lenient)] {
        group.bench_function(BenchmarkId::new("300 files", name), |bencher| {
            bencher.iter(|| {
                let loaded = load(&options(mode)).expect("all of them can be loaded");
                assert_eq!((loaded.components.len(), loaded.resiliency_names.len()), (100, 100));
                loaded
            });
        });
    }
    group.finish();
}

fn write_files(folder: &Path) {
    let store = include_str!("../resources/statestore.yaml");
    let write = |name: String, text: String| {
        fs::write(folder.join(name), text).expect("the folder can be written to");
    };
    for number in 0..100 {
        let name = format!("name: store{number}");
        write(format!("store{number}.yaml"), store.replace("name: statestore", &name));
        write(format!("policies{number}.yaml"), RESILIENCY.replace("NUMBER", &number.to_string()));
        let other = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map{number}\n");
        write(format!("map{number}.yaml"), other);
    }
}

const RESILIENCY: &str = "apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata:
  name: policiesNUMBER
spec:
  policies:
    timeouts:
      timeoutNUMBER: 5s
    retries:
      retryNUMBER:
        policy: exponential
        maxInterval: 15s
        maxRetries: 10
    circuitBreakers:
      breakerNUMBER:
        maxRequests: 1
        timeout: 5s
        trip: consecutiveFailures >= 5
  targets:
    components:
      storeNUMBER:
        outbound:
          timeout: timeoutNUMBER
          retry: retryNUMBER
          circuitBreaker: breakerNUMBER
";

criterion_group!(engine, policy_run, breaker_contention, backoff, trip_rule, key, loading);
criterion_main!(engine);
