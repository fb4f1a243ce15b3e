use super::PolicyError;

/// Looks a user up by name in the system's user database. A name that does not exist is an error.
#[cfg(unix)]
pub fn uid_of_user(name: &str) -> Result<u32, PolicyError> {
    let invalid = |reason: String| PolicyError::Invalid { field: "user", reason };
    match nix::unistd::User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(invalid(format!("no user is called {name:?} on this machine"))),
        Err(errno) => Err(invalid(format!("looking up {name:?} failed: {errno}"))),
    }
}

/// Users have no numbers here.
#[cfg(not(unix))]
pub fn uid_of_user(_name: &str) -> Result<u32, PolicyError> {
    Err(PolicyError::Invalid { field: "user", reason: "users are not supported on this platform".to_owned() })
}
