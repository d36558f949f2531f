//! Unix socket paths of any length.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// A path to a file in a directory that always fits a socket address, whose
/// 108 bytes a state directory can exceed. Valid as long as this lives.
#[derive(Debug)]
pub struct ShortPath {
    path: PathBuf,
    _directory: File,
}

impl ShortPath {
    /// # Errors
    /// When the directory cannot be opened.
    pub fn new(directory: &Path, name: &str) -> io::Result<Self> {
        let directory = File::open(directory)?;
        Ok(Self {
            path: format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()).into(),
            _directory: directory,
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn a_socket_in_a_deep_directory_is_bound_and_found() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let path = ShortPath::new(&deep, "socket").unwrap();
        let bound = UnixDatagram::bind(path.path()).unwrap();
        let again = ShortPath::new(&deep, "socket").unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(b"hello", again.path()).unwrap();
        let mut bytes = [0; 8];
        assert_eq!(bound.recv(&mut bytes).unwrap(), 5);
    }
}
