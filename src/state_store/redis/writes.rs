//! Writes on their way: what one caller puts in a lane's queue, and what that caller hears.

use std::{ops::Range, sync::Arc};

use futures_util::{
    FutureExt as _,
    stream::{FuturesUnordered, StreamExt as _},
};
use tokio::time::Instant;

use super::{
    attendant::Attendant,
    calls,
    connection::{Connection, Lane},
    queue::{BATCH_BYTES, BATCH_ITEMS, Batch, Piece, Ticket, Unheard},
    reply::{Scope, TIMED_OUT, Verdict},
};
use crate::state_store::{
    Answers, Consistency, Prepared, PreparedChange, SharedWrites, StoreError,
};

/// Writes of one caller that belong together: they are sent in one piece or not at all.
#[derive(Debug)]
pub(super) struct Writes {
    all: SharedWrites,
    piece: Range<usize>,
    scope: Scope,
}

impl Writes {
    /// This piece of a caller's writes.
    pub(super) fn new(all: SharedWrites, piece: Range<usize>, scope: Scope) -> Self {
        Self { all, piece, scope }
    }

    /// What to write, in this order.
    pub(super) fn writes(&self) -> &[Prepared] {
        &self.all[self.piece.clone()]
    }

    /// What they are part of.
    pub(super) fn scope(&self) -> Scope {
        self.scope
    }
}

impl Piece for Writes {
    type Answers = Vec<Verdict>;

    fn items(&self) -> usize {
        self.piece.len()
    }

    fn bytes(&self) -> usize {
        self.writes().iter().map(size).sum()
    }

    fn not_sent(&self, cause: &str) -> Vec<Verdict> {
        vec![Verdict::NotSent(cause.to_owned()); self.piece.len()]
    }
}

impl Batch<Writes> {
    /// What to write, in this order, and what each is part of.
    pub(super) fn writes(&self) -> impl Iterator<Item = (&Prepared, Scope)> {
        self.pieces().flat_map(|piece| piece.writes().iter().map(|write| (write, piece.scope())))
    }
}

/// A single write that is sent past the queue.
#[derive(Debug)]
pub(super) struct LoneWrite {
    lane: Arc<Lane>,
    connection: Arc<Connection>,
    write: SharedWrites,
}

/// Sends one write after another.
pub(super) fn attendant() -> Attendant<'static, LoneWrite, Verdict> {
    Attendant::new(|LoneWrite { lane, connection, write }| async move {
        calls::alone(&lane, &connection, &write[0]).await
    })
}

/// Sends a write past the lane's queue, if calls come one at a time, and nothing waits or is on the
/// wire. One that waits for replicas is not sent like this.
pub(super) fn write_alone<'l>(
    lane: &'l Arc<Lane>,
    writes: &'l SharedWrites,
    deadline: Option<Instant>,
) -> Option<impl Future<Output = Result<(), StoreError>> + use<'l>> {
    let [write] = &writes[..] else { return None };
    if !lane.lone_writes.is_likely() || lane.writes.depth() > 0 || is_strong(write) {
        return None;
    }
    let connection = lane.idle_connection()?;
    let call = LoneWrite { lane: lane.clone(), connection, write: writes.clone() };
    let call = lane.lone_writes.begin(call, deadline)?;
    let late = |_| Verdict::Unanswered(TIMED_OUT.to_owned());
    Some(call.map(move |end| end.unwrap_or_else(late).into_result(write, Scope::Single)))
}

/// Writes of one caller that are sent in one piece.
pub(super) struct Sent<'s> {
    lane: &'s Lane,
    /// Where the first of them stands among the caller's.
    first: usize,
    writes: &'s [Prepared],
    scope: Scope,
    /// Or how they ended without waiting in the queue.
    ticket: Result<Ticket<'s, Writes>, Verdict>,
}

impl<'s> Sent<'s> {
    /// Puts the writes in the lane's queue; they have to fit a batch, or be a transaction.
    pub(super) fn new(
        lane: &'s Lane,
        writes: &'s SharedWrites,
        piece: Range<usize>,
        scope: Scope,
    ) -> Self {
        let ticket = lane.write(Writes::new(writes.clone(), piece.clone(), scope));
        let ticket = ticket.map_err(Verdict::NotSent);
        Self { lane, first: piece.start, writes: &writes[piece], scope, ticket }
    }

    /// Writes that could not be sent, and so ended like this.
    pub(super) fn never(
        lane: &'s Lane,
        writes: &'s [Prepared],
        piece: Range<usize>,
        verdict: Verdict,
    ) -> Self {
        let first = piece.start;
        Self { lane, first, writes: &writes[piece], scope: Scope::Single, ticket: Err(verdict) }
    }

    /// Waits until `deadline` for how they ended, and fills it in.
    pub(super) async fn hear(self, deadline: Option<Instant>, answers: &mut Answers) {
        let first = self.first;
        answers.fill(first, self.told(deadline).await);
    }

    async fn told(self, deadline: Option<Instant>) -> impl Iterator<Item = Result<(), StoreError>> {
        let Self { lane, writes, scope, ticket, .. } = self;
        let verdicts = match ticket {
            Ok(ticket) => ticket
                .answer(deadline)
                .await
                .unwrap_or_else(|why| vec![unheard(lane, why); writes.len()]),
            Err(verdict) => vec![verdict; writes.len()],
        };
        let told = verdicts.into_iter().zip(writes);
        told.map(move |(verdict, write)| verdict.into_result(write, scope))
    }
}

/// Waits for several pieces of one caller, each until its own time, and fills in each as it ends.
pub(super) async fn hear_all(
    sent: impl Iterator<Item = (Sent<'_>, Option<Instant>)>,
    answers: &mut Answers,
) {
    let pieces = sent.map(|(piece, deadline)| {
        let first = piece.first;
        piece.told(deadline).map(move |told| (first, told))
    });
    let mut pieces: FuturesUnordered<_> = pieces.collect();
    while let Some((first, told)) = pieces.next().await {
        answers.fill(first, told);
    }
}

/// Where the writes of one caller are cut so that each piece fits a batch, and all of a piece wait for
/// replicas or none does.
pub(super) fn pieces(writes: &[Prepared]) -> impl Iterator<Item = Range<usize>> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let (mut count, mut bytes) = (0, 0);
        for write in writes[first..].iter().take(BATCH_ITEMS) {
            bytes += size(write);
            let is_alike = is_strong(write) == is_strong(&writes[first]);
            if count > 0 && (bytes > BATCH_BYTES || !is_alike) {
                break;
            }
            count += 1;
        }
        let piece = first..first + count;
        first = piece.end;
        (!piece.is_empty()).then_some(piece)
    })
}

/// As components-contrib state/redis: only sets wait for replicas.
pub(super) fn is_strong(write: &Prepared) -> bool {
    write.consistency == Consistency::Strong && matches!(write.change, PreparedChange::Set { .. })
}

/// About how many bytes of a batch a write takes.
fn size(write: &Prepared) -> usize {
    const ARGUMENTS: usize = 64;
    let value = match &write.change {
        PreparedChange::Set { value, .. } => value.len(),
        PreparedChange::Delete => 0,
    };
    ARGUMENTS + write.key.bytes().len() + value
}

fn unheard(lane: &Lane, why: Unheard) -> Verdict {
    match why {
        Unheard::Withdrawn => Verdict::NotSent(TIMED_OUT.to_owned()),
        Unheard::TimedOut => Verdict::Unanswered(TIMED_OUT.to_owned()),
        Unheard::Lost => Verdict::Unanswered(lane.cause()),
    }
}
