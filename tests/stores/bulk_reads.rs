//! Bulk reads: whatever stands under the keys, they say what single reads say.

use outrigger::state_store::{StateStore, StoreError, StoredKey, redis::RedisStore};

use crate::{
    redis::Server,
    support::{InFull, key, prepare, set, store_on, store_with},
};

/// Asserts that one bulk read says what as many single reads say.
pub async fn same_as_single_reads(store: &RedisStore, keys: &[StoredKey]) {
    let together = store.found(keys).await;
    assert_eq!(together.len(), keys.len());
    for (key, answer) in keys.iter().zip(together) {
        let alone = store.get(key).await;
        assert_eq!(answer, alone, "{}", key.as_str());
    }
}

/// Puts something of every kind on the server; returns the keys to ask for.
pub async fn everything(server: &Server, store: &RedisStore) -> Vec<StoredKey> {
    let mut view = server.view();
    view.tell(&["SET", "plain", "text"]);
    view.tell(&["RPUSH", "list", "item"]);
    view.tell(&["HSET", "no version", "data", "1"]);
    view.tell(&["HSET", "no data", "version", "1"]);
    view.tell(&["HSET", "empty", "data", "", "version", ""]);
    view.tell(&["HSET", "with more", "first-write", "0", "version", "7", "data", "2", "x", "y"]);
    // Each is more than one script call reads, so that the next one has to go on.
    let large: Vec<_> = (0..3).map(|n| set(&format!("large {n}"), vec![n; 1_200_000])).collect();
    let small = (0..300).map(|n| set(&format!("small {n}"), n.to_string()));
    let writes = prepare(store, large.into_iter().chain(small).collect());
    for result in store.written(&writes).await {
        result.unwrap();
    }
    let odd = ["plain", "list", "no version", "no data", "empty", "with more", "missing", "plain"];
    let mut keys: Vec<_> = writes.iter().map(|write| write.key.clone()).collect();
    for (place, name) in odd.iter().enumerate() {
        keys.insert(place * 17, key(name));
    }
    keys
}

#[tokio::test]
async fn a_bulk_read_says_what_single_reads_say() {
    let server = Server::start();
    let store = store_on(&server);
    let keys = everything(&server, &store).await;
    let mut view = server.view();
    view.tell(&["CONFIG", "RESETSTAT"]);
    same_as_single_reads(&store, &keys).await;
    assert!(view.calls("evalsha") + view.calls("eval") < 12, "the keys were not read together");
    view.tell(&["SCRIPT", "FLUSH"]);
    same_as_single_reads(&store, &keys).await;
    assert!(store.found(&[]).await.is_empty());
    same_as_single_reads(&store, &[key("small 1")]).await;
}

#[tokio::test]
async fn who_may_run_no_script_reads_key_by_key() {
    let server = Server::start();
    let keys = everything(&server, &store_on(&server)).await;
    let mut view = server.view();
    let login = [("redisUsername", "reader"), ("redisPassword", "secret")];
    for rights in ["-eval -evalsha", "-eval"] {
        let rights = rights.split(' ');
        let user = ["ACL", "SETUSER", "reader", "reset", "on", ">secret", "~*", "+@all"];
        view.tell(&user.into_iter().chain(rights).collect::<Vec<_>>());
        view.tell(&["SCRIPT", "FLUSH"]);
        same_as_single_reads(&store_with(&server, &login), &keys).await;
    }
    // One key that may not be read hides no other.
    let user = ["ACL", "SETUSER", "reader", "reset", "on", ">secret", "~small*", "+@all"];
    view.tell(&user);
    let store = store_with(&server, &login);
    same_as_single_reads(&store, &keys).await;
    let answers = store.found(&[key("small 2"), key("large 0")]).await;
    assert_eq!(answers[0].as_ref().unwrap().as_ref().unwrap().data, "2");
    assert!(matches!(&answers[1], Err(StoreError::Refused(text)) if text.starts_with("NOPERM")));
}
