//! The host's choices, the same for every member of the room.

use std::fmt;
use std::net::IpAddr;

use lanparty_proto::ethernet::EtherType;
use serde::{Deserialize, Serialize};

use crate::BoundedVec;

/// What the host allows beyond the defaults. Sent by the gateway to the
/// relay and by the relay to every member, each time as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoomPolicy {
    /// EtherTypes that cross in addition to those of the `party` profile.
    pub ether_types: BoundedVec<ExtraEtherType, 32>,
    /// VLANs whose tagged frames reach the players.
    pub vlans: BoundedVec<VlanId, 32>,
    pub ipv6: Ipv6Policy,
    /// The only LAN hosts that players may talk to; all where empty.
    pub allow_hosts: BoundedVec<IpAddr, 64>,
    /// Players may talk only to addresses of the party's own subnet.
    pub party_subnet_only: bool,
}

/// What players hear of the LAN's IPv6 router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ipv6Policy {
    /// Router advertisements and DHCPv6 stay on the LAN.
    #[default]
    Off,
    /// Prefixes cross, a default route never does.
    Lan,
}

/// An EtherType that a host can allow: a protocol, not one of those that
/// have rules of their own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct ExtraEtherType(u16);

/// Local experimental EtherType 2 (IEEE 802): the gateway's own marker frames,
/// which must stay on its LAN to find loops.
const MARKER: EtherType = EtherType(0x88B6);

/// Why an EtherType cannot be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtraEtherTypeError {
    #[error("0x{0:04x} is a length, not an EtherType; EtherTypes begin at 0x0600")]
    Length(u16),
    #[error("EtherType 0x{0:04x} has rules of its own and cannot be listed")]
    Reserved(u16),
}

/// A VLAN number, 1 to 4,094.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct VlanId(u16);

/// A number is not that of a VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a VLAN number; use 1 to 4094")]
pub struct VlanIdError(u16);

impl ExtraEtherType {
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for ExtraEtherType {
    type Error = ExtraEtherTypeError;

    fn try_from(raw: u16) -> Result<Self, ExtraEtherTypeError> {
        let reserved = [
            EtherType::IPV4,
            EtherType::ARP,
            EtherType::VLAN,
            EtherType::IPV6,
            EtherType::MAC_CONTROL,
            EtherType::SLOW_PROTOCOLS,
            EtherType::EAPOL,
            EtherType::QINQ,
            EtherType::LLDP,
            EtherType::QINQ_LEGACY,
            MARKER,
        ];
        let ether_type = EtherType(raw);
        if ether_type.is_length() {
            Err(ExtraEtherTypeError::Length(raw))
        } else if reserved.contains(&ether_type) {
            Err(ExtraEtherTypeError::Reserved(raw))
        } else {
            Ok(Self(raw))
        }
    }
}

impl From<ExtraEtherType> for u16 {
    fn from(ether_type: ExtraEtherType) -> Self {
        ether_type.0
    }
}

impl fmt::Debug for ExtraEtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04x}", self.0)
    }
}

impl VlanId {
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for VlanId {
    type Error = VlanIdError;

    fn try_from(raw: u16) -> Result<Self, VlanIdError> {
        if (1..=4094).contains(&raw) {
            Ok(Self(raw))
        } else {
            Err(VlanIdError(raw))
        }
    }
}

impl From<VlanId> for u16 {
    fn from(vlan: VlanId) -> Self {
        vlan.0
    }
}

impl fmt::Debug for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VLAN {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_with_rules_of_their_own_cannot_be_listed() {
        for raw in [
            0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8, 0x9100, 0x8808, 0x8809, 0x888E, 0x88CC, 0x88B6,
        ] {
            assert_eq!(
                ExtraEtherType::try_from(raw),
                Err(ExtraEtherTypeError::Reserved(raw))
            );
        }
        assert_eq!(
            ExtraEtherType::try_from(0x05FF),
            Err(ExtraEtherTypeError::Length(0x05FF))
        );
        assert_eq!(ExtraEtherType::try_from(0x88B5).unwrap().get(), 0x88B5);
    }

    #[test]
    fn vlan_numbers_are_those_of_802_1q() {
        for raw in [0, 4095, u16::MAX] {
            assert_eq!(VlanId::try_from(raw), Err(VlanIdError(raw)));
        }
        assert!(VlanId::try_from(1).is_ok());
        assert!(VlanId::try_from(4094).is_ok());
    }

    #[test]
    fn an_empty_object_is_the_default_policy() {
        let policy: RoomPolicy = serde_json::from_str("{}").unwrap();
        assert_eq!(policy, RoomPolicy::default());
        assert!(serde_json::from_str::<RoomPolicy>(r#"{"vlans":[0]}"#).is_err());
        assert!(serde_json::from_str::<RoomPolicy>(r#"{"ether_types":[2048]}"#).is_err());
    }
}
