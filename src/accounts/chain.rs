//! Several stores as one.

use std::sync::Arc;

use super::{LookUp, Store};

/// Asks its stores in order; the first one that knows the user answers.
///
/// A store that fails ends the search: a later store might know the user too, but with rights that the failing one has
/// taken away.
pub struct Chain {
    stores: Vec<Arc<dyn Store>>,
}

impl Chain {
    /// A chain of `stores`, the first one asked first.
    pub fn new(stores: Vec<Arc<dyn Store>>) -> Chain {
        Chain { stores }
    }
}

impl Store for Chain {
    fn look_up<'a>(&'a self, user: &'a str) -> LookUp<'a> {
        Box::pin(async move {
            for store in &self.stores {
                if let Some(account) = store.look_up(user).await? {
                    return Ok(Some(account));
                }
            }
            Ok(None)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{Secret, StoreError, User, Users};
    use crate::auth::{Algorithm, Ha1};

    struct Broken;

    impl Store for Broken {
        fn look_up<'a>(&'a self, _: &'a str) -> LookUp<'a> {
            Box::pin(std::future::ready(Err(StoreError::Unavailable("no route".into()))))
        }
    }

    fn users(users: &[(&str, &str)]) -> Arc<dyn Store> {
        let users = users.iter().map(|(name, digit)| User {
            name: (*name).into(),
            secret: Secret::Ha1(Ha1::from_hex(&digit.repeat(32)).unwrap()),
            relay: true,
        });
        Arc::new(Users::new("relay.test", users).unwrap())
    }

    #[tokio::test]
    async fn first_hit_wins() {
        let chain = Chain::new(vec![users(&[("bob", "1")]), users(&[("bob", "2"), ("eve", "3")])]);
        for (user, digit) in [("bob", "1"), ("eve", "3")] {
            let account = chain.look_up(user).await.unwrap().unwrap();
            assert_eq!(account.ha1.hex(Algorithm::Md5).unwrap(), digit.repeat(32));
        }
        assert!(chain.look_up("ann").await.unwrap().is_none());
        assert!(Chain::new(Vec::new()).look_up("bob").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn failing_store_is_not_skipped() {
        let chain = Chain::new(vec![users(&[("bob", "1")]), Arc::new(Broken), users(&[("eve", "3")])]);
        assert!(chain.look_up("bob").await.unwrap().is_some());
        assert_eq!(chain.look_up("eve").await.unwrap_err(), StoreError::Unavailable("no route".into()));
    }
}
