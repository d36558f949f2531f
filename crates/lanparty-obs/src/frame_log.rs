//! One record for each decision about a frame, for the TRACE targets
//! `relay::frames` and `gateway::frames`.
//!
//! Records print as `key=value` pairs in a fixed order, so that they can be
//! searched and compared. They hold MAC addresses and are therefore never
//! logged above TRACE.

use std::fmt;

use lanparty_proto::PeerId;
use lanparty_proto::ethernet::EthernetHeader;

use crate::DropReason;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Forward {
        /// How many receivers it was queued for.
        targets: u16,
    },
    Drop(DropReason),
}

/// A decision of the relay about a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayFrameRecord {
    pub room: [u8; 16],
    /// The sender.
    pub peer: PeerId,
    /// `None` where the datagram ended before its Ethernet header.
    pub header: Option<EthernetHeader>,
    pub action: Action,
}

/// Which way a frame crosses the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    PlayerToLan,
    LanToPlayer,
}

/// A decision of the gateway about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayFrameRecord {
    pub room: [u8; 16],
    pub direction: Direction,
    /// The player that sent the frame or that it is for; `None` for a frame
    /// from the LAN to many.
    pub peer: Option<PeerId>,
    pub header: Option<EthernetHeader>,
    /// Bytes of the Ethernet frame.
    pub length: usize,
    pub action: Action,
}

impl Direction {
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::PlayerToLan => "player_to_lan",
            Self::LanToPlayer => "lan_to_player",
        }
    }
}

impl fmt::Display for RelayFrameRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_room(f, &self.room)?;
        write!(f, " peer={} ", self.peer)?;
        write_header(f, self.header)?;
        write!(f, " {}", self.action)
    }
}

impl fmt::Display for GatewayFrameRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_room(f, &self.room)?;
        write!(f, " direction={}", self.direction.label())?;
        match self.peer {
            Some(peer) => write!(f, " peer={peer} ")?,
            None => write!(f, " peer=- ")?,
        }
        write_header(f, self.header)?;
        write!(f, " length={} {}", self.length, self.action)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward { targets } => write!(f, "action=forward reason=- targets={targets}"),
            Self::Drop(reason) => write!(f, "action=drop reason={reason} targets=0"),
        }
    }
}

fn write_room(f: &mut fmt::Formatter<'_>, room: &[u8; 16]) -> fmt::Result {
    f.write_str("room=")?;
    room.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn write_header(f: &mut fmt::Formatter<'_>, header: Option<EthernetHeader>) -> fmt::Result {
    match header {
        Some(header) => write!(
            f,
            "source={} destination={} ether_type={}",
            header.source, header.destination, header.ether_type
        ),
        None => f.write_str("source=- destination=- ether_type=-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanparty_proto::MacAddr;
    use lanparty_proto::ethernet::EtherType;

    const HEADER: EthernetHeader = EthernetHeader {
        destination: MacAddr::BROADCAST,
        source: MacAddr([0x02, 0, 0x5e, 0x10, 0, 1]),
        ether_type: EtherType::ARP,
    };

    #[test]
    fn a_relay_record_is_one_line_of_pairs() {
        let record = RelayFrameRecord {
            room: [0xA1; 16],
            peer: 7.try_into().unwrap(),
            header: Some(HEADER),
            action: Action::Forward { targets: 3 },
        };
        assert_eq!(
            record.to_string(),
            "room=a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1 peer=7 source=02:00:5e:10:00:01 \
             destination=ff:ff:ff:ff:ff:ff ether_type=0x0806 action=forward reason=- targets=3"
        );
    }

    #[test]
    fn a_gateway_record_adds_direction_and_length() {
        let record = GatewayFrameRecord {
            room: [0xA1; 16],
            direction: Direction::LanToPlayer,
            peer: None,
            header: None,
            length: 9,
            action: Action::Drop(DropReason::Runt),
        };
        assert_eq!(
            record.to_string(),
            "room=a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1 direction=lan_to_player peer=- source=- \
             destination=- ether_type=- length=9 action=drop reason=runt targets=0"
        );
    }
}
