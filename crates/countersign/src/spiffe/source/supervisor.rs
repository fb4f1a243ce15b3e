use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::event::Event;
use super::feed::{Shared, count};
use crate::spiffe::workload_api::{Subject, WorkloadApiClient, WorkloadApiError};

/// A stream that lived this long, and told something, was a good one. A server that tells something and hangs up at
/// once is not asked again and again without a pause.
const GOOD: Duration = Duration::from_secs(1);

/// Keeps a stream open for as long as it makes sense.
pub(super) async fn supervise<S: Subject>(feed: Arc<Shared<S>>) {
    let client = WorkloadApiClient::over(feed.channel.clone());
    let mut backoff = Backoff::default();
    loop {
        let begun = Instant::now();
        let mut told = false;
        let error = Arc::new(follow(&client, &feed, &mut told).await);
        if told && begun.elapsed() >= GOOD {
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

/// Follows one stream to its end, and says why it ended.
async fn follow<S: Subject>(client: &WorkloadApiClient, feed: &Shared<S>, told: &mut bool) -> WorkloadApiError {
    let mut responses = match client.watch::<S>().await {
        Ok(responses) => responses,
        Err(error) => return error,
    };
    count(&feed.counters.connects, 1);
    feed.listeners.tell(&Event::Connected);
    loop {
        let memory = feed.snapshot().value.map(|value| value.memory());
        match responses.next(memory.as_ref()).await {
            Ok(value) => {
                *told = true;
                feed.tell(value);
            }
            Err(error) if responses.is_over() => return error,
            // Nothing to fall back on: perhaps a new stream begins with something better.
            Err(error) if memory.is_none() => return error,
            Err(error) => {
                let error = Arc::new(error);
                feed.fail(&error);
                feed.listeners.tell(&Event::Failed { error, retry_in: None });
            }
        }
    }
}
