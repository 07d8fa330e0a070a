//! Credential stores: who may ask for a token, and the H(A1) to recognise them by.
//!
//! [`Store`] is the one question that the relay asks, asynchronous so that a database can stand behind it. [`Users`]
//! holds the users of the configuration, [`Htdigest`] those of a file, and [`Chain`] asks several stores in turn.
//! [`htdigest_line`] and [`ha1_text`] make what an operator puts into them. No store keeps a password.

mod chain;
mod htdigest;
mod line;
mod passwd;
mod users;

use std::pin::Pin;

pub use chain::Chain;
pub use htdigest::{Htdigest, HtdigestError};
pub use line::{LineError, NameError};
pub use passwd::{ha1_text, htdigest_line};
pub use users::{Secret, User, Users, UsersError};

use crate::auth::Ha1;

/// What a store knows of a user.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user's H(A1) in the relay's realm.
    pub ha1: Ha1,
    /// The user may use the relay; otherwise right credentials are answered 403 (RFC 4976 section 6.3, RLY-26).
    pub relay: bool,
}

/// A store could not answer. That says nothing about the user.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, with the reason for the log.
    #[error("the credential store cannot be reached: {0}")]
    Unavailable(String),
}

/// The answer of a store, to come.
pub type LookUp<'a> = Pin<Box<dyn Future<Output = Result<Option<Account>, StoreError>> + Send + 'a>>;

/// A place where accounts are found.
pub trait Store: Send + Sync {
    /// The account of `user`, spelled as in the client's Authorization; `None` if there is none.
    fn look_up<'a>(&'a self, user: &'a str) -> LookUp<'a>;
}
