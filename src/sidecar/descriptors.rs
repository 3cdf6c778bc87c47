//! How many connections the system lets this process have: one that cannot be accepted waits
//! without an answer, and Redis could not be reached any more.

use nix::sys::resource::{Resource, getrlimit};

use crate::edge::admission::{Limit, Most};

/// What is left for all that is no client's connection: logs, and clients that hear a refusal.
const RESERVED: usize = 128;

/// What each data-plane thread needs: its ports, its connections to stores, its timers.
const EACH_THREAD: usize = 16;

/// `most`, with no more connections than the system allows.
pub(super) fn within_descriptors(most: Most, threads: usize) -> Most {
    let Ok((files, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return most };
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    let fitting = fitting(most.connections, files, threads);
    if fitting != most.connections
        && let Some(connections) = fitting
    {
        let flag = Limit::Connections.flag();
        tracing::info!(
            target: "dapr.runtime",
            "{flag} is taken as {connections}: this process may have {files} open files"
        );
    }
    Most { connections: fitting, ..most }
}

fn fitting(connections: Option<usize>, files: usize, threads: usize) -> Option<usize> {
    if files == usize::MAX {
        return connections;
    }
    let free = files.saturating_sub(RESERVED + EACH_THREAD * threads).max(1);
    Some(connections.map_or(free, |connections| connections.min(free)))
}

#[cfg(test)]
mod tests {
    use super::fitting;

    #[test]
    fn connections_leave_files_for_everything_else() {
        assert_eq!(fitting(Some(2048), 1 << 20, 1), Some(2048));
        assert_eq!(fitting(Some(2048), 1024, 1), Some(880));
        assert_eq!(fitting(None, 1024, 2), Some(864));
        assert_eq!(fitting(None, usize::MAX, 2), None);
        assert_eq!(fitting(Some(5), 64, 4), Some(1));
    }
}
