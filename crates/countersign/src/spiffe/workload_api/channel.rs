use std::fmt;
use std::io;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};
use std::time::Duration;

use h2::client::SendRequest;
use prost::bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::connection::Connection;
use super::endpoint::Endpoint;
use super::error::WorkloadApiError;
use super::stage::Stage;
use super::x509_context::X509Memory;
use crate::backoff::Backoff;
use crate::spiffe::limits::HEADER_BYTES;

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);
/// A bundle of a thousand trust domains should not have to wait for window updates.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// A network that does not answer is given up on long before the operating system would.
const DIAL: Duration = Duration::from_secs(10);
/// A backlog that stays full for longer pauses than this is an error.
const BUSY: Duration = Duration::from_secs(2);

/// A connection to one endpoint, made when first needed, and made anew when it broke. Cheap to clone: clones share it.
///
/// The path is looked up each time a connection is made: an agent that was restarted has another socket there.
#[derive(Clone)]
pub struct Channel(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    /// Held while connecting, so that calls that come meanwhile wait for that connection and make none of their own.
    connected: Mutex<Option<Connected>>,
    /// Of the SVIDs that were fetched last: the same ones need not be verified from scratch.
    memory: StdMutex<Option<X509Memory>>,
}

struct Connected {
    sender: SendRequest<Bytes>,
    /// One more owner for each open stream.
    connection: Arc<Connection>,
    last_used: Instant,
}

/// The right to open one stream.
pub(super) struct Lease {
    pub(super) sender: SendRequest<Bytes>,
    /// The connection was there already. Such a one may turn out to be dead, and then another attempt is worth it.
    pub(super) used_before: bool,
    /// To be kept as long as the stream.
    pub(super) connection: Arc<Connection>,
}

/// A channel that does not count: it is gone with its last other owner.
pub struct WeakChannel(Weak<Inner>);

impl WeakChannel {
    /// The channel, while it has an owner.
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
        if let Some(Connected { sender, connection, .. }) = connected.take()
            && let Ok(sender) = sender.ready().await
        {
            let lease = Lease { sender: sender.clone(), used_before: true, connection: Arc::clone(&connection) };
            *connected = Some(Connected { sender, connection, last_used: Instant::now() });
            return Ok(lease);
        }
        let (sender, connection) = self.connect().await?;
        let sender = sender.ready().await?;
        let connection = Arc::new(connection);
        let lease = Lease { sender: sender.clone(), used_before: false, connection: Arc::clone(&connection) };
        tokio::spawn(end_when_idle(Arc::downgrade(&self.0), Arc::downgrade(&connection)));
        *connected = Some(Connected { sender, connection, last_used: Instant::now() });
        Ok(lease)
    }

    pub(super) fn memory(&self) -> Option<X509Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn remember(&self, memory: X509Memory) {
        *self.0.memory.lock().unwrap_or_else(PoisonError::into_inner) = Some(memory);
    }

    /// Opens nothing more on this connection.
    pub(super) async fn forget(&self, connection: &Arc<Connection>) {
        let mut connected = self.0.connected.lock().await;
        if connected.as_ref().is_some_and(|connected| Arc::ptr_eq(&connected.connection, connection)) {
            *connected = None;
        }
    }

    async fn connect(&self) -> Result<(SendRequest<Bytes>, Connection), WorkloadApiError> {
        let failed =
            |error: io::Error| WorkloadApiError::Connect { endpoint: self.0.endpoint.clone(), source: Arc::new(error) };
        let socket = tokio::time::timeout(DIAL, dial(&self.0.endpoint))
            .await
            .map_err(|_| WorkloadApiError::Timeout { after: DIAL, stage: Stage::CONNECTING })?
            .map_err(failed)?;
        // It does not wait for the server: a silent server is detected by the call that waits.
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(1 << 18)
            .max_header_list_size(HEADER_BYTES)
            .enable_push(false)
            .handshake(socket)
            .await?;
        Ok((sender, Connection::new(connection)))
    }
}

/// Drops a connection without streams that was not used for a while.
async fn end_when_idle(channel: Weak<Inner>, watched: Weak<Connection>) {
    loop {
        tokio::time::sleep(IDLE / 2).await;
        let Some(channel) = channel.upgrade() else { return };
        let mut connected = channel.connected.lock().await;
        // Another one took its place, and has a watch of its own.
        let Some(Connected { connection, last_used, .. }) =
            connected.as_ref().filter(|now| std::ptr::eq(Arc::as_ptr(&now.connection), watched.as_ptr()))
        else {
            return;
        };
        if Arc::strong_count(connection) == 1 && last_used.elapsed() >= IDLE {
            *connected = None;
            return;
        }
    }
}

/// A stream of bytes over any transport: HTTP/2 is then in the program once, and not for each of them.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn dial(endpoint: &Endpoint) -> io::Result<Box<dyn Stream>> {
    match endpoint {
        #[cfg(unix)]
        Endpoint::Unix(path) => Ok(Box::new(unix_stream(path).await?)),
        Endpoint::Tcp(address) => {
            let socket = tokio::net::TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            #[cfg(unix)]
            keep_alive(&socket)?;
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
    let mut backoff = Backoff::new(Duration::from_millis(1), BUSY);
    loop {
        match tokio::net::UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && backoff.bound() < BUSY => {
                tokio::time::sleep(backoff.pause()).await;
            }
            connected => return connected,
        }
    }
}

/// A host that vanished, or a router that forgot the connection, says nothing, and a stream may have nothing to say for
/// hours: only a question shows which it is.
#[cfg(unix)]
fn keep_alive(socket: &tokio::net::TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(60))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(socket, 4)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(socket, 120_000)?;
    Ok(())
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({})", self.0.endpoint)
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)] // a server that cannot be started fails the test
mod tests {
    use super::*;
    use tokio::net::UnixListener;
    use tokio::runtime::Handle;

    /// A channel to a server that speaks HTTP/2 and answers nothing.
    fn channel(directory: &tempfile::TempDir) -> Channel {
        let path = directory.path().join("agent.sock");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let Ok(mut connection) = h2::server::handshake(socket).await else { return };
                    while let Some(Ok(_)) = connection.accept().await {}
                });
            }
        });
        Channel::new(Endpoint::parse(&format!("unix:{}", path.display())).unwrap())
    }

    /// Waits until so many tasks are left, and tells how many there are when that takes too long.
    async fn tasks(expected: usize) -> usize {
        let alive = || Handle::current().metrics().num_alive_tasks();
        for _ in 0..1000 {
            if alive() == expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        alive()
    }

    /// Lets time go by without waiting for it.
    async fn pass(time: Duration) {
        // What is on its way in real sockets comes first.
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::pause();
        tokio::time::sleep(time).await;
        tokio::time::resume();
    }

    #[tokio::test]
    async fn connections_that_were_replaced_leave_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let channel = channel(&directory);
        for _ in 0..100 {
            let lease = channel.lease().await.unwrap();
            channel.forget(&lease.connection).await;
        }
        let lease = channel.lease().await.unwrap();
        assert!(!lease.used_before);
        pass(IDLE * 2).await;
        // The listener; and of the one that is left, both its ends and the watch over it.
        assert_eq!(tasks(4).await, 4);
        assert!(channel.lease().await.unwrap().used_before, "it is in use, and so it stays");
    }

    #[tokio::test]
    async fn an_unused_connection_ends() {
        let directory = tempfile::tempdir().unwrap();
        let channel = channel(&directory);
        drop(channel.lease().await.unwrap());
        pass(IDLE / 2).await;
        assert!(channel.lease().await.unwrap().used_before, "not at once");
        pass(IDLE * 2).await;
        assert_eq!(tasks(1).await, 1, "the listener is left");
        assert!(!channel.lease().await.unwrap().used_before);
    }

    #[tokio::test]
    async fn all_who_come_while_it_is_being_made_share_one() {
        let directory = tempfile::tempdir().unwrap();
        let channel = channel(&directory);
        let leases: Vec<_> = (0..50)
            .map(|_| {
                tokio::spawn({
                    let channel = channel.clone();
                    async move { channel.lease().await.unwrap() }
                })
            })
            .collect();
        let mut made = 0;
        for lease in leases {
            made += usize::from(!lease.await.unwrap().used_before);
        }
        assert_eq!(made, 1);
    }
}
