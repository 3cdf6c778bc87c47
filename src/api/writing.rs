//! Carries out the writes of one call under its policy: each write is answered on its own, and a
//! retry repeats only what an outage left open.
//!
//! Dapr's runtime forgets a conflict when another write of the same call succeeds on retry; here a
//! conflict is kept until the end. And it reports a conflict where a retry meets what an attempt
//! without an answer wrote itself; here that is told as what it is, unclear.

use std::{collections::HashSet, mem, sync::Arc};

use bytes::Bytes;

use crate::{
    api::error::WriteFailure,
    call::Call,
    resiliency::{
        fault::{Classify as _, Retry},
        policy::Policy,
    },
    state_store::{Answers, Prepared, PreparedChange, SharedWrites, StateStore, StoreError, Write},
};

/// Writes each on its own. A bad TTL refuses the whole call before anything is written; a bad etag
/// refuses its own write only, as in Dapr.
pub async fn write_each<S: StateStore>(
    store: &S,
    policy: &Policy,
    call: &Call,
    writes: impl ExactSizeIterator<Item = Write>,
) -> Result<(), WriteFailure> {
    let several = writes.len() > 1;
    let (pending, mut refused) = prepare(store, writes);
    if refused.iter().any(is_bad_ttl) {
        refused.retain(is_bad_ttl);
        return Err(WriteFailure::all_refused(several, refused));
    }
    let (rules, doubtful) = (Rules::Each, Vec::new());
    let mut writing = Writing { store, policy, call, rules, several, pending, doubtful, refused };
    writing.until_settled().await
}

/// Writes as a transaction. What cannot be read is refused before anything is sent; of several
/// refusals by the store the first is told, as in Dapr.
pub async fn transact<S: StateStore>(
    store: &S,
    policy: &Policy,
    call: &Call,
    writes: Vec<Write>,
) -> Result<(), WriteFailure> {
    let several = false;
    let (pending, refused) = prepare(store, writes.into_iter());
    if !refused.is_empty() {
        return Err(WriteFailure::all_refused(several, refused));
    }
    let (rules, doubtful) = (Rules::Transaction, Vec::new());
    let mut writing = Writing { store, policy, call, rules, several, pending, doubtful, refused };
    writing.until_settled().await
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
    /// Whether each write is told by itself.
    several: bool,
    /// What is not settled yet; `None` when everything is.
    pending: Option<SharedWrites>,
    /// Which of these an earlier attempt may have carried out; none where there was no such attempt.
    doubtful: Vec<bool>,
    /// What was refused for good.
    refused: Vec<StoreError>,
}

impl<S: StateStore> Writing<'_, S> {
    async fn until_settled(&mut self) -> Result<(), WriteFailure> {
        let mut retries = self.policy.start();
        while let Some(pending) = self.pending.take() {
            let mut answers = None;
            let outcome = {
                // By itself, a call's future stays below what an allocator keeps at hand.
                let attempt = Box::pin(self.attempt(&pending, &mut answers));
                self.policy.attempt(self.call, attempt).await
            };
            let open = match answers {
                Some(answers) => self.settle(&pending, answers),
                // The attempt did not begin, so all is as it was.
                None => {
                    self.pending = Some(pending);
                    Vec::new()
                }
            };
            let Err(verdict) = outcome else { break };
            if let Err(last) = Box::pin(retries.pause_after(self.call, verdict)).await {
                let refused = mem::take(&mut self.refused);
                return Err(WriteFailure::given_up(self.several, refused, open, last));
            }
        }
        retries.succeeded();
        if self.refused.is_empty() {
            return Ok(());
        }
        Err(WriteFailure::all_refused(self.several, mem::take(&mut self.refused)))
    }

    /// One try of all that is pending; it fails for the policy if any write met an outage.
    async fn attempt(
        &self,
        pending: &SharedWrites,
        answers: &mut Option<Answers>,
    ) -> Result<(), StoreError> {
        let answers = answers.insert(Answers::new(pending.len()));
        match self.rules {
            Rules::Each => self.store.write(pending, answers).await,
            Rules::Transaction => self.store.transact(pending, answers).await,
        }
        match answers.failures().find(|error| is_outage(error)) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Keeps as pending what met an outage or got no answer, and with it every later write of the
    /// same key, so that their order stays; returns what these met.
    fn settle(&mut self, pending: &[Prepared], answers: Answers) -> Vec<StoreError> {
        let doubts = mem::take(&mut self.doubtful);
        let (mut met, mut open, mut open_keys) = (Vec::new(), Vec::new(), HashSet::new());
        for (at, (write, answer)) in pending.iter().zip(answers).enumerate() {
            let doubted = doubts.get(at).is_some_and(|doubted| *doubted);
            let is_open = match &answer {
                None => true,
                Some(Ok(())) => false,
                Some(Err(error)) => is_outage(error),
            };
            if is_open || open_keys.contains(&write.key) {
                open_keys.insert(&write.key);
                open.push(detached(write));
                self.doubtful.push(doubted || may_have_executed(answer.as_ref()));
                met.extend(answer.and_then(Result::err));
            } else if let Some(Err(error)) = answer {
                let unclear = doubted && error.may_be_about_itself();
                self.refused.push(match unclear {
                    true => StoreError::Unclear(Box::new(error)),
                    false => error,
                });
            }
        }
        self.pending = (!open.is_empty()).then(|| Arc::new(open));
        met
    }
}

/// Whether a write that ended so in one attempt may have been carried out by it.
fn may_have_executed(answer: Option<&Result<(), StoreError>>) -> bool {
    match answer {
        Some(Err(error)) => error.may_have_executed(),
        Some(Ok(())) | None => true,
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

fn is_bad_ttl(error: &StoreError) -> bool {
    matches!(error, StoreError::TtlInvalid(_))
}

/// Whether another attempt may end better.
pub(super) fn is_outage(error: &StoreError) -> bool {
    error.fault().retry == Retry::Worthwhile
}
