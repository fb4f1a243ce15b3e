//! Identity-by-PID for JavaScript.

use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::Duration;

use countersign::whoami::{Client, WhoamiError};
use napi::bindgen_prelude::{Either, Either3, Function};
use napi::{Env, Unknown};
use napi_derive::napi;

use crate::event_loop::{self, GuardFunction, Refusal, answer};

/// Set this environment up. `settle(key, ...outcome)` gets the outcome of every call that `identityStart` gave a key
/// to: thirteen values of an identity, or one error, or nothing for a call that was taken back.
#[napi]
pub fn attach(
    env: &Env,
    #[napi(ts_arg_type = "(key: number, ...outcome: unknown[]) => void")] settle: Function<'_, Unknown<'_>, ()>,
    use_libuv: bool,
) -> Option<String> {
    event_loop::attach(env, &settle, use_libuv).err()
}

/// Start a call. A number is its key; a string is the error (JSON) it ended with at once; anything else is what the
/// guard refused with.
#[napi(ts_return_type = "number | string | object | undefined")]
pub fn identity_start<'a>(
    env: &'a Env,
    path: String,
    request: String,
    timeout: f64,
    #[napi(ts_arg_type = "((fd: number) => unknown) | undefined")] guard: Option<GuardFunction<'a>>,
) -> Either3<f64, String, Option<Unknown<'a>>> {
    let Some(it) = event_loop::of(env.raw()) else {
        return Either3::B(answer::error_json(&WhoamiError::InvalidArgument("attach was not called".into())));
    };
    match it.start(PathBuf::from(path), request.into_bytes(), duration(timeout), guard.as_ref()) {
        Ok(key) => Either3::A(key as f64),
        Err(Refusal::Error(error)) => Either3::B(answer::error_json(&error)),
        Err(Refusal::Guard(value)) => Either3::C(Some(answer::live(env, value))),
        Err(Refusal::Cancelled) => Either3::C(None),
    }
}

/// Take a call back. False when it is over already.
#[napi]
pub fn identity_cancel(env: &Env, key: f64) -> bool {
    event_loop::of(env.raw()).is_some_and(|it| it.cancel(key as u64))
}

/// The same call, blocking. `build(...thirteen values)` makes the identity; a string is the error (JSON); anything
/// else is what the guard refused with.
#[napi(ts_return_type = "unknown")]
pub fn identity_sync<'a>(
    env: &'a Env,
    path: String,
    request: String,
    timeout: f64,
    #[napi(ts_arg_type = "(...values: unknown[]) => unknown")] build: Function<'a, Unknown<'a>, Unknown<'a>>,
    #[napi(ts_arg_type = "((fd: number) => unknown) | undefined")] guard: Option<GuardFunction<'a>>,
) -> Either<String, Unknown<'a>> {
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
        Some(guard) => match answer::ask_guard(env, guard, exchange.as_fd().as_raw_fd()) {
            None => Ok(()),
            Some(refused) => Err(Ended::Refused(refused)),
        },
    });
    match outcome {
        Ok(identity) => Either::B(answer::build(env, &build, &identity)),
        Err(Ended::Error(error)) => Either::A(answer::error_json(&error)),
        Err(Ended::Refused(value)) => Either::B(value),
    }
}

/// Milliseconds; anything that is not a finite number means "for ever".
fn duration(milliseconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(milliseconds / 1000.0).ok()
}
