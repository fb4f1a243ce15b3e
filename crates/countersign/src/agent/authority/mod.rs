//! The authority of one machine: the keys of its trust domain, and when one follows the other.
//!
//! A key is published before it signs and stays published until nothing it signed is valid any more, so that no change
//! of keys ever makes a peer refuse a good SVID: prepared (in the bundle, signs nothing), active (signs), old (in the
//! bundle, its private half forgotten).

#[expect(clippy::module_inception, reason = "the file of the type `Authority`")]
mod authority;
mod error;
mod issuing;
mod keyring;
mod state;
mod state_dir;

pub use self::authority::Authority;
pub use self::error::AuthorityError;
pub use self::issuing::Issuing;
pub use self::keyring::Rotation;
pub(super) use self::state_dir::FILE;
