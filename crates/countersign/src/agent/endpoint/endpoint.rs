use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Runtime;

use super::accept::{Queue, accept_batch, accept_until_stopped};
use super::bind::BoundSocket;
use super::idle_workers::IdleWorkers;
use super::protocol::{Accepted, Protocol};
use super::readiness::watched;
use super::throttled_log::LogThrottle;

/// What a new connection may be read into; longer requests take more than one read.
const BUFFER: usize = 16 * 1024;
/// How long a stopping endpoint waits for work that blocks a thread.
const BLOCKING_DRAIN: Duration = Duration::from_millis(100);

/// A socket that is served on threads of its own: one protocol that is kept busy does not slow down another. Dropping
/// it closes it.
pub(in crate::agent) struct Endpoint<P: Protocol> {
    protocol: Arc<P>,
    path: PathBuf,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<P: Protocol> Endpoint<P> {
    /// Starts serving; once this returns, clients are answered. All threads but the first are parked until clients
    /// queue up.
    pub(in crate::agent) fn start(protocol: Arc<P>, socket: BoundSocket, threads: usize) -> io::Result<Endpoint<P>> {
        let path = socket.path().to_path_buf();
        let socket = Arc::new(socket);
        let server = Arc::new(Server {
            protocol: Arc::clone(&protocol),
            idle_workers: IdleWorkers::default(),
            exhaustion: LogThrottle::default(),
        });
        let endpoint = Endpoint { protocol, path, threads: Mutex::default() };
        for _ in 1..threads {
            let (server, socket) = (Arc::clone(&server), Arc::clone(&socket));
            let runtime = event_loop::<P>()?;
            endpoint.spawn(move || runtime.block_on(server.help(socket)))?;
        }
        let runtime = event_loop::<P>()?;
        let listener = {
            let _its_loop = runtime.enter();
            watched(socket)?
        };
        endpoint.spawn(move || {
            runtime.block_on(server.run(listener));
            runtime.shutdown_timeout(BLOCKING_DRAIN);
        })?;
        Ok(endpoint)
    }

    pub(in crate::agent) fn protocol(&self) -> &Arc<P> {
        &self.protocol
    }

    /// The path clients connect to.
    pub(in crate::agent) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the socket, serves the connections that are there for at most [`Protocol::DRAIN`], and ends the
    /// threads. Closing twice is closing once.
    pub(in crate::agent) fn close(&self) {
        self.protocol.shutdown().begin();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            let _ = thread.join();
        }
    }

    fn spawn(&self, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(P::NAME.into()).spawn(work)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }
}

impl<P: Protocol> Drop for Endpoint<P> {
    fn drop(&mut self) {
        self.close();
    }
}

fn event_loop<P: Protocol>() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(2)
        .thread_name(P::NAME)
        .build()
}

/// What the threads of an endpoint share.
struct Server<P> {
    protocol: Arc<P>,
    idle_workers: IdleWorkers,
    /// The kernel has no descriptors or no memory left.
    exhaustion: LogThrottle,
}

impl<P: Protocol> Server<P> {
    /// The first thread: accepts until the endpoint stops, then removes the socket and finishes what it has begun.
    async fn run(self: Arc<Self>, listener: AsyncFd<Arc<BoundSocket>>) {
        let mut stop = self.protocol.shutdown().subscribe();
        let background = tokio::spawn(Arc::clone(&self.protocol).background());
        let mut buffer = vec![0; BUFFER];
        accept_until_stopped(&listener, &mut stop, &self.exhaustion, |socket| {
            let accepted = self.accept(socket, &mut buffer);
            if accepted.is_err() {
                self.protocol.accept_failed();
            }
            accepted
        })
        .await;
        background.abort();
        if listener.get_ref().unlink() {
            // These clients connected in time, and no other agent will answer them.
            while let Ok(Queue::Waiting) = self.accept(listener.get_ref(), &mut buffer) {}
        }
        drop(listener);
        self.protocol.quota().drain(P::DRAIN).await;
    }

    /// Every other thread: accepts while clients queue up. Errors of the kernel are left to the first thread.
    async fn help(self: Arc<Self>, socket: Arc<BoundSocket>) {
        let mut stop = self.protocol.shutdown().subscribe();
        let mut buffer = vec![0; BUFFER];
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = self.idle_workers.park() => {}
            }
            while !stop.is_requested() && matches!(self.accept(&socket, &mut buffer), Ok(Queue::Waiting)) {
                tokio::task::yield_now().await;
            }
        }
        drop(socket);
        self.protocol.quota().drain(P::DRAIN).await;
    }

    fn accept(&self, listener: &Arc<BoundSocket>, buffer: &mut [u8]) -> Result<Queue, Errno> {
        accept_batch(listener, |turn, socket| {
            if turn > 0 {
                self.idle_workers.wake();
            }
            let Accepted::Serve { uid, connection } = self.protocol.accept(socket, buffer) else { return };
            match self.protocol.quota().permit(uid) {
                Some(permit) => {
                    let serving = Arc::clone(&self.protocol).serve(connection);
                    tokio::spawn(async move {
                        serving.await;
                        drop(permit);
                    });
                }
                None => self.protocol.reject(connection, buffer),
            }
        })
    }
}
