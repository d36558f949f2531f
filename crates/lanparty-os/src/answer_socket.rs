//! A local socket that answers every connection with one JSON document.
//!
//! Whoever connects, as the same user or as root, gets the document and the
//! end of the stream. Nothing is read from them, so there is nothing to ask
//! for or to change.

use std::fs::{self, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::peer;
use crate::short_path::ShortPath;

/// Answers being written at one time; more are turned away, because each has
/// a thread. Chosen because one person asks.
const MAX_ANSWERS: usize = 4;
/// How long the other side may take for each read or write.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer read: far more than the rooms of any relay.
const MAX_ANSWER: u64 = 256 * 1024 * 1024;

/// The answering end; the socket file goes with it.
#[derive(Debug)]
pub struct AnswerSocket {
    listener: UnixListener,
    path: PathBuf,
    /// One more reference for each answer being written.
    answers: Arc<()>,
}

impl AnswerSocket {
    /// Listens at `path`, over a socket that a killed program left there. The
    /// caller knows that no living one has it.
    ///
    /// # Errors
    /// When the directory is missing or closed to us, or the file is no socket.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let short = shorten(path)?;
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
            // Somebody's file: binding fails.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let socket = Self {
            listener: UnixListener::bind(short.path())?,
            path: path.to_owned(),
            answers: Arc::default(),
        };
        // Who is at the party is nobody else's business on this computer.
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        socket.listener.set_nonblocking(true)?;
        Ok(socket)
    }

    /// Answers everybody who waits with this document. Encoding and writing
    /// happen on other threads: a slow reader must not hold up frames. What
    /// goes wrong there is the reader's problem.
    pub fn answer_all<T: Serialize + Send + Sync + 'static>(&self, document: T) {
        let document = Arc::new(document);
        while let Ok((stream, _)) = self.listener.accept() {
            if !peer::is_trusted(&stream).unwrap_or(false) {
                tracing::warn!(path = ?self.path, "another user asked and was refused");
                continue;
            }
            if Arc::strong_count(&self.answers) > MAX_ANSWERS {
                continue;
            }
            let (answer, document) = (Arc::clone(&self.answers), Arc::clone(&document));
            let write = move || {
                if let Err(error) = write(stream, &*document) {
                    tracing::debug!(%error, "an answer could not be written");
                }
                drop(answer);
            };
            if let Err(error) = thread::Builder::new()
                .name("answer".to_owned())
                .spawn(write)
            {
                tracing::debug!(%error, "no thread for an answer");
            }
        }
    }
}

/// Readable when somebody waits for an answer.
impl AsFd for AnswerSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for AnswerSocket {
    fn drop(&mut self) {
        let _already_gone = fs::remove_file(&self.path);
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("nobody answers: {0}")]
    NoAnswer(#[source] io::Error),
    #[error("the answer cannot be read: {0}")]
    Unreadable(#[source] serde_json::Error),
}

/// Asks the program that listens at `path`.
///
/// # Errors
/// When none does, or its answer is no such document.
pub fn ask<T: DeserializeOwned>(path: &Path) -> Result<T, AskError> {
    let answer = read(path).map_err(AskError::NoAnswer)?;
    serde_json::from_slice(&answer).map_err(AskError::Unreadable)
}

fn write(mut stream: UnixStream, document: &impl Serialize) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(&serde_json::to_vec(document)?)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let stream = UnixStream::connect(shorten(path)?.path())?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    if answer.is_empty() {
        let refused = "it closed the connection without an answer";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, refused));
    }
    Ok(answer)
}

fn shorten(path: &Path) -> io::Result<ShortPath> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or(io::ErrorKind::InvalidInput)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => ShortPath::new(parent, name),
        Some(_) | None => ShortPath::new(Path::new("."), name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than what a socket holds for a reader that does not read.
    const LONG: usize = 4 * 1024 * 1024;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_program_that_asks_gets_the_whole_document() {
        let directory = directory();
        let deep = directory.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let path = deep.join("sock");
        let socket = AnswerSocket::bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let asked = thread::spawn({
            let path = path.clone();
            move || ask::<String>(&path).unwrap()
        });
        while !asked.is_finished() {
            socket.answer_all("x".repeat(LONG));
            thread::yield_now();
        }
        assert_eq!(asked.join().unwrap().len(), LONG);
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn readers_that_do_not_read_hold_nothing_up_and_are_few() {
        let directory = directory();
        let path = directory.path().join("sock");
        let socket = AnswerSocket::bind(&path).unwrap();
        let stuck: Vec<_> = (0..MAX_ANSWERS + 1)
            .map(|_| UnixStream::connect(&path).unwrap())
            .collect();
        socket.answer_all("x".repeat(LONG));
        let mut last = stuck.last().unwrap();
        assert_eq!(last.read(&mut [0]).unwrap(), 0, "it was not turned away");
        // Waiting for the others would have ended them.
        assert_eq!(Arc::strong_count(&socket.answers), MAX_ANSWERS + 1);
    }

    #[test]
    fn what_a_killed_program_left_is_replaced_and_a_persons_file_is_not() {
        let directory = directory();
        let path = directory.path().join("sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        AnswerSocket::bind(&path).unwrap();

        fs::write(&path, "precious").unwrap();
        let error = AnswerSocket::bind(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn silence_and_nonsense_are_told_apart() {
        let directory = directory();
        let path = directory.path().join("sock");
        assert!(matches!(ask::<u32>(&path), Err(AskError::NoAnswer(_))));
        for (answer, is_silence) in [("", true), ("\"no number\"", false)] {
            let listener = UnixListener::bind(&path).unwrap();
            let program = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let error = ask::<u32>(&path).unwrap_err();
            assert_eq!(matches!(error, AskError::NoAnswer(_)), is_silence);
            program.join().unwrap();
            fs::remove_file(&path).unwrap();
        }
    }
}
