//! The way to the relay, kept outside the adapter and watched.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use lanparty_client_route::plan::{Overlap, Pin};
use lanparty_client_route::{Guard, RouteError, RouteEvent, Table};
use lanparty_l2::dhcp::AddressGuard;
use lanparty_os::Prefix;
use lanparty_transport::run::Context;
use lanparty_transport::source_address;

use super::{Player, ROUTES};
use crate::address::Addressing;
use crate::failure::Failure;
use crate::platform::Platform;
use crate::settings::refuse_overlap;

/// Route changes come in bursts; one look after the burst is enough.
const SETTLE: Duration = Duration::from_millis(100);
/// An address that has just come is not to be used at once, IPv6's duplicate
/// address detection takes a second (RFC 4862 section 5.4).
const MOVE_AGAIN: Duration = Duration::from_secs(1);

/// Sentences for the player.
type Said = Vec<String>;

/// The guard, once the relay's address is known.
#[derive(Debug)]
pub(super) struct RelayPath<T: Table> {
    guard: Option<Guard<T>>,
    check_at: Option<Instant>,
    /// This machine's own address on the way to the relay.
    source: Option<IpAddr>,
}

impl<T: Table> Default for RelayPath<T> {
    fn default() -> Self {
        Self {
            guard: None,
            check_at: None,
            source: None,
        }
    }
}

impl<T: Table> RelayPath<T> {
    pub(super) fn check(&mut self) -> Result<Said, RouteError> {
        let Some(guard) = &mut self.guard else {
            return Ok(Said::new());
        };
        let events = guard.check()?;
        Ok(events.iter().map(sentence).collect())
    }

    pub(super) const fn next_wakeup(&self) -> Option<Instant> {
        self.check_at
    }

    /// How the path is held, in words.
    pub(super) fn words(&self) -> String {
        let pin = self.guard.as_ref().map(Guard::pin);
        pin.map_or_else(|| "not looked at yet".to_owned(), |pin| path_words(&pin))
    }

    pub(super) fn overlap(&mut self, lan: Prefix) -> Result<Option<Overlap>, RouteError> {
        let guard = self.guard.as_mut();
        guard.map_or(Ok(None), |guard| guard.overlap(lan))
    }

    /// What the party's DHCP server must not cover.
    fn address_guard(&mut self) -> Option<AddressGuard> {
        let guard = self.guard.as_mut()?;
        let routers = guard.home_routers().unwrap_or_default();
        let (home_router, others) = match routers.split_first() {
            Some((first, others)) => (Some(*first), others),
            None => (None, routers.as_slice()),
        };
        let mut keep_outside = others.to_vec();
        keep_outside.push(guard.relay());
        Some(AddressGuard {
            keep_outside,
            home_router,
            allow_public: false,
        })
    }
}

impl<P: Platform> Player<P> {
    /// Keeps the path to the relay outside the adapter from now on.
    pub(super) fn hold_path(&mut self, cx: &Context<'_>) -> Result<(), Failure> {
        let Some(relay) = self.remote.map(|remote| remote.ip()) else {
            return Ok(());
        };
        let events = match &mut self.path.guard {
            Some(guard) if guard.relay() == relay => Vec::new(),
            Some(guard) => guard.set_relay(relay)?,
            None => {
                let table = self.platform.open_table(cx.reactor, ROUTES)?;
                let guard = Guard::establish(table, self.platform.index(), relay)?;
                let pinned = RouteEvent::Pinned(guard.pin());
                self.path.guard = Some(guard);
                self.path.check_at = next_look::<P>(cx.now);
                vec![pinned]
            }
        };
        self.refuse_bad_choice()?;
        self.tell_session();
        let said: Said = events.iter().map(sentence).collect();
        self.say_all(&said);
        Ok(())
    }

    pub(super) fn routes_changed(&mut self, now: Instant) {
        let Some(guard) = &mut self.path.guard else {
            return;
        };
        match P::has_changed(guard.table()) {
            Ok(false) => {}
            Ok(true) => {
                let soon = now + SETTLE;
                let at = self.path.check_at.map_or(soon, |at| at.min(soon));
                self.path.check_at = Some(at);
            }
            Err(error) => tracing::warn!(%error, "cannot follow route changes"),
        }
    }

    /// Looks at the path where that is due.
    pub(super) fn watch_path(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        if self.path.check_at.is_none_or(|at| at > cx.now) {
            return Ok(());
        }
        self.path.check_at = next_look::<P>(cx.now);
        match self.path.check() {
            Ok(said) => self.say_all(&said),
            Err(RouteError::Captured(captured)) => {
                // The tunnel through itself ends everything; without its
                // address the adapter attracts nothing.
                self.platform.clear_address()?;
                self.say(format_args!("{captured}; its address was removed"));
            }
            Err(error) => self.say(format_args!("cannot check the path to the relay: {error}")),
        }
        self.tell_session();
        if let Some(remote) = self.remote
            && self.conn.is_some()
        {
            self.follow_source(cx, remote);
        }
        Ok(())
    }

    /// Moves to the address that the way to the relay starts from, where that
    /// has changed: another network, a renewed lease.
    fn follow_source(&mut self, cx: &mut Context<'_>, remote: SocketAddr) {
        let Some(source) = self.source(remote) else {
            return;
        };
        let before = self.path.source.replace(source);
        if before == Some(source) {
            return;
        }
        if self.rebind(cx, source) {
            self.say(format_args!(
                "this computer's address on the way to the relay is now {source}; staying in the room"
            ));
        } else {
            self.path.source = before;
            self.path.check_at = Some(cx.now + MOVE_AGAIN);
        }
    }

    /// Prepares the socket for a new connection.
    pub(super) fn start_from_source(&mut self, cx: &mut Context<'_>, remote: SocketAddr) {
        let Some(source) = self.source(remote) else {
            return;
        };
        let before = self.path.source.replace(source);
        if P::BINDS_TO_SOURCE && before != Some(source) && !self.rebind(cx, source) {
            self.path.source = before;
        }
    }

    /// The address that the routes would send from, never the adapter's own.
    fn source(&self, remote: SocketAddr) -> Option<IpAddr> {
        let source = source_address(remote).ok()?;
        let adapter = self.platform.address();
        adapter
            .is_none_or(|(prefix, _)| prefix.address != source)
            .then_some(source)
    }

    fn rebind(&self, cx: &mut Context<'_>, source: IpAddr) -> bool {
        let address = P::BINDS_TO_SOURCE.then_some(SocketAddr::new(source, 0));
        match cx.transport.rebind(cx.now, address) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "cannot move to another address");
                false
            }
        }
    }

    /// A chosen address that would cut the machine off is an error, not a
    /// surprise later.
    fn refuse_bad_choice(&mut self) -> Result<(), Failure> {
        let Addressing::Static(prefix) = self.settings.addressing else {
            return Ok(());
        };
        let overlap = self.path.overlap(prefix)?;
        overlap
            .as_ref()
            .and_then(refuse_overlap)
            .map_or(Ok(()), Err)
    }

    /// Tells the policy which addresses the party's DHCP server must not cover.
    fn tell_session(&mut self) {
        if let Some(guard) = self.path.address_guard() {
            self.session.set_address_guard(guard);
        }
    }
}

fn next_look<P: Platform>(now: Instant) -> Option<Instant> {
    P::CHECK_ROUTES_EVERY.map(|interval| now + interval)
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
