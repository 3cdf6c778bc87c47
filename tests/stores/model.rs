//! Random writes, alone and many at once, against a plain model of the rules.

use std::collections::HashMap;

use outrigger::state_store::{StoreError, Write};

use crate::{
    redis::{Server, View},
    support::{InFull, WriteWith, delete, prepare, set, store_on},
};

/// What the rules say lies under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    Foreign,
    Hash { data: String, version: i64, sticky: bool, ttl: bool },
}

/// One random write in the model's own terms.
#[derive(Clone, Debug)]
struct Step {
    key: String,
    value: Option<String>,
    etag: Option<i64>,
    first: bool,
    last: bool,
    ttl: Option<&'static str>,
}

/// How a write ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Mismatch,
    Refused,
}

impl Step {
    fn random(random: &mut fastrand::Rng, number: usize) -> Self {
        Self {
            key: format!("k{}", random.u8(0..4)),
            value: random.u8(0..5).gt(&0).then(|| format!("v{number}")),
            etag: random.bool().then(|| random.i64(0..6)),
            first: random.u8(0..8) == 0,
            last: random.u8(0..4) == 0,
            ttl: [None, None, None, Some("100"), Some("0")][random.usize(0..5)],
        }
    }

    fn write(&self) -> Write {
        let mut write = match &self.value {
            Some(value) => set(&self.key, value.clone()),
            None => delete(&self.key),
        };
        if let Some(etag) = self.etag {
            write = write.etag(&etag.to_string());
        }
        if let Some(ttl) = self.ttl {
            write = write.ttl(ttl);
        }
        match (self.first, self.last) {
            (true, _) => write.first_write(),
            (false, true) => write.last_write(),
            (false, false) => write,
        }
    }

    fn apply(&self, held: &mut HashMap<String, Held>, transaction: bool) -> End {
        let conditional = self.etag.is_some();
        let mismatch = if conditional && !transaction { End::Mismatch } else { End::Refused };
        let before = held.get(&self.key).cloned();
        let Some(value) = &self.value else {
            let wanted = self.etag.unwrap_or(0);
            if let Some(Held::Hash { version, .. }) = before
                && wanted != 0
                && wanted != version
            {
                return mismatch;
            }
            held.remove(&self.key);
            return End::Done;
        };
        let wanted = if self.last && !self.first { 0 } else { self.etag.unwrap_or(0) };
        let (version, sticky, ttl) = match before {
            Some(Held::Hash { version, sticky, ttl, .. }) => {
                if version != wanted && (sticky || wanted != 0) {
                    return mismatch;
                }
                (version + 1, sticky, ttl)
            }
            Some(Held::Foreign) | None => (1, false, false),
        };
        let sticky = sticky || (self.first && !transaction);
        let ttl = self.ttl.map_or(ttl, |text| text != "0");
        let after = Held::Hash { data: value.clone(), version, sticky, ttl };
        held.insert(self.key.clone(), after);
        End::Done
    }
}

fn end(result: &Result<(), StoreError>) -> End {
    match result {
        Ok(()) => End::Done,
        Err(StoreError::EtagMismatch(_)) => End::Mismatch,
        Err(StoreError::Refused(_)) => End::Refused,
        Err(other) => panic!("{other:?}"),
    }
}

fn look(view: &mut View, key: &str) -> Option<Held> {
    match view.ask::<String>(&["TYPE", key]).as_str() {
        "none" => None,
        "hash" => Some(Held::Hash {
            data: view.field(key, "data").unwrap(),
            version: view.field(key, "version").unwrap().parse().unwrap(),
            sticky: view.field(key, "first-write").is_some(),
            ttl: view.ask::<i64>(&["TTL", key]) >= 0,
        }),
        _ => Some(Held::Foreign),
    }
}

#[tokio::test]
async fn random_writes_end_as_the_rules_say() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut held = HashMap::new();
    let mut ends = HashMap::new();
    for number in 0..1500 {
        if random.u8(0..20) == 0 {
            let key = format!("k{}", random.u8(0..4));
            view.tell(&["SET", &key, "foreign"]);
            held.insert(key, Held::Foreign);
        }
        let transaction = random.u8(0..4) == 0;
        let count = if random.bool() { 1 } else { random.usize(1..12) };
        let steps: Vec<_> = (0..count).map(|_| Step::random(&mut random, number)).collect();
        let writes = prepare(&store, steps.iter().map(Step::write).collect());
        let results = match transaction {
            true => store.transacted(&writes).await,
            false => store.written(&writes).await,
        };
        assert_eq!(results.len(), steps.len());
        for (step, result) in steps.iter().zip(&results) {
            let expected = step.apply(&mut held, transaction);
            assert_eq!(end(result), expected, "seed {seed}, {step:?}: {result:?}");
            *ends.entry(format!("{expected:?}")).or_insert(0) += 1;
        }
        for key in ["k0", "k1", "k2", "k3"] {
            let found = look(&mut view, key);
            assert_eq!(found.as_ref(), held.get(key), "seed {seed}, {key} after {steps:?}");
        }
    }
    assert!(ends.len() == 3 && ends.values().all(|count| *count > 200), "{ends:?}");
}
