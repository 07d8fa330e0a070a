//! After a busy time: the tables that it has stretched give their room back.

use super::scene::{ANA, BO, Scene, sdp};
use crate::sip::transaction::Transactions;

/// Calls of a busy time.
const MANY: usize = 400;

#[test]
fn what_many_calls_have_stretched_is_given_back() {
    let mut scene = Scene::new();
    for _ in 0..MANY {
        scene.invite(&sdp("ana", 1, "active"));
        let invite = scene.request(BO, "INVITE");
        scene.reply(BO, &invite, 486, "");
        scene.forget_until(ANA, 486);
        scene.forget();
    }
    let stretched = |t: &Transactions| t.room();
    assert!(stretched(scene.b2bua.transactions()) > 2 * MANY);
    scene.nothing_left();
    scene.b2bua.slim();
    let b = &scene.b2bua;
    let rooms = [b.calls.capacity(), b.dialogs.capacity(), b.asked.capacity(), b.clients.capacity()];
    assert!(rooms.iter().all(|room| *room <= 64), "{rooms:?}");
    assert_eq!(stretched(b.transactions()), 0);
}
