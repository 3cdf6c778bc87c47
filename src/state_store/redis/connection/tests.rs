use std::future::pending;

use super::*;
use crate::state_store::{StoredKey, redis::reads::read_alone};

fn connection(life: &Task<()>) -> Arc<Connection> {
    let host = ("redisHost".to_owned(), "localhost:1".to_owned());
    let (settings, _) = RedisSettings::parse(&[host]).unwrap();
    Arc::new(Connection::new(config::client(&settings).unwrap(), life.0.abort_handle()))
}

#[tokio::test]
async fn a_read_goes_past_the_queue_to_a_living_connection_with_nothing_to_do() {
    let life = Task::new(tokio::spawn(pending::<()>()));
    let (lane, key) = (Lane::new(Arc::default()), StoredKey::new("k".to_owned()));
    let goes_past = || read_alone(&lane, &key, None).is_some();
    lane.open(connection(&life));
    assert!(!goes_past(), "calls may come together");
    (0..100).for_each(|_| lane.lone.note(true));
    assert!(goes_past());
    let on_wire = lane.pulse.hand_over();
    assert!(!goes_past(), "another is on the wire");
    on_wire.answered();
    assert!(goes_past());
    lane.pulse.suspect();
    assert!(!goes_past(), "the connection is suspected");
    lane.pulse.beat();
    assert!(goes_past());
    lane.replace();
    assert!(!goes_past(), "the connection is being replaced");
    lane.open(connection(&life));
    assert!(goes_past());
    lane.shut("EOF");
    assert!(!goes_past(), "there is no connection");
    lane.open(connection(&life));
    life.0.abort();
    while !life.0.is_finished() {
        tokio::task::yield_now().await;
    }
    assert!(!goes_past(), "the connection is over, and nobody was told yet");
}
