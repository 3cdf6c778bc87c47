use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::state_store::{Concurrency, Consistency, Expected, StoredKey, Ttl};

fn write(name: &str, bytes: usize) -> Prepared {
    Prepared {
        key: StoredKey::new(name.to_owned()),
        change: PreparedChange::Set { value: Bytes::from(vec![0; bytes]), ttl: Ttl::Unchanged },
        expected: Expected::Any,
        conditional: false,
        concurrency: Concurrency::Unspecified,
        consistency: Consistency::Unspecified,
    }
}

fn names(batch: Option<Batch>) -> Vec<String> {
    let writes: Vec<_> = match batch {
        None => Vec::new(),
        Some(Batch::Writes(writes)) => writes.into_iter().map(|(write, _)| write).collect(),
        Some(Batch::Transaction { writes, .. }) => writes,
    };
    writes.iter().map(|write| write.key.as_str().to_owned()).collect()
}

#[test]
fn what_arrived_together_goes_together_and_in_order() {
    let queue = Queue::default();
    let _tickets: Vec<_> =
        ["a", "b", "c"].iter().map(|name| queue.push(write(name, 10)).unwrap()).collect();
    assert_eq!(names(queue.take_batch()), ["a", "b", "c"]);
    assert!(queue.take_batch().is_none());
}

#[test]
fn batches_are_bounded_in_number_and_bytes() {
    let queue = Queue::default();
    let _many: Vec<_> = (0..300).map(|_| queue.push(write("k", 1)).unwrap()).collect();
    let lengths: Vec<_> = (0..3).map(|_| names(queue.take_batch()).len()).collect();
    assert_eq!(lengths, [BATCH_ITEMS, BATCH_ITEMS, 300 - 2 * BATCH_ITEMS]);

    let _big: Vec<_> = [("a", 600_000), ("b", 600_000), ("huge", 5 << 20), ("c", 1), ("d", 1)]
        .iter()
        .map(|&(name, bytes)| queue.push(write(name, bytes)).unwrap())
        .collect();
    assert_eq!(names(queue.take_batch()), ["a"]);
    assert_eq!(names(queue.take_batch()), ["b"]);
    assert_eq!(names(queue.take_batch()), ["huge"]);
    assert_eq!(names(queue.take_batch()), ["c", "d"]);
}

#[test]
fn a_transaction_goes_alone() {
    let queue = Queue::default();
    let _a = queue.push(write("a", 1)).unwrap();
    let _t = queue.push_transaction(vec![write("t1", 1), write("t2", 1)]).unwrap();
    let _b = queue.push(write("b", 1)).unwrap();
    assert_eq!(names(queue.take_batch()), ["a"]);
    assert_eq!(names(queue.take_batch()), ["t1", "t2"]);
    assert_eq!(names(queue.take_batch()), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_or_waits_too_long_is_taken_out() {
    let queue = Queue::default();
    let leaving = queue.push(write("leaving", 1)).unwrap();
    let late = queue.push(write("late", 1)).unwrap();
    let stays = queue.push(write("stays", 1)).unwrap();
    drop(leaving);
    let deadline = Instant::now() + Duration::from_millis(10);
    assert_eq!(late.answer(Some(deadline)).await, Err(Unheard::Withdrawn));
    assert_eq!(names(queue.take_batch()), ["stays"]);
    assert!(!queue.pulse().is_suspected(), "nothing was on the wire");
    // The batch above is gone without an answer, as when its connection ends.
    assert_eq!(stays.answer(None).await, Err(Unheard::Lost));
    assert!(!queue.pulse().is_suspected());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_on_the_wire_raises_suspicion() {
    let queue = Queue::default();
    let leaving = queue.push(write("leaving", 1)).unwrap();
    let batch = queue.take_batch();
    drop(leaving);
    assert!(queue.pulse().is_suspected());
    queue.pulse().beat();
    assert!(!queue.pulse().is_suspected());
    drop(batch);

    let late = queue.push(write("late", 1)).unwrap();
    let _batch = queue.take_batch();
    let deadline = Instant::now() + Duration::from_millis(10);
    assert_eq!(late.answer(Some(deadline)).await, Err(Unheard::TimedOut));
    assert!(queue.pulse().is_suspected());
}

#[tokio::test]
async fn an_answer_that_came_is_no_reason_for_suspicion() {
    let queue = Queue::default();
    let answered = queue.push(write("k", 1)).unwrap();
    let Some(Batch::Writes(mut writes)) = queue.take_batch() else { panic!("no batch") };
    writes.pop().unwrap().1.send(Verdict::Done).unwrap();
    drop(answered);
    assert!(!queue.pulse().is_suspected());
}

#[tokio::test]
async fn a_shut_queue_answers_all_who_wait_and_takes_no_more() {
    let queue = Queue::default();
    let waits = queue.push(write("k", 1)).unwrap();
    let transaction = queue.push_transaction(vec![write("a", 1), write("b", 1)]).unwrap();
    queue.shut("gone");
    let gone = Verdict::NotSent("gone".to_owned());
    assert_eq!(waits.answer(None).await, Ok(gone.clone()));
    assert_eq!(transaction.answer(None).await, Ok(vec![gone.clone(), gone]));
    assert_eq!(queue.push(write("k", 1)).unwrap_err(), "gone");
    assert!(queue.take_batch().is_none());
    queue.open();
    assert!(queue.push(write("k", 1)).is_ok());
}
