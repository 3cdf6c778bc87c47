use super::*;

fn admission(calls: usize, bytes: usize, connections: usize) -> Admission {
    Admission::new(Most { calls: Some(calls), bytes: Some(bytes), connections: Some(connections) })
}

fn currents(admission: &Admission) -> [usize; 3] {
    admission.snapshot().readings().map(|(_, reading)| reading.current)
}

#[test]
fn calls_are_let_in_up_to_the_limit_and_again_when_one_has_gone() {
    let admission = admission(2, 0, 0);
    let loads = [(); 3].map(|()| admission.begin());
    loads[0].enter().unwrap();
    loads[1].enter().unwrap();
    let refusal = loads[2].enter().unwrap_err();
    assert_eq!(refusal, Refusal { limit: Limit::Calls, most: 2 });
    let [first, _second, third] = loads;
    drop(first);
    third.enter().unwrap();
    let calls = admission.snapshot().calls;
    assert_eq!(calls, Reading { current: 2, peak: 2, most: Some(2), refused: 1 });
}

#[tokio::test]
async fn connections_are_counted_and_a_few_more_are_let_in_to_hear_why_not() {
    let admission = admission(0, 0, 1);
    let open = admission.enter_connection().await;
    assert!(open.surplus().is_none());
    let mut beyond = Vec::new();
    for _ in 0..SURPLUS {
        beyond.push(admission.enter_connection().await);
    }
    let refusal = beyond[0].surplus().unwrap().0;
    assert_eq!(refusal, Refusal { limit: Limit::Connections, most: 1 });
    let mut waiting = Box::pin(admission.enter_connection());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    beyond.pop();
    assert!(waiting.await.surplus().is_some());
    drop((open, beyond));
    assert_eq!(currents(&admission), [0, 0, 0]);
    assert!(admission.enter_connection().await.surplus().is_none());
}

/// A call at which `work` is done.
fn carried<T>(admission: &Admission, work: impl FnOnce() -> T) -> (T, Load) {
    let (output, load) = admission.begin().carry(work);
    (output.unwrap(), load)
}

#[test]
fn bytes_of_a_request_go_with_its_work_and_those_of_an_answer_with_the_load() {
    let admission = admission(1, 100, 1);
    let load = admission.begin();
    load.enter().unwrap();
    let (outcome, load) = load.carry(|| {
        hold_request(40)?;
        hold_request(20)
    });
    outcome.unwrap().unwrap();
    assert_eq!(currents(&admission), [1, 60, 0]);
    let (outcome, load) = load.carry(|| hold_answer(30));
    outcome.unwrap().unwrap();
    load.drop_request();
    assert_eq!(currents(&admission), [1, 30, 0]);
    drop(load);
    assert_eq!(currents(&admission), [0, 0, 0]);
    assert_eq!(admission.snapshot().bytes.peak, 90);
}

#[test]
fn who_is_alone_has_room_for_everything_and_everybody_else_for_what_is_left() {
    let admission = admission(9, 100, 9);
    let (alone, first) = carried(&admission, || hold_answer(500));
    alone.unwrap();
    for work in [hold_request, hold_answer, announce_request] {
        let (refused, _) = carried(&admission, || work(1));
        assert_eq!(refused.unwrap_err(), Refusal { limit: Limit::Bytes, most: 100 });
    }
    drop(first);
    let (fits, _first) = carried(&admission, || hold_answer(60));
    fits.unwrap();
    let (fits, _second) = carried(&admission, || hold_answer(40));
    fits.unwrap();
    let (refused, _) = carried(&admission, || hold_answer(1));
    refused.unwrap_err();
    assert_eq!(admission.snapshot().bytes.refused, 4);
}

#[test]
fn a_panic_takes_nothing_along() {
    let admission = admission(9, 100, 9);
    let load = admission.begin();
    load.enter().unwrap();
    let (outcome, load) = load.carry(|| {
        hold_request(10).unwrap();
        panic!("on purpose");
    });
    let outcome: std::thread::Result<()> = outcome;
    outcome.unwrap_err();
    assert_eq!(currents(&admission), [1, 10, 0]);
    // What this thread does next is no part of that call.
    hold_request(5).unwrap();
    assert_eq!(currents(&admission), [1, 10, 0]);
    drop(load);
    assert_eq!(currents(&admission), [0, 0, 0]);
}

#[test]
fn outside_of_a_call_nothing_is_counted() {
    assert_eq!(hold_request(usize::MAX), Ok(()));
}

#[test]
fn a_refusal_names_its_limit_its_flag_and_its_value() {
    for (limit, word) in [
        (Limit::Calls, "12 calls"),
        (Limit::Bytes, "12 bytes"),
        (Limit::Connections, "12 connections"),
    ] {
        let text = Refusal { limit, most: 12 }.to_string();
        assert!(text.contains(word) && text.contains(limit.flag()), "{text}");
    }
}
