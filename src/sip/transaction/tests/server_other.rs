//! RFC 3261 section 17.2.2.

use super::*;

const BRANCH: &str = "z9hG4bK1";

#[test]
fn s17_2_2_repetitions_are_absorbed_then_answered_until_timer_j() {
    let mut scene = Scene::new();
    scene.receive(theirs("OPTIONS", BRANCH), flow(UDP));
    scene.receive(theirs("OPTIONS", BRANCH), flow(UDP));
    scene.reply(0, 183);
    scene.receive(theirs("OPTIONS", BRANCH), flow(UDP));
    scene.until(100);
    scene.reply(0, 200);
    scene.reply(0, 500);
    scene.until(32_099);
    scene.receive(theirs("OPTIONS", BRANCH), flow(UDP));
    let expected =
        ["0 OPTIONS begins", "0 > 183 OPTIONS", "0 > 183 OPTIONS", "100 > 200 OPTIONS", "32099 > 200 OPTIONS"];
    assert_eq!(scene.take(), expected);
    scene.until(32_100);
    assert_eq!(scene.layer.counts().absorbed, 3);
    scene.assert_empty();
}

#[test]
fn s17_2_2_timer_j_is_zero_over_a_connection() {
    let mut scene = Scene::new();
    scene.receive(theirs("BYE", BRANCH), flow(TCP));
    scene.reply(0, 200);
    assert_eq!(scene.take(), ["0 BYE begins", "0 > 200 BYE"]);
    scene.assert_empty();
}

#[test]
fn a_request_that_the_user_forgets_is_forgotten() {
    let mut scene = Scene::new();
    scene.receive(theirs("OPTIONS", BRANCH), flow(TCP));
    scene.until(60_000);
    scene.reply(0, 200);
    assert_eq!(scene.take(), ["0 OPTIONS begins"]);
    assert_eq!(scene.layer.counts().timeouts, 1);
    scene.assert_empty();
}
