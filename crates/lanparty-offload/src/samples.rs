//! Packets for tests, built field by field with their own checksum code, so
//! that a mistake in the crate cannot hide behind itself.

use crate::vnet::{Checksum, Gso, GsoKind, VnetHdr};

#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) macs: [u8; 12],
    /// The last bytes of source and destination address.
    pub(crate) hosts: (u8, u8),
    pub(crate) v6: bool,
    /// IPv6 extension headers: what the first is, and all of them.
    pub(crate) extensions: (u8, Vec<u8>),
    /// The last byte of the next hop's address, before a routing header.
    pub(crate) via: Option<u8>,
    pub(crate) udp: bool,
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    pub(crate) id: u16,
    pub(crate) dont_fragment: bool,
    pub(crate) ports: (u16, u16),
    pub(crate) sequence: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    pub(crate) options: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl Packet {
    pub(crate) fn tcp_v4() -> Self {
        Self {
            macs: [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2],
            hosts: (1, 2),
            v6: false,
            extensions: (6, Vec::new()),
            via: None,
            udp: false,
            tos: 0x02,
            ttl: 64,
            id: 0xFFFE,
            dont_fragment: true,
            ports: (40_000, 445),
            sequence: 0xFFFF_F000,
            ack: 77,
            flags: 0x10,
            window: 501,
            // Two no-ops and a timestamp (RFC 7323).
            options: vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
            payload: (0..1_000).map(|at| (at % 253) as u8).collect(),
        }
    }

    pub(crate) fn tcp_v6() -> Self {
        Self {
            v6: true,
            ..Self::tcp_v4()
        }
    }

    pub(crate) fn udp_v4() -> Self {
        Self {
            udp: true,
            extensions: (17, Vec::new()),
            options: Vec::new(),
            ..Self::tcp_v4()
        }
    }

    pub(crate) fn udp_v6() -> Self {
        Self {
            v6: true,
            ..Self::udp_v4()
        }
    }

    /// The packet that follows in the same flow.
    pub(crate) fn next(&self) -> Self {
        Self {
            id: self.id.wrapping_add(1),
            sequence: self.sequence.wrapping_add(self.payload.len() as u32),
            ..self.clone()
        }
    }

    /// The same over IPv6 with hop-by-hop options and destination options.
    pub(crate) fn with_options(self) -> Self {
        let pad = [1, 4, 0, 0, 0, 0];
        let mut extensions = [&[60, 0][..], &pad, &[self.protocol(), 1], &pad].concat();
        extensions.extend([1, 6, 0, 0, 0, 0, 0, 0]);
        Self {
            v6: true,
            extensions: (0, extensions),
            ..self
        }
    }

    /// The same over IPv6 with a routing header and two hops to go.
    pub(crate) fn with_route(self) -> Self {
        let mut extensions = vec![self.protocol(), 2, 2, 1, 0, 0, 0, 0];
        extensions.extend(address_v6(self.hosts.1));
        Self {
            v6: true,
            extensions: (43, extensions),
            via: Some(0xFE),
            ..self
        }
    }

    fn addresses(&self, destination: u8) -> Vec<u8> {
        if self.v6 {
            [address_v6(self.hosts.0), address_v6(destination)].concat()
        } else {
            vec![192, 168, 7, self.hosts.0, 192, 168, 7, destination]
        }
    }

    fn protocol(&self) -> u8 {
        if self.udp { 17 } else { 6 }
    }

    fn transport(&self, checksum: [u8; 2]) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(self.ports.0.to_be_bytes());
        out.extend(self.ports.1.to_be_bytes());
        if self.udp {
            out.extend(((self.payload.len() + 8) as u16).to_be_bytes());
            out.extend(checksum);
        } else {
            out.extend(self.sequence.to_be_bytes());
            out.extend(self.ack.to_be_bytes());
            out.push(((20 + self.options.len()) / 4 * 16) as u8);
            out.push(self.flags);
            out.extend(self.window.to_be_bytes());
            out.extend(checksum);
            out.extend([0, 0]);
            out.extend(&self.options);
        }
        out.extend(&self.payload);
        out
    }

    fn pseudo_header(&self) -> Vec<u8> {
        let len = self.transport([0, 0]).len() as u16;
        let mut out = self.addresses(self.hosts.1);
        out.extend([0, self.protocol()]);
        out.extend(len.to_be_bytes());
        out
    }

    pub(crate) fn checksum(&self) -> [u8; 2] {
        let sum = sum(&[self.pseudo_header(), self.transport([0, 0])].concat());
        match (!sum).to_be_bytes() {
            [0, 0] if self.udp => [0xFF, 0xFF],
            field => field,
        }
    }

    fn with_checksum(&self, checksum: [u8; 2]) -> Vec<u8> {
        let transport = self.transport(checksum);
        let mut out = self.macs.to_vec();
        if self.v6 {
            out.extend([0x86, 0xDD]);
            out.extend([0x60 | self.tos >> 4, self.tos << 4, 0x12, 0x34]);
            let (first, extensions) = &self.extensions;
            out.extend(((extensions.len() + transport.len()) as u16).to_be_bytes());
            out.extend([*first, self.ttl]);
            out.extend(self.addresses(self.via.unwrap_or(self.hosts.1)));
            out.extend(extensions);
        } else {
            out.extend([0x08, 0x00]);
            let mut ip = vec![0x45, self.tos];
            ip.extend(((transport.len() + 20) as u16).to_be_bytes());
            ip.extend(self.id.to_be_bytes());
            ip.extend([if self.dont_fragment { 0x40 } else { 0 }, 0]);
            ip.extend([self.ttl, self.protocol(), 0, 0]);
            ip.extend(self.addresses(self.hosts.1));
            let checksum = !sum(&ip);
            ip[10..12].copy_from_slice(&checksum.to_be_bytes());
            out.extend(ip);
        }
        out.extend(transport);
        out
    }

    pub(crate) fn frame(&self) -> Vec<u8> {
        self.with_checksum(self.checksum())
    }

    fn headers_len(&self) -> usize {
        self.frame().len() - self.payload.len()
    }

    /// As the kernel hands it over before the checksum is computed.
    pub(crate) fn unfinished(&self) -> (VnetHdr, Vec<u8>) {
        let extensions = self.extensions.1.len() as u16;
        let start = if self.v6 { 54 + extensions } else { 34 };
        let offset = if self.udp { 6 } else { 16 };
        let header = VnetHdr {
            checksum: Checksum::Partial { start, offset },
            gso: None,
            hdr_len: self.headers_len() as u16,
        };
        let partial = sum(&self.pseudo_header());
        (header, self.with_checksum(partial.to_be_bytes()))
    }
}

fn address_v6(last: u8) -> [u8; 16] {
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

/// The superframe that a TCP stack would hand over in place of these packets.
pub(crate) fn superframe_tcp(packets: &[Packet]) -> (VnetHdr, Vec<u8>) {
    let whole = Packet {
        flags: packets.iter().fold(0, |flags, packet| flags | packet.flags),
        payload: packets
            .iter()
            .flat_map(|packet| packet.payload.clone())
            .collect(),
        ..packets[0].clone()
    };
    let kind = if whole.v6 {
        GsoKind::TcpV6
    } else {
        GsoKind::TcpV4
    };
    let ecn = packets[0].flags & 0x80 != 0;
    superframe(&whole, kind, ecn, packets[0].payload.len())
}

/// The superframe that a UDP socket with `UDP_SEGMENT` would hand over.
pub(crate) fn superframe_udp(packets: &[Packet]) -> (VnetHdr, Vec<u8>) {
    let whole = Packet {
        payload: packets
            .iter()
            .flat_map(|packet| packet.payload.clone())
            .collect(),
        ..packets[0].clone()
    };
    superframe(&whole, GsoKind::UdpL4, false, packets[0].payload.len())
}

fn superframe(whole: &Packet, kind: GsoKind, ecn: bool, size: usize) -> (VnetHdr, Vec<u8>) {
    let (header, frame) = whole.unfinished();
    let gso = Gso {
        kind,
        ecn,
        size: size as u16,
    };
    let header = VnetHdr {
        gso: Some(gso),
        ..header
    };
    (header, frame)
}

/// The IPv4 header's checksum and the transport's, word by word.
pub(crate) fn checksums_are_right(frame: &[u8]) -> bool {
    let packet = &frame[14..];
    let (ip_len, protocol, addresses) = if packet[0] >> 4 == 6 {
        (40, packet[6], &packet[8..40])
    } else {
        (20, packet[9], &packet[12..20])
    };
    let transport = &packet[ip_len..];
    let mut covered = addresses.to_vec();
    covered.extend([0, protocol]);
    covered.extend((transport.len() as u16).to_be_bytes());
    covered.extend(transport);
    let header_is_right = ip_len == 40 || sum(&packet[..20]) == 0xFFFF;
    header_is_right && sum(&covered) == 0xFFFF
}

/// IP version, protocol and addresses tell the sample flows apart.
pub(crate) fn flow_of(frame: &[u8]) -> (u8, u8) {
    let packet = &frame[14..];
    match packet[0] >> 4 {
        6 => (6, packet[6]),
        version => (version, packet[9]),
    }
}

/// RFC 1071 section 4.1.
fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u64;
    for pair in bytes.chunks(2) {
        sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}
