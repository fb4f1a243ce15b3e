//! Asking the kernel for the inode of the other end of a Unix socket (`NETLINK_SOCK_DIAG`).

use std::cell::RefCell;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const UDIAG_SHOW_PEER: u32 = 4;
const UNIX_DIAG_PEER: u16 = 2;
const REQUEST_LEN: u32 = 40;

struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

thread_local! {
    static NETLINK: RefCell<Option<Netlink>> = const { RefCell::new(None) };
}

/// The inode of the socket at the other end; `None` when that end is closed. An error when the kernel cannot or may
/// not say: among others, when our end belongs to another network namespace (it has that of the process which
/// connected).
pub(super) fn peer_inode(socket: BorrowedFd<'_>) -> Result<Option<u32>, Errno> {
    // Socket inodes are 32 bits wide, in the kernel's answer too.
    let inode = u32::try_from(rustix::fs::fstat(socket)?.st_ino).map_err(|_| Errno::OVERFLOW)?;
    let cookie = rustix::net::sockopt::socket_cookie(socket)?;
    NETLINK.with_borrow_mut(|slot| {
        let mut netlink = match slot.take() {
            Some(netlink) => netlink,
            None => Netlink::open()?,
        };
        let answer = netlink.ask(inode, cookie);
        // A socket that failed may have an answer left over in it: the next question gets a new one.
        if answer.is_ok() {
            *slot = Some(netlink);
        }
        answer
    })
}

impl Netlink {
    fn open() -> Result<Netlink, Errno> {
        let socket =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
        Ok(Netlink { socket, sequence: 0 })
    }

    fn ask(&mut self, inode: u32, cookie: u64) -> Result<Option<u32>, Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = request(inode, cookie, self.sequence);
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&self.socket, &request, SendFlags::empty(), &kernel)?;
        let mut room = [0; 1024];
        // The kernel answers within the send: if nothing is there now, nothing will come.
        let (filled, _, from) = rustix::net::recvfrom(&self.socket, &mut room, RecvFlags::DONTWAIT)?;
        let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok()).ok_or(Errno::PROTO)?;
        if from.pid() != 0 {
            return Err(Errno::PROTO);
        }
        parse(&room[..filled], inode, self.sequence)
    }
}

fn request(inode: u32, cookie: u64, sequence: u32) -> Vec<u8> {
    let mut request = Vec::with_capacity(REQUEST_LEN as usize);
    request.extend(REQUEST_LEN.to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    request.extend(sequence.to_ne_bytes());
    request.extend(0u32.to_ne_bytes());
    request.extend([libc::AF_UNIX as u8, 0, 0, 0]);
    request.extend(u32::MAX.to_ne_bytes());
    request.extend(inode.to_ne_bytes());
    request.extend(UDIAG_SHOW_PEER.to_ne_bytes());
    request.extend((cookie as u32).to_ne_bytes());
    request.extend(((cookie >> 32) as u32).to_ne_bytes());
    request
}

fn parse(answer: &[u8], inode: u32, sequence: u32) -> Result<Option<u32>, Errno> {
    let header = answer.get(..16).ok_or(Errno::PROTO)?;
    let len = u32_at(header, 0)? as usize;
    let body = answer.get(16..len).ok_or(Errno::PROTO)?;
    if u32_at(header, 8)? != sequence {
        return Err(Errno::PROTO);
    }
    match u16_at(header, 4)? {
        NLMSG_ERROR => {
            let code = u32_at(body, 0)? as i32;
            return Err(Errno::from_raw_os_error(code.saturating_neg().max(1)));
        }
        SOCK_DIAG_BY_FAMILY => {}
        _ => return Err(Errno::PROTO),
    }
    if u32_at(body, 4)? != inode {
        return Err(Errno::PROTO);
    }
    let mut attributes = body.get(16..).ok_or(Errno::PROTO)?;
    while attributes.len() >= 4 {
        let len = usize::from(u16_at(attributes, 0)?);
        let value = attributes.get(4..len).ok_or(Errno::PROTO)?;
        if u16_at(attributes, 2)? == UNIX_DIAG_PEER {
            // An end that was closed while we hold ours has lost its inode.
            return Ok(Some(u32_at(value, 0)?).filter(|inode| *inode != 0));
        }
        attributes = attributes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(None)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Errno> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|chunk| u32::from_ne_bytes(*chunk)).ok_or(Errno::PROTO)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Errno> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|chunk| u16::from_ne_bytes(*chunk)).ok_or(Errno::PROTO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn each_end_of_a_pair_names_the_other() {
        let (left, right) = UnixStream::pair().unwrap();
        let inode = |end: &UnixStream| rustix::fs::fstat(end).unwrap().st_ino as u32;
        assert_eq!(peer_inode(left.as_fd()), Ok(Some(inode(&right))));
        assert_eq!(peer_inode(right.as_fd()), Ok(Some(inode(&left))));
        drop(right);
        assert_eq!(peer_inode(left.as_fd()), Ok(None));
        assert!(peer_inode(std::fs::File::open("/dev/null").unwrap().as_fd()).is_err());
    }

    #[test]
    fn a_mangled_answer_is_an_error() {
        for len in 0..40 {
            assert!(parse(&vec![0xff; len], 1, 1).is_err() && parse(&vec![0; len], 1, 1).is_err(), "{len}");
        }
        let refused =
            [&36u32.to_ne_bytes()[..], &[2, 0, 0, 0], &1u32.to_ne_bytes(), &[0; 4], &(-2i32).to_ne_bytes(), &[0; 16]];
        assert_eq!(parse(&refused.concat(), 1, 1), Err(Errno::NOENT));
    }
}
