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
    /// Whether one key of a call is enough for it: Redis then carries out nothing of the call, and
    /// what it says may hold for no other key.
    pub for_one_key: bool,
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

const fn answer(begins: &'static str, meaning: Meaning) -> Answer {
    Answer { begins, meaning, ask_another: false, for_one_key: false }
}

const fn passes(begins: &'static str) -> Answer {
    answer(begins, Meaning::Passes)
}

const fn passes_elsewhere(begins: &'static str) -> Answer {
    Answer { ask_another: true, ..passes(begins) }
}

const fn stays(begins: &'static str) -> Answer {
    answer(begins, Meaning::Stays)
}

const fn for_one_key(answer: Answer) -> Answer {
    Answer { for_one_key: true, ..answer }
}

/// Every error reply that we know; any other one stays.
pub const ANSWERS: [Answer; 18] = [
    passes_elsewhere("READONLY"),
    passes_elsewhere("LOADING"),
    passes("OOM"),
    // These two pass when the operator mends the password.
    passes_elsewhere("NOAUTH"),
    passes("WRONGPASS"),
    // About this caller's rights, not about the server.
    for_one_key(stays("NOPERM")),
    stays("WRONGTYPE"),
    passes("BUSY"),
    passes_elsewhere("MASTERDOWN"),
    answer("NOSCRIPT", Meaning::SendText),
    passes("NOREPLICAS"),
    passes("MISCONF"),
    // The key belongs to another server, whom we do not follow to.
    for_one_key(stays("MOVED")),
    // The same of a key that is on the move: when that ends, the answer is MOVED.
    for_one_key(stays("ASK")),
    // Said of several keys only: each alone is let through, or is another server's.
    for_one_key(stays("CROSSSLOT")),
    passes_elsewhere("CLUSTERDOWN"),
    for_one_key(passes("TRYAGAIN")),
    passes("ERR max number of clients"),
];

/// The entry of [`ANSWERS`] for a reply.
pub fn find(text: &str) -> Option<Answer> {
    ANSWERS.into_iter().find(|answer| {
        text.strip_prefix(answer.begins)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })
}
