//! The rows about connections: none can be made, or one ends too early.

use std::sync::Mutex;

use super::{
    Reserved, Scene, Servers,
    conditions::{connection, count_clients, end_waiting, with_a_replica},
};
use crate::harness::{
    eventually,
    redis::{Clients, Redis},
};

pub fn of(id: &str) -> Option<Scene> {
    of_none(id).or_else(|| of_lost(id)).or_else(|| of_time(id))
}

fn of_none(id: &str) -> Option<Scene> {
    Some(match id {
        "NOAUTH" => {
            let mut scene = Scene::redis(&[]).unconnected();
            scene = scene.patient();
            scene.metadata.retain(|(name, _)| *name != "redisPassword");
            scene
        }
        "WRONGPASS" => Scene::redis(&[]).with("redisPassword", "another").patient().unconnected(),
        "ERR max number of clients" => {
            let redis = Redis::start();
            let mut only = connection(&redis);
            let mut most = redis::cmd("CONFIG");
            most.arg(&["SET", "maxclients", "1"]).exec(&mut only).expect("a lower limit");
            let only = Mutex::new(only);
            Scene::on_redis(vec![redis]).patient().unconnected().repairs(move |_| {
                let mut only = only.lock().expect("nobody panicked with it");
                let mut most = redis::cmd("CONFIG");
                most.arg(&["SET", "maxclients", "100"]).exec(&mut *only).expect("a higher limit");
            })
        }
        "connection-refused" => {
            let reserved = Reserved::new();
            let host = format!("127.0.0.1:{}", reserved.port());
            let servers = Servers::Reserved { _port: reserved };
            Scene::on(servers, host).unconnected().says("connection refused")
        }
        "name-unknown" => Scene::on(Servers::None, "nowhere.invalid:6379".to_owned())
            .unconnected()
            .says("dial tcp: lookup nowhere.invalid:6379: "),
        "tls-refused" => {
            let (redis, tls) = Redis::start_with_tls(Clients::Anonymous);
            let host = format!("localhost:{}", tls.port);
            Scene::on_redis(vec![redis])
                .with("redisHost", &host)
                .with("enableTLS", "true")
                .patient()
                .unconnected()
                .says("tls: ")
        }
        _ => return None,
    })
}

fn of_lost(id: &str) -> Option<Scene> {
    Some(match id {
        "lost-before-sent" => {
            let mut scene = Scene::silent().retried_patiently().says("failed to set key");
            scene.policies.trips = "circuitBreaker: fifth";
            scene.policies.tallies = "circuitBreaker: fifth";
            scene
        }
        "lost-after-sent" => {
            let scene = Scene::behind_a_proxy().retried_patiently().says("EOF");
            if let Some(proxy) = &scene.proxy {
                proxy.cut_after(usize::MAX);
            }
            Scene { executed: Some(true), ..scene }
        }
        "wait-lost" => {
            let scene = with_a_replica().logged_in("+@all").retried_patiently().says("EOF");
            let most = end_waiting(&scene.redis_servers()[0]);
            scene.breaks(move |servers, _| {
                servers[1].pause();
                eventually("who lost a connection has another", || {
                    count_clients(&servers[0], "app") >= most.load()
                });
            })
        }
        _ => return None,
    })
}

fn of_time(id: &str) -> Option<Scene> {
    const TOO_LATE: &str = "context deadline exceeded";
    let bounded = |scene: Scene| Scene { timeout: true, ..scene.without_timeouts() }.says(TOO_LATE);
    Some(match id {
        "write-timeout-before-sent" => {
            Scene::crowded().with("writeTimeout", "200").says("i/o timeout")
        }
        "write-timeout-after-sent" => {
            Scene::silent().retried_patiently().with("writeTimeout", "200").says("i/o timeout")
        }
        "timeout-before-sent" => bounded(Scene::crowded()),
        "timeout-after-sent" | "timeout-bulk-get" => bounded(Scene::silent().retried_patiently()),
        _ => return None,
    })
}
