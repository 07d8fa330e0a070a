//! The users of the configuration file.

use std::collections::HashMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::line::check_user;
use super::{Account, LookUp, NameError, Store};
use crate::auth::Ha1;

/// A user as configured.
#[derive(Clone)]
pub struct User {
    /// The name, as the client gives it in its Authorization.
    pub name: String,
    /// What the user proves to know.
    pub secret: Secret,
    /// The user may use the relay.
    pub relay: bool,
}

/// A user's secret as configured.
#[derive(Clone)]
pub enum Secret {
    /// The password; only its H(A1) is kept.
    Password(SecretString),
    /// H(A1) in the relay's realm.
    Ha1(Ha1),
}

/// Without the secret.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("relay", &self.relay).finish_non_exhaustive()
    }
}

/// Why the configured users cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UsersError {
    /// A name cannot be used.
    #[error("user {name:?}: {fault}")]
    Name {
        /// The name as configured.
        name: String,
        /// What is wrong with it.
        fault: NameError,
    },
    /// Two users have the same name.
    #[error("user {0:?} appears twice")]
    Duplicate(String),
}

/// A store of users that are known when it is made.
pub struct Users {
    accounts: HashMap<String, Account>,
}

impl Users {
    /// A store of `users` of `realm`.
    pub fn new(realm: &str, users: impl IntoIterator<Item = User>) -> Result<Users, UsersError> {
        let mut accounts = HashMap::new();
        for User { name, secret, relay } in users {
            if let Err(fault) = check_user(&name) {
                return Err(UsersError::Name { name, fault });
            }
            let ha1 = match secret {
                Secret::Password(password) => Ha1::from_password(&name, realm, password.expose_secret()),
                Secret::Ha1(ha1) => ha1,
            };
            if accounts.contains_key(&name) {
                return Err(UsersError::Duplicate(name));
            }
            accounts.insert(name, Account { ha1, relay });
        }
        Ok(Users { accounts })
    }
}

impl Store for Users {
    fn look_up<'a>(&'a self, user: &'a str) -> LookUp<'a> {
        Box::pin(std::future::ready(Ok(self.accounts.get(user).cloned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Algorithm;

    const MD5: &str = "99477e34459fa0b8573440794b798a90";

    fn user(name: &str, secret: Secret) -> User {
        User { name: name.into(), secret, relay: name != "off" }
    }

    fn password(name: &str) -> User {
        user(name, Secret::Password("secret".into()))
    }

    #[tokio::test]
    async fn password_and_its_ha1_are_the_same_account() {
        let ha1 = Secret::Ha1(Ha1::from_hex(MD5).unwrap());
        for bob in [password("bob"), user("bob", ha1)] {
            let users = Users::new("relay.test", [bob]).unwrap();
            let account = users.look_up("bob").await.unwrap().unwrap();
            assert_eq!((account.ha1.hex(Algorithm::Md5), account.relay), (Some(MD5), true));
        }
    }

    #[tokio::test]
    async fn names_are_compared_as_sent() {
        let users = Users::new("relay.test", [password("bob")]).unwrap();
        for other in ["Bob", "bob ", "", "bob@relay.test"] {
            assert!(users.look_up(other).await.unwrap().is_none(), "{other:?}");
        }
    }

    /// RLY-26
    #[tokio::test]
    async fn rly_26_user_without_relay_is_still_known() {
        let users = Users::new("relay.test", [password("off")]).unwrap();
        assert!(!users.look_up("off").await.unwrap().unwrap().relay);
    }

    #[test]
    fn names_are_checked() {
        let error = |users: &[&str]| Users::new("relay.test", users.iter().map(|n| password(n))).err();
        for (name, fault) in [("", NameError::Empty), ("a:b", NameError::Colon), ("a\nb", NameError::Control)] {
            assert_eq!(error(&[name]), Some(UsersError::Name { name: name.into(), fault }));
        }
        assert_eq!(error(&["bob", "eve", "bob"]), Some(UsersError::Duplicate("bob".into())));
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", password("bob")), r#"User { name: "bob", relay: true, .. }"#);
    }
}
