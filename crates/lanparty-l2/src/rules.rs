//! The host's choices for a room, the same for every member.

use std::net::IpAddr;

use lanparty_proto::ethernet::EtherType;

/// How much of the LAN's IPv6 configuration reaches players.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ipv6Mode {
    /// Router advertisements stay on the LAN.
    #[default]
    Off,
    /// Router advertisements cross, stripped to their /64 prefixes
    /// ([`crate::ra::sanitise`]).
    Lan,
}

/// A room's policy. The default is the `party` profile: IPv4, IPv6, ARP, IPX
/// and Wake-on-LAN, no VLAN, every LAN host.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rules {
    /// EtherTypes that cross unread. Types that the policy reads by itself
    /// are never opened by being listed.
    pub ether_types: Vec<EtherType>,
    /// VLANs whose tagged frames cross from the LAN to players.
    pub vlans: Vec<u16>,
    pub ipv6: Ipv6Mode,
    /// Where not empty, the only LAN addresses that players may talk to.
    pub allow_hosts: Vec<IpAddr>,
    /// Players may not talk through the LAN's router.
    pub party_subnet_only: bool,
}

impl Rules {
    /// Adds an EtherType to [`Self::ether_types`].
    #[must_use]
    pub fn allow_ether_type(mut self, ether_type: EtherType) -> Self {
        self.ether_types.push(ether_type);
        self
    }

    /// Adds a VLAN to [`Self::vlans`].
    #[must_use]
    pub fn allow_vlan(mut self, vid: u16) -> Self {
        self.vlans.push(vid);
        self
    }

    pub(crate) fn allows_ether_type(&self, ether_type: EtherType) -> bool {
        self.ether_types.contains(&ether_type)
    }

    pub(crate) fn allows_vlan(&self, vid: u16) -> bool {
        self.vlans.contains(&vid)
    }

    pub(crate) fn allows_any_vlan(&self) -> bool {
        !self.vlans.is_empty()
    }
}
