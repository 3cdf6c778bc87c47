use std::{
    future::{pending, ready},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::oneshot,
    time::{Instant, advance, sleep, timeout},
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(3);

fn deadline() -> Option<Instant> {
    Some(Instant::now() + PATIENCE)
}

const FOUND: u8 = 7;

/// One whose calls are any futures.
fn lone() -> Lone<BoxFuture<'static, u8>, u8> {
    Lone::new(|| Attendant::new(|call| call))
}

#[test]
fn calls_come_one_at_a_time_when_many_batches_in_a_row_were_alone() {
    let lone = lone();
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
async fn one_call_at_a_time_has_it() {
    let lone = lone();
    let first = lone.begin(pending().boxed(), None).unwrap();
    assert!(lone.begin(pending().boxed(), None).is_none());
    drop(first);
    assert_eq!(lone.begin(ready(FOUND).boxed(), None).unwrap().await, Ok(FOUND));
    assert!(lone.begin(pending().boxed(), None).is_some());
}

#[tokio::test]
async fn what_is_given_up_is_dropped_at_once() {
    let lone = lone();
    let (sender, receiver) = oneshot::channel::<()>();
    let mut call = lone.begin(receiver.map(|_| FOUND).boxed(), None).unwrap();
    assert!((&mut call).now_or_never().is_none());
    assert!(!sender.is_closed());
    drop(call);
    assert!(sender.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_call_is_given_up_at_its_own_deadline_and_not_at_that_of_one_before() {
    let lone = lone();
    for _ in 0..3 {
        // Long enough to set the alarm, and well before it.
        let slow = sleep(PATIENCE / 2).map(|()| FOUND).boxed();
        assert_eq!(lone.begin(slow, deadline()).unwrap().await, Ok(FOUND));
    }
    let begun = Instant::now();
    assert_eq!(lone.begin(pending().boxed(), deadline()).unwrap().await, Err(Late));
    assert_eq!(begun.elapsed(), PATIENCE);
    let begun = Instant::now();
    assert_eq!(lone.begin(pending().boxed(), deadline()).unwrap().await, Err(Late));
    assert_eq!(begun.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_went_off_between_two_calls_ends_neither() {
    let lone = lone();
    let slow = || sleep(PATIENCE / 2).map(|()| FOUND).boxed();
    assert_eq!(lone.begin(slow(), deadline()).unwrap().await, Ok(FOUND));
    advance(PATIENCE * 2).await;
    assert_eq!(lone.begin(slow(), deadline()).unwrap().await, Ok(FOUND));
    let sooner = Some(Instant::now() + PATIENCE / 10);
    let begun = Instant::now();
    assert_eq!(lone.begin(pending().boxed(), sooner).unwrap().await, Err(Late));
    assert_eq!(begun.elapsed(), PATIENCE / 10);
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_it_waits_for_ever() {
    let lone = lone();
    let call = lone.begin(pending().boxed(), None).unwrap();
    assert!(timeout(PATIENCE * 1000, call).await.is_err());
}
