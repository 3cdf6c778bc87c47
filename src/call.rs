//! What every layer is handed about the call it serves.

use tokio::time::Instant;

/// One call of a client, as the layers below the edge see it.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// When the caller stops waiting; no attempt and no sleep goes past it.
    pub deadline: Option<Instant>,
}
