//! The rows that are a reply of Redis.

use super::{
    Scene,
    conditions::{
        cluster_node, cluster_of_two, fail_to_save, is_busy, is_loading, keep_busy, load_slowly,
        renew_connections, use_document_module, written,
    },
    tell,
};
use crate::{
    failures::scripted::Does,
    harness::{canary, eventually, redis::Redis},
};

pub fn of(id: &str) -> Option<Scene> {
    of_servers(id).or_else(|| of_keys(id)).or_else(|| of_clusters(id))
}

fn of_servers(id: &str) -> Option<Scene> {
    Some(match id {
        "READONLY" => Scene::redis(&[]).breaks(|servers, _| {
            tell(&servers[0], &["REPLICAOF", "127.0.0.1", "1"]);
        }),
        "LOADING" => Scene::redis(&["--enable-debug-command", "yes"])
            .breaks(|servers, _| {
                end_loading(&servers[0]);
                renew_connections(&servers[0]);
                load_slowly(&servers[0]);
            })
            .repairs(end_loading),
        "OOM" => Scene::redis(&[]).breaks(|servers, _| {
            tell(&servers[0], &["CONFIG", "SET", "maxmemory", "1"]);
        }),
        "BUSY" => Scene::redis(&["--busy-reply-threshold", "1"])
            .breaks(|servers, _| keep_busy(&servers[0]))
            .repairs(|redis| {
                tell(redis, &["SCRIPT", "KILL"]);
                // It ends when it next looks.
                eventually("the script has ended", || !is_busy(redis));
            }),
        "MASTERDOWN" => {
            Scene::redis(&["--replica-serve-stale-data", "no", "--replica-read-only", "no"])
                .breaks(|servers, _| {
                    tell(&servers[0], &["REPLICAOF", "NO", "ONE"]);
                    renew_connections(&servers[0]);
                    tell(&servers[0], &["REPLICAOF", "127.0.0.1", "1"]);
                })
                .repairs(|redis| tell(redis, &["REPLICAOF", "NO", "ONE"]))
        }
        "NOSCRIPT" => {
            Scene::redis(&[]).breaks(|servers, _| tell(&servers[0], &["SCRIPT", "FLUSH"]))
        }
        "NOREPLICAS" => Scene::redis(&[]).breaks(|servers, _| {
            tell(&servers[0], &["CONFIG", "SET", "min-replicas-to-write", "1"]);
        }),
        "MISCONF" => Scene::redis(&[]).breaks(|servers, _| fail_to_save(&servers[0])),
        "wrong-reply" => Scene::scripted(Does::Says("+NONSENSE")).says("the script gave no list"),
        _ => return None,
    })
}

fn of_keys(id: &str) -> Option<Scene> {
    Some(match id {
        "NOPERM" => Scene::redis(&[])
            .breaks(|servers, _| {
                tell(&servers[0], &["ACL", "SETUSER", "app", "resetkeys", "~other*"]);
            })
            .logged_in("+@all"),
        "WRONGTYPE" => {
            let scene =
                Scene::redis(&[]).breaks(|servers, key| tell(&servers[0], &["LPUSH", key, "0"]));
            Scene { command: "get", ..scene }
        }
        "other-reply" => Scene::redis(&[])
            .breaks(|servers, key| {
                tell(&servers[0], &["HSET", key, "data", "0", "version", "none"]);
            })
            .says("ERR hash value is not an integer"),
        "first-write" => Scene::redis(&[])
            .breaks(|servers, key| {
                written(&servers[0], key);
                tell(&servers[0], &["HSET", key, "first-write", "0"]);
            })
            .says("first-write"),
        "document" => Scene::on_redis(vec![use_document_module()])
            .breaks(|servers, key| tell(&servers[0], &["DOCUMENT.MAKE", key]))
            .says("RedisJSON document"),
        "other-hash" => {
            let scene = Scene::redis(&[])
                .breaks(|servers, key| tell(&servers[0], &["HSET", key, "name", "0"]))
                .says("required hash field 'data' or 'version' was not found");
            Scene { command: "hgetall", ..scene }
        }
        _ => return None,
    })
}

fn of_clusters(id: &str) -> Option<Scene> {
    Some(match id {
        "MOVED" => {
            let (other, owner) = cluster_of_two();
            Scene::on_redis(vec![other, owner])
        }
        "ASK" => {
            let (other, owner) = cluster_of_two();
            let to: String = other.query(&["CLUSTER", "MYID"]);
            Scene::on_redis(vec![owner, other]).breaks(move |servers, key| {
                let slot: u16 = servers[0].query(&["CLUSTER", "KEYSLOT", key]);
                let slot = slot.to_string();
                tell(&servers[0], &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to]);
            })
        }
        // fred ends the connection at this answer.
        "CLUSTERDOWN" => Scene::on_redis(vec![cluster_node()]).retried_patiently(),
        // Redis says these two of several keys only, and each is then asked for by itself.
        "CROSSSLOT" => {
            Scene::scripted(Does::Says("-CROSSSLOT Keys in request don't hash to the same slot"))
        }
        "TRYAGAIN" => {
            let says = "-TRYAGAIN Multiple keys request during rehashing of slot";
            Scene::scripted(Does::Says(says))
        }
        _ => return None,
    })
}

fn end_loading(redis: &Redis) {
    tell(redis, &["CONFIG", "SET", "key-load-delay", "0"]);
    eventually("the data is loaded", || is_loading(redis) == Some(false));
}

impl Scene {
    /// As a user who may do everything but this.
    pub(super) fn logged_in(self, rule: &str) -> Self {
        let password = format!(">{}", canary::PASSWORD);
        let redis = &self.redis_servers()[0];
        tell(redis, &["ACL", "SETUSER", "app", "on", &password, "~*", "+@all", rule]);
        self.with("redisUsername", "app")
    }
}
