//! A local socket for programs that can be told to do something.
//!
//! Whoever connects, as the same user or as root, sends one JSON document,
//! closes its side, and gets one back. A request is read on a thread of its
//! own and waits there for the program's loop to answer it.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::imp::{self, Listener};
use super::{AskError, TIMEOUT};

/// Requests under way at one time; more are turned away, because each has a
/// thread. Chosen because one person asks.
const MAX_REQUESTS: usize = 4;
/// The longest request: a command with a name, and much to spare.
const MAX_REQUEST: u64 = 64 * 1024;
/// How long the program's loop may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The listening end; its name goes with it. Two things are to be waited for,
/// [`RequestSocket::sources`]; when one is readable,
/// [`RequestSocket::requests`] has the rest.
#[derive(Debug)]
pub struct RequestSocket {
    listener: Listener,
    path: PathBuf,
    inbox: Receiver<Request>,
    outbox: SyncSender<Request>,
    bell: Arc<OwnedFd>,
    /// One more reference for each request under way.
    under_way: Arc<()>,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Request {
    document: Vec<u8>,
    answer: SyncSender<Vec<u8>>,
}

impl RequestSocket {
    /// Listens at `path`, over a socket that a killed program left there. The
    /// caller knows that no living one has it.
    ///
    /// # Errors
    /// When the directory is missing or closed to us, or the file is no socket.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let (outbox, inbox) = sync_channel(MAX_REQUESTS);
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self {
            listener: Listener::bind(path)?,
            path: path.to_owned(),
            inbox,
            outbox,
            bell: Arc::new(bell),
            under_way: Arc::default(),
        })
    }

    #[must_use]
    pub fn sources(&self) -> [BorrowedFd<'_>; 2] {
        [self.listener.as_fd(), self.bell.as_fd()]
    }

    /// The requests that have come in completely; takes in those who have just
    /// connected.
    pub fn requests(&self) -> impl Iterator<Item = Request> {
        // Before the inbox is looked at, so that no ring is missed.
        let _nothing_rang = rustix::io::read(&self.bell, &mut [0; 8]);
        while let Ok((stream, is_trusted)) = self.listener.accept() {
            if !is_trusted {
                tracing::warn!(path = ?self.path, "another user asked and was refused");
                continue;
            }
            if Arc::strong_count(&self.under_way) > MAX_REQUESTS {
                continue;
            }
            self.take_in(stream.into_inner());
        }
        self.inbox.try_iter()
    }

    fn take_in(&self, stream: UnixStream) {
        let outbox = self.outbox.clone();
        let bell = Arc::clone(&self.bell);
        let under_way = Arc::clone(&self.under_way);
        let work = move || {
            if let Err(error) = serve(stream, &outbox, &bell) {
                tracing::debug!(%error, "a request could not be answered");
            }
            drop(under_way);
        };
        let thread = thread::Builder::new().name("request".to_owned());
        if let Err(error) = thread.spawn(work) {
            tracing::debug!(%error, "no thread for a request");
        }
    }
}

impl Request {
    /// # Errors
    /// When it is no such document.
    pub fn document<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.document)
    }

    /// An asker that went away, or a document that cannot be written down,
    /// gets none.
    pub fn answer<T: Serialize>(self, document: &T) {
        if let Ok(answer) = serde_json::to_vec(document) {
            let _gone = self.answer.try_send(answer);
        }
    }
}

fn serve(mut stream: UnixStream, outbox: &SyncSender<Request>, bell: &OwnedFd) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut document = Vec::new();
    (&stream).take(MAX_REQUEST).read_to_end(&mut document)?;
    let (sender, answer) = sync_channel(1);
    let request = Request {
        document,
        answer: sender,
    };
    outbox.try_send(request).map_err(io::Error::other)?;
    rustix::io::write(bell, &1_u64.to_ne_bytes())?;
    let answer = answer.recv_timeout(PATIENCE).map_err(io::Error::other)?;
    stream.write_all(&answer)
}

/// Asks the program that listens at `path` to do something.
///
/// # Errors
/// When none does, or its answer is no such document.
pub fn request<T: DeserializeOwned>(path: &Path, request: &impl Serialize) -> Result<T, AskError> {
    let answer = exchange(path, request).map_err(AskError::NoAnswer)?;
    serde_json::from_slice(&answer).map_err(AskError::Unreadable)
}

fn exchange(path: &Path, request: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut stream = imp::connect_stream(path)?;
    stream.set_read_timeout(Some(TIMEOUT + PATIENCE))?;
    stream.write_all(&serde_json::to_vec(request)?)?;
    stream.shutdown(Shutdown::Write)?;
    super::read_answer(stream)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    fn wait(socket: &RequestSocket) {
        let [listener, bell] = socket.sources();
        let mut sources = [
            PollFd::new(&listener, PollFlags::IN),
            PollFd::new(&bell, PollFlags::IN),
        ];
        poll(&mut sources, None).unwrap();
    }

    #[test]
    fn a_request_reaches_the_program_and_its_answer_the_asker() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sock");
        let socket = RequestSocket::bind(&path).unwrap();
        let asker = thread::spawn({
            let path = path.clone();
            move || request::<String>(&path, &"who is there?")
        });
        let asked = loop {
            wait(&socket);
            if let Some(asked) = socket.requests().next() {
                break asked;
            }
        };
        assert_eq!(asked.document::<String>().unwrap(), "who is there?");
        asked.answer(&"nobody");
        assert_eq!(asker.join().unwrap().unwrap(), "nobody");
    }

    #[test]
    fn a_request_without_an_answer_is_silence() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sock");
        assert!(matches!(
            request::<u32>(&path, &1),
            Err(AskError::NoAnswer(_))
        ));
        let socket = RequestSocket::bind(&path).unwrap();
        let asker = thread::spawn({
            let path = path.clone();
            move || request::<u32>(&path, &1)
        });
        let asked = loop {
            wait(&socket);
            if let Some(asked) = socket.requests().next() {
                break asked;
            }
        };
        drop(asked);
        assert!(matches!(asker.join().unwrap(), Err(AskError::NoAnswer(_))));
    }

    #[test]
    fn askers_that_say_nothing_are_few_and_hold_nothing_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sock");
        let socket = RequestSocket::bind(&path).unwrap();
        let silent: Vec<_> = (0..=MAX_REQUESTS)
            .map(|_| UnixStream::connect(&path).unwrap())
            .collect();
        assert_eq!(socket.requests().count(), 0);
        let mut last = silent.last().unwrap();
        assert_eq!(last.read(&mut [0]).unwrap(), 0, "it was not turned away");
        assert_eq!(Arc::strong_count(&socket.under_way), MAX_REQUESTS + 1);
    }

    #[test]
    fn a_request_without_an_end_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sock");
        let socket = RequestSocket::bind(&path).unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let asker = thread::spawn({
            let (path, done) = (path.clone(), Arc::clone(&done));
            move || {
                let mut stream = UnixStream::connect(path).unwrap();
                while stream.write_all(&[b' '; 4096]).is_ok() {}
                done.store(true, Ordering::Relaxed);
            }
        });
        let asked = loop {
            wait(&socket);
            if let Some(asked) = socket.requests().next() {
                break asked;
            }
        };
        assert!(asked.document.len() as u64 <= MAX_REQUEST);
        assert!(asked.document::<u32>().is_err());
        drop(asked);
        asker.join().unwrap();
        assert!(done.load(Ordering::Relaxed));
    }
}
