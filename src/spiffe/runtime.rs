//! The one thread that speaks to Workload APIs, for all environments of the process. It starts with the first use: a
//! program that never uses one has no such thread.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use countersign::spiffe::source::Hub;
use tokio::runtime::{Builder, Handle};

/// The connections and streams of the process.
pub fn hub() -> &'static Hub {
    static HUB: OnceLock<Hub> = OnceLock::new();
    HUB.get_or_init(Hub::new)
}

/// Where futures run.
pub fn handle() -> io::Result<&'static Handle> {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = HANDLE.get() {
        return Ok(handle);
    }
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    let handle = runtime.handle().clone();
    // The thread lives as long as the process: there is nothing to join it from.
    std::thread::Builder::new()
        .name("countersign-api".into())
        .stack_size(512 * 1024)
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(HANDLE.get_or_init(|| handle))
}
