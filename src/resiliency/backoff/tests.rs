use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The pauses while nothing keeps the call from going on.
fn pauses(max_interval: Duration, random: f64, number: usize) -> Vec<Duration> {
    let mut pauses = Backoff::Exponential { max_interval }.pauses();
    (0..number).filter_map(|_| pauses.next_pause(Duration::ZERO, random)).collect()
}

#[test]
fn a_constant_pause_stays_the_same_for_ever() {
    let mut pauses = Backoff::Constant { duration: 5 * SECOND }.pauses();
    for elapsed in [Duration::ZERO, 60 * SECOND, 100_000 * SECOND] {
        assert_eq!(pauses.next_pause(elapsed, 0.9), Some(5 * SECOND));
    }
}

#[test]
fn exponential_pauses_grow_by_half_up_to_the_greatest_base() {
    let nanos: Vec<u128> =
        pauses(2 * SECOND, 0.5, 7).iter().map(|pause| pause.as_nanos()).collect();
    let expected = [500_000_000, 750_000_000, 1_125_000_000, 1_687_500_000, 2_000_000_000];
    assert_eq!(nanos[..5], expected);
    assert_eq!(nanos[5..], [2_000_000_000; 2]);
}

#[test]
fn the_first_base_is_half_a_second_even_if_the_greatest_is_less() {
    let short = pauses(SECOND / 10, 0.5, 3);
    assert_eq!(short, [SECOND / 2, SECOND / 10, SECOND / 10]);
}

#[test]
fn the_dice_reach_from_half_the_base_to_one_and_a_half() {
    assert_eq!(pauses(60 * SECOND, 0.0, 1), [Duration::from_millis(250)]);
    assert_eq!(pauses(60 * SECOND, 1.0 - f64::EPSILON, 1), [Duration::from_millis(750)]);
}

#[test]
fn exponential_pauses_end_where_they_would_pass_a_quarter_of_an_hour() {
    let end = 15 * 60 * SECOND;
    let next = |elapsed| {
        Backoff::Exponential { max_interval: 60 * SECOND }.pauses().next_pause(elapsed, 0.5)
    };
    assert_eq!(next(end - SECOND / 2), Some(SECOND / 2));
    assert_eq!(next(end - SECOND / 2 + Duration::from_nanos(1)), None);
    assert_eq!(next(Duration::MAX), None);
}

proptest! {
    #[test]
    fn no_pause_strays_further_than_half_its_base(
        max_interval in 0..100_000_000_000u64,
        dice in prop::collection::vec(0.0..1.0f64, 1..40),
    ) {
        let max_interval = Duration::from_nanos(max_interval);
        let mut pauses = Backoff::Exponential { max_interval }.pauses();
        for (turn, random) in dice.into_iter().enumerate() {
            let grown = 0.5 * 1.5f64.powi(i32::try_from(turn).unwrap());
            let base = if turn == 0 { grown } else { grown.min(max_interval.as_secs_f64()) };
            let pause = pauses.next_pause(Duration::ZERO, random).unwrap().as_secs_f64();
            prop_assert!(pause >= base * 0.5 - 1e-6, "{pause} of {base}");
            prop_assert!(pause <= base * 1.5 + 1e-6, "{pause} of {base}");
        }
    }
}
