//! Writes on their way: one caller's place in a lane's queue, and what that caller hears.

use tokio::time::Instant;

use super::{
    connection::Lane,
    queue::{Ticket, Unheard},
    reply::{Scope, TIMED_OUT, Verdict},
};
use crate::state_store::{Prepared, StoreError};

/// Writes of one caller that are sent in one piece.
pub(super) struct Sent<'s> {
    lane: &'s Lane,
    writes: &'s [Prepared],
    scope: Scope,
    /// Or why they may not wait in the queue.
    ticket: Result<Ticket<'s>, String>,
}

impl<'s> Sent<'s> {
    /// Puts the writes in the lane's queue; they have to fit a batch, or be a transaction.
    pub(super) fn new(lane: &'s Lane, writes: &'s [Prepared], scope: Scope) -> Self {
        let ticket = lane.queue.push(writes.to_vec(), scope);
        if ticket.is_err() {
            lane.want();
        }
        Self { lane, writes, scope, ticket }
    }

    /// Writes that could not be sent.
    pub(super) fn never(lane: &'s Lane, writes: &'s [Prepared], cause: String) -> Self {
        Self { lane, writes, scope: Scope::Single, ticket: Err(cause) }
    }

    /// Waits until `deadline` for how they ended: one result per write, in their order.
    pub(super) async fn hear(
        self,
        deadline: Option<Instant>,
    ) -> impl Iterator<Item = Result<(), StoreError>> {
        let Self { lane, writes, scope, ticket } = self;
        let verdicts = match ticket {
            Ok(ticket) => ticket
                .answer(deadline)
                .await
                .unwrap_or_else(|why| vec![unheard(lane, why); writes.len()]),
            Err(cause) => vec![Verdict::NotSent(cause); writes.len()],
        };
        let told = verdicts.into_iter().zip(writes);
        told.map(move |(verdict, write)| verdict.into_result(write, scope))
    }
}

fn unheard(lane: &Lane, why: Unheard) -> Verdict {
    match why {
        Unheard::Withdrawn => Verdict::NotSent(TIMED_OUT.to_owned()),
        Unheard::TimedOut => Verdict::Unanswered(TIMED_OUT.to_owned()),
        Unheard::Lost => {
            Verdict::Unanswered(lane.queue.cause().unwrap_or_else(|| "EOF".to_owned()))
        }
    }
}
