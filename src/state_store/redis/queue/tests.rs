use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    super::{
        reply::{Scope, Verdict},
        writes::{Writes, pieces},
    },
    *,
};
use crate::state_store::{
    Concurrency, Consistency, Expected, Prepared, PreparedChange, StoredKey, Ttl,
};

/// A queue and the pulse of its lane.
#[derive(Default)]
struct Lane {
    queue: Queue<Writes>,
    pulse: Pulse,
}

impl Lane {
    fn write(&self, writes: Vec<Prepared>, scope: Scope) -> Result<Ticket<'_, Writes>, String> {
        let piece = 0..writes.len();
        self.queue.push(Writes::new(Arc::new(writes), piece, scope), &self.pulse)
    }

    fn push(&self, name: &str, bytes: usize) -> Ticket<'_, Writes> {
        self.write(vec![write(name, bytes)], Scope::Single).unwrap()
    }

    fn transaction(&self, count: usize) -> Ticket<'_, Writes> {
        self.write(vec![write("t", 1); count], Scope::Transaction).unwrap()
    }

    fn next_names(&self) -> Vec<String> {
        let batch = self.queue.take_batch().unwrap_or(Batch(Vec::new()));
        let writes = batch.pieces().flat_map(Writes::writes);
        writes.map(|write| write.key.as_str().to_owned()).collect()
    }
}

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

#[test]
fn what_arrived_together_goes_together_and_in_order() {
    let lane = Lane::default();
    let _tickets: Vec<_> = ["a", "b", "c"].iter().map(|name| lane.push(name, 10)).collect();
    assert_eq!(lane.next_names(), ["a", "b", "c"]);
    assert!(lane.queue.take_batch().is_none());
}

#[test]
fn batches_are_bounded_in_number_and_bytes() {
    let lane = Lane::default();
    let _many: Vec<_> = (0..300).map(|_| lane.push("k", 1)).collect();
    let lengths: Vec<_> = (0..3).map(|_| lane.next_names().len()).collect();
    assert_eq!(lengths, [BATCH_ITEMS, BATCH_ITEMS, 300 - 2 * BATCH_ITEMS]);

    let _big: Vec<_> = [("a", 600_000), ("b", 600_000), ("huge", 5 << 20), ("c", 1), ("d", 1)]
        .iter()
        .map(|&(name, bytes)| lane.push(name, bytes))
        .collect();
    assert_eq!(lane.next_names(), ["a"]);
    assert_eq!(lane.next_names(), ["b"]);
    assert_eq!(lane.next_names(), ["huge"]);
    assert_eq!(lane.next_names(), ["c", "d"]);
}

#[test]
fn a_transaction_goes_with_others_and_is_never_cut() {
    let lane = Lane::default();
    let _a = lane.push("a", 1);
    let _small = lane.transaction(2);
    let _b = lane.push("b", 1);
    let _large = lane.transaction(BATCH_ITEMS - 3);
    let _huge = lane.transaction(2 * BATCH_ITEMS);
    let _c = lane.push("c", 1);
    let batch = lane.queue.take_batch().unwrap();
    let pieces: Vec<_> = batch.pieces().map(|piece| (piece.scope(), piece.items())).collect();
    let (single, part) = (Scope::Single, Scope::Transaction);
    assert_eq!(pieces, [(single, 1), (part, 2), (single, 1)]);
    assert_eq!(lane.next_names().len(), BATCH_ITEMS - 3);
    assert_eq!(lane.next_names().len(), 2 * BATCH_ITEMS);
    assert_eq!(lane.next_names(), ["c"]);
}

#[test]
fn the_writes_of_one_caller_are_cut_to_what_a_batch_holds() {
    let lengths = |writes: &[Prepared]| {
        pieces(writes).map(|piece: Range<usize>| piece.len()).collect::<Vec<_>>()
    };
    assert_eq!(lengths(&[]), [0_usize; 0]);
    assert_eq!(lengths(&vec![write("k", 1); 300]), [BATCH_ITEMS, BATCH_ITEMS, 44]);
    let large = [600_000, 600_000, 5 << 20, 1, 1].map(|bytes| write("k", bytes));
    assert_eq!(lengths(&large), [1, 1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_or_waits_too_long_is_taken_out() {
    let lane = Lane::default();
    let leaving = lane.push("leaving", 1);
    let late = lane.push("late", 1);
    let stays = lane.push("stays", 1);
    drop(leaving);
    let deadline = Instant::now() + Duration::from_millis(10);
    assert_eq!(late.answer(Some(deadline)).await, Err(Unheard::Withdrawn));
    assert_eq!(lane.next_names(), ["stays"]);
    assert!(!lane.pulse.is_suspected(), "nothing was on the wire");
    // The batch above is gone without an answer, as when its connection ends.
    assert_eq!(stays.answer(None).await, Err(Unheard::Lost));
    assert!(!lane.pulse.is_suspected());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_on_the_wire_raises_suspicion() {
    let lane = Lane::default();
    let leaving = lane.push("leaving", 1);
    let batch = lane.queue.take_batch();
    drop(leaving);
    assert!(lane.pulse.is_suspected());
    lane.pulse.beat();
    assert!(!lane.pulse.is_suspected());
    drop(batch);

    let late = lane.push("late", 1);
    let _batch = lane.queue.take_batch();
    let deadline = Instant::now() + Duration::from_millis(10);
    assert_eq!(late.answer(Some(deadline)).await, Err(Unheard::TimedOut));
    assert!(lane.pulse.is_suspected());
}

#[tokio::test]
async fn an_answer_that_came_is_no_reason_for_suspicion() {
    let lane = Lane::default();
    let answered = lane.push("k", 1);
    let mut batch = lane.queue.take_batch().unwrap();
    batch.0.pop().unwrap().answer.send(vec![Verdict::Done]).unwrap();
    drop(answered);
    assert!(!lane.pulse.is_suspected());
}

#[tokio::test]
async fn a_shut_queue_answers_all_who_wait_and_takes_no_more() {
    let lane = Lane::default();
    let waits = lane.push("k", 1);
    let transaction = lane.transaction(2);
    lane.queue.shut("gone");
    let gone = Verdict::NotSent("gone".to_owned());
    assert_eq!(waits.answer(None).await, Ok(vec![gone.clone()]));
    assert_eq!(transaction.answer(None).await, Ok(vec![gone.clone(), gone]));
    assert_eq!(lane.write(vec![write("k", 1)], Scope::Single).unwrap_err(), "gone");
    assert!(lane.queue.take_batch().is_none());
    lane.queue.open();
    assert!(lane.write(vec![write("k", 1)], Scope::Single).is_ok());
}
