/// Which rules a name is read by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rules {
    /// Those of `axess-identity`: a trust domain starts with a letter or digit and has no underscore, a path may hold
    /// `~`.
    #[default]
    Axess,
    /// Those and SPIFFE's: what SPIRE would refuse is refused too. Of a document, its fields must also agree with its
    /// ID.
    Strict,
}
