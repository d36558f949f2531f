//! The flow tag and hint that a sender puts into the overlay header.
//!
//! The tag is SipHash-1-3 of the inner 5-tuple under a key that the sender
//! draws at random for each session, cut to 16 bits: the relay can tell flows
//! apart for fair queueing, but not which flow it is, and nobody can choose
//! ports that collide with another flow. SipHash is a PRF for short inputs
//! (Aumasson and Bernstein, 2012); 16 bits are for scheduling, not secrecy.

use std::hash::Hasher;
use std::net::IpAddr;

use lanparty_proto::overlay::Hint;
use siphasher::sip::SipHasher13;

use crate::class::{Class, Protocol, classify};
use crate::{ipv4, ipv6};

/// UDP datagrams up to this frame size count as sparse: game state and voice.
/// Chosen because Quake 3 to Counter-Strike 2 send 40 to 250 bytes.
const SPARSE_UDP_FRAME: usize = 320;
/// TCP frames from this size on count as bulk; less is a tail or an ack.
const BULK_TCP_FRAME: usize = 1_200;

/// The tag of a frame, also where the policy would drop it.
#[must_use]
pub fn flow_tag(frame: &[u8], key: &[u8; 16]) -> u16 {
    match classify(frame) {
        Ok(class) => class_tag(&class, key),
        Err(_) => {
            let mut hasher = SipHasher13::new_with_key(key);
            hasher.write(frame.get(..14).unwrap_or(frame));
            cut(hasher.finish())
        }
    }
}

/// The tag of a frame already read: see [`crate::policy::Passed`].
#[must_use]
pub fn class_tag(class: &Class, key: &[u8; 16]) -> u16 {
    let mut hasher = SipHasher13::new_with_key(key);
    match class.protocol {
        Protocol::Ipv4(packet) => {
            let ports = match (packet.part, packet.transport) {
                (
                    ipv4::Part::Whole,
                    ipv4::Transport::Tcp {
                        source,
                        destination,
                    }
                    | ipv4::Transport::Udp {
                        source,
                        destination,
                    },
                ) => Some((source, destination)),
                // Later fragments show no ports; the first must stay with them.
                _ => None,
            };
            write_flow(
                &mut hasher,
                packet.source.into(),
                packet.destination.into(),
                packet.protocol,
                ports,
            );
        }
        Protocol::Ipv6(packet) => {
            let ports = match (packet.part, packet.transport) {
                (
                    ipv4::Part::Whole,
                    ipv6::Transport::Tcp {
                        source,
                        destination,
                    }
                    | ipv6::Transport::Udp {
                        source,
                        destination,
                    },
                ) => Some((source, destination)),
                _ => None,
            };
            // The first fragment knows the protocol behind its own fragment
            // header; a later one only what its header claims.
            let protocol = match packet.part {
                ipv4::Part::Whole => packet.protocol,
                ipv4::Part::First | ipv4::Part::Later => 0,
            };
            write_flow(
                &mut hasher,
                packet.source.into(),
                packet.destination.into(),
                protocol,
                ports,
            );
        }
        Protocol::Arp(_)
        | Protocol::Ipx(_)
        | Protocol::WakeOnLan
        | Protocol::LoopProbe
        | Protocol::Other(_) => {
            let header = class.link.header;
            hasher.write(&header.destination.octets());
            hasher.write(&header.source.octets());
            // An 802.3 length differs from frame to frame of one flow.
            if !header.ether_type.is_length() {
                hasher.write_u16(header.ether_type.0);
            }
        }
    }
    cut(hasher.finish())
}

/// How the sender classes the frame, from what the frame itself shows. A
/// caller that knows more (a superframe being cut) says `Bulk` itself.
#[must_use]
pub fn hint(class: &Class, frame_len: usize) -> Hint {
    match class.protocol {
        Protocol::Arp(_) | Protocol::WakeOnLan | Protocol::LoopProbe => Hint::Sparse,
        Protocol::Ipv4(packet) => match packet.transport {
            ipv4::Transport::Dhcp(_)
            | ipv4::Transport::Icmp { .. }
            | ipv4::Transport::Igmp { .. } => Hint::Sparse,
            ipv4::Transport::Udp { .. } => udp_hint(frame_len),
            ipv4::Transport::Tcp { .. } => tcp_hint(frame_len),
            ipv4::Transport::Other => Hint::Normal,
        },
        Protocol::Ipv6(packet) => match packet.transport {
            ipv6::Transport::Icmpv6(_)
            | ipv6::Transport::Dhcpv6Client
            | ipv6::Transport::Dhcpv6Server => Hint::Sparse,
            ipv6::Transport::Udp { .. } => udp_hint(frame_len),
            ipv6::Transport::Tcp { .. } => tcp_hint(frame_len),
            ipv6::Transport::Other => Hint::Normal,
        },
        Protocol::Ipx(_) => udp_hint(frame_len),
        Protocol::Other(_) => Hint::Normal,
    }
}

const fn udp_hint(frame_len: usize) -> Hint {
    if frame_len <= SPARSE_UDP_FRAME {
        Hint::Sparse
    } else {
        Hint::Normal
    }
}

const fn tcp_hint(frame_len: usize) -> Hint {
    if frame_len >= BULK_TCP_FRAME {
        Hint::Bulk
    } else {
        Hint::Normal
    }
}

fn write_flow(
    hasher: &mut SipHasher13,
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    ports: Option<(u16, u16)>,
) {
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => hasher.write(&address.octets()),
            IpAddr::V6(address) => hasher.write(&address.octets()),
        }
    }
    hasher.write_u8(protocol);
    if let Some((source, destination)) = ports {
        hasher.write_u16(source);
        hasher.write_u16(destination);
    }
}

fn cut(hash: u64) -> u16 {
    let [a, b, ..] = hash.to_be_bytes();
    u16::from_be_bytes([a, b])
}
