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
use std::thread;
use std::time::Duration;

use lanparty_os::private_file;
use lanparty_os::short_path::ShortPath;
use lanparty_player::address::LeaseEvent;
use rustix::process::{Pid, Signal};

pub(crate) use command::Kind;

/// How long a client may take to end: 500 ms.
const STOP_POLLS: u32 = 50;
const STOP_POLL: Duration = Duration::from_millis(10);

/// A running DHCP client.
#[derive(Debug)]
pub(crate) struct DhcpClient {
    kind: Kind,
    child: Child,
    reports: UnixDatagram,
    directory: PathBuf,
}

impl DhcpClient {
    /// Starts the client `kind` at the path `program` on `interface`. `own` is
    /// this program; `directory` is ours alone and is removed at the end.
    pub(crate) fn start(
        (kind, program): (Kind, &Path),
        own: &Path,
        interface: &str,
        directory: &Path,
    ) -> Result<Self, DhcpError> {
        let setup = |source| DhcpError::Setup { source };
        let _leftover = fs::remove_dir_all(directory);
        private_file::create_directory(directory)
            .map_err(io::Error::other)
            .map_err(setup)?;
        symlink(own, directory.join(hook::NAME)).map_err(setup)?;
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

impl DhcpClient {
    /// Ends the client. None of them gives its lease back when it is told to
    /// terminate, so the player comes back to the same address.
    fn stop(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = Pid::from_child(&self.child);
        // dhcpcd has helpers of its own that only it can end.
        rustix::process::kill_process(pid, Signal::TERM)?;
        for _ in 0..STOP_POLLS {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(STOP_POLL);
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for DhcpClient {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(%error, "cannot end the DHCP client");
        }
        let _leftover = fs::remove_dir_all(&self.directory);
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DhcpError {
    #[error(
        "the DHCP client is not installed; install udhcpc, dhcpcd or isc-dhcp-client, or choose an address yourself with --ip"
    )]
    NoClient,
    #[error("cannot start the DHCP client")]
    Setup {
        #[source]
        source: io::Error,
    },
}
