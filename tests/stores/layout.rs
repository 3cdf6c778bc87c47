//! What lies in Redis afterwards: the layout and the rules another sidecar relies on.

use outrigger::state_store::{StateStore, StoreError};

use crate::{
    redis::{Server, View},
    support::{
        InFull, WriteWith, delete, is_mismatch, key, prepare, read, set, store_on, store_with,
        write,
    },
};

fn version(view: &mut View, key: &str) -> Option<String> {
    view.field(key, "version")
}

#[tokio::test]
async fn a_key_is_a_hash_of_data_and_version() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    write(&store, set("a||k", "v1")).await.unwrap();
    let mut fields: Vec<String> = view.ask(&["HGETALL", "a||k"]);
    fields.sort();
    assert_eq!(fields, ["1", "data", "v1", "version"]);
    assert_eq!(view.ask::<i64>(&["TTL", "a||k"]), -1);

    write(&store, set("a||k", "v2")).await.unwrap();
    assert_eq!(version(&mut view, "a||k").as_deref(), Some("2"));
    assert_eq!(read(&store, "a||k").await.unwrap().etag.as_deref(), Some("2"));
    write(&store, delete("a||k")).await.unwrap();
    write(&store, set("a||k", "v3")).await.unwrap();
    assert_eq!(version(&mut view, "a||k").as_deref(), Some("1"));
}

#[tokio::test]
async fn first_write_is_a_flag_that_stays() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    write(&store, set("k", "1")).await.unwrap();
    write(&store, set("k", "2").first_write()).await.unwrap();
    assert_eq!(view.field("k", "first-write").as_deref(), Some("0"));

    let refused = write(&store, set("k", "3")).await.unwrap_err();
    let StoreError::Refused(text) = refused else { panic!("{refused:?}") };
    assert!(text.starts_with("failed to set key k: "), "{text}");
    assert!(matches!(
        write(&store, set("k", "3").first_write()).await,
        Err(StoreError::Refused(_))
    ));
    // An etag was given, though last-write disarms it and nought is none: that is a mismatch.
    assert!(is_mismatch(&write(&store, set("k", "3").last_write().etag("2")).await));
    assert!(is_mismatch(&write(&store, set("k", "3").etag("0")).await));
    assert_eq!(view.field("k", "data").as_deref(), Some("2"));

    write(&store, set("k", "4").etag("2")).await.unwrap();
    assert_eq!(view.field("k", "first-write").as_deref(), Some("0"));
    assert!(matches!(write(&store, set("k", "5")).await, Err(StoreError::Refused(_))));
    write(&store, delete("k")).await.unwrap();
    write(&store, set("k", "6")).await.unwrap();
    assert_eq!(view.field("k", "first-write"), None);
}

#[tokio::test]
async fn set_etags_are_numbers_and_delete_etags_are_text() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    write(&store, set("k", "1").etag("77")).await.unwrap();
    assert_eq!(version(&mut view, "k").as_deref(), Some("1"));
    write(&store, set("k", "2").etag("+1")).await.unwrap();
    write(&store, set("k", "3").etag("002")).await.unwrap();
    assert!(is_mismatch(&write(&store, set("k", "x").etag("-1")).await));
    let missing = write(&store, set("none", "x").etag(" 4")).await.unwrap_err();
    assert_eq!(
        missing.to_string(),
        r#"invalid etag value: strconv.Atoi: parsing " 4": invalid syntax"#
    );
    for bad in ["4.0", "0x4", "1_0", "abc"] {
        let error = write(&store, set("k", "x").etag(bad)).await.unwrap_err();
        assert!(matches!(error, StoreError::EtagInvalid(_)), "{bad}: {error:?}");
    }
    let huge = write(&store, set("k", "x").etag("99999999999999999999")).await.unwrap_err();
    assert_eq!(
        huge.to_string(),
        r#"invalid etag value: strconv.Atoi: parsing "99999999999999999999": value out of range"#
    );
    write(&store, set("k", "4").last_write().etag("abc")).await.unwrap();

    for wrong in ["004", "+4", "abc"] {
        let refused = write(&store, delete("k").last_write().etag(wrong)).await;
        assert!(is_mismatch(&refused), "{wrong}: {refused:?}");
        let text = refused.unwrap_err().to_string();
        assert_eq!(text, "possible etag mismatch. error from state store: failed to delete k");
    }
    write(&store, delete("none").etag("abc")).await.unwrap();
    write(&store, delete("k").etag("4")).await.unwrap();
    assert_eq!(view.ask::<i64>(&["EXISTS", "k"]), 0);
    // Nought is no etag for a delete, too, and the flag does not guard against deletes.
    write(&store, set("k", "1").first_write()).await.unwrap();
    write(&store, delete("k").etag("0")).await.unwrap();
    assert_eq!(view.ask::<i64>(&["EXISTS", "k"]), 0);
}

#[tokio::test]
async fn versions_count_on_whatever_number_is_there() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    for (before, after) in [
        ("9", "10"),
        ("99999999999999", "100000000000000"),
        ("999999999999999", "1000000000000000"),
        ("9007199254740993", "9007199254740994"),
        ("9223372036854775806", "9223372036854775807"),
        ("-5", "-4"),
        ("0", "1"),
    ] {
        view.tell(&["HSET", "k", "data", "old", "version", before]);
        write(&store, set("k", "new")).await.unwrap();
        assert_eq!(version(&mut view, "k").as_deref(), Some(after));
        view.tell(&["HSET", "k", "data", "old", "version", before]);
        let wanted = set("k", "newer").etag(before);
        write(&store, wanted).await.unwrap();
        assert_eq!(view.field("k", "data").as_deref(), Some("newer"));
    }
    for unusable in ["9223372036854775807", "abc", ""] {
        view.tell(&["HSET", "k", "data", "old", "version", unusable]);
        let refused = write(&store, set("k", "new")).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{unusable}: {refused:?}");
        assert_eq!(view.field("k", "data").as_deref(), Some("old"));
    }
}

#[tokio::test]
async fn a_ttl_is_set_kept_and_removed() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    write(&store, set("k", "1").ttl("100")).await.unwrap();
    assert!((90..=100).contains(&view.ask::<i64>(&["TTL", "k"])));
    write(&store, set("k", "2")).await.unwrap();
    write(&store, set("k", "2").ttl("")).await.unwrap();
    assert!((90..=100).contains(&view.ask::<i64>(&["TTL", "k"])));
    write(&store, set("k", "3").ttl("+500")).await.unwrap();
    assert!((490..=500).contains(&view.ask::<i64>(&["TTL", "k"])));
    for persist in ["0", "-1", "-77"] {
        write(&store, set("k", "4").ttl("100")).await.unwrap();
        write(&store, set("k", "5").ttl(persist)).await.unwrap();
        assert_eq!(view.ask::<i64>(&["TTL", "k"]), -1);
    }
    let bad = write(&store, set("bad", "x").ttl("x")).await.unwrap_err();
    let text =
        r#"failed to parse ttl from metadata: strconv.ParseInt: parsing "x": invalid syntax"#;
    assert_eq!(bad.to_string(), text);
    // The greatest Redis takes is stored with its TTL, and anything more is never sent.
    write(&store, set("far", "x").ttl("9223272036854775")).await.unwrap();
    assert!(view.ask::<i64>(&["TTL", "far"]) > 1_000_000_000_000);
    let absurd = write(&store, set("bad", "x").ttl("9223372036854775")).await.unwrap_err();
    let text = "failed to set key bad ttl: ERR invalid expire time in 'expire' command";
    assert_eq!(absurd.to_string(), text);
    assert_eq!(view.ask::<i64>(&["EXISTS", "bad"]), 0);
}

#[tokio::test]
async fn the_components_ttl_holds_for_writes_without_one() {
    let server = Server::start();
    let (store, mut view) = (store_with(&server, &[("ttlInSeconds", "50")]), server.view());
    write(&store, set("k", "1")).await.unwrap();
    assert!((40..=50).contains(&view.ask::<i64>(&["TTL", "k"])));
    write(&store, set("k", "2").ttl("0")).await.unwrap();
    assert_eq!(view.ask::<i64>(&["TTL", "k"]), -1);
}

#[tokio::test]
async fn a_value_of_another_type_is_read_as_it_is_and_replaced() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    view.tell(&["SET", "text", "plain"]);
    let entry = read(&store, "text").await.unwrap();
    assert_eq!((entry.data.as_ref(), entry.etag), (&b"plain"[..], None));
    view.tell(&["RPUSH", "list", "a"]);
    let refused = store.get(&key("list")).await.unwrap_err();
    let text = "WRONGTYPE Operation against a key holding the wrong kind of value";
    assert_eq!(refused, StoreError::Refused(text.to_owned()));
    view.tell(&["HSET", "half", "data", "x"]);
    let refused = store.get(&key("half")).await.unwrap_err();
    let text = "required hash field 'data' or 'version' was not found";
    assert_eq!(refused, StoreError::Refused(text.to_owned()));

    for name in ["text", "list"] {
        write(&store, set(name, "new").etag("5").ttl("100")).await.unwrap();
        assert_eq!(version(&mut view, name).as_deref(), Some("1"));
        assert!((90..=100).contains(&view.ask::<i64>(&["TTL", name])));
    }
    view.tell(&["SET", "text2", "plain"]);
    write(&store, delete("text2").etag("5")).await.unwrap();
    assert_eq!(view.ask::<i64>(&["EXISTS", "text2"]), 0);
    // A hash without a version is as good as absent.
    write(&store, set("half", "new").etag("5")).await.unwrap();
    assert_eq!(version(&mut view, "half").as_deref(), Some("1"));
}

#[tokio::test]
async fn a_transaction_applies_each_write_on_its_own() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    write(&store, set("m", "1")).await.unwrap();
    let writes = prepare(
        &store,
        vec![
            set("l", "x").first_write(),
            set("m", "x").etag("9"),
            set("n", "x").ttl("100"),
            set("n", "y").etag("1"),
            delete("o").etag("3"),
        ],
    );
    let results = store.transacted(&writes).await;
    assert_eq!(results[1], Err(StoreError::Refused("failed to set key m".to_owned())));
    for n in [0, 2, 3, 4] {
        assert_eq!(results[n], Ok(()));
    }
    assert_eq!(view.field("l", "first-write"), None);
    assert_eq!(view.field("m", "data").as_deref(), Some("1"));
    assert_eq!(view.field("n", "data").as_deref(), Some("y"));
    assert!((90..=100).contains(&view.ask::<i64>(&["TTL", "n"])));

    let many = (0..5000).map(|n| set(&format!("many{n}"), "x")).collect();
    let results = store.transacted(&prepare(&store, many)).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(view.ask::<i64>(&["EXISTS", "many0", "many4999"]), 2);
}

#[tokio::test]
async fn a_save_is_two_commands_and_calls_that_arrive_together_share_a_script() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    write(&store, set("k", "0")).await.unwrap();
    view.tell(&["CONFIG", "RESETSTAT"]);
    for _ in 0..10 {
        write(&store, set("k", "1").strong()).await.unwrap();
    }
    assert_eq!((view.calls("hmget"), view.calls("hset"), view.calls("wait")), (10, 10, 0));
    assert_eq!(view.calls("evalsha"), 10);
    write(&store, set("k", "2").ttl("100")).await.unwrap();
    assert_eq!((view.calls("hmget"), view.calls("hset"), view.calls("expire")), (11, 11, 1));

    view.tell(&["CONFIG", "RESETSTAT"]);
    let many = (0..64).map(|n| {
        let store = store.clone();
        async move { write(&store, set(&format!("many{n}"), "x")).await }
    });
    let results = futures_util::future::join_all(many).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(view.calls("hset"), 64);
    assert!(view.calls("evalsha") <= 2, "{} calls", view.calls("evalsha"));
}

#[tokio::test]
async fn a_flushed_script_is_sent_again_without_anyone_noticing() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    for round in 1..=5 {
        view.tell(&["CONFIG", "RESETSTAT"]);
        view.tell(&["SCRIPT", "FLUSH"]);
        // Big values, so that several batches are on the wire without the script.
        let writes = (0..64).map(|n| {
            let store = store.clone();
            async move { write(&store, set(&format!("k{n}"), vec![b'x'; 100_000])).await }
        });
        let results = futures_util::future::join_all(writes).await;
        assert!(results.iter().all(Result::is_ok));
        assert!((1..=4).contains(&view.calls("eval")), "{} scripts sent", view.calls("eval"));
        for n in 0..64 {
            assert_eq!(version(&mut view, &format!("k{n}")), Some(round.to_string()));
        }
    }
}

#[tokio::test]
async fn writes_of_one_key_keep_their_order() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    for round in 0..20 {
        if round % 5 == 0 {
            view.tell(&["SCRIPT", "FLUSH"]);
        }
        let writes = (0..400).map(|n| {
            let store = store.clone();
            async move { write(&store, set("k", format!("{n:05}").repeat(2000))).await }
        });
        let results = futures_util::future::join_all(writes).await;
        assert!(results.iter().all(Result::is_ok));
        assert_eq!(&view.field("k", "data").unwrap()[..5], "00399");
    }
}
