//! What people and programs are told.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use lanparty_client_core::SessionEvent;
use lanparty_client_tap::Adapter as _;
use lanparty_ctrl::Role;

use super::{Player, SUMMARY_INTERVAL};
use crate::status::{GatewayStatus, PeerStatus, RelayStatus, Snapshot, TapStatus};

impl Player {
    /// A sentence for the person at the terminal. A closed terminal is not an
    /// error of the player's.
    pub(super) fn say(&self, sentence: &str) {
        if !self.settings.status_json {
            let _closed = writeln!(io::stdout(), "{sentence}");
        }
        tracing::debug!("{sentence}");
    }

    pub(super) fn say_all(&self, sentences: &[String]) {
        for sentence in sentences {
            self.say(sentence);
        }
    }

    pub(super) fn tell(&self, event: &SessionEvent) {
        match event {
            SessionEvent::Joined(membership) => {
                let again = if membership.resumed { " again" } else { "" };
                self.say(&format!(
                    "joined room {}{again} as peer {}; adapter MTU {}",
                    self.settings.room, membership.peer_id, membership.tap_mtu
                ));
                if membership.gateway.is_none() {
                    self.say("no gateway is in the room yet, so the players are among themselves");
                }
                if !self.ever_joined {
                    self.say(
                        "this room has no key: whoever knows its name can join it, and the relay can read it",
                    );
                }
            }
            SessionEvent::PeerJoined(peer) => {
                self.say(&format!("{} {} is in the room", role(peer.role), peer.name));
            }
            SessionEvent::PeerLeft { peer, reason } => {
                self.say(&format!(
                    "{} {} left the room: {}",
                    role(peer.role),
                    peer.name,
                    reason.sentence()
                ));
            }
            SessionEvent::GatewayPresent(_) => {
                self.say("the gateway is present: the party's LAN is reachable")
            }
            SessionEvent::GatewayGone => {
                self.say("the gateway is gone: the party's LAN is out of reach until it returns");
            }
            SessionEvent::PolicyChanged(_) => self.say("the host changed the room's rules"),
            SessionEvent::Lost {
                cause,
                was_joined: true,
            } => {
                self.say(&format!(
                    "the connection to the relay is lost: {cause}; the adapter stays up meanwhile"
                ));
            }
            SessionEvent::Lost {
                cause,
                was_joined: false,
            } => {
                self.say(&format!("not connected to the relay: {cause}"));
            }
            SessionEvent::Retrying { after, attempt } => {
                self.say(&format!(
                    "trying again in {:.1} s (attempt {attempt})",
                    after.as_secs_f32()
                ));
            }
            SessionEvent::RelayRestarting { back_in } => {
                self.say(&format!(
                    "the relay restarts and expects to be back in {} s",
                    back_in.as_secs()
                ));
            }
            SessionEvent::AddressRefused(refused) => self.say(&refused.to_string()),
            SessionEvent::Lease(lease) => tracing::debug!(?lease, "the DHCP server answered"),
            // Printed once at the edge, as the program's last words.
            SessionEvent::Ended(_) => {}
        }
    }

    pub(super) fn every_second(&mut self, now: Instant) {
        self.lan.look_after_dhcp(now);
        if self.settings.status_json {
            let snapshot = self.snapshot(now);
            if let Ok(json) = serde_json::to_string(&snapshot) {
                let _closed = writeln!(io::stdout(), "{json}");
            }
        } else if self.next_summary <= now {
            self.next_summary = now + SUMMARY_INTERVAL;
            self.say(self.snapshot(now).sentences().trim_end());
        }
    }

    pub(super) fn snapshot(&self, now: Instant) -> Snapshot {
        let session = self.session.snapshot(now);
        let counters = self.tap.counters();
        let address = self.lan.address();
        Snapshot {
            room: self.settings.room.to_string(),
            relay: RelayStatus {
                address: self.remote.map(|remote| remote.to_string()),
                connected: self.session.is_joined(),
                rtt_us: session.relay_rtt.map(micros),
                path: self.lan.path(),
            },
            gateway: GatewayStatus {
                present: session.gateway.is_some(),
                rtt_us: session.gateway_rtt.map(|rtt| micros(rtt.smoothed)),
            },
            peer_id: session.own_id.map(u16::from),
            tap: TapStatus {
                name: self.tap.name().to_owned(),
                mac: self.lan.mac(),
                mtu: self.mtu,
                up: self.carrier,
                address: address.map(|(prefix, _)| prefix.to_string()),
                source: self.lan.source(),
                frames_in: counters.frames_in,
                frames_out: counters.frames_out,
                reads: counters.reads,
                writes: counters.writes,
            },
            peers: self
                .session
                .roster()
                .iter()
                .map(|peer| self.peer(peer))
                .collect(),
            counters: session.counters,
            drops: session.drops,
        }
    }

    fn peer(&self, info: &lanparty_ctrl::PeerInfo) -> PeerStatus {
        PeerStatus {
            peer: info.peer.get(),
            role: info.role,
            name: info.name.to_string(),
            mac: info.mac,
            rtt_us: self
                .session
                .peer_rtt(info.peer)
                .map(|rtt| micros(rtt.smoothed)),
        }
    }
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Client => "player",
        Role::Gateway => "gateway",
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
