//! What the host reads while the gateway runs.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::net::IpAddr;

use lanparty_client_core::{LostCause, Membership, SessionEvent};
use lanparty_ctrl::CloseCode;
use lanparty_lan::{HostReach, LinkEvent};
use lanparty_obs::Status;
use lanparty_proto::MacAddr;

use crate::bridge::Alarm;

/// The lines on standard output, and what is needed to say each thing once.
#[derive(Debug)]
pub(crate) struct Console {
    room: String,
    interface: String,
    relay: String,
    keyed: bool,
    /// Attempts to join since the last success.
    failures: u32,
    listing: String,
}

/// A player as the host sees it.
#[derive(Debug)]
pub(crate) struct Player<'a> {
    pub(crate) name: &'a str,
    pub(crate) mac: MacAddr,
    pub(crate) addresses: Vec<IpAddr>,
}

impl Console {
    pub(crate) fn new(room: String, keyed: bool, interface: String, relay: String) -> Self {
        Self {
            room,
            interface,
            relay,
            keyed,
            failures: 0,
            listing: String::new(),
        }
    }

    pub(crate) fn opened(&self, mac: MacAddr, addresses: &[impl fmt::Display], reach: &HostReach) {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let addresses = if addresses.is_empty() {
            "no address".to_owned()
        } else {
            addresses.join(", ")
        };
        say(format_args!(
            "the LAN is on {} ({mac}, {addresses})",
            self.interface
        ));
        if let HostReach::Unreachable(reason) = reach {
            say(format_args!("note: {reason}"));
        }
        say(format_args!(
            "joining room {} through the relay {}",
            self.room, self.relay
        ));
    }

    pub(crate) fn event(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::Joined(membership) => self.joined(membership),
            SessionEvent::PeerJoined(info) => say(Status::PeerPresent {
                role: info.role.word(),
                name: info.name.as_str(),
            }),
            // The same member on a newer connection: that it is there follows.
            SessionEvent::PeerLeft {
                reason: CloseCode::Replaced,
                ..
            } => {}
            SessionEvent::PeerLeft { peer, reason } => say(Status::PeerLeft {
                role: peer.role.word(),
                name: peer.name.as_str(),
                reason: reason.sentence(),
            }),
            SessionEvent::Lost { cause, was_joined } => self.lost(cause, *was_joined),
            SessionEvent::Retrying { after, attempt } => {
                if Self::tells_attempt(*attempt) {
                    say(Status::Retrying {
                        after: *after,
                        attempt: *attempt,
                    });
                }
            }
            SessionEvent::AwaitingApproval => say(Status::AwaitingApproval),
            SessionEvent::Keys(news) => say(news),
            SessionEvent::RelayRestarting { back_in } => {
                say(Status::RelayRestarting { back_in: *back_in });
            }
            // A gateway's own policy is the room's, leases are for players,
            // and the end is told by the program's last line.
            SessionEvent::GatewayPresent(_)
            | SessionEvent::GatewayGone
            | SessionEvent::PolicyChanged(_)
            | SessionEvent::Asking(_)
            | SessionEvent::Lease(_)
            | SessionEvent::AddressRefused(_)
            | SessionEvent::Ended(_) => {}
        }
    }

    fn lost(&mut self, cause: &LostCause, was_joined: bool) {
        let cause = cause.to_string();
        if was_joined {
            self.failures = 0;
            say(Status::RelayLost {
                cause: &cause,
                meanwhile: "this computer stays on the LAN",
            });
        } else {
            self.failures = self.failures.saturating_add(1);
            if Self::tells_attempt(self.failures) {
                say(Status::NotConnected { cause: &cause });
            }
        }
    }

    /// Each doubling: often enough to show that it goes on.
    const fn tells_attempt(attempt: u32) -> bool {
        attempt.is_power_of_two()
    }

    fn joined(&self, membership: &Membership) {
        say(Status::Joined {
            room: &self.room,
            peer: membership.peer_id.get(),
            tap_mtu: membership.tap_mtu,
            again: membership.resumed,
        });
        if !membership.resumed {
            say(if self.keyed {
                Status::SealedRoom
            } else {
                Status::OpenRoom
            });
        }
    }

    pub(crate) fn link(&self, event: LinkEvent) {
        match event {
            LinkEvent::Up => say(format_args!("the cable of {} is in again", self.interface)),
            LinkEvent::Down => say(format_args!(
                "{} has lost its link; check the cable to the party's switch",
                self.interface
            )),
            // Said by what follows from them.
            LinkEvent::Gone | LinkEvent::AddressesChanged => {}
        }
    }

    pub(crate) fn alarm(&self, alarm: Alarm, name: impl Fn(Alarm) -> Option<String>) {
        match alarm {
            Alarm::Loop { mac, .. } => {
                let who = name(alarm).unwrap_or_else(|| "a player".to_owned());
                say(format_args!(
                    "ALARM: frames of {who} ({mac}) come from the LAN. That player's computer is on this LAN a second time, \
                     or bridges its adapter to it; disconnect one of the two. The frames are dropped."
                ));
            }
            Alarm::LanLoop => say(format_args!(
                "ALARM: the LAN sends our own frames back; two ports of a switch are connected to each other"
            )),
            Alarm::NewerGateway { mac } => say(format_args!(
                "ALARM: another gateway ({mac}) came to this LAN; it should leave by itself"
            )),
            // The program ends with a sentence of its own.
            Alarm::SecondGateway { .. } => {}
        }
    }

    /// Prints who is in, when that or an address changed.
    pub(crate) fn players<'a>(&mut self, players: impl Iterator<Item = Player<'a>>) {
        let mut listing = String::new();
        for player in players {
            let _ = write!(listing, "  {} {}", player.mac, player.name);
            for address in &player.addresses {
                let _ = write!(listing, " {address}");
            }
            listing.push('\n');
        }
        if listing != self.listing {
            let title = if listing.is_empty() {
                "no players are in the room"
            } else {
                "players in the room:"
            };
            say(format_args!("{title}\n{}", listing.trim_end()));
            self.listing = listing;
        }
    }
}

/// A reader that went away must not end the party.
pub(crate) fn say(line: impl fmt::Display) {
    let text = line.to_string();
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}

/// The program's last line.
pub(crate) fn complain(failure: impl fmt::Display) {
    let _ = writeln!(std::io::stderr(), "lanparty-gateway: {failure}");
}
