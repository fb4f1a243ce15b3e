use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

/// Why an evaluation with hashes has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) enum HashingError {
    /// The executables could not be read in time.
    TimedOut,
    /// The evaluation panicked, or the agent stops.
    Aborted,
}

/// Does work that reads executables from end to end, on a pool of threads that may be kept busy by that.
pub(in crate::agent) async fn with_hashes<T: Send + 'static>(
    pool: &Handle,
    deadline: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HashingError> {
    match timeout_at(deadline, pool.spawn_blocking(work)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err(HashingError::Aborted),
        Err(_) => Err(HashingError::TimedOut),
    }
}
