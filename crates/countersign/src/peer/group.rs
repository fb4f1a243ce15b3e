use super::PolicyError;

/// A group by number, with the name it was given by, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The number that is compared.
    pub gid: u32,
    /// The name it was looked up from.
    pub name: Option<String>,
}

impl Group {
    /// Looks a group up by name in the system's group database. An unknown name is an error: a policy must not
    /// start to mean something the day that group is created.
    #[cfg(unix)]
    pub fn named(name: &str) -> Result<Group, PolicyError> {
        let invalid = |reason: String| PolicyError::Invalid { field: "group", reason };
        match nix::unistd::Group::from_name(name) {
            Ok(Some(group)) => Ok(Group { gid: group.gid.as_raw(), name: Some(name.to_owned()) }),
            Ok(None) => Err(invalid(format!("no group is called {name:?} on this machine"))),
            Err(errno) => Err(invalid(format!("looking up {name:?} failed: {errno}"))),
        }
    }

    /// Groups have no numbers here.
    #[cfg(not(unix))]
    pub fn named(_name: &str) -> Result<Group, PolicyError> {
        Err(PolicyError::Invalid { field: "group", reason: "groups are not supported on this platform".to_owned() })
    }
}

impl From<u32> for Group {
    fn from(gid: u32) -> Group {
        Group { gid, name: None }
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.gid),
            None => write!(f, "{}", self.gid),
        }
    }
}
