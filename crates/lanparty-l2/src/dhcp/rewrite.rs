//! The allowlist through which a DHCP answer passes on its way into a
//! player's TAP (design section 6; CVE-2024-3661 is what it prevents).

use std::net::Ipv4Addr;
use std::time::Duration;

use lanparty_obs::DropReason;
use lanparty_proto::MacAddr;

use super::guard::{AddressGuard, UnsafeAddress, covers};
use super::message::{END, Message, MessageType, OPTIONS_AT, PAD, Role, options};
use crate::checksum::Sum;
use crate::class::{Protocol, classify};
use crate::ipv4::{Ipv4, Transport, UDP};
use crate::read;

/// What happened to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DhcpRewrite {
    /// The frame is not DHCP for a client and is unchanged.
    NotDhcp,
    /// The frame now carries nothing but the address and its times.
    Rewritten(Lease),
}

/// What the party's server said, for the status line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub message: MessageType,
    /// Unspecified in a NAK and in the answer to an INFORM.
    pub address: Ipv4Addr,
    pub prefix_len: u8,
    pub server: Option<Ipv4Addr>,
    pub duration: Option<Duration>,
}

/// Why a DHCP answer does not reach the player's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DhcpRefusal {
    #[error("{}", .0.explanation())]
    Frame(DropReason),
    #[error("the DHCP answer is malformed")]
    Malformed,
    #[error("the DHCP answer is for another machine")]
    NotForUs,
    #[error("the DHCP message is of a kind that a server does not send to a client")]
    Unexpected,
    /// The player should be told.
    #[error(transparent)]
    Unsafe(#[from] UnsafeAddress),
}

impl DhcpRefusal {
    #[must_use]
    pub const fn reason(self) -> DropReason {
        match self {
            Self::Frame(reason) => reason,
            Self::Malformed => DropReason::MalformedIpv4,
            Self::NotForUs => DropReason::DhcpNotForUs,
            Self::Unexpected | Self::Unsafe(_) => DropReason::DhcpUnsafe,
        }
    }
}

impl From<DropReason> for DhcpRefusal {
    fn from(reason: DropReason) -> Self {
        Self::Frame(reason)
    }
}

impl From<DhcpRefusal> for DropReason {
    fn from(refusal: DhcpRefusal) -> Self {
        refusal.reason()
    }
}

/// The options that stay. All but the text of 56 and the echo of 61 have one
/// length; another length would let a client read past what we checked.
const fn may_stay(code: u8, len: usize) -> bool {
    match code {
        // Mask, broadcast, requested address, lease time, server, T1, T2.
        1 | 28 | 50 | 51 | 54 | 58 | 59 => len == 4,
        // Message type.
        53 => len == 1,
        // Text, client identifier.
        56 => len >= 1,
        61 => len >= 2,
        _ => false,
    }
}

/// Rewrites a frame in place; its length never changes.
///
/// # Errors
/// [`DhcpRefusal`]: the frame must be dropped. It may be half rewritten.
pub fn rewrite_for_player(
    frame: &mut [u8],
    own_mac: MacAddr,
    guard: &AddressGuard,
) -> Result<DhcpRewrite, DhcpRefusal> {
    let class = classify(frame)?;
    let Protocol::Ipv4(packet) = class.protocol else {
        return Ok(DhcpRewrite::NotDhcp);
    };
    if packet.transport != Transport::Dhcp(Role::Server) {
        return Ok(DhcpRewrite::NotDhcp);
    }
    let to = class.link.header.destination;
    if to != own_mac && !to.is_multicast() {
        return Err(DhcpRefusal::NotForUs);
    }
    let at = class.link.payload_at.saturating_add(packet.body.at);
    let len = packet.body.len;
    let end = at.saturating_add(len);
    // Padding is zero; anything else is for clients that read the whole frame.
    if let Some(padding) = frame.get_mut(end..) {
        padding.fill(0);
    }
    let datagram = frame.get_mut(at..end).ok_or(DhcpRefusal::Malformed)?;
    // The UDP length may be shorter than the IPv4 body; what lies behind it
    // is in no one's checksum and must not stay.
    let udp_len = read::u16_at(datagram, 4).ok_or(DhcpRefusal::Malformed)?;
    let (datagram, behind) = datagram
        .split_at_mut_checked(usize::from(udp_len))
        .ok_or(DhcpRefusal::Malformed)?;
    behind.fill(0);
    let had_checksum = read::u16_at(datagram, 6).ok_or(DhcpRefusal::Malformed)? != 0;
    // A damaged answer must not be made valid by our new checksum.
    if had_checksum && checksum(datagram, &packet, udp_len) != 0 {
        return Err(DhcpRefusal::Malformed);
    }
    let message = datagram.get_mut(8..).ok_or(DhcpRefusal::Malformed)?;
    let lease = inspect(message, own_mac, guard)?;
    sanitise(message, lease).ok_or(DhcpRefusal::Malformed)?;
    if had_checksum {
        read::put(datagram, 6, &[0, 0]).ok_or(DhcpRefusal::Malformed)?;
        let sum = match checksum(datagram, &packet, udp_len) {
            // RFC 768: zero would mean "no checksum".
            0 => 0xFFFF,
            sum => sum,
        };
        read::put(datagram, 6, &sum.to_be_bytes()).ok_or(DhcpRefusal::Malformed)?;
    }
    Ok(DhcpRewrite::Rewritten(lease))
}

fn checksum(datagram: &[u8], packet: &Ipv4, len: u16) -> u16 {
    Sum::default()
        .pseudo_v4(packet.source, packet.destination, UDP, len)
        .bytes(datagram)
        .finish()
}

/// Everything that decides whether the message may pass.
fn inspect(bytes: &[u8], own_mac: MacAddr, guard: &AddressGuard) -> Result<Lease, DhcpRefusal> {
    let message = Message::parse(bytes).ok_or(DhcpRefusal::Malformed)?;
    if message.operation != 2 {
        return Err(DhcpRefusal::Unexpected);
    }
    if message.client_mac != own_mac {
        return Err(DhcpRefusal::NotForUs);
    }
    let kind = kept(bytes, 53)
        .and_then(|value| value.first().copied())
        .map(MessageType::from)
        .ok_or(DhcpRefusal::Malformed)?;
    // What a NAK says there is blanked and nobody's.
    let address = if kind == MessageType::Nak {
        Ipv4Addr::UNSPECIFIED
    } else {
        message.your_address
    };
    let mask = kept(bytes, 1).and_then(|value| read::ipv4_at(value, 0));
    let prefix_len = match (kind, address.is_unspecified()) {
        (MessageType::Nak, _) => 0,
        // The answer to an INFORM confirms the address that the client has.
        (MessageType::Ack, true) => guard.check(message.client_address, mask)?,
        (MessageType::Offer | MessageType::Ack, false) => guard.check(address, mask)?,
        _ => return Err(DhcpRefusal::Unexpected),
    };
    Ok(Lease {
        message: kind,
        address,
        prefix_len,
        server: kept(bytes, 54).and_then(|value| read::ipv4_at(value, 0)),
        duration: kept(bytes, 51)
            .and_then(|value| read::u32_at(value, 0))
            .map(|seconds| Duration::from_secs(u64::from(seconds))),
    })
}

/// The instance of an option that survives the rewrite: the first of a
/// permitted length.
fn kept(message: &[u8], code: u8) -> Option<&[u8]> {
    options(message.get(OPTIONS_AT..)?)
        .find(|option| option.code == code && may_stay(code, option.value.len()))
        .map(|option| option.value)
}

fn sanitise(message: &mut [u8], lease: Lease) -> Option<()> {
    // Next server, relay agent, server name and boot file serve network boot,
    // and the last two carry more options under option 52.
    read::put(message, 20, &[0; 8])?;
    message.get_mut(44..236)?.fill(0);
    if lease.message == MessageType::Nak {
        read::put(message, 16, &[0; 4])?;
    }
    let field = message.get_mut(OPTIONS_AT..)?;
    let mut seen = [false; 256];
    let mut at = 0_usize;
    loop {
        while read::u8_at(field, at) == Some(PAD) {
            at = at.saturating_add(1);
        }
        // The readable options first, then End, then nothing: whatever stands
        // behind End or is cut off is for parsers that read on.
        let Some(option) = options(field.get(at..).unwrap_or_default()).next() else {
            break;
        };
        let len = option.value.len();
        // RFC 3396: a repeated option is a longer one in pieces.
        let first = !seen
            .get_mut(usize::from(option.code))
            .is_some_and(|seen| std::mem::replace(seen, *seen || may_stay(option.code, len)));
        let stays =
            first && may_stay(option.code, len) && broadcast_fits(option.code, option.value, lease);
        let end = at.saturating_add(2).saturating_add(len);
        let is_text = option.code == 56;
        let bytes = field.get_mut(at..end)?;
        if !stays {
            bytes.fill(PAD);
        } else if is_text {
            // The text ends up in logs and in the environment of hook scripts.
            for byte in bytes.get_mut(2..)? {
                if !(byte.is_ascii_alphanumeric() || b" .,:-_/".contains(byte)) {
                    *byte = b'?';
                }
            }
        }
        at = end;
    }
    if let Some([end, behind @ ..]) = field.get_mut(at..) {
        *end = END;
        behind.fill(PAD);
    }
    Some(())
}

/// Option 28 must be the subnet's own broadcast address: games send to it.
fn broadcast_fits(code: u8, value: &[u8], lease: Lease) -> bool {
    if code != 28 || lease.address.is_unspecified() {
        return code != 28;
    }
    let host_bits = u32::MAX
        .checked_shr(u32::from(lease.prefix_len))
        .unwrap_or(0);
    read::ipv4_at(value, 0).is_some_and(|broadcast| {
        covers(lease.address, lease.prefix_len, broadcast)
            && broadcast.to_bits() & host_bits == host_bits
    })
}
