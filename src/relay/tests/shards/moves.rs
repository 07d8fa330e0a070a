//! Links that come to the shard they are needed on.

use std::time::Duration;

use super::World;
use crate::msrp::Method;

const SOON: Duration = Duration::from_millis(100);

#[test]
fn a_far_link_moves_on_its_first_request_to_the_home_of_the_token() {
    let mut w = World::with_shards(1, 2);
    let (ines, token) = w.client("ines.example", 0, 0);
    let tomas = w.connect("tomas.example", 0, 1);
    let to = format!("{token} {}", w.ends[ines].uri);
    let body = vec![b'x'; 100_000];
    let one = w.ends[tomas].send(&to, "m1", &body);
    let two = w.ends[tomas].send(&to, "m2", b"and a second");
    w.run(SOON);
    assert_eq!(w.link_of(tomas).map(|l| l.0), Some(0));
    assert_eq!(w.ends[ines].message("m1").as_deref(), Some(&body[..]));
    assert_eq!(w.ends[ines].message("m2").as_deref(), Some(&b"and a second"[..]));
    assert_eq!((w.ends[tomas].status_of(&one), w.ends[tomas].status_of(&two)), (Some(200), Some(200)));
    let back = format!("{token} {}", w.ends[tomas].uri);
    w.ends[ines].send(&back, "m3", b"hello");
    w.run(SOON);
    assert_eq!(w.ends[tomas].message("m3").as_deref(), Some(&b"hello"[..]));
    assert_eq!(w.ends[tomas].count(Method::Report), 0);
    w.assert_nothing_left();
}
