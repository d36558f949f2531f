//! An address from the party's DHCP server, by the system's own client.
//!
//! The client runs in the foreground as our child and dies with us. Its hook
//! is this program again, which only reports address and prefix over a socket:
//! nobody ever touches resolv.conf or a default route. What the LAN's server
//! can put into an offer was cut down before it reached the TAP.

mod command;
pub(crate) mod hook;

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use lanparty_os::private_file;

pub(crate) use command::Kind;
pub(crate) use hook::LeaseEvent;

use crate::short_path::ShortPath;

/// A running DHCP client.
#[derive(Debug)]
pub(crate) struct DhcpClient {
    kind: Kind,
    child: Child,
    reports: UnixDatagram,
    directory: PathBuf,
}

impl DhcpClient {
    /// Finds the system's client and starts it on `interface`. `directory` is
    /// ours alone and is removed at the end.
    pub(crate) fn start(interface: &str, directory: &Path) -> Result<Self, DhcpError> {
        let (kind, program) = Kind::find().ok_or(DhcpError::NoClient)?;
        let setup = |source| DhcpError::Setup { source };
        let _leftover = fs::remove_dir_all(directory);
        private_file::create_directory(directory)
            .map_err(io::Error::other)
            .map_err(setup)?;
        let own = std::env::current_exe().map_err(setup)?;
        symlink(&own, directory.join(hook::NAME)).map_err(setup)?;
        for (name, content) in kind.files() {
            fs::write(directory.join(name), content).map_err(setup)?;
        }
        let socket = ShortPath::new(directory, hook::SOCKET).map_err(setup)?;
        let reports = UnixDatagram::bind(socket.path()).map_err(setup)?;
        reports.set_nonblocking(true).map_err(setup)?;
        let log = File::create(directory.join("client.log")).map_err(setup)?;

        let child = Command::new(own)
            .arg(hook::RUN)
            .arg(std::process::id().to_string())
            .arg(program)
            .args(kind.arguments(interface, directory))
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(setup)?)
            .stderr(log)
            .spawn()
            .map_err(setup)?;
        Ok(Self {
            kind,
            child,
            reports,
            directory: directory.to_owned(),
        })
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Readable when the hook has reported something.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.reports.as_fd()
    }

    /// The next report, without waiting.
    pub(crate) fn receive(&self) -> Option<LeaseEvent> {
        let mut bytes = [0; hook::MAX_REPORT];
        loop {
            let len = self.reports.recv(&mut bytes).ok()?;
            match hook::decode(bytes.get(..len).unwrap_or_default()) {
                Some(event) => return Some(event),
                None => tracing::debug!("a report of the DHCP hook makes no sense"),
            }
        }
    }

    /// How the client ended, where it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for DhcpClient {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Killed rather than asked: a polite end would release the lease,
            // and the player would come back to another address.
            let _already_dead = self.child.kill();
            let _already_reaped = self.child.wait();
        }
        let _leftover = fs::remove_dir_all(&self.directory);
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DhcpError {
    #[error(
        "this machine has no DHCP client that can be used; install udhcpc, dhcpcd or isc-dhcp-client, or choose an address yourself with --ip"
    )]
    NoClient,
    #[error("cannot start the DHCP client")]
    Setup {
        #[source]
        source: io::Error,
    },
}
