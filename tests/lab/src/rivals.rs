//! Other tunnels on the same networks, for comparison in the same run.

mod openvpn;
mod softether;
mod vxlan;

pub use openvpn::OpenVpn;
pub use softether::SoftEther;
pub use vxlan::Vxlan;

use std::net::Ipv4Addr;

/// The address inside a rival's tunnel of the player with this number; the
/// party's DHCP server gives out none of them.
#[must_use]
pub fn player_address(number: usize) -> Ipv4Addr {
    let number = u8::try_from(number).unwrap_or(u8::MAX);
    Ipv4Addr::new(10, 73, 42, 211_u8.saturating_add(number))
}
