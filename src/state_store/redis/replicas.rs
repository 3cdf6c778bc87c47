//! How many replicas the server has: what strong consistency waits for.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use fred::{clients::Client, error::Error, interfaces::ClientLike, types::InfoKind};
use tokio::{sync::OnceCell, time::Instant};

use super::{reply, watchdog::Pulse};

/// How old a count may be before it is asked for again.
const FRESH: Duration = Duration::from_secs(5);

/// The number of replicas, shared with the lane that waits for them.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicI64);

impl Count {
    /// The number.
    pub(super) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, count: i64) {
        self.0.store(count, Ordering::Relaxed);
    }
}

/// What one connection knows about its server's replicas.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    asked: OnceCell<Mutex<Instant>>,
}

impl Replicas {
    /// Brings `count` up to date: the first time on a connection the answer is waited for, later
    /// it is asked for in the background, now and then. A server that will never say it counts as
    /// one without replicas.
    pub(super) async fn update(
        &self,
        client: &Client,
        pulse: &Pulse,
        count: &Arc<Count>,
    ) -> Result<(), Error> {
        let first = || async {
            let on_wire = pulse.hand_over();
            let number = ask(client).await;
            on_wire.settle(&number);
            count.set(number.or_else(none_if_refused)?);
            Ok::<_, Error>(Mutex::new(Instant::now()))
        };
        let asked = self.asked.get_or_try_init(first).await?;
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.elapsed() >= FRESH {
            *asked = Instant::now();
            let (client, count) = (client.clone(), count.clone());
            tokio::spawn(async move {
                // A failure keeps the old number; the connection's end brings a new one.
                if let Ok(number) = ask(&client).await {
                    count.set(number);
                }
            });
        }
        Ok(())
    }
}

async fn ask(client: &Client) -> Result<i64, Error> {
    let info = client.info::<String>(Some(InfoKind::Replication)).await?;
    Ok(connected(&info))
}

fn none_if_refused(error: Error) -> Result<i64, Error> {
    if !reply::is_refusal(&error) {
        return Err(error);
    }
    tracing::warn!(
        target: "dapr.contrib",
        "Strong consistency waits for no replica: Redis does not allow INFO: {}",
        error.details()
    );
    Ok(0)
}

fn connected(info: &str) -> i64 {
    let count = info.lines().find_map(|line| line.strip_prefix("connected_slaves:"));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_replicas_stands_in_the_replication_section() {
        assert_eq!(connected("# Replication\r\nrole:master\r\nconnected_slaves:2\r\n"), 2);
        assert_eq!(connected("# Replication\r\nrole:slave\r\n"), 0);
    }
}
