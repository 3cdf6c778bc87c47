use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn settings(max_requests: u32, interval: Option<Duration>, trip: &str) -> CircuitSettings {
    let trip = TripRule::parse(trip).unwrap();
    CircuitSettings::new(max_requests, interval, Some(5 * SECOND), trip)
}

fn admitted(circuit: &mut Circuit, now: Instant) -> Generation {
    circuit.admit(now).0.unwrap()
}

fn end(circuit: &mut Circuit, outcome: Outcome, now: Instant) -> Option<Transition> {
    let generation = admitted(circuit, now);
    circuit.record(generation, outcome, now)
}

fn opened(circuit: &mut Circuit, now: Instant) {
    while circuit.state(now).0 != State::Open {
        end(circuit, Outcome::Failure, now);
    }
}

const TO_HALF_OPEN: Transition = Transition { from: State::Open, to: State::HalfOpen };

#[test]
fn settings_are_completed_as_dapr_completes_them() {
    let rule = TripRule::default_rule();
    let bare = CircuitSettings::new(0, None, None, rule.clone());
    let expected = CircuitSettings {
        max_requests: 1,
        interval: None,
        timeout: 60 * SECOND,
        trip: rule.clone(),
    };
    assert_eq!(bare, expected);
    let zero = Some(Duration::ZERO);
    assert_eq!(CircuitSettings::new(0, zero, zero, rule), expected);
}

#[test]
fn open_circuit_rejects_until_its_time_is_over() {
    let start = Instant::now();
    let mut circuit = Circuit::new(settings(1, None, "consecutiveFailures >= 2"), start);
    assert_eq!(end(&mut circuit, Outcome::Failure, start), None);
    let opens = Transition { from: State::Closed, to: State::Open };
    assert_eq!(end(&mut circuit, Outcome::Failure, start), Some(opens));
    let just_before = start + 5 * SECOND - Duration::from_nanos(1);
    assert_eq!(circuit.admit(just_before), (Err(Rejected::Open), None));
    let (admitted, transition) = circuit.admit(start + 5 * SECOND);
    assert_eq!((admitted.is_ok(), transition), (true, Some(TO_HALF_OPEN)));
}

#[test]
fn a_probe_decides_whether_the_circuit_closes_or_opens_afresh() {
    let start = Instant::now();
    for (outcome, to) in [(Outcome::Success, State::Closed), (Outcome::Failure, State::Open)] {
        let mut circuit = Circuit::new(settings(1, None, ""), start);
        opened(&mut circuit, start);
        let probed = start + 6 * SECOND;
        let transition = Transition { from: State::HalfOpen, to };
        assert_eq!(end(&mut circuit, outcome, probed), Some(transition));
        assert_eq!(circuit.state(probed + 4 * SECOND).0, to);
    }
}

#[test]
fn as_many_probes_as_allowed_are_let_through_and_all_must_succeed() {
    let start = Instant::now();
    let mut circuit = Circuit::new(settings(2, None, ""), start);
    opened(&mut circuit, start);
    let now = start + 5 * SECOND;
    let first = admitted(&mut circuit, now);
    let second = admitted(&mut circuit, now);
    assert_eq!(circuit.admit(now).0, Err(Rejected::TooManyRequests));
    assert_eq!(circuit.record(first, Outcome::Success, now), None);
    // A finished probe leaves no room for another one.
    assert_eq!(circuit.admit(now).0, Err(Rejected::TooManyRequests));
    let closes = Transition { from: State::HalfOpen, to: State::Closed };
    assert_eq!(circuit.record(second, Outcome::Success, now), Some(closes));
}

#[test]
fn an_abandoned_probe_gives_its_slot_back_and_decides_nothing() {
    let start = Instant::now();
    let mut circuit = Circuit::new(settings(1, None, ""), start);
    opened(&mut circuit, start);
    let now = start + 5 * SECOND;
    for _ in 0..3 {
        let probe = admitted(&mut circuit, now);
        assert_eq!(circuit.admit(now).0, Err(Rejected::TooManyRequests));
        assert_eq!(circuit.record(probe, Outcome::Abandoned, now), None);
        assert_eq!(circuit.state(now).0, State::HalfOpen);
    }
    let closes = Transition { from: State::HalfOpen, to: State::Closed };
    assert_eq!(end(&mut circuit, Outcome::Success, now), Some(closes));
}

#[test]
fn an_abandoned_attempt_leaves_no_trace_in_the_counts() {
    let now = Instant::now();
    let mut circuit = Circuit::new(settings(1, None, ""), now);
    end(&mut circuit, Outcome::Failure, now);
    let before = circuit.counts();
    end(&mut circuit, Outcome::Abandoned, now);
    assert_eq!(circuit.counts(), before);
}

#[test]
fn an_attempt_from_an_older_generation_does_not_count() {
    let start = Instant::now();
    let mut circuit = Circuit::new(settings(1, Some(10 * SECOND), ""), start);
    let straddling = admitted(&mut circuit, start);
    let next_window = start + 10 * SECOND;
    for outcome in [Outcome::Failure, Outcome::Success, Outcome::Abandoned] {
        assert_eq!(circuit.record(straddling, outcome, next_window), None);
        assert_eq!(circuit.counts(), Counts::default());
    }
    let late = admitted(&mut circuit, next_window);
    opened(&mut circuit, next_window);
    let half_open = next_window + 5 * SECOND;
    assert_eq!(circuit.record(late, Outcome::Success, half_open), Some(TO_HALF_OPEN));
    assert_eq!(circuit.record(late, Outcome::Success, half_open), None);
    assert_eq!(circuit.state(half_open).0, State::HalfOpen);
}

#[test]
fn the_window_is_fixed_and_starts_with_its_generation() {
    let start = Instant::now();
    let mut circuit = Circuit::new(settings(1, Some(10 * SECOND), "totalFailures >= 3"), start);
    end(&mut circuit, Outcome::Failure, start + 9 * SECOND);
    end(&mut circuit, Outcome::Failure, start + 9 * SECOND);
    assert_eq!(end(&mut circuit, Outcome::Failure, start + 10 * SECOND), None);
    assert_eq!(circuit.counts().total_failures, 1);
}

#[test]
fn an_endless_timeout_stays_open() {
    let start = Instant::now();
    let rule = TripRule::parse("true").unwrap();
    let endless = CircuitSettings::new(1, None, Some(Duration::MAX), rule);
    let mut circuit = Circuit::new(endless, start);
    end(&mut circuit, Outcome::Failure, start);
    assert_eq!(circuit.state(start + 1_000_000 * SECOND).0, State::Open);
}

/// The same machine written down another way: each phase is the list of what ended in it.
struct Model {
    max_requests: usize,
    interval: Option<u64>,
    timeout: u64,
    trips: fn(&[bool], usize) -> bool,
    phase: Phase,
    phases: usize,
    since: u64,
    running: usize,
    ended: Vec<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Counting,
    Rejecting,
    Probing,
}

impl Model {
    fn turn_to(&mut self, phase: Phase, now: u64) {
        self.phase = phase;
        self.phases += 1;
        self.since = now;
        self.running = 0;
        self.ended.clear();
    }

    fn pass_time(&mut self, now: u64) {
        let age = now - self.since;
        match self.phase {
            Phase::Counting if self.interval.is_some_and(|interval| age >= interval) => {
                self.turn_to(Phase::Counting, now);
            }
            Phase::Rejecting if age >= self.timeout => self.turn_to(Phase::Probing, now),
            Phase::Counting | Phase::Rejecting | Phase::Probing => {}
        }
    }

    fn ask(&mut self, now: u64) -> Result<usize, Rejected> {
        self.pass_time(now);
        let full = self.running + self.ended.len() >= self.max_requests;
        match self.phase {
            Phase::Rejecting => Err(Rejected::Open),
            Phase::Probing if full => Err(Rejected::TooManyRequests),
            Phase::Counting | Phase::Probing => {
                self.running += 1;
                Ok(self.phases)
            }
        }
    }

    fn tell(&mut self, ticket: usize, outcome: Outcome, now: u64) {
        self.pass_time(now);
        if ticket != self.phases {
            return;
        }
        self.running -= 1;
        match outcome {
            Outcome::Abandoned => return,
            Outcome::Success => self.ended.push(true),
            Outcome::Failure => self.ended.push(false),
        }
        let succeeded = self.ended.iter().filter(|&&ok| ok).count();
        match (self.phase, outcome) {
            (Phase::Counting, Outcome::Failure) if (self.trips)(&self.ended, self.running) => {
                self.turn_to(Phase::Rejecting, now);
            }
            (Phase::Probing, Outcome::Failure) => self.turn_to(Phase::Rejecting, now),
            (Phase::Probing, _) if succeeded == self.max_requests => {
                self.turn_to(Phase::Counting, now);
            }
            _ => {}
        }
    }

    fn counts(&self) -> Counts {
        let number = |count: usize| u32::try_from(count).unwrap();
        let trailing = |ok: bool| self.ended.iter().rev().take_while(|&&end| end == ok).count();
        Counts {
            requests: number(self.running + self.ended.len()),
            total_successes: number(self.ended.iter().filter(|&&ok| ok).count()),
            total_failures: number(self.ended.iter().filter(|&&ok| !ok).count()),
            consecutive_successes: number(trailing(true)),
            consecutive_failures: number(trailing(false)),
        }
    }
}

type Trips = fn(&[bool], usize) -> bool;

const RULES: [(&str, Trips); 4] = [
    ("", |ended, _| ended.iter().rev().take_while(|&&ok| !ok).count() > 5),
    ("consecutiveFailures >= 2", |ended, _| ended.ends_with(&[false, false])),
    ("totalFailures * 2 > requests && requests >= 3", |ended, running| {
        let failed = ended.iter().filter(|&&ok| !ok).count();
        let requests = ended.len() + running;
        failed * 2 > requests && requests >= 3
    }),
    ("totalSuccesses > 1 && totalFailures > 1", |ended, _| {
        let succeeded = ended.iter().filter(|&&ok| ok).count();
        succeeded > 1 && ended.len() - succeeded > 1
    }),
];

#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Ask,
    Tell(prop::sample::Index, Outcome),
    Look,
}

fn events() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Success),
        5 => Just(Outcome::Failure),
        2 => Just(Outcome::Abandoned),
    ];
    prop_oneof![
        2 => (0..8u64).prop_map(Event::Wait),
        6 => Just(Event::Ask),
        6 => (any::<prop::sample::Index>(), outcome).prop_map(|(who, how)| Event::Tell(who, how)),
        1 => Just(Event::Look),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_circuit_does_what_the_model_does(
        max_requests in 1..4u32,
        interval in prop::option::of(1..20u64),
        timeout in 1..10u64,
        (rule, trips) in prop::sample::select(RULES.to_vec()),
        events in prop::collection::vec(events(), 1..120),
    ) {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let settings = CircuitSettings::new(
            max_requests,
            interval.map(Duration::from_secs),
            Some(Duration::from_secs(timeout)),
            TripRule::parse(rule).unwrap(),
        );
        let mut circuit = Circuit::new(settings, start);
        let mut model = Model {
            max_requests: max_requests as usize,
            interval,
            timeout,
            trips,
            phase: Phase::Counting,
            phases: 0,
            since: 0,
            running: 0,
            ended: Vec::new(),
        };
        let (mut now, mut running, mut state) = (0, Vec::new(), State::Closed);
        for event in events {
            let transition = match event {
                Event::Wait(seconds) => {
                    now += seconds;
                    None
                }
                Event::Ask => {
                    let (admitted, transition) = circuit.admit(at(now));
                    match (admitted, model.ask(now)) {
                        (Ok(generation), Ok(ticket)) => running.push((generation, ticket)),
                        (a, b) => prop_assert_eq!(a.err(), b.err()),
                    }
                    transition
                }
                Event::Tell(who, outcome) if !running.is_empty() => {
                    let (generation, ticket) = running.swap_remove(who.index(running.len()));
                    model.tell(ticket, outcome, now);
                    circuit.record(generation, outcome, at(now))
                }
                Event::Tell(..) => None,
                Event::Look => {
                    model.pass_time(now);
                    circuit.state(at(now)).1
                }
            };
            if let Some(transition) = transition {
                prop_assert_eq!(transition.from, state);
                prop_assert_ne!(transition.to, state);
                state = transition.to;
            }
            let expected = match model.phase {
                Phase::Counting => State::Closed,
                Phase::Rejecting => State::Open,
                Phase::Probing => State::HalfOpen,
            };
            prop_assert_eq!(state, expected);
            prop_assert_eq!(circuit.counts(), model.counts());
        }
    }
}
