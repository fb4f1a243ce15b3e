//! Identity-by-PID for JavaScript.

use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::Duration;

use countersign::whoami::{Client, WhoamiError};
use napi::bindgen_prelude::{Either, Either3, Function};
use napi::{Env, Unknown};
use napi_derive::napi;

use crate::host::event_loop::{self, Refusal};
use crate::host::failure::Failure;
use crate::host::guard::{self, GuardFunction};
use crate::host::{identity, value};

/// Set this environment up. `settle(key, ...outcome)` gets the outcome of every call that `identityStart` gave a key
/// to: thirteen values of an identity, or one failure, or nothing for a call that was cancelled.
#[napi]
pub fn attach(
    env: &Env,
    #[napi(ts_arg_type = "(key: number, ...outcome: unknown[]) => void")] settle: Function<'_, Unknown<'_>, ()>,
    use_libuv: bool,
) -> Option<Failure> {
    let problem = event_loop::attach(env, &settle, use_libuv).err()?;
    let message = format!("the native event loop cannot be set up: {problem}");
    Some(Failure::new("ERR_NATIVE_UNAVAILABLE", &message))
}

/// Start a call. A number is its key; a failure is what it ended with at once; anything else is what the guard refused
/// with.
#[napi(ts_return_type = "number | Failure | object | undefined")]
pub fn identity_start<'a>(
    env: &'a Env,
    path: String,
    request: String,
    timeout: f64,
    #[napi(ts_arg_type = "((fd: number) => unknown) | undefined")] guard: Option<GuardFunction<'a>>,
) -> Either3<f64, Failure, Option<Unknown<'a>>> {
    let Some(it) = event_loop::of(env.raw()) else {
        return Either3::B(Failure::from(&WhoamiError::InvalidArgument("attach was not called".into())));
    };
    match it.start(PathBuf::from(path), request.into_bytes(), duration(timeout), guard.as_ref()) {
        Ok(key) => Either3::A(key as f64),
        Err(Refusal::Error(error)) => Either3::B(Failure::from(&error)),
        Err(Refusal::Guard(value)) => Either3::C(Some(value::live(env, value))),
        Err(Refusal::Cancelled) => Either3::C(None),
    }
}

/// Cancel a call. False when it is over already.
#[napi]
pub fn identity_cancel(env: &Env, key: f64) -> bool {
    event_loop::of(env.raw()).is_some_and(|it| it.cancel(key as u64))
}

/// The same call, blocking. `build(...thirteen values)` makes the identity; anything else is the failure, or
/// what the guard refused with.
#[napi(ts_return_type = "unknown")]
pub fn identity_sync<'a>(
    env: &'a Env,
    path: String,
    request: String,
    timeout: f64,
    #[napi(ts_arg_type = "(...values: unknown[]) => unknown")] build: Function<'a, Unknown<'a>, Unknown<'a>>,
    #[napi(ts_arg_type = "((fd: number) => unknown) | undefined")] guard: Option<GuardFunction<'a>>,
) -> Either<Failure, Unknown<'a>> {
    enum Ended<'a> {
        Error(WhoamiError),
        Refused(Unknown<'a>),
    }
    impl From<WhoamiError> for Ended<'_> {
        fn from(error: WhoamiError) -> Self {
            Ended::Error(error)
        }
    }
    let client = Client::new(PathBuf::from(path)).with_timeout(duration(timeout));
    let outcome = client.ask(request.into_bytes(), |exchange| match &guard {
        None => Ok(()),
        Some(function) => match guard::ask_during_call(env, function, exchange.as_fd().as_raw_fd()) {
            None => Ok(()),
            Some(refused) => Err(Ended::Refused(refused)),
        },
    });
    match outcome {
        Ok(identity) => Either::B(identity::build(env, &build, &identity)),
        Err(Ended::Error(error)) => Either::A(Failure::from(&error)),
        Err(Ended::Refused(value)) => Either::B(value),
    }
}

/// Milliseconds; anything that is not a finite number means "for ever".
fn duration(milliseconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(milliseconds / 1000.0).ok()
}

impl From<&WhoamiError> for Failure {
    fn from(error: &WhoamiError) -> Failure {
        let mut failure = Failure::new(error.code(), error);
        if let Some(os) = error.os_error() {
            failure = failure.with("errno", os.raw_os_error());
        }
        match error {
            WhoamiError::MissingField { field, .. } => failure.with("field", *field),
            WhoamiError::Daemon { code, message } => {
                failure.with("daemonCode", code.as_str()).with("daemonMessage", message.as_str())
            }
            WhoamiError::Timeout { after, .. } => failure.with("timeout", after.as_millis() as u64),
            WhoamiError::SocketNotFound { path } | WhoamiError::ConnectionFailed { path, .. } => {
                failure.with("path", path.to_string_lossy().into_owned())
            }
            _ => failure,
        }
    }
}
