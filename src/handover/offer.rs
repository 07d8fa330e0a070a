//! The side of the running process.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{HandoverError, wire};
use crate::net::inherited::Named;

/// What the other side has to say comes within this.
const PATIENCE: Duration = Duration::from_secs(10);
/// A new process starts within this, or is given up.
const START: Duration = Duration::from_secs(60);
/// After an error of the listening socket.
const AGAIN: Duration = Duration::from_millis(50);

/// A Unix socket that has not got its name yet: until then the process before may have it.
pub struct Offer {
    listener: UnixListener,
    place: Place,
    temporary: PathBuf,
}

/// The socket's name in the file system, which goes with this value; unless the next process has put its own there.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for Place {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|about| (about.dev(), about.ino()))
}

impl Offer {
    /// Makes the socket under a name of its own, for nobody but this user.
    pub fn prepare(path: &Path) -> Result<Offer, HandoverError> {
        let failed = |error| HandoverError::Bind { path: path.to_owned(), error };
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}", std::process::id()));
        let temporary = PathBuf::from(temporary);
        // Of a process that had this number and did not end well.
        let _ = fs::remove_file(&temporary);
        let listener = UnixListener::bind(&temporary).map_err(failed)?;
        let mode = fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600));
        let inode = mode.and_then(|()| inode(&temporary)).map_err(failed)?;
        Ok(Offer { listener, place: Place { path: path.to_owned(), inode }, temporary })
    }

    /// Gives the socket its name, whoever had it, and offers these sockets there until one who came for them has been told to go.
    /// Whoever is ready comes out of `ready`.
    pub fn publish(
        self,
        sockets: Vec<Named>,
        ready: mpsc::Sender<Successor>,
    ) -> Result<(Place, impl Future<Output = ()> + Send + 'static), HandoverError> {
        let Offer { listener, place, temporary } = self;
        fs::rename(&temporary, &place.path).map_err(|error| HandoverError::Bind { path: place.path.clone(), error })?;
        Ok((place, offer(listener, sockets.into(), ready)))
    }

    /// Takes the socket away again.
    pub fn withdraw(self) {
        let _ = fs::remove_file(&self.temporary);
    }
}

async fn offer(listener: UnixListener, sockets: Arc<[Named]>, ready: mpsc::Sender<Successor>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let (told, gone) = oneshot::channel();
        let served = async {
            let stream = hand_on(stream, &sockets).await?;
            // Whether it may go is the process's decision.
            Ok::<_, HandoverError>(ready.send(Successor { stream, told }).await.is_ok())
        };
        match served.await {
            Ok(true) if gone.await.is_ok() => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "a new process has not become ready; this one goes on");
            }
        }
    }
}

/// Everything up to its readiness.
async fn hand_on(mut stream: UnixStream, sockets: &[Named]) -> Result<UnixStream, HandoverError> {
    wire::check_user(&stream)?;
    let given = async {
        wire::greet(&mut stream).await?;
        wire::be_greeted(&mut stream).await?;
        wire::send_sockets(&mut stream, sockets).await
    };
    timeout(PATIENCE, given).await.map_err(|_| HandoverError::Silent)??;
    tracing::info!(
        sockets = sockets.len(),
        "a new process has the listening sockets; this one serves until it is ready"
    );
    timeout(START, wire::expect_word(&mut stream, wire::READY)).await.map_err(|_| HandoverError::Silent)??;
    Ok(stream)
}

/// A new process that is ready to serve.
#[derive(Debug)]
pub struct Successor {
    stream: UnixStream,
    told: oneshot::Sender<()>,
}

impl Successor {
    /// Tells it to serve. An error means that it is gone, and that this process has to go on. What comes back is for what belongs to
    /// its control plane.
    pub async fn go(mut self) -> Result<std::os::unix::net::UnixStream, HandoverError> {
        let told = timeout(PATIENCE, wire::send_word(&mut self.stream, wire::GO)).await;
        told.map_err(|_| HandoverError::Silent)??;
        let _ = self.told.send(());
        self.stream.into_std().map_err(HandoverError::Gone)
    }
}
