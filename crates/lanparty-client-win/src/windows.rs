//! The player's platform: a TAP-Windows6 adapter, whose address the system's
//! own DHCP client asks for.

use std::io;
use std::time::{Duration, Instant};

use lanparty_client_route::{RouteError, SystemTable, TapSide};
use lanparty_client_tap::{Tap, TapOptions};
use lanparty_obs::ExitCode;
use lanparty_obs::stats::AddressSource;
use lanparty_os::Prefix;
use lanparty_os::windows::WindowsMachine;
use lanparty_os::windows::changes::SharedJournal;
use lanparty_os::windows::guid::Guid;
use lanparty_player::address::{Addressing, Change};
use lanparty_player::{Failure, OrExit as _, Platform, Setup, Turn};
use lanparty_proto::mtu::DEFAULT_TAP_MTU;
use lanparty_transport::reactor::{Interest, Reactor, Token};

use crate::lan_address;
use crate::stop::Stop;

/// Between two looks at the adapter's address: a lease may come late.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks at the routes: Windows tells of changes, but not of all.
const CHECK: Duration = Duration::from_secs(2);
/// Between two tries to make the network private: Windows knows it only some
/// seconds after the cable is in.
const CATEGORY: Duration = Duration::from_secs(3);
/// What an adapter of our own is called.
const ADAPTER: &str = "softlan-vpn";

/// What only Windows lets people choose.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) instance_id: Option<Guid>,
    pub(crate) keep_network_category: bool,
    pub(crate) open_firewall: bool,
    pub(crate) stop: Stop,
}

#[derive(Debug)]
pub(crate) struct Windows {
    side: TapSide,
    name: String,
    index: u32,
    introduction: Vec<String>,
    mode: Addressing,
    journal: SharedJournal,
    stop: Stop,
    address: Option<(Prefix, AddressSource)>,
    look_at: Option<Instant>,
    keep_network_category: bool,
    category_at: Option<Instant>,
}

impl Platform for Windows {
    type Options = Options;
    type Machine = WindowsMachine;
    type Tap = Tap;
    type Table = SystemTable;

    const PROGRAM: &'static str = crate::cli::PROGRAM;
    const CHECK_ROUTES_EVERY: Option<Duration> = Some(CHECK);
    const BINDS_TO_SOURCE: bool = true;

    fn machine() -> Result<WindowsMachine, Failure> {
        Ok(WindowsMachine)
    }

    fn open(options: Options, setup: Setup<'_>) -> Result<(Tap, Self), Failure> {
        let journal = SharedJournal::from(setup.journal);
        options.stop.ask_by_name(setup.directory);
        let tap = Tap::open(&TapOptions {
            name: ADAPTER.to_owned(),
            mac: setup.mac,
            mtu: DEFAULT_TAP_MTU,
            instance_id: options.instance_id,
            journal: journal.clone(),
        })?;
        let mut side = TapSide::fence(tap.guid(), tap.name(), tap.index(), &journal)?;
        if options.open_firewall
            && let Err(error) = side.open_firewall()
        {
            tracing::warn!(
                %error,
                "the firewall could not be opened; allow your game in Windows Defender Firewall"
            );
        }
        let windows = Self {
            side,
            name: tap.name().to_owned(),
            index: tap.index(),
            introduction: tap.introduction(),
            mode: setup.settings.addressing,
            journal,
            stop: options.stop,
            address: None,
            look_at: None,
            keep_network_category: options.keep_network_category,
            category_at: None,
        };
        Ok((tap, windows))
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn index(&self) -> u32 {
        self.index
    }

    fn introduction(&self) -> Vec<String> {
        self.introduction.clone()
    }

    fn watch_tap(&self, tap: &Tap, reactor: &Reactor, token: Token) -> io::Result<()> {
        reactor.register(tap, token, Interest::Read)
    }

    fn watch_stop(&mut self, reactor: &Reactor, token: Token) -> io::Result<()> {
        reactor.register(&self.stop, token, Interest::Read)
    }

    fn is_stop_wanted(&mut self) -> bool {
        self.stop.take()
    }

    fn open_table(&mut self, reactor: &Reactor, token: Token) -> Result<SystemTable, Failure> {
        let table = SystemTable::open(self.journal.clone())?;
        reactor
            .register(&table, token, Interest::Read)
            .or_exit(ExitCode::Failure)?;
        Ok(table)
    }

    fn has_changed(table: &mut SystemTable) -> Result<bool, RouteError> {
        table.has_changed()
    }

    fn joined(&mut self, turn: Turn<'_>) -> Result<Vec<Change>, Failure> {
        self.look_at = Some(turn.now);
        if !self.keep_network_category {
            self.category_at = Some(turn.now);
        }
        Ok(match (self.mode, self.address) {
            (Addressing::Static(prefix), None) => {
                vec![Change::Set(prefix, AddressSource::Static)]
            }
            (Addressing::Static(_) | Addressing::Dhcp | Addressing::None, _) => Vec::new(),
        })
    }

    /// Nothing is registered: addresses are looked at.
    fn news(&mut self, _: Turn<'_>) -> Vec<Change> {
        Vec::new()
    }

    fn next_wakeup(&self) -> Option<Instant> {
        let times = [self.look_at, self.category_at];
        times.into_iter().flatten().min()
    }

    fn wakeup(&mut self, turn: Turn<'_>) -> Vec<Change> {
        if self.category_at.is_some_and(|at| at <= turn.now) {
            self.make_private(turn.now);
        }
        if self.look_at.is_none_or(|at| at > turn.now) {
            return Vec::new();
        }
        self.look_at = Some(turn.now + LOOK);
        match self.mode {
            Addressing::Dhcp | Addressing::None => self.look(),
            // Ours, and never lost while Windows probes it.
            Addressing::Static(_) => Vec::new(),
        }
    }

    fn address(&self) -> Option<(Prefix, AddressSource)> {
        self.address
    }

    fn set_address(&mut self, prefix: Prefix) -> Result<(), Failure> {
        self.side.set_address(prefix)?;
        self.address = Some((prefix, AddressSource::Static));
        Ok(())
    }

    fn clear_address(&mut self) -> Result<(), Failure> {
        self.side.clear_address();
        self.address = None;
        Ok(())
    }
}

impl Windows {
    /// What Windows has done to the adapter's address.
    fn look(&mut self) -> Vec<Change> {
        let seen = match self.side.addresses() {
            Ok(addresses) => lan_address::best(&addresses),
            Err(error) => {
                tracing::warn!(%error, "cannot read the adapter's address");
                return Vec::new();
            }
        };
        if seen == self.address {
            return Vec::new();
        }
        self.address = seen;
        let change = seen.map_or(Change::Gone, |(prefix, source)| {
            Change::Seen(prefix, source)
        });
        vec![change]
    }

    /// Games are found in private networks only; a machine without the Network
    /// List Manager plays all the same.
    fn make_private(&mut self, now: Instant) {
        self.category_at = None;
        match self.side.make_private() {
            Ok(true) => {}
            Ok(false) => self.category_at = Some(now + CATEGORY),
            Err(error) => {
                tracing::warn!(
                    %error,
                    "the adapter's network could not be made private; Windows' firewall may hide this computer from the party"
                );
            }
        }
    }
}
