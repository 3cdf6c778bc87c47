//! Random programs of concurrent callers: every answer, and what lies in Redis afterwards, is what
//! the rules say when the writes are carried out one by one in the order in which they were asked for.

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use futures_util::future::{join_all, poll_immediate};
use outrigger::state_store::{
    Concurrency, Entry, Prepared, SharedWrites, StateStore, StoreError, StoredKey,
    redis::RedisStore,
};
use proptest::{
    collection::vec,
    option,
    prelude::{Just, ProptestConfig, Strategy, prop_oneof},
    sample::select,
    test_runner::{TestCaseError, TestRunner},
};
use tokio::runtime::Runtime;

use super::{
    PATIENT, batches, patient_store,
    rules::{self, Held, Item, Keys},
};
use crate::{
    redis::{Server, View},
    support::{InFull, key, prepare, set, store_with, write},
};

/// How many keys the callers share.
const KEYS: usize = 5;
/// A key nobody writes.
const BYSTANDER: &str = "bystander";

const ETAGS: [&str; 14] = [
    "",
    "0",
    "1",
    "2",
    "3",
    "4",
    "+2",
    "003",
    "-1",
    "9007199254740993",
    "9223372036854775807",
    " 4",
    "abc",
    "99999999999999999999",
];
const TTLS: [&str; 10] = [
    "",
    "0",
    "-1",
    "5000",
    "+90000",
    "9223372036854775",
    "1.5",
    "abc",
    " 5",
    "-9223372036854775808",
];

#[derive(Clone, Debug)]
struct Program {
    before: Vec<Option<Held>>,
    callers: Vec<Vec<Call>>,
}

/// What a caller does, before the next.
#[derive(Clone, Debug)]
enum Call {
    Write {
        items: Vec<Item>,
        transaction: bool,
    },
    /// Asks for the same, and leaves before anything can be sent.
    Leave {
        items: Vec<Item>,
        transaction: bool,
    },
    Get(String),
    GetMany(Vec<String>),
}

fn name() -> impl Strategy<Value = String> {
    (0..KEYS).prop_map(|number| format!("k{number}"))
}

fn value() -> impl Strategy<Value = Bytes> {
    let length = prop_oneof![1 => Just(0), 20 => 1..200_usize, 1 => Just(1 << 16)];
    // A number of its own shows whose value it is.
    (length, 0..u64::MAX).prop_map(|(length, tag)| {
        let tag = tag.to_string();
        let mut text = tag.repeat(length / tag.len() + 1);
        text.truncate(length);
        text.into()
    })
}

fn item() -> impl Strategy<Value = Item> {
    let concurrency = prop_oneof![
        6 => Just(Concurrency::Unspecified),
        1 => Just(Concurrency::FirstWrite),
        2 => Just(Concurrency::LastWrite),
    ];
    let etag = option::weighted(0.4, select(&ETAGS));
    let ttl = option::weighted(0.3, select(&TTLS));
    (name(), option::weighted(0.8, value()), etag, concurrency, ttl).prop_map(
        |(key, value, etag, concurrency, ttl)| Item { key, value, etag, concurrency, ttl },
    )
}

fn call() -> impl Strategy<Value = Call> {
    let write = |items, transaction| Call::Write { items, transaction };
    let leave = |items, transaction| Call::Leave { items, transaction };
    prop_oneof![
        8 => vec(item(), 1).prop_map(move |items| write(items, false)),
        4 => vec(item(), 2..12).prop_map(move |items| write(items, false)),
        4 => vec(item(), 1..8).prop_map(move |items| write(items, true)),
        1 => (vec(item(), 120..300), select(&[false, true]))
            .prop_map(move |(items, transaction)| write(items, transaction)),
        2 => (vec(item(), 1..4), select(&[false, true]))
            .prop_map(move |(items, transaction)| leave(items, transaction)),
        4 => name().prop_map(Call::Get),
        3 => vec(name(), 1..8).prop_map(Call::GetMany),
    ]
}

fn held() -> impl Strategy<Value = Held> {
    let hash = |data: String, version, sticky, ttl| {
        let data = data.into();
        Held::Hash { data, version, sticky, ttl }
    };
    let version = select(&[-1, 1, 3, 9_007_199_254_740_992, i64::MAX - 1, i64::MAX]);
    let version = option::weighted(0.8, version);
    let ttl = option::weighted(0.3, Just(50_000));
    prop_oneof![
        1 => Just(Held::List),
        1 => Just(Held::Text("theirs".into())),
        2 => (version, select(&[false, true]), ttl)
            .prop_map(move |(version, sticky, ttl)| hash("before".to_owned(), version, sticky, ttl)),
    ]
}

fn program() -> impl Strategy<Value = Program> {
    (vec(option::of(held()), KEYS), vec(vec(call(), 1..5), 1..20))
        .prop_map(|(before, callers)| Program { before, callers })
}

/// What was asked for, in the order of asking.
#[derive(Default)]
struct Log {
    writes: RefCell<Vec<Asked>>,
    reads: RefCell<Vec<Heard>>,
    /// How many items were asked for.
    asked: Cell<usize>,
    /// So many of them were carried out for sure: later ones are, so all before are.
    done: Cell<usize>,
    read_calls: Cell<u64>,
}

struct Asked {
    items: Vec<Item>,
    transaction: bool,
    answers: Vec<Result<(), StoreError>>,
}

/// The answer to a read. It was given when at least `after` and at most `before` items were carried
/// out.
#[derive(Debug)]
struct Heard {
    key: String,
    after: usize,
    before: usize,
    answer: Result<Option<Entry>, StoreError>,
}

async fn call_store(store: &RedisStore, log: &Log, call: &Call) {
    match call {
        Call::Write { items, transaction } => {
            let (items, prepared) = well_formed(store, items);
            if items.is_empty() {
                return;
            }
            let number = log.writes.borrow().len();
            let asked = Asked { items, transaction: *transaction, answers: Vec::new() };
            log.asked.set(log.asked.get() + asked.items.len());
            let place = log.asked.get();
            log.writes.borrow_mut().push(asked);
            let answers = ask(store, &prepared, *transaction).await;
            assert_eq!(answers.len(), prepared.len());
            log.writes.borrow_mut()[number].answers = answers;
            log.done.set(log.done.get().max(place));
        }
        Call::Leave { items, transaction } => {
            let (_, prepared) = well_formed(store, items);
            let asked = std::pin::pin!(ask(store, &prepared, *transaction));
            let answered = poll_immediate(asked).await;
            assert!(prepared.is_empty() || answered.is_none());
        }
        Call::Get(name) => {
            let (key, after) = (key(name), log.done.get());
            let answer = store.get(&key).await;
            log.hear(after, &[key], vec![answer]);
        }
        Call::GetMany(names) => {
            let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
            let after = log.done.get();
            let answers = store.found(&keys).await;
            log.hear(after, &keys, answers);
        }
    }
}

fn well_formed(store: &RedisStore, items: &[Item]) -> (Vec<Item>, Vec<Prepared>) {
    let prepared = items.iter().map(|item| (item.clone(), item.prepare(store)));
    prepared.filter_map(|(item, prepared)| prepared.ok().map(|prepared| (item, prepared))).unzip()
}

async fn ask(
    store: &RedisStore,
    writes: &[Prepared],
    transaction: bool,
) -> Vec<Result<(), StoreError>> {
    let writes = SharedWrites::new(writes.to_vec());
    if transaction { store.transacted(&writes).await } else { store.written(&writes).await }
}

impl Log {
    fn hear(
        &self,
        after: usize,
        keys: &[StoredKey],
        answers: Vec<Result<Option<Entry>, StoreError>>,
    ) {
        assert_eq!(keys.len(), answers.len());
        self.read_calls.set(self.read_calls.get() + 1);
        let before = self.asked.get();
        for (key, answer) in keys.iter().zip(answers) {
            let key = key.as_str().to_owned();
            self.reads.borrow_mut().push(Heard { key, after, before, answer });
        }
    }

    /// Carries the program out by the rules, and compares. Returns what lies there then.
    fn check(&self, before: Keys) -> Result<Keys, TestCaseError> {
        let mut keys = before;
        // What lay there after so many items.
        let mut history = vec![keys.clone()];
        for asked in &*self.writes.borrow() {
            for (item, answer) in asked.items.iter().zip(&asked.answers) {
                let expected = item.apply(&mut keys, asked.transaction);
                history.push(keys.clone());
                if *answer != expected {
                    let place = history.len() - 1;
                    let problem = format!("item {place}, {item:?}: {answer:?}, not {expected:?}");
                    return Err(TestCaseError::fail(problem));
                }
            }
        }
        for heard in &*self.reads.borrow() {
            let possible = &history[heard.after..=heard.before];
            if !possible.iter().any(|keys| heard.explained_by(keys)) {
                let problem = format!("no order of the writes explains {heard:?}");
                return Err(TestCaseError::fail(problem));
            }
        }
        Ok(keys)
    }
}

impl Heard {
    fn explained_by(&self, keys: &Keys) -> bool {
        rules::read_of(keys.get(&self.key)) == self.answer
    }
}

/// What all programs together did.
#[derive(Debug, Default)]
struct Totals {
    items: u64,
    write_calls: u64,
    read_calls: u64,
    done: u64,
    mismatched: u64,
    refused: u64,
}

impl Totals {
    fn add(&mut self, log: &Log) {
        self.read_calls += log.read_calls.get();
        for asked in &*log.writes.borrow() {
            self.write_calls += 1;
            for answer in &asked.answers {
                self.items += 1;
                match answer {
                    Ok(()) => self.done += 1,
                    Err(StoreError::EtagMismatch(_)) => self.mismatched += 1,
                    Err(_) => self.refused += 1,
                }
            }
        }
    }
}

async fn run(
    store: &RedisStore,
    view: &mut View,
    program: &Program,
    meanwhile: &impl AsyncFn(),
    totals: &mut Totals,
) -> Result<(), TestCaseError> {
    view.tell(&["FLUSHALL"]);
    let mut before = Keys::from([(BYSTANDER.to_owned(), Held::Text("untouched".into()))]);
    for (number, held) in program.before.iter().enumerate() {
        before.extend(held.clone().map(|held| (format!("k{number}"), held)));
    }
    for (key, held) in &before {
        rules::put(view, key, held);
    }
    let log = Log::default();
    let callers = program.callers.iter().map(async |calls| {
        for call in calls {
            call_store(store, &log, call).await;
        }
    });
    futures_util::future::join(meanwhile(), join_all(callers)).await;
    let after = log.check(before)?;
    rules::assert_stored(view, &after);
    totals.add(&log);
    Ok(())
}

/// Runs random programs, with this going on at the same time as each.
fn run_all(
    runtime: &Runtime,
    server: &Server,
    store: &RedisStore,
    meanwhile: impl AsyncFn(),
) -> Totals {
    let view = RefCell::new(server.view());
    let totals = RefCell::new(Totals::default());
    let config = ProptestConfig::default();
    // One program is hundreds of writes.
    let cases = config.cases.div_ceil(4);
    let config = ProptestConfig { cases, failure_persistence: None, ..config };
    let result = TestRunner::new(config).run(&program(), |program| {
        let (mut view, mut totals) = (view.borrow_mut(), totals.borrow_mut());
        runtime.block_on(run(store, &mut view, &program, &meanwhile, &mut totals))
    });
    if let Err(problem) = result {
        panic!("{problem}");
    }
    let totals = totals.into_inner();
    let ends = [totals.done, totals.mismatched, totals.refused];
    assert!(ends.iter().all(|count| *count * 20 >= totals.items), "{totals:?}");
    totals
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn programs_of_concurrent_callers_end_as_if_one_write_came_after_the_other() {
    let (server, runtime) = (Server::start(), runtime());
    let store = runtime.block_on(patient_store(&server));
    let totals = run_all(&runtime, &server, &store, async || ());
    // Reads may be script calls, too.
    let (scripts, calls) = (batches(&server), totals.write_calls + totals.read_calls);
    assert!(scripts * 2 <= calls && scripts * 10 <= totals.items, "{scripts} {totals:?}");
}

#[test]
fn and_so_they_do_where_redis_refuses_the_batches_for_one_key() {
    let (server, runtime) = (Server::start(), runtime());
    let user = ["ACL", "SETUSER", "app", "on", ">secret", "~k*", "~bystander", "+@all"];
    server.view().tell(&user);
    let login = [PATIENT, [("redisUsername", "app"), ("redisPassword", "secret")]].concat();
    let store = runtime.block_on(async {
        let store = store_with(&server, &login);
        let first = prepare(&store, vec![set("k0", "x"), set("forbidden", "x")]);
        let results = store.written(&first).await;
        assert!(results[0].is_ok() && results[1].is_err(), "{results:?}");
        store
    });
    run_all(&runtime, &server, &store, async || {
        for _ in 0..8 {
            assert!(write(&store, set("forbidden", "x")).await.is_err());
        }
    });
}
