//! Calls that go on: a caller is told all of its state, and told again whenever it is another one.

use std::sync::Arc;
use std::time::Duration;

use h2::Reason;
use prost::Message;
use prost::bytes::Bytes;
use tokio::sync::watch;

use super::Workload;
use super::interceptor::Order;
use super::reply::{Gone, Reply};
use super::trust::Trust;
use crate::agent::attest::entitlement::{Entitlement, attest};
use crate::peer::Peer;
use crate::spiffe::clock::unix_seconds;
use crate::spiffe::workload_api::framing::frame;
use crate::spiffe::workload_api::{Code, Method, Status};

/// How long the clock on the wall is not looked at, at most: a machine that slept is noticed.
const NAP: Duration = Duration::from_secs(30);

/// What a stream tells.
pub(super) trait Watched: Send {
    /// The message it is told with.
    type Response: Message;
    /// The method.
    const METHOD: Method;

    /// The state of now.
    fn build(
        &mut self,
        workload: &Workload,
        peer: &Peer,
        who: &Entitlement,
        trust: &Trust,
    ) -> Result<Self::Response, Status>;

    /// When it changes by itself, in seconds since 1970.
    fn due(&self) -> Option<i64> {
        None
    }

    /// Issues anew at the next build.
    fn forget(&mut self) {}
}

/// Tells until the caller has enough, or may hear no more.
pub(super) async fn tell<W: Watched>(workload: &Workload, peer: &Arc<Peer>, mut reply: Reply, mut watched: W) {
    let mut snapshots = workload.core.rules.subscribe();
    let mut trust = workload.trust.subscribe();
    let mut stop = workload.stop.subscribe();
    let mut orders = workload.interceptor.orders();
    let mut told = None;
    loop {
        snapshots.mark_unchanged();
        let now = Arc::clone(&trust.borrow_and_update());
        let who = match attest(workload, peer, W::METHOD).await {
            Ok(who) => who,
            Err(status) => return reply.finish(&status),
        };
        let message = match watched.build(workload, peer, &who, &now) {
            Ok(message) => message,
            Err(status) => return reply.finish(&status),
        };
        let framed = frame(&message);
        if told.as_ref() != Some(&framed) {
            if deliver(workload, &mut reply, W::METHOD, framed.clone()).await.is_err() {
                return;
            }
            told = Some(framed);
        }
        tokio::select! {
            biased;
            () = reply.cancelled() => return,
            _ = stop.wait_for(|stop| *stop) => {
                return reply.finish(&Status::new(Code::Unavailable, "the agent is shutting down"));
            }
            _ = snapshots.changed() => {}
            _ = trust.changed() => {}
            order = next_order(&mut orders) => match order {
                Order::None => {}
                Order::Resend => told = None,
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

/// Waits for a moment of the clock on the wall.
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

/// A call with one answer.
pub(super) async fn answer<R: Message>(
    workload: &Workload,
    mut reply: Reply,
    method: Method,
    answered: Result<R, Status>,
) {
    let message = match answered {
        Ok(message) => message,
        Err(status) => return reply.finish(&status),
    };
    if deliver(workload, &mut reply, method, frame(&message)).await.is_ok() {
        reply.done();
    }
}

/// Sends a framed message, or what the interceptor makes of it.
async fn deliver(workload: &Workload, reply: &mut Reply, method: Method, framed: Bytes) -> Result<(), Gone> {
    let bytes = match workload.interceptor.before_message(method, &framed) {
        None => framed,
        Some(instead) => tokio::select! {
            () = reply.cancelled() => return Err(Gone),
            bytes = instead => bytes,
        },
    };
    reply.send(bytes).await
}
