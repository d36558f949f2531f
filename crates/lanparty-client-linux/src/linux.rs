//! The player's platform: a TAP of the kernel's, netlink, signals.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lanparty_client_route::{RouteError, SystemTable, TapSide};
use lanparty_client_tap::{Tap, TapOptions};
use lanparty_obs::ExitCode;
use lanparty_obs::stats::AddressSource;
use lanparty_os::journal::Journal;
use lanparty_os::{LinuxMachine, Prefix};
use lanparty_player::address::{AddressKeeper, Addressing, Change};
use lanparty_player::arp::Arp;
use lanparty_player::{Failure, OrExit as _, Platform, Setup, Turn};
use lanparty_proto::mtu::DEFAULT_TAP_MTU;
use lanparty_transport::reactor::{Interest, Reactor, Token};
use lanparty_transport::signals::Signals;
use rustix::process::Signal;

use crate::dhcp::{DhcpClient, DhcpError, Kind};
use crate::network_manager;

/// Before a DHCP client that ended by itself is started again.
const DHCP_RESTART: Duration = Duration::from_secs(5);
/// Before a DHCP client that could not be started is tried again.
const DHCP_RETRY: Duration = Duration::from_secs(60);
/// Between two looks at whether the DHCP client still runs.
const DHCP_LOOK: Duration = Duration::from_secs(1);
/// The private directory of the DHCP client, in the state directory.
const DHCP_DIRECTORY: &str = "dhcp";

/// What only Linux lets people choose.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) tap_name: String,
    pub(crate) offload: bool,
    pub(crate) dhcp_client: Option<Kind>,
}

#[derive(Debug)]
pub(crate) struct Linux {
    side: TapSide,
    name: String,
    index: u32,
    mode: Addressing,
    keeper: AddressKeeper,
    signals: Option<Signals>,
    /// Goes to the routing table when that is opened.
    journal: Option<Journal>,
    dhcp_client: Option<Kind>,
    dhcp: Option<DhcpClient>,
    /// When to start a DHCP client, or to look after the one that runs.
    dhcp_at: Option<Instant>,
    dhcp_directory: PathBuf,
}

impl Platform for Linux {
    type Options = Options;
    type Machine = LinuxMachine;
    type Tap = Tap;
    type Table = SystemTable;

    const PROGRAM: &'static str = "lanparty-client";
    /// Netlink reports every change.
    const CHECK_ROUTES_EVERY: Option<Duration> = None;
    const BINDS_TO_SOURCE: bool = false;

    fn machine() -> Result<LinuxMachine, Failure> {
        LinuxMachine::open().or_exit(ExitCode::Failure)
    }

    fn open(options: Options, setup: Setup<'_>) -> Result<(Tap, Self), Failure> {
        let tap = Tap::open(&TapOptions {
            name: options.tap_name,
            mac: setup.mac,
            mtu: DEFAULT_TAP_MTU,
            offload: options.offload,
        })?;
        let side = TapSide::fence(tap.name(), tap.index())?;
        network_manager::leave_alone(tap.name());
        let mode = setup.settings.addressing;
        let linux = Self {
            side,
            name: tap.name().to_owned(),
            index: tap.index(),
            mode,
            keeper: AddressKeeper::new(setup.mac, mode),
            signals: None,
            journal: Some(setup.journal),
            dhcp_client: options.dhcp_client,
            dhcp: None,
            dhcp_at: None,
            dhcp_directory: setup.directory.join(DHCP_DIRECTORY),
        };
        Ok((tap, linux))
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn index(&self) -> u32 {
        self.index
    }

    fn watch_tap(&self, tap: &Tap, reactor: &Reactor, token: Token) -> io::Result<()> {
        reactor.register(tap.fd(), token, Interest::Read)
    }

    fn watch_stop(&mut self, reactor: &Reactor, token: Token) -> io::Result<()> {
        let signals = [Signal::INT, Signal::TERM, Signal::HUP].map(Signal::as_raw);
        self.signals = Some(Signals::new(reactor, token, &signals)?);
        Ok(())
    }

    fn is_stop_wanted(&mut self) -> bool {
        self.signals
            .as_mut()
            .is_some_and(|signals| !signals.take().is_empty())
    }

    fn open_table(&mut self, reactor: &Reactor, token: Token) -> Result<SystemTable, Failure> {
        let journal = self.journal.take();
        let journal = journal
            .context("the path to the relay could not be kept")
            .or_exit(ExitCode::Failure)?;
        let table = SystemTable::open(journal)?;
        reactor
            .register(table.fd(), token, Interest::Read)
            .or_exit(ExitCode::Failure)?;
        Ok(table)
    }

    fn has_changed(table: &mut SystemTable) -> Result<bool, RouteError> {
        table.has_changed()
    }

    fn joined(&mut self, turn: Turn<'_>) -> Result<Vec<Change>, Failure> {
        if self.mode == Addressing::Dhcp && self.dhcp_at.is_none() {
            self.start_dhcp(turn);
        }
        Ok(self.keeper.joined(turn.now))
    }

    fn listens(&self) -> bool {
        self.keeper.listens()
    }

    fn observe(&mut self, arp: &Arp, now: Instant) -> Vec<Change> {
        self.keeper.observe(arp, now)
    }

    fn news(&mut self, turn: Turn<'_>) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some(event) = self.dhcp.as_ref().and_then(DhcpClient::receive) {
            changes.extend(self.keeper.lease(event, turn.now));
        }
        changes
    }

    fn next_wakeup(&self) -> Option<Instant> {
        let times = [self.keeper.next_wakeup(), self.dhcp_at];
        times.into_iter().flatten().min()
    }

    fn wakeup(&mut self, turn: Turn<'_>) -> Vec<Change> {
        if self.dhcp_at.is_some_and(|at| at <= turn.now) {
            match &mut self.dhcp {
                Some(_) => self.look_after_dhcp(turn.now),
                None => self.start_dhcp(turn),
            }
        }
        self.keeper.tick(turn.now)
    }

    fn address(&self) -> Option<(Prefix, AddressSource)> {
        self.keeper.current()
    }

    fn set_address(&mut self, prefix: Prefix) -> Result<(), Failure> {
        Ok(self.side.set_address(prefix)?)
    }

    fn clear_address(&mut self) -> Result<(), Failure> {
        Ok(self.side.clear_address()?)
    }
}

impl Linux {
    /// Plans the start of another DHCP client where this one has ended.
    fn look_after_dhcp(&mut self, now: Instant) {
        let Some(status) = self.dhcp.as_mut().and_then(DhcpClient::ended) else {
            self.dhcp_at = Some(now + DHCP_LOOK);
            return;
        };
        tracing::warn!(%status, "the DHCP client ended; starting it again");
        self.dhcp = None;
        self.dhcp_at = Some(now + DHCP_RESTART);
    }

    fn start_dhcp(&mut self, turn: Turn<'_>) {
        let started = self.new_dhcp_client().and_then(|client| {
            turn.reactor
                .register(client.fd(), turn.token, Interest::Read)
                .context("cannot listen to the DHCP client")?;
            Ok(client)
        });
        match started {
            Ok(client) => {
                tracing::info!(client = %client.kind(), "asking the party's DHCP server for an address");
                self.dhcp = Some(client);
                self.dhcp_at = Some(turn.now + DHCP_LOOK);
            }
            Err(error) => {
                tracing::warn!("{error:#}");
                self.dhcp_at = Some(turn.now + DHCP_RETRY);
            }
        }
    }

    fn new_dhcp_client(&self) -> anyhow::Result<DhcpClient> {
        let (kind, program) = Kind::find(self.dhcp_client).ok_or(DhcpError::NoClient)?;
        let own = std::env::current_exe().context("cannot find the path of this program")?;
        let directory: &Path = &self.dhcp_directory;
        Ok(DhcpClient::start(
            (kind, &program),
            &own,
            &self.name,
            directory,
        )?)
    }
}
