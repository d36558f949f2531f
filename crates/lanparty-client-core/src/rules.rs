//! The host's choices as the policy wants them.

use lanparty_ctrl::{Ipv6Policy, RoomPolicy};
use lanparty_l2::{Ipv6Mode, Rules};
use lanparty_proto::ethernet::EtherType;

/// Translates the control message into the policy's rules.
#[must_use]
pub fn rules_of(policy: &RoomPolicy) -> Rules {
    let ether_types = policy.ether_types.iter();
    let rules = ether_types.fold(Rules::default(), |rules, ether_type| {
        rules.allow_ether_type(EtherType(ether_type.get()))
    });
    let vlans = policy.vlans.iter();
    let mut rules = vlans.fold(rules, |rules, vlan| rules.allow_vlan(vlan.get()));
    rules.ipv6 = match policy.ipv6 {
        Ipv6Policy::Off => Ipv6Mode::Off,
        Ipv6Policy::Lan => Ipv6Mode::Lan,
    };
    rules.allow_hosts = policy.allow_hosts.to_vec();
    rules.party_subnet_only = policy.party_subnet_only;
    rules
}
