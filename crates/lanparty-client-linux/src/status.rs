//! What the running client shows to other programs and to people.

use std::fmt::Write as _;

use lanparty_ctrl::Role;
use lanparty_obs::stats::TunnelCounters;
use lanparty_obs::{DropCounts, DropReason};
use lanparty_proto::MacAddr;
use serde::{Deserialize, Serialize};

/// The socket's name in the state directory.
pub(crate) const SOCKET_NAME: &str = "status.sock";

/// Everything at one moment; also the JSON of `status --json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) room: String,
    pub(crate) relay: RelayStatus,
    pub(crate) gateway: GatewayStatus,
    pub(crate) peer_id: Option<u16>,
    pub(crate) tap: TapStatus,
    pub(crate) peers: Vec<PeerStatus>,
    pub(crate) counters: TunnelCounters,
    pub(crate) drops: DropCounts,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RelayStatus {
    pub(crate) address: Option<String>,
    pub(crate) connected: bool,
    pub(crate) rtt_us: Option<u32>,
    /// How the path to the relay is kept outside the adapter.
    pub(crate) path: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GatewayStatus {
    pub(crate) present: bool,
    pub(crate) rtt_us: Option<u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TapStatus {
    pub(crate) name: String,
    pub(crate) mac: MacAddr,
    pub(crate) mtu: u16,
    pub(crate) up: bool,
    pub(crate) address: Option<String>,
    pub(crate) source: Source,
    /// Frames that went from and to this computer, and the system calls that
    /// carried them.
    pub(crate) frames_in: u64,
    pub(crate) frames_out: u64,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
}

/// Where the adapter's address came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    Dhcp,
    Static,
    LinkLocal,
    None,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PeerStatus {
    pub(crate) peer: u16,
    pub(crate) role: Role,
    pub(crate) name: String,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) rtt_us: Option<u32>,
}

impl Snapshot {
    /// The same in sentences, one a line.
    pub(crate) fn sentences(&self) -> String {
        let mut text = String::new();
        let mut line = |sentence: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{sentence}");
        };
        let relay = self.relay.address.as_deref().unwrap_or("of this room");
        line(match (self.relay.connected, self.relay.rtt_us) {
            (true, Some(rtt)) => format!("relay {relay}: reachable, {} round trip", millis(rtt)),
            (true, None) => format!("relay {relay}: reachable"),
            (false, _) => format!("relay {relay}: not connected, trying again"),
        });
        line(format!("path to the relay: {}", self.relay.path));
        line(match (self.gateway.present, self.gateway.rtt_us) {
            (true, Some(rtt)) => format!("gateway: present, {} round trip", millis(rtt)),
            (true, None) => "gateway: present".to_owned(),
            (false, _) => {
                "gateway: not in the room, so the players are among themselves".to_owned()
            }
        });
        let tap = &self.tap;
        line(match &tap.address {
            Some(address) => format!("adapter {}: {address}, {}", tap.name, tap.source.words()),
            None => format!("adapter {}: no address yet", tap.name),
        });
        let counters = &self.counters;
        line(format!(
            "frames: {} received, {} sent; broadcasts and multicasts: {} seen, {} sent",
            counters.frames_in,
            counters.frames_out,
            counters.broadcasts_in + counters.multicasts_in,
            counters.broadcasts_out + counters.multicasts_out,
        ));
        for (reason, count) in self.drops.iter_nonzero() {
            line(format!("dropped {count}: {}", explain(reason)));
        }
        for peer in &self.peers {
            let role = match peer.role {
                Role::Client => "player",
                Role::Gateway => "gateway",
            };
            let rtt = peer
                .rtt_us
                .map_or_else(String::new, |rtt| format!(", {} round trip", millis(rtt)));
            line(format!("{role} {}{rtt}", peer.name));
        }
        text
    }
}

impl Source {
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Dhcp => "leased from the party's DHCP server",
            Self::Static => "as chosen with --ip",
            Self::LinkLocal => "link-local, because no DHCP server answered",
            Self::None => "none",
        }
    }
}

fn millis(micros: u32) -> String {
    format!("{:.1} ms", f64::from(micros) / 1_000.0)
}

fn explain(reason: DropReason) -> String {
    format!("{} ({})", reason.explanation(), reason.label())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_names_that_programs_rely_on() {
        let json = serde_json::to_value(snapshot()).unwrap();
        assert_eq!(json["relay"]["connected"], true);
        assert_eq!(json["gateway"]["rtt_us"], 8_400);
        assert_eq!(json["tap"]["source"], "dhcp");
        assert_eq!(json["drops"]["vlan_tagged"], 2);
        assert_eq!(json["peers"][0]["role"], "gateway");
    }

    #[test]
    fn the_sentences_say_what_a_player_asks_first() {
        let text = snapshot().sentences();
        for expected in [
            "relay 198.51.100.1:443: reachable, 5.0 ms round trip",
            "gateway: present, 8.4 ms round trip",
            "10.73.42.5/24, leased from the party's DHCP server",
            "dropped 2: VLAN-tagged frames",
            "gateway host, 8.4 ms round trip",
        ] {
            assert!(text.contains(expected), "{expected:?} is missing in {text}");
        }
    }

    fn snapshot() -> Snapshot {
        let mut drops = DropCounts::new();
        drops.add_n(DropReason::VlanTagged, 2);
        Snapshot {
            room: "PARTY".to_owned(),
            relay: RelayStatus {
                address: Some("198.51.100.1:443".to_owned()),
                connected: true,
                rtt_us: Some(5_000),
                path: "pinned".to_owned(),
            },
            gateway: GatewayStatus {
                present: true,
                rtt_us: Some(8_400),
            },
            peer_id: Some(7),
            tap: TapStatus {
                name: "lanparty0".to_owned(),
                mac: MacAddr([2, 0, 0, 0, 0, 1]),
                mtu: 1_344,
                up: true,
                address: Some("10.73.42.5/24".to_owned()),
                source: Source::Dhcp,
                frames_in: 1,
                frames_out: 2,
                reads: 1,
                writes: 1,
            },
            peers: vec![PeerStatus {
                peer: 9,
                role: Role::Gateway,
                name: "host".to_owned(),
                mac: None,
                rtt_us: Some(8_400),
            }],
            counters: TunnelCounters::default(),
            drops,
        }
    }
}
