//! A Unix socket, for its owner and root.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::TIMEOUT;
use crate::peer;
use crate::short_path::ShortPath;

#[derive(Debug)]
pub(super) struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Listener {
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let short = shorten(path)?;
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
            // Somebody's file: binding fails.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = Self {
            listener: UnixListener::bind(short.path())?,
            path: path.to_owned(),
        };
        // Who is at the party is nobody else's business on this computer.
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        listener.listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Who waits, and whether we answer them; an error where nobody does.
    pub(super) fn accept(&self) -> io::Result<(Stream, bool)> {
        let (stream, _) = self.listener.accept()?;
        let is_trusted = peer::is_trusted(&stream).unwrap_or(false);
        Ok((Stream(stream), is_trusted))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _already_gone = fs::remove_file(&self.path);
    }
}

#[derive(Debug)]
pub(super) struct Stream(UnixStream);

impl Stream {
    pub(super) fn into_inner(self) -> UnixStream {
        self.0
    }

    pub(super) fn answer(mut self, document: &[u8]) -> io::Result<()> {
        self.0.set_nonblocking(false)?;
        self.0.set_write_timeout(Some(TIMEOUT))?;
        self.0.write_all(document)
    }
}

pub(super) fn connect(path: &Path) -> io::Result<impl Read> {
    let stream = connect_stream(path)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

pub(super) fn connect_stream(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(shorten(path)?.path())
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
    use super::super::{AnswerSocket, AskError, ask};
    use super::*;

    #[test]
    fn a_socket_in_a_deep_directory_is_its_owners_alone_and_ends_with_its_program() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let path = deep.join("sock");
        let socket = AnswerSocket::bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_program_left_is_replaced_and_a_persons_file_is_not() {
        let directory = tempfile::tempdir().unwrap();
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
    fn a_connection_that_ends_without_an_answer_is_silence() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sock");
        let listener = UnixListener::bind(&path).unwrap();
        let program = std::thread::spawn(move || drop(listener.accept().unwrap()));
        let error = ask::<u32>(&path).unwrap_err();
        assert!(matches!(error, AskError::NoAnswer(_)), "{error}");
        program.join().unwrap();
    }
}
