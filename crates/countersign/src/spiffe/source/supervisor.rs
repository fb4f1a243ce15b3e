use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::Event;
use super::feed::{Shared, count};
use crate::backoff::Backoff;
use crate::spiffe::workload_api::{Subject, WorkloadApiClient, WorkloadApiError};

/// A stream that lived this long, and had a message, was a good one. A server that sends a message and hangs up at once
/// is not asked again and again without a pause.
const GOOD: Duration = Duration::from_secs(1);
/// Pauses between two streams. All workloads of a machine lose their streams when their agent is restarted.
const RETRIES: Backoff =
    Backoff::new(Duration::from_millis(200), Duration::from_secs(10)).with_first_at_once().with_jitter();
/// How long a server may take to answer at all. Attesting a container may take its time, so this is long; a server that
/// is stuck, or a connection that died without a word, is asked anew.
const OPENING: Duration = Duration::from_secs(30);

/// Keeps a stream open for as long as it makes sense.
pub(super) async fn supervise<S: Subject>(feed: Arc<Shared<S>>) {
    let client = WorkloadApiClient::over(feed.channel.clone()).with_timeout(Some(OPENING));
    let mut backoff = RETRIES.clone();
    loop {
        let begun = Instant::now();
        let mut had_message = false;
        let Err(error) = follow(&client, &feed, &mut had_message).await else { continue };
        let error = Arc::new(error);
        if had_message && begun.elapsed() >= GOOD {
            backoff.reset();
        }
        if error.is_terminal() {
            let revision = feed.give_up(&error);
            feed.listeners.tell(&Event::Closed { error: Some(error), revision });
            return;
        }
        let retry_in = backoff.pause();
        if error.is_denial() {
            let (withdrawn, revision) = feed.deny(&error);
            feed.listeners.tell(&Event::Denied { error, withdrawn, revision, retry_in });
        } else {
            feed.fail(&error);
            feed.listeners.tell(&Event::Failed { error, retry_in: Some(retry_in) });
        }
        tokio::time::sleep(retry_in).await;
    }
}

/// Follows one stream to its end, and says why it ended. `Ok`: a new one is to be opened at once, because this one has
/// been silent when it should not have been.
async fn follow<S: Subject>(
    client: &WorkloadApiClient,
    feed: &Shared<S>,
    had_message: &mut bool,
) -> Result<(), WorkloadApiError> {
    let mut responses = client.watch::<S>().await?;
    count(&feed.counters.connects, 1);
    feed.listeners.tell(&Event::Connected);
    loop {
        let memory = feed.snapshot().value.map(|value| value.memory());
        let next = tokio::select! {
            next = responses.next(memory.as_ref()) => next,
            () = feed.overdue.notified() => return Ok(()),
        };
        match next {
            Ok(value) => {
                *had_message = true;
                feed.tell(value);
            }
            Err(error) if responses.is_over() => return Err(error),
            // Nothing to fall back on: perhaps a new stream begins with something better.
            Err(error) if memory.is_none() => return Err(error),
            Err(error) => {
                let error = Arc::new(error);
                feed.fail(&error);
                feed.listeners.tell(&Event::Failed { error, retry_in: None });
            }
        }
    }
}
