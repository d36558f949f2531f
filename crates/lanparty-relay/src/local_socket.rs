//! The local socket that answers `lanparty-relay rooms`.
//!
//! Whoever connects, as the same user or as root, gets one JSON document. The
//! relay reads nothing from it, so there is nothing to ask for or to change.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lanparty_relay_core::RoomsSnapshot;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;

use crate::failure::Failure;

/// Answers being written at one time; more are turned away, because each has
/// a thread. Chosen because one operator asks.
const MAX_ANSWERS: usize = 4;
/// How long a reader may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer read: far more than any relay's rooms.
const MAX_ANSWER: u64 = 256 * 1024 * 1024;

/// The relay's end; the socket file goes with it.
#[derive(Debug)]
pub(crate) struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
    answers: Arc<AtomicUsize>,
}

impl LocalSocket {
    /// The caller holds the lock of the directory, so a file that is there
    /// belongs to no living relay.
    pub(crate) fn bind(path: PathBuf) -> Result<Self, Failure> {
        let _ = fs::remove_file(&path);
        let bind = || -> io::Result<UnixListener> {
            let listener = UnixListener::bind(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        match bind() {
            Ok(listener) => Ok(Self {
                listener,
                path,
                answers: Arc::default(),
            }),
            Err(source) => Err(Failure::LocalSocket { path, source }),
        }
    }

    pub(crate) fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Answers everybody who waits. Writing happens on another thread: a slow
    /// reader must not hold up frames.
    pub(crate) fn answer_all(&self, mut snapshot: impl FnMut() -> RoomsSnapshot) {
        while let Ok((stream, _)) = self.listener.accept() {
            if !is_allowed(&stream) {
                tracing::warn!("another user asked for the rooms and was refused");
                continue;
            }
            if self.answers.load(Ordering::Relaxed) >= MAX_ANSWERS {
                continue;
            }
            let snapshot = snapshot();
            self.answers.fetch_add(1, Ordering::Relaxed);
            let answers = Arc::clone(&self.answers);
            let write = move || {
                if let Err(error) = write_answer(stream, &snapshot) {
                    tracing::debug!(%error, "the rooms could not be written");
                }
                answers.fetch_sub(1, Ordering::Relaxed);
            };
            let thread = thread::Builder::new().name("rooms".to_owned()).spawn(write);
            if thread.is_err() {
                self.answers.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Asks the relay behind this socket.
pub(crate) fn ask(path: &Path) -> Result<RoomsSnapshot, Failure> {
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
    let answer = read().map_err(|source| Failure::NoRelay {
        path: path.into(),
        source,
    })?;
    serde_json::from_slice(&answer).map_err(Failure::Answer)
}

fn is_allowed(stream: &UnixStream) -> bool {
    socket_peercred(stream.as_fd()).is_ok_and(|peer| peer.uid.is_root() || peer.uid == geteuid())
}

fn write_answer(mut stream: UnixStream, snapshot: &RoomsSnapshot) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let answer = serde_json::to_vec(snapshot)?;
    stream.write_all(&answer)
}
