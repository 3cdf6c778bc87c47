//! What `perhaps` means: a save whose answer was lost is stored, or it is not.

use super::scene::stored;
use crate::harness::{
    canary::key,
    proxy::Proxy,
    redis::Redis,
    resources::component,
    sidecar::{Setup, Sidecar},
};

/// Saves a key whose connection ends; says which version is stored.
fn lose(sidecar: &Sidecar, redis: &Redis, name: &str) -> Option<String> {
    sidecar.wait_until_connected();
    let heard = sidecar.client().save(&key(name), "1").expect_err("no answer came");
    assert!(heard.message().ends_with("EOF"), "{heard:?}");
    redis.field(&stored(&key(name)), "version")
}

#[test]
fn what_was_lost_is_stored_once_or_not_at_all() {
    let redis = Redis::start_with_password("", &[]);
    let proxy = Proxy::to(redis.port);
    let host = format!("127.0.0.1:{}", proxy.port);
    let sidecar =
        Setup::default().resource("store.yaml", &component(&[("redisHost", &host)])).start();
    sidecar.wait_until_connected();
    sidecar.client().save(&key("first"), "1").expect("the script is known from now on");
    proxy.cut_before(1);
    assert_eq!(lose(&sidecar, &redis, "before"), None);
    proxy.cut_after(1);
    assert_eq!(lose(&sidecar, &redis, "after").as_deref(), Some("1"));
    sidecar.finish();
}
