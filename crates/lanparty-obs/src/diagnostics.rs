//! How a member is doing: the snapshot that `status --json` prints, and what
//! to conclude from it.

use std::fmt;
use std::net::SocketAddr;

use lanparty_proto::{MacAddr, PeerId};
use serde::{Deserialize, Serialize};

use crate::stats::{AddressSource, LanStats, LineStatus, TunnelCounters};
use crate::{DropCounts, DropReason};

/// A player or gateway at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemberStatus {
    pub room: String,
    /// The member's own id, while it is in the room.
    pub peer_id: Option<PeerId>,
    /// Seconds since it joined, while it is in the room.
    pub uptime_s: Option<u64>,
    pub relay: RelayStatus,
    pub gateway: GatewayStatus,
    /// A player's adapter.
    pub tap: Option<TapStatus>,
    /// A gateway's side of the LAN.
    pub lan: Option<LanStats>,
    pub peers: Vec<PeerStatus>,
    pub counters: TunnelCounters,
    pub drops: DropCounts,
}

/// The way to the relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RelayStatus {
    pub connected: bool,
    pub address: Option<SocketAddr>,
    pub rtt_us: Option<u32>,
    /// The largest datagram that the path carries.
    pub datagram_budget: Option<u16>,
    /// How a player keeps this path outside its adapter.
    pub path: Option<String>,
    /// The line to the relay, as far as it was busy.
    pub line: Option<LineStatus>,
}

/// The gateway as a player sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayStatus {
    pub present: bool,
    pub rtt_us: Option<u32>,
}

/// A player's adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapStatus {
    pub name: String,
    pub mac: MacAddr,
    /// The IP MTU set on the adapter.
    pub mtu: u16,
    /// Whether the adapter's media is up.
    pub up: bool,
    /// Address and prefix length, such as `10.73.42.123/24`.
    pub address: Option<String>,
    pub source: Option<AddressSource>,
    /// Frames from and to this computer, and the system calls that carried
    /// them.
    pub frames_in: u64,
    pub frames_out: u64,
    pub reads: u64,
    pub writes: u64,
}

/// Another member of the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    pub peer: PeerId,
    /// `client` or `gateway`, as in the protocol.
    pub role: String,
    pub name: String,
    pub mac: Option<MacAddr>,
    pub rtt_us: Option<u32>,
    /// Nothing in a room without a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
}

/// How far another member of a keyed room can be trusted with frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has just come and may still prove itself.
    Checking,
    /// It holds the room key, and its card is its own.
    Verified,
    /// It did not prove that it holds the room key. It gets no keys, and
    /// nothing it sends is read.
    Unverified,
    /// The host removed it.
    Removed,
}

/// Something that a user should know, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    RelayLost,
    NotJoined,
    AdapterDown,
    CableOut,
    NoGateway,
    NoAddress,
    LinkLocalOnly,
    DhcpRefused,
    NothingHeard,
    Fragmenting,
}

impl Finding {
    /// What it means and what to do.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::RelayLost => {
                "The relay does not answer; check the internet connection, the program keeps trying."
            }
            Self::NotJoined => "The relay answers, but this member is not in the room yet.",
            Self::AdapterDown => {
                "The LAN adapter is down, so games cannot use it; rejoin the room."
            }
            Self::CableOut => {
                "The LAN interface has no link, so players see only each other; check the cable to the party's switch."
            }
            Self::NoGateway => {
                "No gateway is in the room, so only the players see each other; ask the host to start it."
            }
            Self::NoAddress => {
                "The LAN adapter has no address; wait for the party's DHCP server or set one with --ip."
            }
            Self::LinkLocalOnly => {
                "Nobody offered an address, so the adapter has a 169.254 one that only reaches members with the same."
            }
            Self::DhcpRefused => {
                "The party's DHCP server offered an address that would disturb this computer's own network; ask the host, or set one with --ip."
            }
            Self::NothingHeard => {
                "Not one broadcast came from the room in a minute; check that the gateway's cable is in the party's switch."
            }
            Self::Fragmenting => {
                "The path to the relay is narrower than the room's frames, so large ones cross in pieces; that is safe but slower."
            }
        }
    }
}

/// Any LAN with a Windows PC, a printer or a router broadcasts more often.
const QUIET_S: u64 = 60;
/// Overlay header and Ethernet header.
const FRAME_HEADERS: u16 = 20;

impl MemberStatus {
    /// What is worth telling, worst first.
    ///
    /// Later findings are mostly consequences of earlier ones, so a driver
    /// that has one line shows the first.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        if !self.relay.connected {
            return vec![Finding::RelayLost];
        }
        if self.peer_id.is_none() {
            return vec![Finding::NotJoined];
        }
        let mut findings = Vec::new();
        if self.lan.is_some_and(|lan| !lan.link_up) {
            findings.push(Finding::CableOut);
        }
        if let Some(tap) = &self.tap {
            if !tap.up {
                findings.push(Finding::AdapterDown);
            }
            if !self.gateway.present {
                findings.push(Finding::NoGateway);
            }
            match (&tap.address, tap.source) {
                (None, _) => findings.push(Finding::NoAddress),
                (Some(_), Some(AddressSource::LinkLocal)) => findings.push(Finding::LinkLocalOnly),
                (Some(_), _) => {}
            }
            if self.drops.get(DropReason::DhcpUnsafe) > 0 {
                findings.push(Finding::DhcpRefused);
            }
            let is_settled = self.uptime_s.is_some_and(|uptime| uptime >= QUIET_S);
            if self.gateway.present && is_settled && self.counters.broadcasts_in == 0 {
                findings.push(Finding::NothingHeard);
            }
            let needed = tap.mtu.saturating_add(FRAME_HEADERS);
            if self
                .relay
                .datagram_budget
                .is_some_and(|budget| budget < needed)
            {
                findings.push(Finding::Fragmenting);
            }
        }
        findings
    }
}

/// What a person asks first, one sentence a line.
impl fmt::Display for MemberStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.relay.address, self.relay.connected) {
            (Some(address), true) => write!(f, "relay {address}: reachable")?,
            (Some(address), false) => write!(f, "relay {address}: not connected, trying again")?,
            (None, true) => f.write_str("relay: reachable")?,
            (None, false) => f.write_str("relay: not connected, trying again")?,
        }
        writeln!(f, "{}", RoundTrip(self.relay.rtt_us))?;
        if let Some(path) = &self.relay.path {
            writeln!(f, "path to the relay: {path}")?;
        }
        if let Some(tap) = &self.tap {
            if self.gateway.present {
                writeln!(f, "gateway: present{}", RoundTrip(self.gateway.rtt_us))?;
            } else {
                writeln!(
                    f,
                    "gateway: not in the room, the players are among themselves"
                )?;
            }
            match (&tap.address, tap.source) {
                (Some(address), Some(source)) => {
                    writeln!(f, "adapter {}: {address}, {}", tap.name, source.words())?;
                }
                (Some(address), None) => writeln!(f, "adapter {}: {address}", tap.name)?,
                (None, _) => writeln!(f, "adapter {}: no address yet", tap.name)?,
            }
        }
        if let Some(lan) = &self.lan {
            let link = if lan.link_up { "link up" } else { "no link" };
            let not = if lan.host_path { "" } else { "not" };
            writeln!(
                f,
                "LAN: {link}, {} addresses seen; players can{not} reach this computer",
                lan.known_macs,
            )?;
        }
        let counters = &self.counters;
        writeln!(
            f,
            "frames: {} received, {} sent; broadcasts and multicasts: {} seen, {} sent",
            counters.frames_in,
            counters.frames_out,
            counters
                .broadcasts_in
                .saturating_add(counters.multicasts_in),
            counters
                .broadcasts_out
                .saturating_add(counters.multicasts_out),
        )?;
        for (reason, count) in self.drops.iter_nonzero() {
            writeln!(f, "dropped {count}: {} ({reason})", reason.explanation())?;
        }
        for peer in &self.peers {
            writeln!(f, "{peer}{}", RoundTrip(peer.rtt_us))?;
        }
        for finding in self.findings() {
            writeln!(f, "note: {}", finding.sentence())?;
        }
        Ok(())
    }
}

/// Who it is, without the round trip.
impl fmt::Display for PeerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role.as_str() {
            "client" => "player",
            other => other,
        };
        write!(f, "{role} {}", self.name)?;
        if let Some(mac) = self.mac {
            write!(f, " ({mac})")?;
        }
        match self.standing {
            Some(Standing::Unverified) => {
                f.write_str(", unverified: without the room key, so nothing goes to it")
            }
            Some(Standing::Removed) => f.write_str(", removed by the host"),
            Some(Standing::Checking | Standing::Verified) | None => Ok(()),
        }
    }
}

struct RoundTrip(Option<u32>);

impl fmt::Display for RoundTrip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(us) => write!(f, ", {:.1} ms round trip", f64::from(us) / 1_000.0),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> MemberStatus {
        MemberStatus {
            room: "PARTY".to_owned(),
            peer_id: Some(7.try_into().unwrap()),
            uptime_s: Some(QUIET_S),
            relay: RelayStatus {
                connected: true,
                address: Some("198.51.100.1:443".parse().unwrap()),
                rtt_us: Some(18_000),
                datagram_budget: Some(1_434),
                path: Some("kept on eth0".to_owned()),
                line: None,
            },
            gateway: GatewayStatus {
                present: true,
                rtt_us: Some(21_000),
            },
            tap: Some(TapStatus {
                name: "lanparty0".to_owned(),
                mac: MacAddr([0x02, 0, 0x5e, 0x10, 0, 1]),
                mtu: 1_344,
                up: true,
                address: Some("10.73.42.123/24".to_owned()),
                source: Some(AddressSource::Dhcp),
                frames_in: 1,
                frames_out: 2,
                reads: 3,
                writes: 4,
            }),
            peers: vec![PeerStatus {
                peer: 9.try_into().unwrap(),
                role: "gateway".to_owned(),
                name: "clubhouse".to_owned(),
                mac: None,
                rtt_us: Some(21_000),
                standing: None,
            }],
            counters: TunnelCounters {
                broadcasts_in: 1,
                ..TunnelCounters::default()
            },
            ..MemberStatus::default()
        }
    }

    fn findings(change: impl FnOnce(&mut MemberStatus)) -> Vec<Finding> {
        let mut status = healthy();
        change(&mut status);
        status.findings()
    }

    #[test]
    fn a_healthy_player_hears_nothing() {
        assert_eq!(healthy().findings(), []);
    }

    #[test]
    fn each_trouble_is_found() {
        fn tap(status: &mut MemberStatus) -> &mut TapStatus {
            status.tap.as_mut().unwrap()
        }
        assert_eq!(
            findings(|status| status.relay.connected = false),
            [Finding::RelayLost]
        );
        assert_eq!(
            findings(|status| status.peer_id = None),
            [Finding::NotJoined]
        );
        assert_eq!(
            findings(|status| tap(status).up = false),
            [Finding::AdapterDown]
        );
        assert_eq!(
            findings(|status| status.gateway.present = false),
            [Finding::NoGateway]
        );
        assert_eq!(
            findings(|status| tap(status).address = None),
            [Finding::NoAddress]
        );
        assert_eq!(
            findings(|status| tap(status).source = Some(AddressSource::LinkLocal)),
            [Finding::LinkLocalOnly]
        );
        assert_eq!(
            findings(|status| status.drops.add(DropReason::DhcpUnsafe)),
            [Finding::DhcpRefused]
        );
        assert_eq!(
            findings(|status| status.counters.broadcasts_in = 0),
            [Finding::NothingHeard]
        );
        assert_eq!(
            findings(|status| status.relay.datagram_budget = Some(1_363)),
            [Finding::Fragmenting]
        );
        assert_eq!(
            findings(|status| status.relay.datagram_budget = Some(1_364)),
            []
        );
    }

    #[test]
    fn silence_is_no_finding_in_the_first_minute() {
        let mut status = healthy();
        status.counters.broadcasts_in = 0;
        status.uptime_s = Some(QUIET_S - 1);
        assert_eq!(status.findings(), []);
    }

    #[test]
    fn a_gateway_needs_no_adapter() {
        let gateway = findings(|status| {
            status.tap = None;
            status.gateway.present = false;
        });
        assert_eq!(gateway, []);
    }

    #[test]
    fn a_gateway_tells_of_its_lan() {
        let mut status = healthy();
        status.tap = None;
        status.peers[0] = PeerStatus {
            peer: 3.try_into().unwrap(),
            role: "client".to_owned(),
            name: "alice".to_owned(),
            mac: Some(MacAddr([0x02, 0, 0x5e, 0x10, 0, 1])),
            rtt_us: None,
            standing: Some(Standing::Unverified),
        };
        status.lan = Some(LanStats {
            link_up: false,
            host_path: false,
            frames_in: 1,
            frames_out: 2,
            packets_in: 0,
            packets_out: 0,
            known_macs: 12,
        });
        assert_eq!(status.findings(), [Finding::CableOut]);
        let text = status.to_string();
        for expected in [
            "LAN: no link, 12 addresses seen; players cannot reach this computer\n",
            "player alice (02:00:5e:10:00:01), unverified: without the room key, so nothing goes to it\n",
            "note: The LAN interface has no link",
        ] {
            assert!(text.contains(expected), "{expected:?} is missing in {text}");
        }
        assert!(!text.contains("adapter"), "{text}");
    }

    #[test]
    fn the_sentences_say_what_a_player_asks_first() {
        let mut status = healthy();
        status.drops.add_n(DropReason::VlanTagged, 2);
        let text = status.to_string();
        for expected in [
            "relay 198.51.100.1:443: reachable, 18.0 ms round trip\n",
            "path to the relay: kept on eth0\n",
            "gateway: present, 21.0 ms round trip\n",
            "adapter lanparty0: 10.73.42.123/24, leased by the party's DHCP server\n",
            "broadcasts and multicasts: 1 seen",
            "dropped 2: VLAN-tagged frames do not cross",
            "(vlan_tagged)\n",
            "gateway clubhouse, 21.0 ms round trip\n",
        ] {
            assert!(text.contains(expected), "{expected:?} is missing in {text}");
        }
    }

    #[test]
    fn the_json_has_the_names_that_programs_rely_on() {
        let json = serde_json::to_value(healthy()).unwrap();
        assert_eq!(json["relay"]["connected"], true);
        assert_eq!(json["relay"]["address"], "198.51.100.1:443");
        assert_eq!(json["gateway"]["rtt_us"], 21_000);
        assert_eq!(json["tap"]["source"], "dhcp");
        assert_eq!(json["tap"]["mac"], "02:00:5e:10:00:01");
        assert_eq!(json["peer_id"], 7);
        assert_eq!(json["peers"][0]["role"], "gateway");
        assert_eq!(json["counters"]["broadcasts_in"], 1);
    }

    #[test]
    fn a_status_survives_json() {
        let json = serde_json::to_string(&healthy()).unwrap();
        assert_eq!(
            serde_json::from_str::<MemberStatus>(&json).unwrap(),
            healthy()
        );
    }
}
