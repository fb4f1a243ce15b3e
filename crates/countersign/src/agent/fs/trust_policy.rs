/// What a file or directory must be like to be trusted.
#[derive(Debug, Clone, Copy)]
pub(in crate::agent) struct TrustPolicy {
    pub(super) target: Target,
    pub(super) access: Access,
    /// What write permission of its group means.
    pub(super) group_write: GroupWrite,
    /// The same for the directories above the one it is in.
    pub(super) group_write_above: GroupWrite,
    /// May the last name of the path be a symbolic link?
    pub(super) follows_link: bool,
    /// What others could do if they can write to it, as in "every user could ...".
    pub(super) risk: &'static str,
    /// What others could do if they can write to a directory on the way.
    pub(super) risk_of_directory: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    File,
    Directory,
}

impl Target {
    pub(super) fn noun(self) -> &'static str {
        match self {
            Target::File => "regular file",
            Target::Directory => "directory",
        }
    }
}

/// What others than the owner may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing.
    OwnerOnly,
    /// Read it.
    OthersRead,
    /// Have files of their own in it, if it is sticky.
    StickyDirectory,
}

/// What write permission of a group means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupWrite {
    Refused,
    /// A warning for the group of root and the agent's own group (many systems give each user such a group), and a
    /// refusal for every other group.
    TrustedGroupOnly,
    /// A warning.
    Doubtful,
}

/// Settings: the rules.
pub(in crate::agent) const CONFIG: TrustPolicy = TrustPolicy {
    target: Target::File,
    access: Access::OthersRead,
    group_write: GroupWrite::TrustedGroupOnly,
    group_write_above: GroupWrite::TrustedGroupOnly,
    follows_link: true,
    risk: "rewrite the rules",
    risk_of_directory: "replace the rules",
};

/// A secret that is put there for the agent: a token. Mounted secrets are symbolic links.
pub(in crate::agent) const SECRET: TrustPolicy = TrustPolicy {
    access: Access::OwnerOnly,
    risk: "replace the secret",
    risk_of_directory: "replace the secret",
    ..CONFIG
};

/// The bundle of a foreign trust domain.
pub(in crate::agent) const BUNDLE: TrustPolicy =
    TrustPolicy { risk: "put authorities in it", risk_of_directory: "replace the bundle", ..CONFIG };

/// A program that a rule names.
pub(in crate::agent) const EXECUTABLE: TrustPolicy =
    TrustPolicy { risk: "replace the program", risk_of_directory: "replace the program", ..CONFIG };

/// A directory of programs that a rule names.
pub(in crate::agent) const EXECUTABLE_DIR: TrustPolicy = TrustPolicy { target: Target::Directory, ..EXECUTABLE };

/// The directory of a socket. In a sticky one no other user can remove the agent's socket.
pub(in crate::agent) const SOCKET_DIR: TrustPolicy = TrustPolicy {
    target: Target::Directory,
    access: Access::StickyDirectory,
    risk: "replace the socket by one of their own",
    risk_of_directory: "replace the socket by one of their own",
    ..CONFIG
};

/// The directory of the agent's own state: keys and the kill switch.
pub(in crate::agent) const STATE_DIR: TrustPolicy = TrustPolicy {
    target: Target::Directory,
    group_write: GroupWrite::Refused,
    risk: "put files of their own there",
    risk_of_directory: "replace the directory",
    ..CONFIG
};

/// A file that the agent itself wrote: the keys of the authority, the kill switch.
pub(in crate::agent) const STATE_FILE: TrustPolicy =
    TrustPolicy { follows_link: false, risk_of_directory: "replace the file", ..SECRET };

/// The key of the audit log. Some systems give a group write permission on the directory of all logs.
pub(in crate::agent) const LOG_KEY: TrustPolicy = TrustPolicy { group_write_above: GroupWrite::Doubtful, ..STATE_FILE };

/// The audit log.
pub(in crate::agent) const LOG: TrustPolicy = TrustPolicy {
    access: Access::OthersRead,
    group_write: GroupWrite::Refused,
    group_write_above: GroupWrite::Doubtful,
    follows_link: false,
    risk: "rewrite the log",
    risk_of_directory: "replace the log",
    ..CONFIG
};
