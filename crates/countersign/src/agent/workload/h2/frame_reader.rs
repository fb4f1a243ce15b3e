//! What stands between the socket and the HTTP/2 library: it reads what the client sends frame by frame.
//!
//! gRPC clients put the path of the socket, percent-encoded or not, or nothing at all into `:authority`, and the HTTP/2
//! library refuses what is no authority of a URI (hyperium/h2#487). The agent does not use it, so it is replaced. And a
//! client that sends more frames that ask for nothing than any client needs is cut off.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use prost::bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::hpack::Rewriter;
use super::literal::BlockFault;

/// How a connection begins (RFC 9113 3.4). What is no such beginning is for the HTTP/2 library to refuse.
const PREFACE: usize = 24;
/// The bytes in front of a frame (RFC 9113 4.1).
const HEAD: usize = 9;
/// The longest frame a client may send, as we never said otherwise (RFC 9113 6.5.2).
const FRAME_BYTES: usize = 16_384;
/// The longest block of headers, before and after it is unfolded.
pub(in crate::agent) const HEADER_BYTES: usize = FRAME_BYTES;
/// How many frames that ask for nothing a client may send at once, how many a second, and how many a call is worth:
/// clients measure the connection with pings while they are busy, and end streams they want no more of.
const BURST: f64 = 2000.0;
const EACH_SECOND: f64 = 200.0;
const EACH_CALL: f64 = 6.0;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// A block no reader takes: index 0 does not exist.
const BROKEN_BLOCK: &[u8] = &[0x80];

/// A socket whose client is read frame by frame.
pub(in crate::agent) struct ClientFrames<S> {
    socket: S,
    /// What was read and is not understood yet.
    raw: BytesMut,
    /// What is to be handed on.
    ready: BytesMut,
    /// How much of what comes next is handed on as it is.
    pass: usize,
    block: Option<Block>,
    rewriter: Rewriter,
    tokens: f64,
    refilled: Instant,
    flooding: Arc<Notify>,
    is_flooding: bool,
    ended: bool,
}

/// A block of headers on its way.
struct Block {
    stream: [u8; 4],
    flags: u8,
    bytes: Vec<u8>,
}

struct Head {
    length: usize,
    kind: u8,
    flags: u8,
    stream: [u8; 4],
}

impl<S> ClientFrames<S> {
    /// `flooding` is notified when the client floods us; from then on nothing of it is read.
    pub(in crate::agent) fn new(socket: S, flooding: Arc<Notify>) -> ClientFrames<S> {
        ClientFrames {
            socket,
            raw: BytesMut::new(),
            ready: BytesMut::new(),
            pass: PREFACE,
            block: None,
            rewriter: Rewriter::new(),
            tokens: BURST,
            refilled: Instant::now(),
            flooding,
            is_flooding: false,
            ended: false,
        }
    }

    /// Understands what can be understood.
    fn digest(&mut self) {
        while !self.is_flooding {
            if self.pass > 0 {
                let count = self.pass.min(self.raw.len());
                if count == 0 {
                    return;
                }
                let piece = self.raw.split_to(count);
                self.ready.extend_from_slice(&piece);
                self.pass -= count;
                continue;
            }
            let Some(head) = Head::read(&self.raw) else { return };
            let for_block = head.kind == HEADERS || (head.kind == CONTINUATION && self.block.is_some());
            // Too long a frame is refused by its head already.
            if !for_block || head.length > FRAME_BYTES {
                self.interrupt_block();
                self.charge(&head);
                self.pass = HEAD + head.length;
                continue;
            }
            if self.raw.len() < HEAD + head.length {
                return;
            }
            self.raw.advance(HEAD);
            let payload = self.raw.split_to(head.length);
            match head.kind {
                HEADERS => self.begin_block(&head, &payload),
                _ => self.continue_block(&head, &payload),
            }
        }
    }

    fn begin_block(&mut self, head: &Head, payload: &[u8]) {
        self.interrupt_block();
        self.refill();
        self.tokens = (self.tokens + EACH_CALL).min(BURST);
        match header_fragment(head.flags, payload) {
            Some(fragment) => {
                self.block = Some(Block { stream: head.stream, flags: head.flags, bytes: fragment.to_vec() });
                self.end_block(head.flags);
            }
            // Padding longer than the frame, and the like: the HTTP/2 library knows what to say.
            None => self.hand_on(head.kind, head.flags, head.stream, payload),
        }
    }

    fn continue_block(&mut self, head: &Head, payload: &[u8]) {
        self.spend();
        let Some(block) = &mut self.block else { return };
        if block.stream != head.stream {
            self.interrupt_block();
            return self.hand_on(head.kind, head.flags, head.stream, payload);
        }
        if block.bytes.len() + payload.len() > HEADER_BYTES {
            return self.cut_off();
        }
        block.bytes.extend_from_slice(payload);
        self.end_block(head.flags);
    }

    fn end_block(&mut self, flags: u8) {
        if flags & END_HEADERS == 0 {
            return;
        }
        let Some(block) = self.block.take() else { return };
        let kept = (block.flags & END_STREAM) | END_HEADERS;
        match self.rewriter.rewrite(&block.bytes, HEADER_BYTES) {
            Ok(written) => self.hand_on(HEADERS, kept, block.stream, &written),
            Err(BlockFault::Malformed) => self.hand_on(HEADERS, kept, block.stream, BROKEN_BLOCK),
            Err(BlockFault::TooLarge) => self.cut_off(),
        }
    }

    /// Something else came in the middle of a block: the HTTP/2 library shall see that a block was begun.
    fn interrupt_block(&mut self) {
        if let Some(block) = self.block.take() {
            self.hand_on(HEADERS, block.flags & END_STREAM, block.stream, &[]);
        }
    }

    fn hand_on(&mut self, kind: u8, flags: u8, stream: [u8; 4], payload: &[u8]) {
        let length = (payload.len() as u32).to_be_bytes();
        self.ready.extend_from_slice(&length[1..]);
        self.ready.extend_from_slice(&[kind, flags]);
        self.ready.extend_from_slice(&stream);
        self.ready.extend_from_slice(payload);
    }

    /// Every frame that is neither a call nor data of one has its price.
    fn charge(&mut self, head: &Head) {
        let asks = match head.kind {
            DATA => head.length > 0 || head.flags & END_STREAM != 0,
            // They let answers through.
            WINDOW_UPDATE => true,
            _ => false,
        };
        if !asks {
            self.spend();
        }
    }

    fn spend(&mut self) {
        self.refill();
        self.tokens -= 1.0;
        if self.tokens < 0.0 {
            self.cut_off();
        }
    }

    fn refill(&mut self) {
        let now = Instant::now();
        let passed = now.duration_since(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + passed * EACH_SECOND).min(BURST);
        self.refilled = now;
    }

    fn cut_off(&mut self) {
        self.is_flooding = true;
        self.block = None;
        self.raw.clear();
        self.flooding.notify_one();
    }
}

/// The fragment in a HEADERS frame, without padding and priority (RFC 9113 6.2).
fn header_fragment(flags: u8, mut payload: &[u8]) -> Option<&[u8]> {
    let mut padding = 0;
    if flags & PADDED != 0 {
        let (length, rest) = payload.split_first()?;
        (padding, payload) = (usize::from(*length), rest);
    }
    if flags & PRIORITY != 0 {
        payload = payload.get(5..)?;
    }
    payload.get(..payload.len().checked_sub(padding)?)
}

impl Head {
    fn read(raw: &[u8]) -> Option<Head> {
        let [a, b, c, kind, flags, stream @ ..] = raw.get(..HEAD)? else { return None };
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let mut stream = <[u8; 4]>::try_from(stream).ok()?;
        // The first bit is reserved.
        stream[0] &= 0x7f;
        Some(Head { length, kind: *kind, flags: *flags, stream })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientFrames<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.ready.is_empty() {
                let count = this.ready.len().min(buffer.remaining());
                buffer.put_slice(&this.ready[..count]);
                this.ready.advance(count);
                return Poll::Ready(Ok(()));
            }
            // The receiver of `flooding` ends the connection.
            if this.is_flooding {
                return Poll::Pending;
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [0; 4096];
            let mut piece = ReadBuf::new(&mut bytes);
            match Pin::new(&mut this.socket).poll_read(cx, &mut piece) {
                Poll::Ready(Ok(())) if piece.filled().is_empty() => this.ended = true,
                Poll::Ready(Ok(())) => {
                    this.raw.extend_from_slice(piece.filled());
                    this.digest();
                }
                other => return other,
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientFrames<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
