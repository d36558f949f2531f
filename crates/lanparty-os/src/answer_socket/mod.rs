//! A local socket that answers every connection with one JSON document.
//!
//! Whoever connects, as the same user or as an administrator, gets the
//! document and the end of the stream. Nothing is read from them, so there is
//! nothing to ask for or to change.

#[cfg(target_os = "linux")]
pub mod requests;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(unix)]
use unix as imp;
#[cfg(windows)]
use windows as imp;

/// Answers being written at one time; more are turned away, because each has
/// a thread. Chosen because one person asks.
const MAX_ANSWERS: usize = 4;
/// How long the other side may take for each read or write.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer read: far more than the rooms of any relay.
const MAX_ANSWER: u64 = 256 * 1024 * 1024;

/// The answering end; its name goes with it. For an event loop it is readable,
/// or on Windows signalled, while somebody waits for an answer.
#[derive(Debug)]
pub struct AnswerSocket {
    listener: imp::Listener,
    path: PathBuf,
    /// One more reference for each answer being written.
    answers: Arc<()>,
}

impl AnswerSocket {
    /// Listens at `path`, over a socket that a killed program left there. The
    /// caller knows that no living one has it. On Windows a pipe is named after
    /// the path, and there is no file.
    ///
    /// # Errors
    /// When the directory is missing or closed to us, or the file is no socket.
    pub fn bind(path: &Path) -> io::Result<Self> {
        Ok(Self {
            listener: imp::Listener::bind(path)?,
            path: path.to_owned(),
            answers: Arc::default(),
        })
    }

    /// Answers everybody who waits with this document. Encoding and writing
    /// happen on other threads: a slow reader must not hold up frames. What
    /// goes wrong there is the reader's problem.
    pub fn answer_all<T: Serialize + Send + Sync + 'static>(&self, document: T) {
        let document = Arc::new(document);
        while let Ok((stream, is_trusted)) = self.listener.accept() {
            if !is_trusted {
                tracing::warn!(path = ?self.path, "another user asked and was refused");
                continue;
            }
            if Arc::strong_count(&self.answers) > MAX_ANSWERS {
                continue;
            }
            let (answer, document) = (Arc::clone(&self.answers), Arc::clone(&document));
            let write = move || {
                let written = serde_json::to_vec(&*document)
                    .map_err(io::Error::from)
                    .and_then(|json| stream.answer(&json));
                if let Err(error) = written {
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

#[cfg(unix)]
impl std::os::fd::AsFd for AnswerSocket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsHandle for AnswerSocket {
    fn as_handle(&self) -> std::os::windows::io::BorrowedHandle<'_> {
        self.listener.as_handle()
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

fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_answer(imp::connect(path)?)
}

fn read_answer(stream: impl io::Read) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    if answer.is_empty() {
        let refused = "it closed the connection without an answer";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, refused));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than what a socket holds for a reader that does not read.
    const LONG: usize = 4 * 1024 * 1024;

    fn answer_until_asked(socket: &AnswerSocket, path: &Path) -> String {
        let asked = thread::spawn({
            let path = path.to_owned();
            move || ask::<String>(&path).unwrap()
        });
        while !asked.is_finished() {
            socket.answer_all("x".repeat(LONG));
            thread::yield_now();
        }
        asked.join().unwrap()
    }

    #[test]
    fn a_program_that_asks_gets_the_whole_document_every_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sock");
        let socket = AnswerSocket::bind(&path).unwrap();
        for _ in 0..2 {
            assert_eq!(answer_until_asked(&socket, &path).len(), LONG);
        }
        drop(socket);
        assert!(matches!(ask::<String>(&path), Err(AskError::NoAnswer(_))));
        AnswerSocket::bind(&path).unwrap();
    }

    #[test]
    fn readers_that_do_not_read_hold_nothing_up_and_are_few() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sock");
        let socket = AnswerSocket::bind(&path).unwrap();
        let mut stuck = Vec::new();
        for _ in 0..MAX_ANSWERS + 1 {
            stuck.push(imp::connect(&path).unwrap());
            socket.answer_all("x".repeat(LONG));
        }
        let last = stuck.last_mut().unwrap();
        assert_eq!(last.read(&mut [0]).unwrap(), 0, "it was not turned away");
        // Waiting for the others would have ended them.
        assert_eq!(Arc::strong_count(&socket.answers), MAX_ANSWERS + 1);
    }

    #[test]
    fn an_answer_that_is_something_else_is_told_from_silence() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sock");
        let socket = AnswerSocket::bind(&path).unwrap();
        let asked = thread::spawn(move || ask::<u32>(&path).unwrap_err());
        while !asked.is_finished() {
            socket.answer_all("no number");
            thread::yield_now();
        }
        assert!(matches!(asked.join().unwrap(), AskError::Unreadable(_)));
    }
}
