//! What lies between the socket and the HTTP/2 library: the library refuses the `:authority` that gRPC clients of a
//! Unix socket send, and has no limit on frames that ask for nothing. So the client's frames are read, and their header
//! blocks rewritten, before the library sees them.

pub(super) mod frame_reader;
mod hpack;
mod literal;
