//! Starting the process that takes over, from the program that stands at our path now.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// How this process was started.
pub(super) struct Program {
    path: io::Result<PathBuf>,
    arguments: Vec<OsString>,
}

impl Program {
    /// To be asked at the start: once the file has been replaced, the system knows only the one that is gone.
    pub(super) fn of_this_process() -> Program {
        Program { path: std::env::current_exe(), arguments: std::env::args_os().skip(1).collect() }
    }

    /// Starts it again beside this process, and watches how it ends.
    pub(super) fn start(&self) {
        let Ok(path) = self.path.as_ref().inspect_err(|error| {
            tracing::error!(%error, "the path of this program is not known; start the new one by hand");
        }) else {
            return;
        };
        let mut command = Command::new(path);
        command.args(&self.arguments).stdin(Stdio::null());
        // Those of the service manager are for the process that it has started.
        for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
            command.env_remove(name);
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                return tracing::error!(%error, path = %path.display(), "the new process cannot be started; this one goes on");
            }
        };
        tracing::info!(pid = child.id(), path = %path.display(), "a new process was started to take over");
        let watch = move || {
            if let Ok(status) = child.wait() {
                tracing::error!(%status, "the new process has ended");
            }
        };
        if let Err(error) = std::thread::Builder::new().name("upgrade".to_owned()).spawn(watch) {
            tracing::warn!(%error, "nobody watches the new process");
        }
    }
}
