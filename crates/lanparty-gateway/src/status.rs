//! The local socket that answers `lanparty-gateway status`.
//!
//! Whoever connects, as the same user or as root, gets one JSON document.
//! Nothing is read, so there is nothing to ask for or to change.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lanparty_obs::diagnostics::MemberStatus;
use lanparty_os::peer;
use rustix::net::sockopt::set_socket_send_buffer_size;

use crate::failure::Failure;

/// How long the asking side waits.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Room for the whole answer, so that writing it never waits for the reader.
/// A full room of 200 players makes about 40 KB.
const SEND_BUFFER: usize = 256 * 1_024;
const MAX_ANSWER: u64 = 16 * 1_024 * 1_024;

/// The gateway's end; the socket file goes with it.
#[derive(Debug)]
pub(crate) struct StatusSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl StatusSocket {
    /// The caller holds the lock of the directory, so a file that is there
    /// belongs to no living gateway.
    pub(crate) fn bind(path: PathBuf) -> Result<Self, Failure> {
        let _ = fs::remove_file(&path);
        let bind = || -> io::Result<UnixListener> {
            let listener = UnixListener::bind(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        match bind() {
            Ok(listener) => Ok(Self { listener, path }),
            Err(source) => Err(Failure::LocalSocket { path, source }),
        }
    }

    pub(crate) const fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Answers one of those who wait.
    pub(crate) fn answer(&self, status: &MemberStatus) {
        let Ok((stream, _)) = self.listener.accept() else {
            return;
        };
        if !peer::is_trusted(&stream).unwrap_or(false) {
            tracing::warn!("another user asked for the status and was refused");
        } else if let Err(error) = write_answer(stream, status) {
            tracing::debug!(%error, "the status could not be written");
        }
    }
}

impl Drop for StatusSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Asks the gateway behind this socket.
pub(crate) fn ask(path: &Path) -> Result<MemberStatus, Failure> {
    let read = || -> io::Result<Vec<u8>> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
        if answer.is_empty() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(answer)
    };
    let answer = read().map_err(|source| Failure::NoGateway {
        path: path.into(),
        source,
    })?;
    serde_json::from_slice(&answer).map_err(Failure::Answer)
}

fn write_answer(mut stream: UnixStream, status: &MemberStatus) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    set_socket_send_buffer_size(&stream, SEND_BUFFER)?;
    stream.write_all(&serde_json::to_vec(status)?)
}
