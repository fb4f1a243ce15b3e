use prost::Message;

use super::error::{Ignored, WorkloadApiError};

/// What a stream of the Workload API sends, message by message. Each message is the whole truth: it replaces the one
/// before (Workload API 4.1).
pub trait Subject: Sized + Send + Sync + 'static {
    /// The message it is read from.
    type Response: Message + Default + Send;
    /// The method that streams it.
    const METHOD: &'static str;
    /// What it is called in messages.
    const NAME: &'static str;
    /// What is worth knowing about an earlier message when the next one is read. No secrets.
    type Memory: Send + Sync;

    /// Reads a message. What comes again is not verified from scratch, and what was verified with it stays remembered.
    fn read(response: Self::Response, memory: Option<&Self::Memory>) -> Result<Self, WorkloadApiError>;

    /// What is worth knowing about this one.
    fn memory(&self) -> Self::Memory;

    /// Whether it says the same as another one.
    fn says_the_same(&self, other: &Self) -> bool;

    /// What had to be ignored in the message.
    fn ignored(&self) -> &[Ignored];

    /// From when to when it is valid, in seconds since 1970, for what has a lifetime: that of the part that ends first.
    fn lifetime(&self) -> Option<(i64, i64)> {
        None
    }
}
