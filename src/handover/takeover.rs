//! The side of the new process.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{HandoverError, wire};
use crate::net::inherited::Named;

/// The running process answers within this.
const PATIENCE: Duration = Duration::from_secs(10);

/// The running process, whose sockets we have.
#[derive(Debug)]
pub struct Predecessor {
    stream: UnixStream,
}

/// Takes the listening sockets of the process that offers them at this path; none if there is no such process.
pub async fn take_over(path: &Path) -> Result<Option<(Predecessor, Vec<Named>)>, HandoverError> {
    let mut stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        // Nobody, or one who did not end well.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(HandoverError::Connect { path: path.to_owned(), error }),
    };
    wire::check_user(&stream)?;
    let taken = async {
        wire::greet(&mut stream).await?;
        wire::be_greeted(&mut stream).await?;
        wire::receive_sockets(&mut stream).await
    };
    let sockets = timeout(PATIENCE, taken).await.map_err(|_| HandoverError::Silent)??;
    Ok(Some((Predecessor { stream }, sockets)))
}

impl Predecessor {
    /// Says that we could serve, and waits for the word that we shall. On an error the running process goes on, and we may not.
    /// What comes back lives as long as the other process, and carries what its control plane passes on.
    pub async fn ready(mut self) -> Result<std::os::unix::net::UnixStream, HandoverError> {
        let told = async {
            wire::send_word(&mut self.stream, wire::READY).await?;
            wire::expect_word(&mut self.stream, wire::GO).await
        };
        timeout(PATIENCE, told).await.map_err(|_| HandoverError::Silent)??;
        self.stream.into_std().map_err(HandoverError::Gone)
    }
}
