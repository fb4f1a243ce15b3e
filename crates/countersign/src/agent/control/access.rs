/// Which users may do what, by the user the kernel names.
pub(in crate::agent) struct Access {
    /// The agent's own user.
    owner: u32,
    readers: Vec<u32>,
    writers: Vec<u32>,
}

/// No socket and no file keeps root out; a refusal would protect nothing.
const ROOT: u32 = 0;

impl Access {
    pub(in crate::agent) fn new(owner: u32, readers: &[u32], writers: &[u32]) -> Access {
        Access { owner, readers: readers.to_vec(), writers: writers.to_vec() }
    }

    /// May this user send a request that changes something (`writes`), or one that only reads?
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
