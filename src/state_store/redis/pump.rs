//! Hands what waits in a lane's queues to its connection, in batches of one script call each.

use std::{convert::Infallible, sync::Arc, time::Duration};

use fred::clients::Client;

use super::{
    apart,
    calls::{self, Form, Replies},
    connection::{Connection, Lane},
    queue::Batch,
    reads,
    replicas::Count,
    reply::{self, Verdict},
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

/// How a batch that was not carried out is sent again.
#[derive(Clone, Copy)]
enum Again {
    /// With the script's text: the server did not know its name.
    WithText,
    /// Key by key: one of them was enough for the server to refuse all.
    Apart,
}

impl Again {
    /// Whether a batch with these replies is sent again, and how.
    fn of(replies: &Replies, items: usize) -> Option<Self> {
        match &replies.script {
            Ok(_) => None,
            Err(error) if reply::is_unknown_script(error) => Some(Self::WithText),
            Err(error) if items > 1 && reply::is_for_one_key(error) => Some(Self::Apart),
            Err(_) => None,
        }
    }
}

/// So many batches go one at a time after one that was sent again key by key: what is on the wire
/// behind such a batch overtakes it, and where there was one such key there will be more. Of the first
/// nobody can know; no order of those writes was promised, as none of them was answered yet.
const WARY: u32 = 256;

/// Serves the lane's queues; never ends by itself. Dropped, it answers nobody any more: who is on
/// the wire then hears that the connection is lost.
pub(super) async fn pump(lane: &Lane, connection: &Connection, confirm: &Confirm) -> Infallible {
    let client = &connection.client;
    let mut writes = Slots::new(Order::Arrival);
    let mut reads = Slots::new(Order::Completion);
    // A batch that was not carried out. While it is sent again, nothing later is sent or answered:
    // the order stays.
    let mut again = None;
    let mut wary = 0_u32;
    loop {
        while writes.len() < if wary > 0 { 1 } else { confirm.batches() }
            && again.is_none()
            && lane.may_send()
            && let Some(batch) = lane.writes.take_batch()
        {
            wary = wary.saturating_sub(1);
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
            (batch, verdicts) = async { again.as_mut().expect("invariant: asked").await },
                if again.is_some() =>
            {
                again = None;
                finish(batch, verdicts);
            }
            (batch, replies) = writes.next(), if again.is_none() => {
                match Again::of(&replies, batch.len()) {
                    None => {
                        let verdicts = replies.verdicts(lane, batch.len());
                        finish(batch, verdicts);
                    }
                    Some(how) => {
                        if matches!(how, Again::Apart) {
                            wary = WARY;
                        }
                        again = Some(Box::pin(send_again(lane, connection, confirm, batch, how)));
                    }
                }
            }
            () = reads.next() => {}
            () = lane.pulse.pump_woken() => {}
        }
    }
}

/// Sends a batch for those who are still there when it is polled first: it may have had to wait for one
/// before it that is sent again.
async fn send(
    lane: &Lane,
    client: &Client,
    confirm: &Confirm,
    batch: Batch<Writes>,
    form: Form,
) -> (Batch<Writes>, Replies) {
    let batch = batch.without_those_who_left();
    let replies = match batch.0.is_empty() {
        true => Replies::of_nothing(),
        false => calls::batch(lane, client, confirm, &batch, form).await,
    };
    (batch, replies)
}

/// Sends a batch that was not carried out, for those who are still there.
async fn send_again(
    lane: &Lane,
    connection: &Connection,
    confirm: &Confirm,
    batch: Batch<Writes>,
    how: Again,
) -> (Batch<Writes>, Vec<Verdict>) {
    let mut batch = batch;
    if matches!(how, Again::WithText) {
        let client = &connection.client;
        let (sent, replies) = send(lane, client, confirm, batch, Form::Text).await;
        if !matches!(Again::of(&replies, sent.len()), Some(Again::Apart)) {
            let verdicts = replies.verdicts(lane, sent.len());
            return (sent, verdicts);
        }
        batch = sent;
    }
    let verdicts = apart::send(lane, connection, confirm, &batch).await;
    (batch, verdicts)
}

/// Tells everybody of the batch how it ended.
fn finish(batch: Batch<Writes>, verdicts: Vec<Verdict>) {
    let mut verdicts = verdicts.into_iter();
    for parcel in batch.0 {
        // A caller who is gone needs no answer.
        let _ = parcel.answer.send(verdicts.by_ref().take(parcel.piece.writes().len()).collect());
    }
}
