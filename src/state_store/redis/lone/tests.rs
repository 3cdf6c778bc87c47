use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::{
    sync::oneshot,
    time::{Instant, advance, sleep, timeout},
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(3);

fn found() -> Read {
    Ok(None)
}

fn deadline() -> Option<Instant> {
    Some(Instant::now() + PATIENCE)
}

fn is_late(read: &Read) -> bool {
    matches!(read, Err(StoreError::Lost(outage)) if outage.to_string() == TIMED_OUT)
}

#[test]
fn calls_come_one_at_a_time_when_many_batches_in_a_row_were_alone() {
    let lone = Lone::default();
    assert!(!lone.is_likely());
    (1..STREAK).for_each(|_| lone.note(true));
    assert!(!lone.is_likely());
    lone.note(true);
    assert!(lone.is_likely());
    lone.note(false);
    (1..STREAK).for_each(|_| lone.note(true));
    assert!(!lone.is_likely());
}

#[tokio::test]
async fn one_read_at_a_time_has_it() {
    let lone = Lone::default();
    let first = lone.begin(pending(), None).unwrap();
    assert!(lone.begin(pending(), None).is_none());
    drop(first);
    assert_eq!(lone.begin(std::future::ready(found()), None).unwrap().await, found());
    assert!(lone.begin(pending(), None).is_some());
}

#[tokio::test]
async fn what_is_given_up_is_dropped_at_once() {
    let lone = Lone::default();
    let (sender, receiver) = oneshot::channel::<()>();
    let mut read = lone.begin(receiver.map(|_| found()), None).unwrap();
    assert!((&mut read).now_or_never().is_none());
    assert!(!sender.is_closed());
    drop(read);
    assert!(sender.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_read_is_given_up_at_its_own_deadline_and_not_at_that_of_one_before() {
    let lone = Lone::default();
    for _ in 0..3 {
        // Long enough to set the alarm, and well before it.
        let slow = sleep(PATIENCE / 2).map(|()| found());
        assert_eq!(lone.begin(slow, deadline()).unwrap().await, found());
    }
    let begun = Instant::now();
    assert!(is_late(&lone.begin(pending(), deadline()).unwrap().await));
    assert_eq!(begun.elapsed(), PATIENCE);
    let begun = Instant::now();
    assert!(is_late(&lone.begin(pending(), deadline()).unwrap().await));
    assert_eq!(begun.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_went_off_between_two_reads_ends_neither() {
    let lone = Lone::default();
    let slow = || sleep(PATIENCE / 2).map(|()| found());
    assert_eq!(lone.begin(slow(), deadline()).unwrap().await, found());
    advance(PATIENCE * 2).await;
    assert_eq!(lone.begin(slow(), deadline()).unwrap().await, found());
    let sooner = Some(Instant::now() + PATIENCE / 10);
    let begun = Instant::now();
    assert!(is_late(&lone.begin(pending(), sooner).unwrap().await));
    assert_eq!(begun.elapsed(), PATIENCE / 10);
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_it_waits_for_ever() {
    let lone = Lone::default();
    let read = lone.begin(pending(), None).unwrap();
    assert!(timeout(PATIENCE * 1000, read).await.is_err());
}
