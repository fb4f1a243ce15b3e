use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

/// A few threads for work that waits for a disk, shared by all protocols: however many clients ask, no more than these
/// read at the same time.
pub(in crate::agent) struct BlockingPool(Mutex<Option<Runtime>>);

impl BlockingPool {
    /// Makes the pool; its threads are started when there is work.
    pub(in crate::agent) fn new() -> io::Result<(BlockingPool, Handle)> {
        let runtime = Builder::new_current_thread().max_blocking_threads(2).thread_name("countersign-hash").build()?;
        let handle = runtime.handle().clone();
        Ok((BlockingPool(Mutex::new(Some(runtime))), handle))
    }

    /// Ends the threads, without waiting for work that has begun: its result is of no use any more, and the owner of
    /// the agent may close it on an event loop, which must not wait. Closing twice is closing once.
    pub(in crate::agent) fn close(&self) {
        if let Some(runtime) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for BlockingPool {
    fn drop(&mut self) {
        self.close();
    }
}
