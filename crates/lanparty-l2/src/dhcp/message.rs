//! A view of one DHCP message (RFC 2131) and its options (RFC 2132).

use std::net::Ipv4Addr;

use lanparty_proto::MacAddr;

use crate::read;

/// Fixed fields and magic cookie; the options follow.
pub(crate) const OPTIONS_AT: usize = 240;
pub(crate) const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];

pub(crate) const PAD: u8 = 0;
pub(crate) const END: u8 = 255;

/// Who speaks, by the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Towards port 67, from any other port.
    Client,
    /// Towards port 68, or from port 67: a server or a relay agent.
    Server,
}

impl Role {
    /// `None` where neither port is DHCP's.
    #[must_use]
    pub const fn of_ports(source: u16, destination: u16) -> Option<Self> {
        match (source, destination) {
            (67, _) | (_, 68) => Some(Self::Server),
            (_, 67) => Some(Self::Client),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    Discover,
    Offer,
    Request,
    Decline,
    Ack,
    Nak,
    Release,
    Inform,
    Other(u8),
}

impl From<u8> for MessageType {
    fn from(code: u8) -> Self {
        match code {
            1 => Self::Discover,
            2 => Self::Offer,
            3 => Self::Request,
            4 => Self::Decline,
            5 => Self::Ack,
            6 => Self::Nak,
            7 => Self::Release,
            8 => Self::Inform,
            other => Self::Other(other),
        }
    }
}

/// A message over Ethernet, read from the UDP payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// 1 for a request, 2 for a reply.
    pub operation: u8,
    pub client_address: Ipv4Addr,
    pub your_address: Ipv4Addr,
    pub relay_agent: Ipv4Addr,
    pub client_mac: MacAddr,
}

impl<'a> Message<'a> {
    /// Nothing where the fixed part is cut off, is not for Ethernet, or
    /// carries no options.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let ethernet = read::u8_at(bytes, 1)? == 1 && read::u8_at(bytes, 2)? == 6;
        if !ethernet || read::array_at(bytes, 236)? != MAGIC_COOKIE {
            return None;
        }
        Some(Self {
            bytes,
            operation: read::u8_at(bytes, 0)?,
            client_address: read::ipv4_at(bytes, 12)?,
            your_address: read::ipv4_at(bytes, 16)?,
            relay_agent: read::ipv4_at(bytes, 24)?,
            client_mac: read::mac_at(bytes, 28)?,
        })
    }

    /// The options of the main field, in order; ends at the End option or
    /// where an option is cut off.
    pub fn options(&self) -> impl Iterator<Item = DhcpOption<'a>> + use<'a> {
        options(self.bytes.get(OPTIONS_AT..).unwrap_or_default())
    }

    /// The first instance of an option.
    #[must_use]
    pub fn option(&self, code: u8) -> Option<&'a [u8]> {
        self.options()
            .find(|option| option.code == code)
            .map(|option| option.value)
    }

    #[must_use]
    pub fn message_type(&self) -> Option<MessageType> {
        match self.option(53)? {
            [code] => Some(MessageType::from(*code)),
            _ => None,
        }
    }

    pub(crate) fn address_option(&self, code: u8) -> Option<Ipv4Addr> {
        read::ipv4_at(self.option(code)?, 0)
    }

    pub(crate) fn seconds_option(&self, code: u8) -> Option<u32> {
        read::u32_at(self.option(code)?, 0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DhcpOption<'a> {
    pub code: u8,
    pub value: &'a [u8],
    /// Where its code stands, from the start of the options.
    pub at: usize,
}

pub(crate) fn options(field: &[u8]) -> impl Iterator<Item = DhcpOption<'_>> {
    let mut at = 0_usize;
    std::iter::from_fn(move || {
        while read::u8_at(field, at)? == PAD {
            at = at.saturating_add(1);
        }
        let code = read::u8_at(field, at)?;
        if code == END {
            return None;
        }
        let len = usize::from(read::u8_at(field, at.saturating_add(1))?);
        let option = DhcpOption {
            code,
            value: read::slice_at(field, at.saturating_add(2), len)?,
            at,
        };
        at = at.saturating_add(2).saturating_add(len);
        Some(option)
    })
}
