//! What a player needs of its operating system.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use lanparty_client_route::{RouteError, Table};
use lanparty_client_tap::Adapter;
use lanparty_obs::stats::AddressSource;
use lanparty_os::Prefix;
use lanparty_os::journal::{Journal, Machine};
use lanparty_proto::MacAddr;
use lanparty_transport::reactor::{Reactor, Token};

use crate::address::Change;
use crate::arp::Arp;
use crate::failure::Failure;
use crate::settings::Settings;

/// What the adapter is made from.
#[derive(Debug)]
pub struct Setup<'a> {
    pub settings: &'a Settings,
    /// The adapter's MAC address.
    pub mac: MacAddr,
    /// The state directory, ours alone.
    pub directory: &'a Path,
    /// Locked and without leftovers.
    pub journal: Journal,
}

/// The present turn of the loop.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    pub reactor: &'a Reactor,
    pub now: Instant,
    /// For whatever the platform wants to wait for: readiness under this token
    /// ends in [`Platform::news`].
    pub token: Token,
}

/// One adapter, its address and the machine around it.
///
/// Dropping it undoes all that it did, as far as the journal is not needed.
pub trait Platform: Sized {
    /// What only this system's program lets people choose.
    type Options;
    /// What the journal's changes are undone on.
    type Machine: Machine;
    type Tap: Adapter;
    type Table: Table;

    /// The word for this program in paths and in what the relay sees.
    const PROGRAM: &'static str;
    /// How often the routes are looked at although nothing was reported;
    /// `None` where the system reports every change.
    const CHECK_ROUTES_EVERY: Option<Duration>;
    /// Whether the way to the relay is also held by the address that its socket
    /// is bound to, for systems whose routes alone are too easily overruled.
    const BINDS_TO_SOURCE: bool;

    /// # Errors
    /// When the system cannot be spoken to.
    fn machine() -> Result<Self::Machine, Failure>;

    /// Makes the adapter ready, with its MAC address and without a cable, and
    /// closes it to whatever could move the machine's own internet into it.
    ///
    /// # Errors
    /// When there is no such adapter; the sentence says what to do.
    fn open(options: Self::Options, setup: Setup<'_>) -> Result<(Self::Tap, Self), Failure>;

    /// The adapter's name, as people know it.
    fn name(&self) -> &str;
    /// The adapter's index in routes.
    fn index(&self) -> u32;
    /// What to say about the adapter before it carries anything.
    fn introduction(&self) -> Vec<String> {
        Vec::new()
    }

    /// Makes the adapter wake the loop when it has frames.
    ///
    /// # Errors
    /// When the reactor refuses.
    fn watch_tap(&self, tap: &Self::Tap, reactor: &Reactor, token: Token) -> io::Result<()>;

    /// Makes a request to stop wake the loop.
    ///
    /// # Errors
    /// When the requests cannot be caught.
    fn watch_stop(&mut self, reactor: &Reactor, token: Token) -> io::Result<()>;
    /// Whether somebody asked this program to stop, since the last call.
    fn is_stop_wanted(&mut self) -> bool;

    /// Called once, before the adapter has its cable. The table wakes the loop
    /// under `token` when something has changed.
    ///
    /// # Errors
    /// When the routing tables cannot be used.
    fn open_table(&mut self, reactor: &Reactor, token: Token) -> Result<Self::Table, Failure>;
    /// Drains the news; true where they can concern the path to the relay.
    ///
    /// # Errors
    /// When the source of the news fails.
    fn has_changed(table: &mut Self::Table) -> Result<bool, RouteError>;

    /// The room was joined, for the first time or again, and the adapter has
    /// its cable.
    ///
    /// # Errors
    /// When that ends the player.
    fn joined(&mut self, turn: Turn<'_>) -> Result<Vec<Change>, Failure>;

    /// Whether ARP packets from the room matter to [`Self::observe`].
    fn listens(&self) -> bool {
        false
    }
    fn observe(&mut self, _arp: &Arp, _now: Instant) -> Vec<Change> {
        Vec::new()
    }

    /// Something registered under [`Turn::token`] is ready.
    fn news(&mut self, turn: Turn<'_>) -> Vec<Change>;
    fn next_wakeup(&self) -> Option<Instant>;
    fn wakeup(&mut self, turn: Turn<'_>) -> Vec<Change>;

    /// The adapter's present address.
    fn address(&self) -> Option<(Prefix, AddressSource)>;
    /// Carries [`Change::Set`] out.
    ///
    /// # Errors
    /// When the system refuses.
    fn set_address(&mut self, prefix: Prefix) -> Result<(), Failure>;
    /// Carries [`Change::Clear`] out. Also called where the adapter would
    /// capture the path to the relay: without an address it attracts nothing.
    ///
    /// # Errors
    /// When the system refuses.
    fn clear_address(&mut self) -> Result<(), Failure>;
}
