//! What people and programs are told.

use std::fmt;
use std::io::{self, Write as _};
use std::time::Instant;

use lanparty_client_core::SessionEvent;
use lanparty_client_tap::Adapter as _;
use lanparty_ctrl::{PeerInfo, hex};
use lanparty_obs::Status;
use lanparty_obs::diagnostics::{MemberStatus, TapStatus};

use super::{Player, SUMMARY_INTERVAL};
use crate::console::Console;
use crate::platform::Platform;

impl<P: Platform> Player<P> {
    pub(super) fn say(&self, sentence: impl fmt::Display) {
        self.settings.console.say(sentence);
    }

    pub(super) fn say_all(&self, sentences: &[String]) {
        self.settings.console.say_all(sentences);
    }

    pub(super) fn tell(&self, event: &SessionEvent) {
        match event {
            SessionEvent::Joined(membership) => {
                self.say(Status::Joined {
                    room: self.settings.entry.room.as_str(),
                    peer: membership.peer_id.get(),
                    tap_mtu: membership.tap_mtu,
                    again: membership.resumed,
                });
                if membership.gateway.is_none() {
                    self.say(Status::NoGatewayYet);
                }
                if !self.ever_joined {
                    self.say(if self.settings.entry.key.is_some() {
                        Status::SealedRoom
                    } else {
                        Status::OpenRoom
                    });
                }
            }
            SessionEvent::PeerJoined(peer) => {
                self.say(Status::PeerPresent {
                    role: peer.role.word(),
                    name: peer.name.as_str(),
                });
                record("joined", peer);
            }
            SessionEvent::PeerLeft { peer, reason } => {
                self.say(Status::PeerLeft {
                    role: peer.role.word(),
                    name: peer.name.as_str(),
                    reason: reason.sentence(),
                });
                record("left", peer);
            }
            SessionEvent::GatewayPresent(_) => self.say(Status::GatewayPresent),
            SessionEvent::GatewayGone => self.say(Status::GatewayGone),
            SessionEvent::PolicyChanged(_) => self.say(Status::PolicyChanged),
            SessionEvent::Lost { cause, was_joined } => {
                let cause = &cause.to_string();
                self.say(if *was_joined {
                    let meanwhile = "the adapter stays up";
                    Status::RelayLost { cause, meanwhile }
                } else {
                    Status::NotConnected { cause }
                });
            }
            SessionEvent::Retrying { after, attempt } => self.say(Status::Retrying {
                after: *after,
                attempt: *attempt,
            }),
            SessionEvent::AwaitingApproval => self.say(Status::AwaitingApproval),
            SessionEvent::Keys(news) => self.say(news),
            SessionEvent::RelayRestarting { back_in } => {
                self.say(Status::RelayRestarting { back_in: *back_in });
            }
            SessionEvent::AddressRefused(refused) => self.say(refused),
            SessionEvent::Lease(lease) => tracing::debug!(?lease, "the DHCP server answered"),
            // Printed once at the edge, as the program's last words.
            SessionEvent::Asking(_) | SessionEvent::Ended(_) => {}
        }
    }

    pub(super) fn every_second(&mut self, now: Instant) {
        if self.settings.console == Console::Json {
            if let Ok(json) = serde_json::to_string(&self.status(now)) {
                let _closed = writeln!(io::stdout(), "{json}");
            }
        } else if self.next_summary <= now {
            self.next_summary = now + SUMMARY_INTERVAL;
            self.say(self.status(now).to_string().trim_end());
        }
    }

    pub(super) fn status(&self, now: Instant) -> MemberStatus {
        let counters = self.tap.counters();
        let address = self.platform.address();
        let mut status = self.session.status(now);
        status.relay.address = self.remote;
        status.relay.path = Some(self.path.words());
        status.tap = Some(TapStatus {
            name: self.platform.name().to_owned(),
            mac: self.mac,
            mtu: self.mtu,
            up: self.carrier,
            address: address.map(|(prefix, _)| prefix.to_string()),
            source: address.map(|(_, source)| source),
            frames_in: counters.frames_in,
            frames_out: counters.frames_out,
            reads: counters.reads,
            writes: counters.writes,
        });
        status
    }
}

/// For a log that is read later: a name can be anybody's, an identity cannot.
fn record(what: &'static str, peer: &PeerInfo) {
    tracing::info!(
        target: "player::peers",
        peer = peer.peer.get(),
        role = peer.role.word(),
        name = ?peer.name.as_str(),
        mac = ?peer.mac,
        identity = %hex::encode(&peer.key_card.identity),
        "{what}"
    );
}
