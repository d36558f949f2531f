//! The adapter as this machine's network sees it: the guarded path to the
//! relay, the address, the DHCP client.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lanparty_client_core::Session;
use lanparty_client_route::plan::Pin;
use lanparty_client_route::{Guard, RouteError, RouteEvent, SystemTable, TapSide};
use lanparty_client_tap::Tap;
use lanparty_l2::dhcp::AddressGuard;
use lanparty_obs::ExitCode;
use lanparty_obs::stats::AddressSource;
use lanparty_os::Prefix;
use lanparty_os::journal::Journal;
use lanparty_proto::MacAddr;
use lanparty_transport::reactor::{Interest, Reactor};
use lanparty_transport::run::Context;

use super::{DHCP, Player, ROUTES};
use crate::address::{AddressKeeper, Change};
use crate::arp::Arp;
use crate::dhcp::{DhcpClient, DhcpError, Kind};
use crate::failure::{Failure, OrExit as _};
use crate::settings::{Addressing, Settings, refuse_overlap};

/// Route changes come in bursts; one look after the burst is enough.
const SETTLE: Duration = Duration::from_millis(100);
/// Before a DHCP client that ended by itself is started again.
const DHCP_RESTART: Duration = Duration::from_secs(5);
/// The private directory of the DHCP client, in the state directory.
const DHCP_DIRECTORY: &str = "dhcp";

pub(super) struct Lan {
    side: TapSide,
    tap_name: String,
    tap_index: u32,
    mode: Addressing,
    keeper: AddressKeeper,
    /// Goes to the guard's table when there is one.
    journal: Option<Journal>,
    guard: Option<Guard<SystemTable>>,
    check_at: Option<Instant>,
    dhcp_client: Option<Kind>,
    dhcp: Option<DhcpClient>,
    dhcp_restart: Option<Instant>,
    dhcp_directory: PathBuf,
}

/// Sentences for the player.
pub(super) type Said = Vec<String>;

impl Lan {
    pub(super) fn new(
        settings: &Settings,
        side: TapSide,
        tap: &Tap,
        mac: MacAddr,
        directory: &Path,
        journal: Journal,
    ) -> Self {
        Self {
            side,
            tap_name: tap.name().to_owned(),
            tap_index: tap.index(),
            mode: settings.addressing,
            keeper: AddressKeeper::new(mac, settings.addressing),
            journal: Some(journal),
            guard: None,
            check_at: None,
            dhcp_client: settings.dhcp_client,
            dhcp: None,
            dhcp_restart: None,
            dhcp_directory: directory.join(DHCP_DIRECTORY),
        }
    }

    /// Keeps the path to the relay outside the adapter from now on.
    pub(super) fn hold_path(
        &mut self,
        reactor: &Reactor,
        relay: IpAddr,
        session: &mut Session,
    ) -> Result<Said, Failure> {
        let events = match &mut self.guard {
            Some(guard) if guard.relay() == relay => Vec::new(),
            Some(guard) => guard.set_relay(relay)?,
            None => {
                let journal = self.journal.take();
                let journal = journal
                    .context("the path to the relay could not be kept")
                    .or_exit(ExitCode::Failure)?;
                let table = SystemTable::open(journal)?;
                let mut guard = Guard::establish(table, self.tap_index, relay)?;
                reactor
                    .register(guard.table().fd(), ROUTES, Interest::Read)
                    .or_exit(ExitCode::Failure)?;
                let pinned = RouteEvent::Pinned(guard.pin());
                self.guard = Some(guard);
                vec![pinned]
            }
        };
        self.refuse_bad_choice()?;
        self.tell_session(session);
        Ok(events.iter().map(sentence).collect())
    }

    pub(super) fn check_path(&mut self) -> Result<Said, RouteError> {
        let Some(guard) = &mut self.guard else {
            return Ok(Said::new());
        };
        let events = guard.check()?;
        Ok(events.iter().map(sentence).collect())
    }

    /// How the path is held, in words.
    pub(super) fn path(&self) -> String {
        let pin = self.guard.as_ref().map(Guard::pin);
        pin.map_or_else(|| "not looked at yet".to_owned(), |pin| path_words(&pin))
    }

    pub(super) fn routes_changed(&mut self, now: Instant) {
        let changed = self.guard.as_mut().map(|guard| guard.table().has_changed());
        match changed {
            Some(Ok(false)) | None => {}
            Some(Ok(true)) => {
                self.check_at.get_or_insert(now + SETTLE);
            }
            Some(Err(error)) => tracing::warn!(%error, "cannot follow route changes"),
        }
    }

    pub(super) const fn mac(&self) -> MacAddr {
        self.keeper.mac()
    }

    pub(super) const fn address(&self) -> Option<(Prefix, AddressSource)> {
        self.keeper.current()
    }

    /// The room was joined and the adapter has its cable.
    pub(super) fn joined(
        &mut self,
        reactor: &Reactor,
        now: Instant,
    ) -> Result<Vec<Change>, Failure> {
        if self.mode == Addressing::Dhcp && self.dhcp.is_none() && self.dhcp_restart.is_none() {
            self.start_dhcp(reactor, now);
        }
        Ok(self.keeper.joined(now))
    }

    /// Whether ARP packets from the room matter to the address.
    pub(super) const fn listens(&self) -> bool {
        self.keeper.listens()
    }

    pub(super) fn observe(&mut self, arp: &Arp, now: Instant) -> Vec<Change> {
        self.keeper.observe(arp, now)
    }

    pub(super) fn read_dhcp(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some(event) = self.dhcp.as_ref().and_then(DhcpClient::receive) {
            changes.extend(self.keeper.lease(event, now));
        }
        changes
    }

    pub(super) fn next_wakeup(&self) -> Option<Instant> {
        [self.keeper.next_wakeup(), self.check_at, self.dhcp_restart]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn wakeup(
        &mut self,
        reactor: &Reactor,
        now: Instant,
        session: &mut Session,
    ) -> Result<(Vec<Change>, Said), Failure> {
        let mut said = Said::new();
        if self.check_at.is_some_and(|at| at <= now) {
            self.check_at = None;
            match self.check_path() {
                Ok(sentences) => said.extend(sentences),
                Err(RouteError::Captured(captured)) => {
                    // The tunnel through itself ends everything; without its
                    // address the adapter attracts nothing.
                    self.side.clear_address()?;
                    said.push(format!("{captured}; its address was removed"));
                }
                Err(error) => said.push(format!("cannot check the path to the relay: {error}")),
            }
            self.tell_session(session);
        }
        if self.dhcp_restart.is_some_and(|at| at <= now) {
            self.dhcp_restart = None;
            self.start_dhcp(reactor, now);
        }
        Ok((self.keeper.tick(now), said))
    }

    /// To be called now and then: starts a DHCP client anew that has ended.
    pub(super) fn look_after_dhcp(&mut self, now: Instant) {
        let Some(status) = self.dhcp.as_mut().and_then(DhcpClient::ended) else {
            return;
        };
        tracing::warn!(%status, "the DHCP client ended; starting it again");
        self.dhcp = None;
        self.dhcp_restart = Some(now + DHCP_RESTART);
    }

    fn start_dhcp(&mut self, reactor: &Reactor, now: Instant) {
        let started = self.new_dhcp_client().and_then(|client| {
            reactor
                .register(client.fd(), DHCP, Interest::Read)
                .context("cannot listen to the DHCP client")?;
            Ok(client)
        });
        match started {
            Ok(client) => {
                tracing::info!(client = %client.kind(), "asking the party's DHCP server for an address");
                self.dhcp = Some(client);
            }
            Err(error) => {
                tracing::warn!("{error:#}");
                self.dhcp_restart = Some(now + Duration::from_secs(60));
            }
        }
    }

    fn new_dhcp_client(&self) -> anyhow::Result<DhcpClient> {
        let (kind, program) = Kind::find(self.dhcp_client).ok_or(DhcpError::NoClient)?;
        let own = std::env::current_exe().context("cannot find the path of this program")?;
        let (name, directory) = (&self.tap_name, &self.dhcp_directory);
        Ok(DhcpClient::start((kind, &program), &own, name, directory)?)
    }

    fn set_address(&mut self, prefix: Prefix) -> Result<Option<String>, Failure> {
        let overlap = match &mut self.guard {
            Some(guard) => guard.overlap(prefix)?,
            None => None,
        };
        if let Some(overlap) = overlap.filter(|overlap| overlap.cuts_off()) {
            return Ok(Some(overlap.to_string()));
        }
        self.side.set_address(prefix)?;
        Ok(overlap.map(|overlap| overlap.to_string()))
    }

    fn clear_address(&mut self) -> Result<(), Failure> {
        Ok(self.side.clear_address()?)
    }

    /// A chosen address that would cut the machine off is an error, not a
    /// surprise later.
    fn refuse_bad_choice(&mut self) -> Result<(), Failure> {
        let (Addressing::Static(prefix), Some(guard)) = (self.mode, &mut self.guard) else {
            return Ok(());
        };
        let overlap = guard.overlap(prefix)?;
        overlap
            .as_ref()
            .and_then(refuse_overlap)
            .map_or(Ok(()), Err)
    }

    /// Tells the policy which addresses the party's DHCP server must not cover.
    fn tell_session(&mut self, session: &mut Session) {
        let Some(guard) = &mut self.guard else { return };
        let routers = guard.home_routers().unwrap_or_default();
        let (home_router, others) = match routers.split_first() {
            Some((first, others)) => (Some(*first), others),
            None => (None, routers.as_slice()),
        };
        let mut keep_outside = others.to_vec();
        keep_outside.push(guard.relay());
        session.set_address_guard(AddressGuard {
            keep_outside,
            home_router,
            allow_public: false,
        });
    }
}

impl Player {
    /// Carries changes of the adapter's address out.
    pub(super) fn apply(&mut self, cx: &mut Context<'_>, changes: Vec<Change>) {
        for change in changes {
            let done = match change {
                Change::Set(prefix, source) => self.set_address(prefix, source),
                Change::Clear => {
                    self.say("the adapter's address was given up");
                    self.lan.clear_address()
                }
                Change::Send(arp) => {
                    self.send_own(cx, &mut arp.encode());
                    Ok(())
                }
                Change::NoLease => {
                    self.say(
                        "no DHCP server answered within 10 s; looking for a link-local address",
                    );
                    Ok(())
                }
            };
            if let Err(failure) = done {
                self.leave(cx, Err(failure));
                return;
            }
        }
    }

    fn set_address(&mut self, prefix: Prefix, source: AddressSource) -> Result<(), Failure> {
        let warning = self.lan.set_address(prefix)?;
        self.say(format_args!(
            "adapter {}: {prefix}, {}",
            self.lan.tap_name,
            source.words()
        ));
        tracing::debug!(?source, "address set");
        if let Some(warning) = warning {
            self.say(&warning);
        }
        Ok(())
    }
}

fn sentence(event: &RouteEvent) -> String {
    match event {
        RouteEvent::Pinned(pin) => format!("path to the relay: {}", path_words(pin)),
        RouteEvent::RemovedFromTap { destination, .. } => format!(
            "a route to {destination} appeared on the party's adapter and was removed, because your own internet must not go through the party"
        ),
    }
}

fn path_words(pin: &Pin) -> String {
    match pin {
        Pin::Own(route) => match route.hop.gateway {
            Some(gateway) => format!("pinned by way of {gateway}, outside the party's LAN"),
            None => "pinned on its own network, outside the party's LAN".to_owned(),
        },
        Pin::Borrowed(_) => "held by a route that was there before".to_owned(),
        Pin::ThisMachine => "the relay runs on this computer".to_owned(),
        Pin::PolicyRouted { table, .. } => {
            format!("held by another program's routing (table {table}), which is being watched")
        }
        Pin::NoPath => "there is none at the moment; is this computer online?".to_owned(),
    }
}
