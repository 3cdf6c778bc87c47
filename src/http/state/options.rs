//! The words by which an HTTP caller asks for consistency and concurrency.

use crate::state_store::{Concurrency, Consistency, StoreError};

/// What two words mean. An unknown one is refused in the words of Dapr's stores, the consistency
/// first.
pub fn read(
    concurrency: &str,
    consistency: &str,
) -> Result<(Concurrency, Consistency), StoreError> {
    let Some(consistency_meant) = consistency_of(consistency) else {
        let text = format!("unrecognized consistency model '{consistency}'");
        return Err(StoreError::Refused(text));
    };
    let Some(concurrency_meant) = concurrency_of(concurrency) else {
        let text = format!("unrecognized concurrency model '{concurrency}'");
        return Err(StoreError::Refused(text));
    };
    Ok((concurrency_meant, consistency_meant))
}

/// The same in a transaction, where an unknown word means as much as none.
pub fn read_leniently(concurrency: &str, consistency: &str) -> (Concurrency, Consistency) {
    let concurrency = concurrency_of(concurrency).unwrap_or_default();
    (concurrency, consistency_of(consistency).unwrap_or_default())
}

fn concurrency_of(word: &str) -> Option<Concurrency> {
    match word {
        "" => Some(Concurrency::Unspecified),
        "first-write" => Some(Concurrency::FirstWrite),
        "last-write" => Some(Concurrency::LastWrite),
        _ => None,
    }
}

fn consistency_of(word: &str) -> Option<Consistency> {
    match word {
        "" => Some(Consistency::Unspecified),
        "eventual" => Some(Consistency::Eventual),
        "strong" => Some(Consistency::Strong),
        _ => None,
    }
}
