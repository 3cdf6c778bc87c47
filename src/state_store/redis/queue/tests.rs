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

fn push<'q>(queue: &'q Queue, name: &str, bytes: usize) -> Ticket<'q> {
    queue.push(vec![write(name, bytes)], Scope::Single).unwrap()
}

fn transaction(queue: &Queue, count: usize) -> Ticket<'_> {
    queue.push(vec![write("t", 1); count], Scope::Transaction).unwrap()
}

fn names(batch: Option<Batch>) -> Vec<String> {
    let batch = batch.unwrap_or(Batch(Vec::new()));
    batch.writes().map(|(write, _)| write.key.as_str().to_owned()).collect()
}

#[test]
fn what_arrived_together_goes_together_and_in_order() {
    let queue = Queue::default();
    let _tickets: Vec<_> = ["a", "b", "c"].iter().map(|name| push(&queue, name, 10)).collect();
    assert_eq!(names(queue.take_batch()), ["a", "b", "c"]);
    assert!(queue.take_batch().is_none());
}

#[test]
fn batches_are_bounded_in_number_and_bytes() {
    let queue = Queue::default();
    let _many: Vec<_> = (0..300).map(|_| push(&queue, "k", 1)).collect();
    let lengths: Vec<_> = (0..3).map(|_| names(queue.take_batch()).len()).collect();
    assert_eq!(lengths, [BATCH_ITEMS, BATCH_ITEMS, 300 - 2 * BATCH_ITEMS]);

    let _big: Vec<_> = [("a", 600_000), ("b", 600_000), ("huge", 5 << 20), ("c", 1), ("d", 1)]
        .iter()
        .map(|&(name, bytes)| push(&queue, name, bytes))
        .collect();
    assert_eq!(names(queue.take_batch()), ["a"]);
    assert_eq!(names(queue.take_batch()), ["b"]);
    assert_eq!(names(queue.take_batch()), ["huge"]);
    assert_eq!(names(queue.take_batch()), ["c", "d"]);
}

#[test]
fn a_transaction_goes_with_others_and_is_never_cut() {
    let queue = Queue::default();
    let _a = push(&queue, "a", 1);
    let _small = transaction(&queue, 2);
    let _b = push(&queue, "b", 1);
    let _large = transaction(&queue, BATCH_ITEMS - 3);
    let _huge = transaction(&queue, 2 * BATCH_ITEMS);
    let _c = push(&queue, "c", 1);
    let batch = queue.take_batch().unwrap();
    let scopes: Vec<_> = batch.writes().map(|(_, scope)| scope).collect();
    let (single, part) = (Scope::Single, Scope::Transaction);
    assert_eq!(scopes, [single, part, part, single]);
    assert_eq!(names(queue.take_batch()).len(), BATCH_ITEMS - 3);
    assert_eq!(names(queue.take_batch()).len(), 2 * BATCH_ITEMS);
    assert_eq!(names(queue.take_batch()), ["c"]);
}

#[test]
fn the_writes_of_one_caller_are_cut_to_what_a_batch_holds() {
    let lengths = |writes: &[Prepared]| pieces(writes).map(<[_]>::len).collect::<Vec<_>>();
    assert_eq!(lengths(&[]), [0_usize; 0]);
    assert_eq!(lengths(&vec![write("k", 1); 300]), [BATCH_ITEMS, BATCH_ITEMS, 44]);
    let large = [600_000, 600_000, 5 << 20, 1, 1].map(|bytes| write("k", bytes));
    assert_eq!(lengths(&large), [1, 1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_or_waits_too_long_is_taken_out() {
    let queue = Queue::default();
    let leaving = push(&queue, "leaving", 1);
    let late = push(&queue, "late", 1);
    let stays = push(&queue, "stays", 1);
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
    let leaving = push(&queue, "leaving", 1);
    let batch = queue.take_batch();
    drop(leaving);
    assert!(queue.pulse().is_suspected());
    queue.pulse().beat();
    assert!(!queue.pulse().is_suspected());
    drop(batch);

    let late = push(&queue, "late", 1);
    let _batch = queue.take_batch();
    let deadline = Instant::now() + Duration::from_millis(10);
    assert_eq!(late.answer(Some(deadline)).await, Err(Unheard::TimedOut));
    assert!(queue.pulse().is_suspected());
}

#[tokio::test]
async fn an_answer_that_came_is_no_reason_for_suspicion() {
    let queue = Queue::default();
    let answered = push(&queue, "k", 1);
    let mut batch = queue.take_batch().unwrap();
    batch.0.pop().unwrap().answer.send(vec![Verdict::Done]).unwrap();
    drop(answered);
    assert!(!queue.pulse().is_suspected());
}

#[tokio::test]
async fn a_shut_queue_answers_all_who_wait_and_takes_no_more() {
    let queue = Queue::default();
    let waits = push(&queue, "k", 1);
    let transaction = transaction(&queue, 2);
    queue.shut("gone");
    let gone = Verdict::NotSent("gone".to_owned());
    assert_eq!(waits.answer(None).await, Ok(vec![gone.clone()]));
    assert_eq!(transaction.answer(None).await, Ok(vec![gone.clone(), gone]));
    assert_eq!(queue.push(vec![write("k", 1)], Scope::Single).unwrap_err(), "gone");
    assert!(queue.take_batch().is_none());
    queue.open();
    assert!(queue.push(vec![write("k", 1)], Scope::Single).is_ok());
}
