//! What a panic ends.

use std::panic::{set_hook, take_hook};
use std::process::abort;
use std::thread::current;

use chappe::sip::plane::THREAD;

/// From now on a panic ends the process, whatever a runtime would catch: a task that panics would leave its shard without a timer
/// or a mailbox, and none is better than half a relay. The control plane alone may fail without the sessions that are there.
pub(super) fn make_fatal() {
    let told = take_hook();
    set_hook(Box::new(move |panic| {
        told(panic);
        if current().name() != Some(THREAD) {
            abort();
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};

    /// Name of the thread that panics in a process of its own.
    const PANICS: &str = "CHAPPE_TEST_PANICS";

    /// The process of the test below; by itself it does nothing.
    #[test]
    fn a_thread_panics() {
        let Ok(name) = std::env::var(PANICS) else { return };
        make_fatal();
        let thread = std::thread::Builder::new().name(name).spawn(|| panic!("as told"));
        assert!(thread.expect("a thread").join().is_err());
    }

    #[test]
    fn only_the_control_plane_fails_alone() {
        for (name, signal) in [(THREAD, None), ("shard-0", Some(6))] {
            let mut process = Command::new(std::env::current_exe().expect("this program"));
            let process = process.args(["--exact", "run::panics::tests::a_thread_panics"]).env(PANICS, name);
            let status = process.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("a process");
            assert_eq!((status.success(), status.signal()), (signal.is_none(), signal), "{name}");
        }
    }
}
