//! Carries out the writes of one call under its policy: each write is answered on its own, and a
//! retry repeats only what an outage left open.
//!
//! Dapr's runtime forgets a conflict when another write of the same call succeeds on retry; here a
//! conflict is kept until the end.

use std::{mem, sync::Arc};

use bytes::Bytes;

use crate::{
    api::error::WriteFailure,
    call::Call,
    resiliency::{
        fault::{Classify as _, Outcome},
        policy::{Policy, PolicyError},
    },
    state_store::{Prepared, PreparedChange, SharedWrites, StateStore, StoreError, Write},
};

/// Writes each on its own. A bad TTL refuses the whole call before anything is written; a bad etag
/// refuses its own write only, as in Dapr.
pub async fn write_each<S: StateStore>(
    store: &S,
    policy: &Policy,
    call: &Call,
    writes: impl ExactSizeIterator<Item = Write>,
) -> Result<(), WriteFailure> {
    let batch = writes.len() > 1;
    let (pending, mut refused) = prepare(store, writes);
    if refused.iter().any(is_bad_ttl) {
        refused.retain(is_bad_ttl);
        return Err(failure(batch, refused));
    }
    let mut writing = Writing { store, policy, call, rules: Rules::Each, pending, refused };
    writing.until_settled().await.map_err(|errors| errors.into_failure(batch))
}

/// Writes as a transaction. What cannot be read is refused before anything is sent; of several
/// refusals by the store the first is told, as in Dapr.
pub async fn transact<S: StateStore>(
    store: &S,
    policy: &Policy,
    call: &Call,
    writes: Vec<Write>,
) -> Result<(), WriteFailure> {
    let (pending, refused) = prepare(store, writes.into_iter());
    if !refused.is_empty() {
        return Err(failure(false, refused));
    }
    let mut writing = Writing { store, policy, call, rules: Rules::Transaction, pending, refused };
    writing.until_settled().await.map_err(|errors| errors.into_failure(false))
}

/// By whose rules the store is to write.
#[derive(Clone, Copy)]
enum Rules {
    Each,
    Transaction,
}

/// One call's writes on their way.
struct Writing<'a, S> {
    store: &'a S,
    policy: &'a Policy,
    call: &'a Call,
    rules: Rules,
    /// What is not settled yet; `None` when everything is.
    pending: Option<SharedWrites>,
    /// What was refused for good.
    refused: Vec<StoreError>,
}

/// How the writes of a call ended that did not all succeed.
struct Errors {
    refused: Vec<StoreError>,
    /// What the policy gave up on, if it did: by its own verdict, or per write.
    given_up: Option<(PolicyError<StoreError>, Vec<StoreError>)>,
}

impl<S: StateStore> Writing<'_, S> {
    async fn until_settled(&mut self) -> Result<(), Errors> {
        let mut retries = self.policy.start();
        while let Some(pending) = self.pending.take() {
            let mut answers = Vec::new();
            let outcome = {
                // By itself, a call's future stays below what an allocator keeps at hand.
                let attempt = Box::pin(self.attempt(&pending, &mut answers));
                self.policy.attempt(self.call, attempt).await
            };
            let outages = self.settle(&pending, answers);
            let Err(verdict) = outcome else { break };
            if let Err(last) = Box::pin(retries.pause_after(self.call, verdict)).await {
                let refused = mem::take(&mut self.refused);
                return Err(Errors { refused, given_up: Some((last, outages)) });
            }
        }
        retries.succeeded();
        if self.refused.is_empty() {
            Ok(())
        } else {
            Err(Errors { refused: mem::take(&mut self.refused), given_up: None })
        }
    }

    /// One try of all that is pending; it fails for the policy if any write met an outage.
    async fn attempt(
        &self,
        pending: &SharedWrites,
        answers: &mut Vec<Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        *answers = match self.rules {
            Rules::Each => self.store.write(pending).await,
            Rules::Transaction => self.store.transact(pending).await,
        };
        match answers.iter().find(|answer| is_outage(answer)) {
            Some(Err(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Keeps what met an outage as pending and returns its errors; without answers all stays.
    fn settle(
        &mut self,
        pending: &[Prepared],
        answers: Vec<Result<(), StoreError>>,
    ) -> Vec<StoreError> {
        let (mut outages, mut open) = (Vec::new(), Vec::new());
        if answers.is_empty() {
            open.extend(pending.iter().map(detached));
        }
        for (write, answer) in pending.iter().zip(answers) {
            match answer {
                Err(error) if error.fault().outcome == Outcome::Failure => {
                    outages.push(error);
                    open.push(detached(write));
                }
                Err(error) => self.refused.push(error),
                Ok(()) => {}
            }
        }
        self.pending = (!open.is_empty()).then(|| Arc::new(open));
        outages
    }
}

/// The write with its value copied out of its connection's read buffer, which it would otherwise
/// keep alive through the whole outage.
fn detached(write: &Prepared) -> Prepared {
    let mut write = write.clone();
    if let PreparedChange::Set { value, .. } = &mut write.change {
        *value = Bytes::copy_from_slice(value);
    }
    write
}

impl Errors {
    fn into_failure(self, batch: bool) -> WriteFailure {
        let mut errors = self.refused;
        let mut out_of_time = false;
        match self.given_up {
            // The policy's own verdict speaks for the whole call where nothing else was found out.
            Some((verdict, outages)) if outages.is_empty() => match verdict {
                PolicyError::Operation(error) => errors.push(error),
                own => return WriteFailure::Single(own),
            },
            Some((verdict, outages)) => {
                out_of_time = verdict.is_callers_deadline();
                errors.extend(outages);
            }
            None => {}
        }
        let failure = failure(batch, errors);
        if out_of_time { WriteFailure::NoTimeToRetry(Box::new(failure)) } else { failure }
    }
}

fn prepare<S: StateStore>(
    store: &S,
    writes: impl ExactSizeIterator<Item = Write>,
) -> (Option<SharedWrites>, Vec<StoreError>) {
    let mut pending = Vec::with_capacity(writes.len());
    let mut refused = Vec::new();
    for write in writes {
        match store.prepare(write) {
            Ok(prepared) => pending.push(prepared),
            Err(error) => refused.push(error),
        }
    }
    ((!pending.is_empty()).then(|| Arc::new(pending)), refused)
}

/// Of a single write (and of a transaction) the first error is told; of several, each.
fn failure(batch: bool, errors: Vec<StoreError>) -> WriteFailure {
    if batch {
        return WriteFailure::Batch(errors);
    }
    let first = errors.into_iter().next().expect("invariant: a failed call has an error");
    WriteFailure::Single(PolicyError::Operation(first))
}

fn is_bad_ttl(error: &StoreError) -> bool {
    matches!(error, StoreError::TtlInvalid(_))
}

fn is_outage(answer: &Result<(), StoreError>) -> bool {
    matches!(answer, Err(error) if error.fault().outcome == Outcome::Failure)
}
