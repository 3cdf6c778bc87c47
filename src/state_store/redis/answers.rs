//! What each error reply of Redis means: Redis' part of the failure table (`api/failures.rs`).

/// An error reply, known by how it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The word or words it begins with.
    pub begins: &'static str,
    /// What it means for the attempt that heard it.
    pub meaning: Meaning,
    /// Whether another connection may find a server that can do what this one cannot.
    pub ask_another: bool,
}

/// What an error reply means for the attempt that heard it. Whatever it is, nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Redis cannot work now: the next attempt may hear better.
    Passes,
    /// The next attempt would hear the same.
    Stays,
    /// Redis lost the script: the same attempt sends its text.
    SendText,
}

const fn passes(begins: &'static str) -> Answer {
    Answer { begins, meaning: Meaning::Passes, ask_another: false }
}

const fn passes_elsewhere(begins: &'static str) -> Answer {
    Answer { begins, meaning: Meaning::Passes, ask_another: true }
}

const fn stays(begins: &'static str) -> Answer {
    Answer { begins, meaning: Meaning::Stays, ask_another: false }
}

/// Every error reply that we know; any other one stays.
pub const ANSWERS: [Answer; 16] = [
    passes_elsewhere("READONLY"),
    passes_elsewhere("LOADING"),
    passes("OOM"),
    // These two pass when the operator mends the password.
    passes_elsewhere("NOAUTH"),
    passes("WRONGPASS"),
    // About this caller's rights, not about the server.
    stays("NOPERM"),
    stays("WRONGTYPE"),
    passes("BUSY"),
    passes_elsewhere("MASTERDOWN"),
    Answer { begins: "NOSCRIPT", meaning: Meaning::SendText, ask_another: false },
    passes("NOREPLICAS"),
    passes("MISCONF"),
    // The key belongs to another server, whom we do not follow to.
    stays("MOVED"),
    passes_elsewhere("CLUSTERDOWN"),
    passes("TRYAGAIN"),
    passes("ERR max number of clients"),
];

/// The entry of [`ANSWERS`] for a reply.
pub fn find(text: &str) -> Option<Answer> {
    ANSWERS.into_iter().find(|answer| {
        text.strip_prefix(answer.begins)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })
}
