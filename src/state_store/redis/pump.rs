//! Hands what waits in a lane's queues to its connection, in batches of one script call each.

use std::{convert::Infallible, sync::Arc, time::Duration};

use super::{
    connection::{Connection, Lane},
    queue::Batch,
    reads,
    replicas::Count,
    reply::{self, Verdict},
    scripts::{self, WRITE},
    slots::{Order, Slots},
    watchdog::OnWire,
    writes::Writes,
};
use fred::{
    clients::Client,
    error::Error,
    interfaces::{LuaInterface, ServerInterface},
    types::Value,
};

/// How many batches may be on the wire at once: what comes later can still be taken back.
const BATCHES: usize = 4;

/// When the writes of a lane count as done.
#[derive(Clone, Debug)]
pub(super) enum Confirm {
    /// When Redis has them.
    Never,
    /// When so many replicas have them, or the time for that is over.
    Replicas(Arc<Count>),
}

impl Confirm {
    /// As components-contrib state/redis: WAIT is given one second, and its number is not looked at.
    pub(super) const WAIT: Duration = Duration::from_secs(1);

    /// How much longer than others the commands of such a lane may take.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Self::Never => Duration::ZERO,
            Self::Replicas(_) => Self::WAIT,
        }
    }

    fn batches(&self) -> usize {
        match self {
            Self::Never => BATCHES,
            // Redis reads nothing behind a WAIT, so a second batch would only lose its way back.
            Self::Replicas(_) => 1,
        }
    }
}

/// Serves the lane's queues; never ends by itself. Dropped, it answers nobody any more: who is on
/// the wire then hears that the connection is lost.
pub(super) async fn pump(lane: &Lane, connection: &Connection, confirm: &Confirm) -> Infallible {
    let client = &connection.client;
    let mut writes = Slots::new(Order::Arrival);
    let mut reads = Slots::new(Order::Completion);
    // A batch whose script the server did not know. While it is sent again, nothing later is sent
    // or answered: the order stays.
    let mut again = None;
    loop {
        while writes.len() < confirm.batches()
            && again.is_none()
            && lane.may_send()
            && let Some(batch) = lane.writes.take_batch()
        {
            writes.push(send(lane, client, confirm, batch, Form::Name));
        }
        while reads.len() < BATCHES
            && lane.may_send()
            && let Some(batch) = lane.reads.take_batch()
        {
            lane.lone.note(batch.len() == 1 && reads.len() == 0 && !lane.pulse.is_busy());
            reads.push(reads::serve(lane, connection, batch));
        }
        tokio::select! {
            biased;
            (batch, replies) = async { again.as_mut().expect("invariant: asked").await },
                if again.is_some() =>
            {
                again = None;
                finish(lane, batch, replies);
            }
            (batch, replies) = writes.next(), if again.is_none() => {
                if replies.script.as_ref().is_err_and(reply::is_unknown_script) {
                    let batch = batch.without_those_who_left();
                    let sent = send(lane, client, confirm, batch, Form::Text);
                    again = Some(Box::pin(sent));
                } else {
                    finish(lane, batch, replies);
                }
            }
            () = reads.next() => {}
            () = lane.pulse.pump_woken() => {}
        }
    }
}

/// How the script is named in a call.
#[derive(Clone, Copy)]
enum Form {
    Name,
    Text,
}

/// What came back for one batch.
struct Replies {
    script: Result<Value, Error>,
    confirmed: Result<(), Verdict>,
}

async fn send(
    lane: &Lane,
    client: &Client,
    confirm: &Confirm,
    batch: Batch<Writes>,
    form: Form,
) -> (Batch<Writes>, Replies) {
    let replies = call(lane, client, confirm, &batch, form).await;
    (batch, replies)
}

async fn call(
    lane: &Lane,
    client: &Client,
    confirm: &Confirm,
    batch: &Batch<Writes>,
    form: Form,
) -> Replies {
    lane.meters.write(batch.len());
    match confirm {
        Confirm::Never => {
            let (keys, arguments) = scripts::arguments(batch);
            let on_wire = lane.pulse.hand_over();
            let script = match form {
                Form::Name => client.evalsha(WRITE.sha, keys, arguments).await,
                // What happens rarely is boxed: fred's futures are large, and moved with the batch's.
                Form::Text => Box::pin(client.eval(WRITE.text, keys, arguments)).await,
            };
            settle(on_wire, &script);
            Replies { script, confirmed: Ok(()) }
        }
        Confirm::Replicas(count) => {
            Box::pin(call_and_confirm(lane, client, count.get(), batch, form)).await
        }
    }
}

async fn call_and_confirm(
    lane: &Lane,
    client: &Client,
    replicas: i64,
    batch: &Batch<Writes>,
    form: Form,
) -> Replies {
    let (keys, arguments) = scripts::arguments(batch);
    let on_wire = lane.pulse.hand_over();
    let script = async {
        match form {
            Form::Name => client.evalsha(WRITE.sha, keys, arguments).await,
            Form::Text => client.eval(WRITE.text, keys, arguments).await,
        }
    };
    let millis = i64::try_from(Confirm::WAIT.as_millis()).unwrap_or(i64::MAX);
    let wait = client.wait::<Value>(replicas, millis);
    // Both are handed over at once, in this order.
    let (script, waited) = futures_util::future::join(script, wait).await;
    settle(on_wire, &waited);
    let confirmed = waited.map(|_| ()).map_err(|error| unconfirmed(replicas, &error));
    Replies { script, confirmed }
}

/// Tells the watchdog how a command on the wire ended.
pub(super) fn settle<T>(on_wire: OnWire<'_>, reply: &Result<T, Error>) {
    match reply {
        Ok(_) => on_wire.answered(),
        Err(error) if reply::is_server_text(error.details()) => on_wire.answered(),
        Err(_) => on_wire.failed(),
    }
}

fn unconfirmed(replicas: i64, error: &Error) -> Verdict {
    let inner = match reply::verdict_of(error) {
        Verdict::Error(text) | Verdict::NotSent(text) | Verdict::Unanswered(text) => text,
        Verdict::Done | Verdict::Conflict | Verdict::Document | Verdict::Unconfirmed(_) => {
            error.details().to_owned()
        }
    };
    let text = "replicas to acknowledge write, err:";
    Verdict::Unconfirmed(format!("redis waiting for {replicas} {text} {inner}"))
}

/// Tells everybody of the batch how it ended.
fn finish(lane: &Lane, batch: Batch<Writes>, replies: Replies) {
    let mut verdicts = replies.verdicts(lane, batch.len()).into_iter();
    for parcel in batch.0 {
        // A caller who is gone needs no answer.
        let _ = parcel.answer.send(verdicts.by_ref().take(parcel.piece.writes().len()).collect());
    }
}

impl Replies {
    fn verdicts(self, lane: &Lane, count: usize) -> Vec<Verdict> {
        let mut verdicts = match self.script {
            Ok(value) => reply::verdicts(value, count),
            Err(error) => vec![reply::verdict_of(&error); count],
        };
        for verdict in &mut verdicts {
            if let Verdict::Error(text) = verdict {
                lane.heard(text);
            }
            if let (Verdict::Done, Err(unconfirmed)) = (&*verdict, &self.confirmed) {
                *verdict = unconfirmed.clone();
            }
        }
        verdicts
    }
}
