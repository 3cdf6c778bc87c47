//! What holds for every store.

use std::time::Duration;

use outrigger::state_store::{
    ConfiguredStore, SharedWrites, StateStore, StoreError, in_memory::InMemoryStore,
};

use crate::{
    redis::Server,
    support::{
        InFull, WriteWith, delete, etag, eventually, is_mismatch, key, prepare, read, set,
        store_on, write,
    },
};

pub async fn keeps_the_contract(store: &ConfiguredStore) {
    missing_keys_are_no_error(store).await;
    values_come_back_byte_for_byte(store).await;
    a_matching_etag_wins_and_another_loses(store).await;
    many_are_answered_in_their_order(store).await;
    a_ttl_ends_a_key(store).await;
    a_bad_ttl_writes_nothing(store).await;
    transactions_are_carried_out(store).await;
}

async fn missing_keys_are_no_error(store: &ConfiguredStore) {
    assert_eq!(read(store, "missing").await, None);
    write(store, delete("missing")).await.unwrap();
}

async fn values_come_back_byte_for_byte(store: &ConfiguredStore) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let values: [&[u8]; 8] =
        [b"", b"0123", b"QUEUED", b"OK", b"nil", b"-1", "\u{e4}\r\n\0".as_bytes(), &every_byte];
    for value in values {
        write(store, set("bytes", value.to_vec())).await.unwrap();
        let entry = read(store, "bytes").await.unwrap();
        assert_eq!(entry.data, value);
        assert!(entry.etag.is_some());
    }
    let big = vec![7; 3 << 20];
    write(store, set("bytes", big.clone())).await.unwrap();
    assert_eq!(read(store, "bytes").await.unwrap().data, big);
    write(store, delete("bytes")).await.unwrap();
    assert_eq!(read(store, "bytes").await, None);
}

async fn a_matching_etag_wins_and_another_loses(store: &ConfiguredStore) {
    write(store, set("e", "1")).await.unwrap();
    let first = etag(store, "e").await;
    write(store, set("e", "2").etag(&first)).await.unwrap();
    let second = etag(store, "e").await;
    assert_ne!(first, second);
    assert!(is_mismatch(&write(store, set("e", "3").etag(&first)).await));
    assert!(is_mismatch(&write(store, delete("e").etag(&first)).await));
    assert_eq!(read(store, "e").await.unwrap().data, "2");
    write(store, set("e", "4").etag("")).await.unwrap();
    let third = etag(store, "e").await;
    write(store, delete("e").etag(&third)).await.unwrap();
    assert_eq!(read(store, "e").await, None);
}

async fn many_are_answered_in_their_order(store: &ConfiguredStore) {
    let writes = (0..300).map(|n| set(&format!("m{n}"), n.to_string())).collect();
    let mut writes = prepare(store, writes).to_vec();
    let conflict = match store {
        ConfiguredStore::Redis(_) => {
            write(store, set("m", "old")).await.unwrap();
            set("m", "new").etag("99")
        }
        ConfiguredStore::InMemory(_) => set("m", "new").etag("99"),
    };
    writes.insert(150, store.prepare(conflict).unwrap());
    let results = store.written(&SharedWrites::new(writes)).await;
    let refused: Vec<_> = (0..results.len()).filter(|&n| results[n].is_err()).collect();
    assert_eq!(refused, [150]);
    assert!(is_mismatch(&results[150]));

    let keys: Vec<_> = (0..300).rev().map(|n| key(&format!("m{n}"))).collect();
    let values = store.found(&keys).await;
    for (n, value) in (0..300).rev().zip(values) {
        assert_eq!(value.unwrap().unwrap().data, n.to_string());
    }
}

async fn a_ttl_ends_a_key(store: &ConfiguredStore) {
    write(store, set("short", "x").ttl("1")).await.unwrap();
    assert!(read(store, "short").await.is_some());
    eventually("the key expires", || async { read(store, "short").await.is_none() }).await;
    write(store, set("short", "x").ttl("100")).await.unwrap();
    write(store, set("short", "y").ttl("-1")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(read(store, "short").await.unwrap().data, "y");
}

async fn a_bad_ttl_writes_nothing(store: &ConfiguredStore) {
    for text in ["abc", " 5", "1.5", "9223372036854775807"] {
        let refused = store.prepare(set("bad ttl", "x").ttl(text));
        assert!(matches!(refused, Err(StoreError::TtlInvalid(_))), "{text}: {refused:?}");
    }
    assert_eq!(read(store, "bad ttl").await, None);
}

async fn transactions_are_carried_out(store: &ConfiguredStore) {
    write(store, set("t2", "old")).await.unwrap();
    let writes = prepare(store, vec![set("t1", "a"), delete("t2"), set("t3", "c")]);
    assert!(store.transacted(&writes).await.iter().all(Result::is_ok));
    assert_eq!(read(store, "t1").await.unwrap().data, "a");
    assert_eq!(read(store, "t2").await, None);
    assert_eq!(read(store, "t3").await.unwrap().data, "c");
    assert!(store.transacted(&SharedWrites::default()).await.is_empty());
}

#[tokio::test]
async fn redis_keeps_the_contract() {
    let server = Server::start();
    keeps_the_contract(&ConfiguredStore::Redis(store_on(&server))).await;
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    keeps_the_contract(&ConfiguredStore::InMemory(InMemoryStore::new())).await;
}
