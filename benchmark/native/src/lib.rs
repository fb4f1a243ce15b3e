//! What our own calls are measured against, in the same process.

mod spiffe;

use std::time::Instant;

use ::getmyid::{Client, RunnerRequest};
use napi_derive::napi;

/// One call of the original blocking client: the identity.
#[napi]
pub fn getmyid(path: String) -> napi::Result<String> {
    let answer = Client::builder().socket_path(path).build().get_identity_with_runner(Some(RunnerRequest::new()));
    answer.map(|me| me.identity).map_err(|error| napi::Error::from_reason(error.to_string()))
}

/// One bare `getsockopt(SO_PEERCRED)`, called from JavaScript: the pid.
#[napi]
pub fn peercred(fd: i32) -> u32 {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut credentials).cast(), &mut length);
    }
    credentials.pid as u32
}

/// The same without JavaScript: nanoseconds a call.
#[napi]
pub fn peercred_bare(fd: i32, rounds: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(peercred(fd));
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
}
