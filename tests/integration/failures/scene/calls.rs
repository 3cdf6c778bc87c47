//! The rows about what was asked for, about who asks and about the breaker.

use super::{
    Policies, Scene,
    conditions::{with_a_replica, written},
    stored,
};
use crate::failures::{caller::Asks, scripted::Does};

pub fn of(id: &str) -> Option<Scene> {
    of_writes(id).or_else(|| of_callers(id)).or_else(|| of_breakers(id))
}

fn of_writes(id: &str) -> Option<Scene> {
    let on_a_written_key =
        |asks: Asks| Scene::redis(&[]).asks(asks).breaks(|servers, key| written(&servers[0], key));
    let with_etag = |etag| on_a_written_key(Asks { etag: Some(etag), ..Asks::default() });
    Some(match id {
        "conflict" | "conflict-delete" | "conflict-transaction" => {
            with_etag("9").says(if id == "conflict-transaction" {
                "failed to set key"
            } else {
                "possible etag mismatch"
            })
        }
        "conflict-after-lost" => after_a_lost_answer(),
        "bad-etag" => with_etag("x").says("invalid etag value"),
        "bad-ttl" => {
            on_a_written_key(Asks { ttl: Some("x"), ..Asks::default() }).says("failed to parse ttl")
        }
        "wait-short" => with_a_replica().breaks(|servers, _| servers[1].pause()),
        "wait-refused" => with_a_replica().logged_in("-wait").says("redis waiting for 1 replicas"),
        _ => return None,
    })
}

/// The first attempt is carried out and its answer cut off, so the second meets what the first wrote.
fn after_a_lost_answer() -> Scene {
    let scene = Scene::behind_a_proxy().asks(Asks { etag: Some("5"), ..Asks::default() });
    let breaks = |scene: &Scene, key: &str| {
        written(&scene.redis_servers()[0], &stored(key));
        scene.proxy.as_ref().expect("a proxy").cut_after(1);
    };
    let policies = Policies {
        retries: "retry: patiently",
        trips: "retry: patiently, circuitBreaker: second",
        tallies: "retry: patiently, circuitBreaker: tallies",
    };
    Scene {
        policies,
        breaks: Box::new(breaks),
        attempts: Some(2),
        executed: Some(true),
        ..scene.says("read the key before you decide")
    }
}

fn of_callers(id: &str) -> Option<Scene> {
    let waits = |deadline| Asks { deadline: Some(deadline), ..Asks::default() };
    Some(match id {
        "caller-left" | "shutting-down" => Scene::silent(),
        "deadline" => Scene::silent().asks(waits("200m")).says("context deadline exceeded"),
        "deadline-at-once" => Scene::silent().asks(waits("1n")).says("context deadline exceeded"),
        "no-time-to-retry" => {
            let policies = Policies {
                retries: "retry: hourly",
                trips: "retry: hourly, circuitBreaker: trips",
                tallies: "retry: hourly, circuitBreaker: tallies",
            };
            let scene = Scene::scripted(Does::Closes).without_timeouts().asks(waits("50S"));
            Scene { policies, ..scene.says("no time left to retry: ") }
        }
        _ => return None,
    })
}

fn of_breakers(id: &str) -> Option<Scene> {
    let mut scene = Scene::scripted(Does::Closes).without_timeouts();
    scene.policies.retries = match id {
        "breaker-open" | "breaker-open-bulk-get" => "retry: twice, circuitBreaker: trips",
        "breaker-half-open" => "retry: twice, circuitBreaker: probes",
        _ => return None,
    };
    let says = match id {
        "breaker-half-open" => "too many requests",
        _ => "circuit breaker is open",
    };
    Some(scene.says(says))
}
