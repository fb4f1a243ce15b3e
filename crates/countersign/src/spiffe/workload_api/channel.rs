use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

use h2::client::SendRequest;
use prost::bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;

use super::endpoint::Endpoint;
use super::error::WorkloadApiError;
use super::x509_context::X509Memory;

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);
/// A bundle of a thousand trust domains should not have to wait for window updates.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Who says nothing this long after the connection was made does not speak HTTP/2.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection to one endpoint, made when first needed, and made anew when it broke. Cheap to clone: clones share it.
///
/// The path is looked up each time a connection is made: an agent that was restarted has another socket there.
#[derive(Clone)]
pub struct Channel(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    /// Held while connecting, so that whoever comes meanwhile waits for that connection and makes none of their own.
    connected: Mutex<Option<Connected>>,
    /// Of the SVIDs that were fetched last: whoever fetches the same ones again need not judge them from scratch.
    memory: StdMutex<Option<X509Memory>>,
}

struct Connected {
    sender: SendRequest<Bytes>,
    /// One more owner for each open stream.
    uses: Arc<()>,
    last_used: Instant,
}

/// The right to open one stream.
pub(super) struct Lease {
    pub(super) sender: SendRequest<Bytes>,
    /// The connection was there already. Such a one may turn out to be dead, and then another attempt is worth it.
    pub(super) used_before: bool,
    /// To be kept as long as the stream.
    pub(super) holding: Arc<()>,
}

/// A channel that does not count: when nobody else has it any more, it is gone.
pub struct WeakChannel(Weak<Inner>);

impl WeakChannel {
    /// The channel, while somebody has it.
    pub fn upgrade(&self) -> Option<Channel> {
        self.0.upgrade().map(Channel)
    }
}

impl Channel {
    /// Nothing is connected yet.
    pub fn new(endpoint: Endpoint) -> Channel {
        Channel(Arc::new(Inner { endpoint, connected: Mutex::new(None), memory: StdMutex::new(None) }))
    }

    /// Where it leads.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// The same channel, without counting.
    pub fn downgrade(&self) -> WeakChannel {
        WeakChannel(Arc::downgrade(&self.0))
    }

    /// A handle to open a stream with, on the connection that is there or on a new one.
    pub(super) async fn lease(&self) -> Result<Lease, WorkloadApiError> {
        let mut connected = self.0.connected.lock().await;
        if let Some(Connected { sender, uses, .. }) = connected.take()
            && let Ok(sender) = sender.ready().await
        {
            let lease = Lease { sender: sender.clone(), used_before: true, holding: Arc::clone(&uses) };
            *connected = Some(Connected { sender, uses, last_used: Instant::now() });
            return Ok(lease);
        }
        let sender = self.connect().await?.ready().await?;
        let uses = Arc::new(());
        let lease = Lease { sender: sender.clone(), used_before: false, holding: Arc::clone(&uses) };
        *connected = Some(Connected { sender, uses, last_used: Instant::now() });
        tokio::spawn(end_when_idle(Arc::downgrade(&self.0)));
        Ok(lease)
    }

    pub(super) fn memory(&self) -> Option<X509Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn remember(&self, memory: X509Memory) {
        *self.0.memory.lock().unwrap_or_else(PoisonError::into_inner) = Some(memory);
    }

    /// Opens nothing more on the connection a lease came from.
    pub(super) async fn forget(&self, lease: &Arc<()>) {
        let mut connected = self.0.connected.lock().await;
        if connected.as_ref().is_some_and(|connected| Arc::ptr_eq(&connected.uses, lease)) {
            *connected = None;
        }
    }

    async fn connect(&self) -> Result<SendRequest<Bytes>, WorkloadApiError> {
        let stage = "making the connection";
        let failed =
            |error: io::Error| WorkloadApiError::Connect { endpoint: self.0.endpoint.clone(), source: Arc::new(error) };
        let socket = dial(&self.0.endpoint).await.map_err(failed)?;
        let shaking = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(1 << 18)
            .enable_push(false)
            .handshake(socket);
        let (sender, connection) = tokio::time::timeout(HANDSHAKE, shaking)
            .await
            .map_err(|_| WorkloadApiError::Timeout { after: HANDSHAKE, stage })??;
        let driver = Arc::new(Driver { connection: StdMutex::new(Some(connection)), waker: StdMutex::new(None) });
        tokio::spawn(std::future::poll_fn(move |context| driver.drive(context)));
        Ok(sender)
    }
}

thread_local! {
    /// While this thread begins a call: who would have been woken, had it not been in a hurry.
    static HURRIED: RefCell<Option<Vec<Arc<TaskWaker>>>> = const { RefCell::new(None) };
}

/// Begins a call on the thread of the caller: what `begin` leaves to be written is written before this returns, and who
/// drives the connection need not wake up for it.
pub fn hurry<T>(begin: impl FnOnce() -> T) -> T {
    /// Nobody is left sleeping, whatever `begin` does.
    struct Afterwards;
    impl Drop for Afterwards {
        fn drop(&mut self) {
            for waker in HURRIED.take().unwrap_or_default() {
                match waker.driver.upgrade() {
                    Some(driver) => driver.drive_now(&waker),
                    None => waker.task.wake_by_ref(),
                }
            }
        }
    }
    HURRIED.set(Some(Vec::new()));
    let _afterwards = Afterwards;
    begin()
}

/// What moves the frames of a connection: a task, and now and then somebody who is in a hurry.
struct Driver {
    /// `None`: it is over.
    connection: StdMutex<Option<h2::client::Connection<Box<dyn Stream>>>>,
    /// The task's.
    waker: StdMutex<Option<Arc<TaskWaker>>>,
}

/// The waker that a connection knows. Whoever drives in the task's place leaves this one with it, so that the task is
/// woken by what comes later.
struct TaskWaker {
    task: Waker,
    driver: Weak<Driver>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let left_for_later = HURRIED.with_borrow_mut(|hurried| match hurried {
            Some(wakers) => {
                if !wakers.iter().any(|waker| Arc::ptr_eq(waker, self)) {
                    wakers.push(Arc::clone(self));
                }
                true
            }
            None => false,
        });
        if !left_for_later {
            self.task.wake_by_ref();
        }
    }
}

impl Driver {
    fn drive(self: &Arc<Self>, context: &mut Context<'_>) -> Poll<()> {
        let waker = {
            let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
            match &*waker {
                Some(known) if known.task.will_wake(context.waker()) => Arc::clone(known),
                _ => {
                    let new = TaskWaker { task: context.waker().clone(), driver: Arc::downgrade(self) };
                    Arc::clone(waker.insert(Arc::new(new)))
                }
            }
        };
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        self.advance(&mut connection, &mut Context::from_waker(&waker.into()))
    }

    fn drive_now(&self, waker: &Arc<TaskWaker>) {
        match self.connection.try_lock() {
            Ok(mut connection) => {
                let context = Waker::from(Arc::clone(waker));
                if self.advance(&mut connection, &mut Context::from_waker(&context)).is_ready() {
                    waker.task.wake_by_ref();
                }
            }
            // The task is at it, and may have looked already at what was left for it just now.
            Err(_) => waker.task.wake_by_ref(),
        }
    }

    /// It ends when the other side goes, or nobody has a handle or a stream of it any more. Those who have learn of an
    /// error from their streams.
    fn advance(
        &self,
        connection: &mut Option<h2::client::Connection<Box<dyn Stream>>>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let Some(driven) = connection else { return Poll::Ready(()) };
        ready!(Pin::new(driven).poll(context)).ok();
        *connection = None;
        Poll::Ready(())
    }
}

/// Lets go of a connection without streams that nobody has used for a while.
async fn end_when_idle(channel: Weak<Inner>) {
    loop {
        tokio::time::sleep(IDLE / 2).await;
        let Some(channel) = channel.upgrade() else { return };
        let mut connected = channel.connected.lock().await;
        let Some(Connected { uses, last_used, .. }) = &*connected else { return };
        if Arc::strong_count(uses) == 1 && last_used.elapsed() >= IDLE {
            *connected = None;
            return;
        }
    }
}

/// A stream of bytes, whatever it goes through: HTTP/2 is then in the program once, and not for each of them.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn dial(endpoint: &Endpoint) -> io::Result<Box<dyn Stream>> {
    match endpoint {
        #[cfg(unix)]
        Endpoint::Unix(path) => Ok(Box::new(unix_stream(path).await?)),
        Endpoint::Tcp(address) => {
            let socket = tokio::net::TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            Ok(Box::new(socket))
        }
        #[cfg(windows)]
        Endpoint::Pipe(name) => {
            let options = tokio::net::windows::named_pipe::ClientOptions::new();
            Ok(Box::new(options.open(format!(r"\\.\pipe\{name}"))?))
        }
        #[cfg(not(unix))]
        Endpoint::Unix(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "Unix sockets are not supported here")),
        #[cfg(not(windows))]
        Endpoint::Pipe(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "named pipes exist on Windows only")),
    }
}

#[cfg(unix)]
async fn unix_stream(path: &std::path::Path) -> io::Result<tokio::net::UnixStream> {
    // A backlog that is full is answered with EAGAIN, and has no event for room in it.
    let mut pause = Duration::from_millis(1);
    loop {
        match tokio::net::UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && pause < Duration::from_secs(2) => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            connected => return connected,
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({})", self.0.endpoint)
    }
}
