//! Hands what waits in a lane's queues to its connection, in batches of one script call each.

use std::{convert::Infallible, sync::Arc, time::Duration};

use fred::clients::Client;

use super::{
    calls::{self, Form, Replies},
    connection::{Connection, Lane},
    queue::Batch,
    reads,
    replicas::Count,
    reply,
    slots::{Order, Slots},
    writes::Writes,
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
            lane.lone_writes.note(batch.len() == 1 && writes.len() == 0 && !lane.pulse.is_busy());
            writes.push(send(lane, client, confirm, batch, Form::Name));
        }
        while reads.len() < BATCHES
            && lane.may_send()
            && let Some(batch) = lane.reads.take_batch()
        {
            lane.lone_reads.note(batch.len() == 1 && reads.len() == 0 && !lane.pulse.is_busy());
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

async fn send(
    lane: &Lane,
    client: &Client,
    confirm: &Confirm,
    batch: Batch<Writes>,
    form: Form,
) -> (Batch<Writes>, Replies) {
    let replies = calls::batch(lane, client, confirm, &batch, form).await;
    (batch, replies)
}

/// Tells everybody of the batch how it ended.
fn finish(lane: &Lane, batch: Batch<Writes>, replies: Replies) {
    let mut verdicts = replies.verdicts(lane, batch.len()).into_iter();
    for parcel in batch.0 {
        // A caller who is gone needs no answer.
        let _ = parcel.answer.send(verdicts.by_ref().take(parcel.piece.writes().len()).collect());
    }
}
