/// Who may ask for what: the kernel says who asks.
pub(super) struct Access {
    /// The agent's own user.
    owner: u32,
    readers: Vec<u32>,
    writers: Vec<u32>,
}

/// Whom no socket keeps out and no file; to refuse it would only be a pretence.
const ROOT: u32 = 0;

impl Access {
    pub(super) fn new(owner: u32, readers: &[u32], writers: &[u32]) -> Access {
        Access { owner, readers: readers.to_vec(), writers: writers.to_vec() }
    }

    /// May this user ask for something that changes something (or for something that does not)?
    pub(super) fn allows(&self, uid: Option<u32>, writes: bool) -> bool {
        let Some(uid) = uid else { return false };
        uid == self.owner || uid == ROOT || self.writers.contains(&uid) || (!writes && self.readers.contains(&uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_separate_and_nobody_is_nobody() {
        let access = Access::new(7, &[8], &[9]);
        let may = |uid| (access.allows(uid, false), access.allows(uid, true));
        assert_eq!(may(Some(7)), (true, true));
        assert_eq!(may(Some(0)), (true, true));
        assert_eq!(may(Some(8)), (true, false));
        assert_eq!(may(Some(9)), (true, true));
        assert_eq!(may(Some(10)), (false, false));
        assert_eq!(may(Some(u32::MAX)), (false, false));
        assert_eq!(may(None), (false, false));
    }
}
