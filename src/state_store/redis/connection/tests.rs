use std::future::pending;

use super::*;
use crate::state_store::{
    Concurrency, Consistency, Expected, Prepared, PreparedChange, SharedWrites, StoredKey, Ttl,
    redis::{
        reads::read_alone,
        reply::Scope,
        writes::{Writes, write_alone},
    },
};

fn connection(life: &Task<()>) -> Arc<Connection> {
    let host = ("redisHost".to_owned(), "localhost:1".to_owned());
    let (settings, _) = RedisSettings::parse(&[host]).unwrap();
    Arc::new(Connection::new(config::client(&settings).unwrap(), life.0.abort_handle()))
}

fn write(consistency: Consistency) -> SharedWrites {
    SharedWrites::new(vec![Prepared {
        key: StoredKey::new("k".to_owned()),
        change: PreparedChange::Set { value: "1".into(), ttl: Ttl::Unchanged },
        expected: Expected::Any,
        conditional: false,
        concurrency: Concurrency::Unspecified,
        consistency,
    }])
}

/// Whether a read and a write would go past the queue: the same holds for both.
fn goes_past(lane: &Arc<Lane>) -> bool {
    let read = read_alone(lane, &StoredKey::new("k".to_owned()), None).is_some();
    let write = write_alone(lane, &write(Consistency::Unspecified), None).is_some();
    assert_eq!(read, write);
    read
}

fn note_many(lane: &Lane) {
    for _ in 0..100 {
        lane.lone_reads.note(true);
        lane.lone_writes.note(true);
    }
}

#[tokio::test]
async fn a_call_goes_past_the_queue_to_a_living_connection_with_nothing_to_do() {
    let life = Task::new(tokio::spawn(pending::<()>()));
    let lane = Lane::new(Arc::default());
    lane.open(connection(&life));
    assert!(!goes_past(&lane), "calls may come together");
    note_many(&lane);
    assert!(goes_past(&lane));
    let on_wire = lane.pulse.hand_over();
    assert!(!goes_past(&lane), "another is on the wire");
    on_wire.settle(&Ok(()));
    assert!(goes_past(&lane));
    lane.pulse.suspect();
    assert!(!goes_past(&lane), "the connection is suspected");
    lane.pulse.beat();
    assert!(goes_past(&lane));
    lane.replace();
    assert!(!goes_past(&lane), "the connection is being replaced");
    lane.open(connection(&life));
    assert!(goes_past(&lane));
    lane.shut("EOF");
    assert!(!goes_past(&lane), "there is no connection");
    lane.open(connection(&life));
    life.0.abort();
    while !life.0.is_finished() {
        tokio::task::yield_now().await;
    }
    assert!(!goes_past(&lane), "the connection is over, and nobody was told yet");
}

#[tokio::test]
async fn a_write_overtakes_none_that_waits_and_one_for_replicas_stays_in_the_queue() {
    let life = Task::new(tokio::spawn(pending::<()>()));
    let lane = Lane::new(Arc::default());
    lane.open(connection(&life));
    note_many(&lane);
    assert!(write_alone(&lane, &write(Consistency::Strong), None).is_none());
    let waiting = lane.write(Writes::new(write(Consistency::Unspecified), 0..1, Scope::Single));
    assert!(write_alone(&lane, &write(Consistency::Unspecified), None).is_none());
    drop(waiting);
    assert!(write_alone(&lane, &write(Consistency::Unspecified), None).is_some());
}
