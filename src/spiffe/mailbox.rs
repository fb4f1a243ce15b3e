//! What comes back from the thread that speaks to Workload APIs.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Result, Status};
use napi_derive::napi;
use tokio::task::AbortHandle;

use super::runtime;
use super::x509_context::X509Context;

/// What `deliver` is called with: the key of a call or of a feed, a text, and what the text cannot say.
type Letter = FnArgs<(f64, String, Option<X509Context>)>;
/// Weak: it keeps no process alive. JavaScript does that for the calls that are awaited.
type Deliver = ThreadsafeFunction<Letter, (), Letter, Status, false, true>;

/// One for each environment.
#[napi]
pub struct Mailbox {
    pub(super) post: Arc<Post>,
}

pub struct Post {
    deliver: Deliver,
    calls: Mutex<HashMap<u64, AbortHandle>>,
}

#[napi]
impl Mailbox {
    /// `deliver` gets whatever comes back, once for each call, and once for each event of a feed.
    #[napi(constructor)]
    pub fn new(
        #[napi(ts_arg_type = "(key: number, text: string, context?: X509Context) => void")] deliver: Function<
            '_,
            Letter,
            (),
        >,
    ) -> Result<Mailbox> {
        let deliver = deliver.build_threadsafe_function().weak::<true>().build_callback(|call| Ok(call.value))?;
        Ok(Mailbox { post: Arc::new(Post { deliver, calls: Mutex::default() }) })
    }

    /// Take a call back: nothing is delivered for it any more. False when it is over already.
    #[napi]
    pub fn cancel(&self, key: f64) -> bool {
        match self.post.calls().remove(&(key as u64)) {
            Some(call) => {
                call.abort();
                true
            }
            None => false,
        }
    }
}

impl Post {
    fn calls(&self) -> MutexGuard<'_, HashMap<u64, AbortHandle>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deliver something. An environment that is going away takes nothing, and that is all right.
    pub fn send(&self, key: f64, text: String, context: Option<X509Context>) {
        self.deliver.call((key, text, context).into(), ThreadsafeFunctionCallMode::NonBlocking);
    }

    /// Run a call, and deliver what it comes to under its key.
    pub fn call(
        self: &Arc<Post>,
        key: f64,
        call: impl Future<Output = (String, Option<X509Context>)> + Send + 'static,
    ) -> Result<()> {
        let post = Arc::clone(self);
        // Held until the call is entered, so that it cannot be over before.
        let mut calls = self.calls();
        let task = runtime::handle()?.spawn(async move {
            let (text, context) = call.await;
            if post.calls().remove(&(key as u64)).is_some() {
                post.send(key, text, context);
            }
        });
        calls.insert(key as u64, task.abort_handle());
        Ok(())
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        // Tasks hold the post, so there are none.
        self.calls().clear();
    }
}
