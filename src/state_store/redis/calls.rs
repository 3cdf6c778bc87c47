//! Calls of the write script, and what comes back.

use std::iter;

use fred::{
    clients::Client,
    error::Error,
    interfaces::{LuaInterface, ServerInterface},
    types::{Key, Value},
};

use super::{
    connection::{Connection, Lane},
    pump::Confirm,
    queue::Batch,
    reply::{self, Failure, Scope, Verdict},
    scripts::{self, WRITE},
    writes::Writes,
};
use crate::state_store::Prepared;

const WAIT_MILLIS: i64 = Confirm::WAIT.as_millis() as i64;

/// How the script is named in a call.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Name,
    Text,
}

/// What came back for one batch.
pub(super) struct Replies {
    /// What the script answered.
    pub(super) script: Result<Value, Error>,
    /// Whether the replicas have it, for which only some batches wait.
    confirmed: Result<(), Verdict>,
}

/// Calls the script for a batch.
pub(super) async fn batch(
    lane: &Lane,
    client: &Client,
    confirm: &Confirm,
    batch: &Batch<Writes>,
    form: Form,
) -> Replies {
    lane.meters.write(batch.len());
    match confirm {
        Confirm::Never => {
            let script =
                call(lane, client, scripts::arguments(batch.len(), batch.writes()), form).await;
            Replies { script, confirmed: Ok(()) }
        }
        Confirm::Replicas(count) => {
            Box::pin(call_and_confirm(lane, client, count.get(), batch, form)).await
        }
    }
}

/// Calls the script for one write.
pub(super) async fn alone(lane: &Lane, connection: &Connection, write: &Prepared) -> Verdict {
    let arguments = || scripts::arguments(1, iter::once((write, Scope::Single)));
    let mut verdicts = past_the_pump(lane, connection, 1, arguments).await;
    verdicts.pop().expect("invariant: one write has one verdict")
}

/// Calls the script for so many writes that nothing on the wire has to come after: the only ones there
/// are, or all of one key.
pub(super) async fn past_the_pump(
    lane: &Lane,
    connection: &Connection,
    count: usize,
    arguments: impl Fn() -> (Vec<Key>, Vec<Value>),
) -> Vec<Verdict> {
    let client = &connection.client;
    lane.meters.write(count);
    let mut script = call(lane, client, arguments(), Form::Name).await;
    if script.as_ref().is_err_and(reply::is_unknown_script) {
        if connection.is_over() {
            return vec![Verdict::NotSent(lane.cause()); count];
        }
        lane.meters.write(count);
        script = Box::pin(call(lane, client, arguments(), Form::Text)).await;
    }
    if script.as_ref().is_err_and(reply::is_without_cause) {
        return vec![Verdict::Unanswered(lane.cause()); count];
    }
    Replies { script, confirmed: Ok(()) }.verdicts(lane, count)
}

async fn call(
    lane: &Lane,
    client: &Client,
    (keys, arguments): (Vec<Key>, Vec<Value>),
    form: Form,
) -> Result<Value, Error> {
    let on_wire = lane.pulse.hand_over();
    let reply = match form {
        Form::Name => client.evalsha(WRITE.sha, keys, arguments).await,
        // What happens rarely is boxed: fred's futures are large, and moved with the batch's.
        Form::Text => Box::pin(client.eval(WRITE.text, keys, arguments)).await,
    };
    on_wire.settle(&reply);
    reply
}

async fn call_and_confirm(
    lane: &Lane,
    client: &Client,
    replicas: i64,
    batch: &Batch<Writes>,
    form: Form,
) -> Replies {
    let (keys, arguments) = scripts::arguments(batch.len(), batch.writes());
    let on_wire = lane.pulse.hand_over();
    let script = async {
        match form {
            Form::Name => client.evalsha(WRITE.sha, keys, arguments).await,
            Form::Text => client.eval(WRITE.text, keys, arguments).await,
        }
    };
    // Both are handed over at once, in this order.
    let wait = client.wait::<Value>(replicas, WAIT_MILLIS);
    let (script, waited) = futures_util::future::join(script, wait).await;
    on_wire.settle(&waited);
    Replies { script, confirmed: confirmed(replicas, waited) }
}

/// Waits until the replicas have all that was written on this connection.
pub(super) async fn wait(lane: &Lane, client: &Client, replicas: i64) -> Result<(), Verdict> {
    let on_wire = lane.pulse.hand_over();
    let waited = client.wait::<Value>(replicas, WAIT_MILLIS).await;
    on_wire.settle(&waited);
    confirmed(replicas, waited)
}

/// What is told of those writes that were carried out.
pub(super) fn confirm(verdicts: &mut [Verdict], confirmed: &Result<(), Verdict>) {
    let Err(unconfirmed) = confirmed else { return };
    for verdict in verdicts.iter_mut().filter(|verdict| **verdict == Verdict::Done) {
        *verdict = unconfirmed.clone();
    }
}

fn confirmed(replicas: i64, waited: Result<Value, Error>) -> Result<(), Verdict> {
    waited.map(|_| ()).map_err(|error| unconfirmed(replicas, &error))
}

fn unconfirmed(replicas: i64, error: &Error) -> Verdict {
    let told = |cause: &str| {
        format!("redis waiting for {replicas} replicas to acknowledge write, err: {cause}")
    };
    match Failure::from(error) {
        Failure::Answered(text) => Verdict::Unconfirmed(told(&text)),
        Failure::NotSent(cause) | Failure::Unanswered(cause) => {
            Verdict::WaitUnanswered(told(&cause))
        }
    }
}

impl Replies {
    /// What comes back where there was nothing to send.
    pub(super) fn of_nothing() -> Self {
        Self { script: Ok(Value::Null), confirmed: Ok(()) }
    }

    /// How each of so many writes ended.
    pub(super) fn verdicts(self, lane: &Lane, count: usize) -> Vec<Verdict> {
        let mut verdicts = match self.script {
            Ok(value) => reply::verdicts(value, count),
            Err(error) => vec![reply::verdict_of(&error); count],
        };
        for verdict in &verdicts {
            if let Verdict::Error(text) = verdict {
                lane.heard(text);
            }
        }
        confirm(&mut verdicts, &self.confirmed);
        verdicts
    }
}
