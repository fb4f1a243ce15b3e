//! Streams: a caller is sent all of its state, and sent it again when it changes.

use std::sync::Arc;
use std::time::Duration;

use h2::Reason;
use prost::Message;
use prost::bytes::Bytes;
use tokio::sync::watch;

use super::call::Call;
use super::entitlement::Entitlement;
use super::interceptor::Order;
use super::reply::{Gone, Reply};
use super::trust::Trust;
use crate::agent::decisions::Authorized;
use crate::spiffe::clock::unix_seconds;
use crate::spiffe::workload_api::framing::frame;
use crate::spiffe::workload_api::{Code, Status};

/// How often the clock is read, at least: a machine that slept is noticed.
const NAP: Duration = Duration::from_secs(30);

/// What a stream sends.
pub(super) trait Watched: Send {
    /// The message.
    type Response: Message;
    /// The state at this moment.
    fn build(
        &mut self,
        call: &Call<'_>,
        who: &Entitlement,
        trust: &Trust,
    ) -> Result<Authorized<Self::Response>, Status>;

    /// When it changes by itself, in seconds since 1970.
    fn due(&self) -> Option<i64> {
        None
    }

    /// Issues anew at the next build.
    fn forget(&mut self) {}
}

/// Sends until the caller ends the call, or loses its right to it.
pub(super) async fn tell<W: Watched>(call: &Call<'_>, mut reply: Reply, mut watched: W) {
    let workload = call.workload;
    let mut snapshots = workload.core.rules.subscribe();
    let mut trust = workload.trust.subscribe();
    let mut stop = workload.shutdown.subscribe();
    let mut orders = workload.interceptor.orders();
    let mut last_message = None;
    loop {
        snapshots.mark_unchanged();
        let now = Arc::clone(&trust.borrow_and_update());
        let who = match call.attest().await {
            Ok(who) => who,
            Err(status) => return reply.finish(&status),
        };
        let message = match watched.build(call, &who, &now) {
            Ok(message) => message,
            Err(status) => return reply.finish(&status),
        };
        let framed = message.map(|message| frame(&message));
        if last_message.as_ref() != Some(&*framed) {
            last_message = Some(Bytes::clone(&framed));
            if deliver(call, &mut reply, framed).await.is_err() {
                return;
            }
        }
        tokio::select! {
            biased;
            () = reply.cancelled() => return,
            () = stop.requested() => {
                return reply.finish(&Status::new(Code::Unavailable, "the agent is shutting down"));
            }
            _ = snapshots.changed() => {}
            _ = trust.changed() => {}
            order = next_order(&mut orders) => match order {
                Order::None => {}
                Order::Resend => last_message = None,
                Order::Reissue => watched.forget(),
                Order::Finish(status) => return reply.finish(&status),
                Order::Reset => return reply.reset(Reason::INTERNAL_ERROR),
            },
            () = until(watched.due()) => {}
        }
    }
}

async fn next_order(orders: &mut Option<watch::Receiver<Order>>) -> Order {
    if let Some(orders) = orders
        && orders.changed().await.is_ok()
    {
        return orders.borrow_and_update().clone();
    }
    std::future::pending().await
}

/// Waits until the system clock reaches a time.
async fn until(due: Option<i64>) {
    let Some(due) = due else { return std::future::pending().await };
    loop {
        let left = due.saturating_sub(unix_seconds(None));
        if left <= 0 {
            return;
        }
        tokio::time::sleep(Duration::from_secs(left.unsigned_abs()).min(NAP)).await;
    }
}

/// A call with one response.
pub(super) async fn answer<R: Message>(call: &Call<'_>, mut reply: Reply, answered: Result<Authorized<R>, Status>) {
    let message = match answered {
        Ok(message) => message,
        Err(status) => return reply.finish(&status),
    };
    if deliver(call, &mut reply, message.map(|message| frame(&message))).await.is_ok() {
        reply.done();
    }
}

/// Sends a framed message, or what the interceptor makes of it.
async fn deliver(call: &Call<'_>, reply: &mut Reply, framed: Authorized<Bytes>) -> Result<(), Gone> {
    let bytes = match call.workload.interceptor.before_message(call.method, &framed) {
        None => framed.into_inner(),
        Some(instead) => tokio::select! {
            () = reply.cancelled() => return Err(Gone),
            bytes = instead => bytes,
        },
    };
    reply.send(bytes).await
}
