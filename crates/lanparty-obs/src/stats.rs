//! Counters that members report to the relay every 10 s.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::DropCounts;

/// What crossed a member's tunnel since it joined.
///
/// `in` is from the tunnel to the adapter or LAN, `out` is into the tunnel.
/// Bytes are those of Ethernet frames, without overlay headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TunnelCounters {
    pub frames_in: u64,
    pub frames_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// QUIC datagrams, whole frames and fragments alike, probes not counted.
    pub datagrams_in: u64,
    pub datagrams_out: u64,
    pub fragments_in: u64,
    pub fragments_out: u64,
    /// Frames to ff:ff:ff:ff:ff:ff.
    pub broadcasts_in: u64,
    pub broadcasts_out: u64,
    /// Frames to any other group address.
    pub multicasts_in: u64,
    pub multicasts_out: u64,
}

impl TunnelCounters {
    /// Adds another set of counters to this one, saturating, because the
    /// numbers may come from a peer.
    pub fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.frames_in, other.frames_in),
            (&mut self.frames_out, other.frames_out),
            (&mut self.bytes_in, other.bytes_in),
            (&mut self.bytes_out, other.bytes_out),
            (&mut self.datagrams_in, other.datagrams_in),
            (&mut self.datagrams_out, other.datagrams_out),
            (&mut self.fragments_in, other.fragments_in),
            (&mut self.fragments_out, other.fragments_out),
            (&mut self.broadcasts_in, other.broadcasts_in),
            (&mut self.broadcasts_out, other.broadcasts_out),
            (&mut self.multicasts_in, other.multicasts_in),
            (&mut self.multicasts_out, other.multicasts_out),
        ];
        for (count, more) in pairs {
            *count = count.saturating_add(more);
        }
    }
}

/// A member's report about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStats {
    /// Seconds since the member joined.
    pub uptime_s: u64,
    #[serde(default)]
    pub tunnel: TunnelCounters,
    #[serde(default)]
    pub drops: DropCounts,
    /// Smoothed round-trip time to the relay in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<u32>,
    /// The largest datagram that the member's path carries now.
    pub datagram_budget: u16,
    /// A player's adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tap: Option<TapStats>,
    /// A gateway's side of the LAN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lan: Option<LanStats>,
}

/// The state of a player's adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapStats {
    /// Whether the adapter's media is up.
    pub up: bool,
    /// The IP MTU set on the adapter.
    pub mtu: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<TapAddress>,
}

/// The address of a player's adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapAddress {
    pub address: IpAddr,
    pub prefix_len: u8,
    pub source: AddressSource,
}

/// Where an adapter's address came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressSource {
    /// A lease of the party's DHCP server.
    Dhcp,
    /// Given by the user.
    Static,
    /// 169.254/16 or fe80::/10, because nobody offered another.
    LinkLocal,
}

impl AddressSource {
    /// For a person, after the address.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Dhcp => "leased by the party's DHCP server",
            Self::Static => "as chosen with --ip",
            Self::LinkLocal => "link-local, because no DHCP server answered",
        }
    }
}

/// The state of a gateway's LAN side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanStats {
    pub link_up: bool,
    /// Whether players can reach the gateway computer itself.
    pub host_path: bool,
    /// Frames read from and written to the interface.
    pub frames_in: u64,
    pub frames_out: u64,
    /// In how many packets they came from and went to the kernel, which joins
    /// frames and takes joined ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub packets_in: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub packets_out: u64,
    /// LAN addresses seen lately.
    pub known_macs: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What a program found out about the line that it sends into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LineStatus {
    /// The congestion controller, `delay` with what it is doing: `startup`,
    /// `steady` or `competing`.
    pub congestion: String,
    /// How long packets wait on the way because the line is busy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_us: Option<u64>,
    /// What the controller sends at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_kbit: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DropReason;

    #[test]
    fn a_full_report_survives_json() {
        let mut drops = DropCounts::new();
        drops.add(DropReason::QueueFull);
        let stats = PeerStats {
            uptime_s: 61,
            tunnel: TunnelCounters {
                frames_in: 1,
                multicasts_out: u64::MAX,
                ..TunnelCounters::default()
            },
            drops,
            rtt_us: Some(12_345),
            datagram_budget: 1_434,
            tap: Some(TapStats {
                up: true,
                mtu: 1_344,
                address: Some(TapAddress {
                    address: [10, 0, 0, 7].into(),
                    prefix_len: 24,
                    source: AddressSource::Dhcp,
                }),
            }),
            lan: Some(LanStats {
                link_up: true,
                host_path: false,
                frames_in: 3,
                frames_out: 4,
                packets_in: 0,
                packets_out: 0,
                known_macs: 5,
            }),
        };
        let json = serde_json::to_string(&stats).unwrap();
        assert_eq!(serde_json::from_str::<PeerStats>(&json).unwrap(), stats);
    }

    #[test]
    fn merging_adds_every_counter() {
        let one: TunnelCounters = serde_json::from_str(
            r#"{"frames_in":1,"frames_out":2,"bytes_in":3,"bytes_out":4,"datagrams_in":5,
                "datagrams_out":6,"fragments_in":7,"fragments_out":8,"broadcasts_in":9,
                "broadcasts_out":10,"multicasts_in":11,"multicasts_out":12}"#,
        )
        .unwrap();
        let mut sum = one;
        sum.merge(&one);
        let doubled = serde_json::to_value(sum).unwrap();
        let single = serde_json::to_value(one).unwrap();
        for (name, count) in single.as_object().unwrap() {
            assert_eq!(
                doubled[name].as_u64().unwrap(),
                count.as_u64().unwrap() * 2,
                "{name}"
            );
        }
    }
}
