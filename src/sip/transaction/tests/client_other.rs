//! RFC 3261 section 17.1.2.

use super::*;

#[test]
fn s17_1_2_2_timer_e_doubles_to_t2_until_timer_f() {
    let mut scene = Scene::new();
    scene.request(ours("BYE"), target(UDP));
    scene.until(60_000);
    let times = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    let mut expected: Vec<String> = times.iter().map(|ms| format!("{ms} > BYE")).collect();
    expected.extend(["32000 failed: no response in time", "32000 ended"].map(str::to_owned));
    assert_eq!(scene.take(), expected);
    scene.assert_empty();
}

#[test]
fn s17_1_2_2_after_a_provisional_response_it_is_sent_every_t2() {
    let mut scene = Scene::new();
    scene.request(ours("INFO"), target(UDP));
    scene.until(600);
    scene.answer(0, 100, "");
    scene.answer(0, 183, "t");
    scene.until(10_000);
    let expected = ["0 > INFO", "500 > INFO", "600 < 183", "1500 > INFO", "5500 > INFO", "9500 > INFO"];
    assert_eq!(scene.take(), expected);
    scene.until(60_000);
    assert_eq!(scene.take().last().unwrap(), "32000 ended");
    scene.assert_empty();
}

#[test]
fn s17_1_2_2_timer_k_absorbs_repetitions() {
    let mut scene = Scene::new();
    scene.request(ours("BYE"), target(UDP));
    scene.answer(0, 481, "t");
    scene.until(4999);
    scene.answer(0, 481, "t");
    scene.until(60_000);
    assert_eq!(scene.take(), ["0 > BYE", "0 < 481", "5000 ended"]);
    assert_eq!(scene.layer.counts().absorbed, 1);
    scene.assert_empty();
}

#[test]
fn s17_1_2_2_over_a_connection_it_ends_at_once() {
    let mut scene = Scene::new();
    scene.request(ours("BYE"), Way::Flow(flow(TLS)));
    scene.until(3000);
    scene.answer(0, 200, "t");
    assert_eq!(scene.take(), ["0 > BYE", "3000 < 200", "3000 ended"]);
    scene.assert_empty();
}
