use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::PolicyError;

/// An exact path, or everything below a directory (`/opt/acme/*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// Exactly this path.
    Exact(PathBuf),
    /// Any path below this directory, at any depth.
    Below(PathBuf),
}

impl PathPattern {
    /// Reads `/usr/bin/billing` or `/opt/acme/*`. Refused: a relative path, `..`, a `*` anywhere but at the end
    /// (it would look like a glob and match nothing), and `/*`, which is everything.
    ///
    /// `field` is the policy field the text was given for, so that the error can name it.
    pub fn parse(field: &'static str, text: &str) -> Result<PathPattern, PolicyError> {
        let below = text.strip_suffix("/*").or_else(|| text.strip_suffix("\\*").filter(|_| cfg!(windows)));
        let pattern = match below {
            Some("") => PathPattern::Below(PathBuf::from("/")),
            Some(directory) => PathPattern::Below(PathBuf::from(directory)),
            None => PathPattern::Exact(PathBuf::from(text)),
        };
        pattern.validate(field)?;
        Ok(pattern)
    }

    /// The same conditions for a pattern put together by hand.
    pub(super) fn validate(&self, field: &'static str) -> Result<(), PolicyError> {
        let path = self.path();
        let invalid = |reason: &str| PolicyError::Invalid { field, reason: format!("{:?} {reason}", self.to_string()) };
        // A control group path starts with `/` on the one OS that has them, absolute in that OS's own sense.
        if !path.is_absolute() {
            return Err(invalid("is not an absolute path"));
        }
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(invalid("must not contain `..`"));
        }
        if path.as_os_str().as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | 0)) {
            return Err(invalid("may have `*` only as the trailing `/*`, and no NUL"));
        }
        if matches!(self, PathPattern::Below(_)) && path.parent().is_none() {
            return Err(invalid("is every path there is"));
        }
        Ok(())
    }

    /// Does a path, as the kernel prints it, match?
    pub fn matches(&self, path: &Path) -> bool {
        // By components, so that `/opt/acme/*` is not fooled by `/opt/acme2/x`; a `..` could climb out again.
        if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            return false;
        }
        match self {
            PathPattern::Exact(exact) => path == exact,
            PathPattern::Below(directory) => path != directory && path.starts_with(directory),
        }
    }

    fn path(&self) -> &Path {
        match self {
            PathPattern::Exact(path) | PathPattern::Below(path) => path,
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathPattern::Exact(path) => write!(f, "{}", path.display()),
            PathPattern::Below(path) => {
                write!(f, "{}/*", path.display().to_string().trim_end_matches('/'))
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_directory_pattern_matches_below_and_nothing_else() {
        let below = PathPattern::parse("exe", "/opt/acme/*").unwrap();
        for (path, expected) in [
            ("/opt/acme/x", true),
            ("/opt/acme/bin/x", true),
            ("/opt/acme", false),
            ("/opt/acme/", false),
            ("/opt/acme2/x", false),
            ("/opt", false),
            ("/opt/acme/../x", false),
            ("/opt/other/../acme/x", false),
            ("opt/acme/x", false),
            ("", false),
        ] {
            assert_eq!(below.matches(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn an_exact_pattern_matches_one_path() {
        let exact = PathPattern::parse("exe", "/usr/bin/billing").unwrap();
        for (path, expected) in [
            ("/usr/bin/billing", true),
            ("/usr/bin/billing2", false),
            ("/usr/bin/billing/x", false),
            ("/usr/bin", false),
        ] {
            assert_eq!(exact.matches(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn what_cannot_mean_anything_is_refused() {
        for text in ["", "billing", "./x", "/a/../b", "/a/*/b", "/a/b*", "/*", "*", "//*", "/a/../*", "/a\0b", "/a/*/*"]
        {
            assert!(PathPattern::parse("exe", text).is_err(), "{text:?}");
        }
        for text in ["/a", "/a/*", "/a b/c", "/a/(deleted)"] {
            assert_eq!(PathPattern::parse("exe", text).unwrap().to_string(), text);
        }
    }
}
