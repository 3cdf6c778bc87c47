use std::time::Duration;

use super::*;
use crate::state_store::Consistency;

fn set(name: &str, value: &str) -> Write {
    Write {
        key: StoredKey::new(name.to_owned()),
        change: Change::Set { value: Bytes::copy_from_slice(value.as_bytes()), ttl: None },
        etag: None,
        concurrency: Concurrency::Unspecified,
        consistency: Consistency::Unspecified,
    }
}

fn with_ttl(name: &str, ttl: &str) -> Write {
    let change = Change::Set { value: Bytes::from_static(b"v"), ttl: Some(ttl.to_owned()) };
    Write { change, ..set(name, "") }
}

fn with_etag(write: Write, etag: &str) -> Write {
    Write { etag: Some(etag.to_owned()), ..write }
}

fn delete(name: &str) -> Write {
    Write { change: Change::Delete, ..set(name, "") }
}

async fn write(store: &InMemoryStore, write: Write) -> Result<(), StoreError> {
    let prepared = store.prepare(write)?;
    let mut answers = Answers::new(1);
    store.write(&Arc::new(vec![prepared]), &mut answers).await;
    answers.into_iter().next().flatten().unwrap()
}

async fn read(store: &InMemoryStore, name: &str) -> Option<Entry> {
    store.get(&StoredKey::new(name.to_owned())).await.unwrap()
}

fn mismatch(text: &str) -> Result<(), StoreError> {
    Err(StoreError::EtagMismatch(text.to_owned()))
}

#[tokio::test]
async fn etags_are_opaque_and_new_with_every_write() {
    let store = InMemoryStore::new();
    write(&store, set("k", "1")).await.unwrap();
    let first = read(&store, "k").await.unwrap().etag.unwrap();
    assert_eq!(Uuid::parse_str(&first).unwrap().get_version_num(), 4);
    let told = write(&store, with_etag(set("k", "2"), "abc")).await;
    assert_eq!(
        told,
        mismatch(&format!("state etag not match for key=k: current={first}, expect=abc"))
    );
    // Last-write does not disarm an etag here.
    let last = Write { concurrency: Concurrency::LastWrite, ..set("k", "2") };
    assert!(write(&store, with_etag(last.clone(), "abc")).await.is_err());
    write(&store, with_etag(last, &first)).await.unwrap();
    assert_ne!(read(&store, "k").await.unwrap().etag.unwrap(), first);
}

#[tokio::test]
async fn an_etag_needs_a_key_and_first_write_needs_none() {
    let store = InMemoryStore::new();
    let missing = "state not exist or expired for key=k";
    assert_eq!(write(&store, with_etag(set("k", "1"), "x")).await, mismatch(missing));
    assert_eq!(write(&store, with_etag(delete("k"), "x")).await, mismatch(missing));
    let first = Write { concurrency: Concurrency::FirstWrite, ..set("k", "1") };
    write(&store, first.clone()).await.unwrap();
    let exists = "item already exists and no etag was passed";
    assert_eq!(write(&store, first).await, mismatch(exists));
    let delete_first = Write { concurrency: Concurrency::FirstWrite, ..delete("k") };
    assert_eq!(write(&store, delete_first).await, mismatch(exists));
    write(&store, set("k", "2")).await.unwrap();
    write(&store, delete("k")).await.unwrap();
    assert_eq!(read(&store, "k").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_gone_when_its_time_is_over() {
    let store = InMemoryStore::new();
    write(&store, with_ttl("k", "10")).await.unwrap();
    let shown = read(&store, "k").await.unwrap().expires_at.unwrap();
    assert!(shown.len() == 20 && shown.ends_with('Z'), "{shown}");
    tokio::time::advance(Duration::from_millis(9_900)).await;
    assert!(read(&store, "k").await.is_some());
    tokio::time::advance(Duration::from_millis(200)).await;
    assert_eq!(read(&store, "k").await, None);
    assert!(store.content().records.is_empty());
    let told = write(&store, with_etag(set("k", "1"), "x")).await;
    assert_eq!(told, mismatch("state not exist or expired for key=k"));
}

#[tokio::test(start_paused = true)]
async fn every_write_sets_the_ttl_anew() {
    let store = InMemoryStore::new();
    for later in ["0", "-1", ""] {
        write(&store, with_ttl("k", "10")).await.unwrap();
        write(&store, with_ttl("k", later)).await.unwrap();
        assert_eq!(read(&store, "k").await.unwrap().expires_at, None);
        assert!(store.content().expiries.is_empty());
    }
    write(&store, with_ttl("k", "10")).await.unwrap();
    write(&store, set("k", "plain")).await.unwrap();
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(read(&store, "k").await.unwrap().data, "plain");
}

#[tokio::test]
async fn a_bad_ttl_is_told_in_gos_words() {
    let store = InMemoryStore::new();
    let told = write(&store, with_ttl("k", "abc")).await.unwrap_err();
    assert_eq!(told.to_string(), r#"strconv.Atoi: parsing "abc": invalid syntax"#);
    assert!(write(&store, with_ttl("k", "9223372036854775807")).await.is_err());
    assert_eq!(read(&store, "k").await, None);
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    let store = InMemoryStore::new();
    write(&store, set("k", "1")).await.unwrap();
    let writes = [set("new", "x"), with_etag(set("k", "2"), "bad"), delete("k")];
    let writes: Vec<_> = writes.into_iter().map(|write| store.prepare(write).unwrap()).collect();
    let mut told = Answers::new(writes.len());
    store.transact(&Arc::new(writes), &mut told).await;
    for told in told {
        let Some(Err(StoreError::EtagMismatch(text))) = told else { panic!("{told:?}") };
        assert!(text.starts_with("state etag not match for key=k: "), "{text}");
    }
    assert_eq!(read(&store, "new").await, None);
    assert_eq!(read(&store, "k").await.unwrap().data, "1");
}

#[tokio::test]
async fn a_kept_value_does_not_hold_the_buffer_it_was_read_into() {
    let store = InMemoryStore::new();
    let buffer = Bytes::from(vec![b'x'; 1000]);
    let change = Change::Set { value: buffer.slice(10..20), ttl: None };
    write(&store, Write { change, ..set("k", "") }).await.unwrap();
    assert!(buffer.is_unique(), "the store holds the whole buffer");
}
