//! Frames that try to look harmless to us and harmful to a host: a forbidden
//! message, bent, wrapped in whatever layers may hide it, and cut to pieces.

use std::net::{Ipv4Addr, Ipv6Addr};

use lanparty_lab::forged::{ALL_NODES, checksum, checksum_v6};
use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::EtherType;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom as _, IndexedRandom as _, SliceRandom as _};

const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Who attacks whom, and in whose name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cast {
    pub(crate) attacker: MacAddr,
    pub(crate) attacker_ip: Ipv4Addr,
    pub(crate) attacker_ll: Ipv6Addr,
    pub(crate) victim: MacAddr,
    pub(crate) victim_ip: Ipv4Addr,
    pub(crate) victim_ll: Ipv6Addr,
    /// A third machine that the attacker poses as.
    pub(crate) router_ip: Ipv4Addr,
    pub(crate) router_ll: Ipv6Addr,
}

/// What a message is before it is hidden.
enum Message {
    Arp(Vec<u8>),
    V4 {
        from: Ipv4Addr,
        to: Ipv4Addr,
        protocol: u8,
        body: Vec<u8>,
    },
    V6 {
        from: Ipv6Addr,
        to: Ipv6Addr,
        protocol: u8,
        body: Vec<u8>,
    },
}

/// One attempt: the frames of one message, in the order in which they are sent.
pub(crate) fn attempt(cast: &Cast, rng: &mut StdRng) -> Vec<Vec<u8>> {
    let (ether_type, packets) = match message(cast, rng) {
        Message::Arp(packet) => (EtherType::ARP, vec![packet]),
        Message::V4 {
            from,
            to,
            protocol,
            body,
        } => (EtherType::IPV4, ipv4(from, to, protocol, &body, rng)),
        Message::V6 {
            from,
            to,
            protocol,
            body,
        } => (EtherType::IPV6, ipv6(from, to, protocol, body, rng)),
    };
    packets
        .into_iter()
        .map(|packet| frame(cast, ether_type, &packet, rng))
        .collect()
}

fn message(cast: &Cast, rng: &mut StdRng) -> Message {
    let body = match rng.random_range(0..16) {
        0 | 1 => return Message::Arp(arp(cast, rng)),
        2 | 3 => {
            let from = *[cast.attacker_ip, cast.router_ip]
                .choose(rng)
                .unwrap_or(&cast.router_ip);
            let to = *[Ipv4Addr::BROADCAST, cast.victim_ip]
                .choose(rng)
                .unwrap_or(&cast.victim_ip);
            return v4(from, to, UDP, dhcp_answer(cast, rng));
        }
        4 => {
            let body = dhcp_request_of_another(rng);
            return v4(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, UDP, body);
        }
        5 => {
            let mut body = vec![5, rng.random_range(0..4), 0, 0];
            body.extend(cast.attacker_ip.octets());
            body.extend([0x45, 0, 0, 28, 0, 1, 0, 0, 64, UDP, 0, 0]);
            body.extend(cast.victim_ip.octets());
            body.extend(Ipv4Addr::new(10, 9, 0, 200).octets());
            body.extend([0, 7, 0, 7, 0, 8, 0, 0]);
            return v4(cast.router_ip, cast.victim_ip, ICMP, summed(body));
        }
        6 => {
            let mut body = vec![9, 0, 0, 0, 1, 2, 7, 8];
            body.extend(cast.attacker_ip.octets());
            body.extend([0, 0, 0, 1]);
            return v4(cast.attacker_ip, Ipv4Addr::BROADCAST, ICMP, summed(body));
        }
        7..=9 => {
            let mut body = vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
            body.extend(cast.attacker.octets());
            body.extend([3, 4, 64, 0xC0, 0, 0, 0xE, 0x10, 0, 0, 0xE, 0x10, 0, 0, 0, 0]);
            body.extend(Ipv6Addr::new(0x2001, 0xDB8, 0, 66, 0, 0, 0, 0).octets());
            body
        }
        10 => {
            let mut body = vec![137, 0, 0, 0, 0, 0, 0, 0];
            body.extend(cast.attacker_ll.octets());
            body.extend(Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 7).octets());
            body
        }
        11 | 12 => {
            let flags = *[0x20, 0xA0, 0x60, 0].choose(rng).unwrap_or(&0);
            let mut body = vec![136, 0, 0, 0, flags, 0, 0, 0];
            body.extend(cast.router_ll.octets());
            body.extend([2, 1]);
            body.extend(cast.attacker.octets());
            body
        }
        13 => {
            let mut body = vec![135, 0, 0, 0, 0, 0, 0, 0];
            body.extend(cast.victim_ll.octets());
            body.extend([1, 1]);
            body.extend(cast.attacker.octets());
            return v6(cast.router_ll, cast.victim_ll, ICMPV6, body);
        }
        14 => vec![
            130, 0, 0, 0, 0x27, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ],
        _ => {
            let kind = *[2, 7, 10, 13].choose(rng).unwrap_or(&7);
            let mut data = vec![kind, 1, 2, 3, 0, 23, 0, 16];
            data.extend(cast.attacker_ll.octets());
            return v6(cast.attacker_ll, cast.victim_ll, UDP, udp(547, 546, &data));
        }
    };
    let from = *[cast.attacker_ll, cast.router_ll]
        .choose(rng)
        .unwrap_or(&cast.attacker_ll);
    let to = *[ALL_NODES, cast.victim_ll]
        .choose(rng)
        .unwrap_or(&ALL_NODES);
    v6(from, to, ICMPV6, body)
}

fn v4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, body: Vec<u8>) -> Message {
    Message::V4 {
        from,
        to,
        protocol,
        body,
    }
}

fn v6(from: Ipv6Addr, to: Ipv6Addr, protocol: u8, body: Vec<u8>) -> Message {
    Message::V6 {
        from,
        to,
        protocol,
        body,
    }
}

/// An ARP packet in which the attacker claims the router's address.
fn arp(cast: &Cast, rng: &mut StdRng) -> Vec<u8> {
    let hardware = if rng.random_bool(0.2) { 6 } else { 1 };
    let operation = *[1, 1, 2, 2, 2, 3, 8].choose(rng).unwrap_or(&2);
    let mut packet = vec![0, hardware, 8, 0, 6, 4, 0, operation];
    packet.extend(cast.attacker.octets());
    packet.extend(cast.router_ip.octets());
    packet.extend(if rng.random_bool(0.5) {
        cast.victim.octets()
    } else {
        [0; 6]
    });
    packet.extend(if rng.random_bool(0.5) {
        cast.victim_ip.octets()
    } else {
        cast.router_ip.octets()
    });
    bend(&mut packet, rng);
    packet
}

/// A server's message with options that would move the client's internet,
/// some of them where only overloading finds them.
fn dhcp_answer(cast: &Cast, rng: &mut StdRng) -> Vec<u8> {
    let mut message = vec![2, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0x80, 0];
    message.extend([0; 4]);
    message.extend(cast.victim_ip.octets());
    message.extend(cast.router_ip.octets());
    message.extend([0; 4]);
    message.extend(cast.victim.octets());
    message.resize(44, 0);
    let mut dangerous = vec![
        vec![3, 4, 10, 9, 0, 66],
        vec![6, 4, 10, 9, 0, 66],
        vec![26, 2, 2, 64],
        vec![33, 8, 8, 8, 8, 8, 10, 9, 0, 66],
        vec![121, 5, 0, 10, 9, 0, 66],
        vec![249, 5, 0, 10, 9, 0, 66],
        vec![252, 4, b'w', b'p', b'a', b'd'],
        vec![15, 3, b'e', b'v', b'l'],
        vec![0],
    ];
    dangerous.shuffle(rng);
    let mut hidden: Vec<u8> = dangerous.iter().take(3).flatten().copied().collect();
    hidden.push(255);
    let overload = rng.random_range(0..4_u8);
    let mut place = |length: usize, is_used: bool| {
        let mut field = if is_used { hidden.clone() } else { Vec::new() };
        field.resize(length, 0);
        message.extend(field);
    };
    place(64, overload & 2 != 0);
    place(128, overload & 1 != 0);
    message.extend([99, 130, 83, 99, 53, 1]);
    message.push(*[2, 5, 5, 6].choose(rng).unwrap_or(&5));
    message.extend([1, 4, 255, 255, 255, 0, 51, 4, 0, 0, 14, 16, 54, 4]);
    message.extend(cast.router_ip.octets());
    if overload != 0 {
        message.extend([52, 1, overload]);
    }
    dangerous.shuffle(rng);
    for option in &dangerous {
        // RFC 3396: a client joins the parts of an option that is repeated.
        match option.as_slice() {
            [code, _, head, tail @ ..] if rng.random_bool(0.3) => {
                message.extend([*code, 1, *head, *code]);
                message.push(u8::try_from(tail.len()).unwrap_or_default());
                message.extend(tail);
            }
            whole => message.extend(whole),
        }
    }
    if rng.random_bool(0.9) {
        message.push(255);
    }
    message.resize(message.len().max(300), 0);
    if rng.random_bool(0.3) {
        bend(&mut message, rng);
    }
    let from = if rng.random_bool(0.9) { 67 } else { 4_011 };
    udp(from, 68, &message)
}

/// A request in the name of a machine that is not the sender.
fn dhcp_request_of_another(rng: &mut StdRng) -> Vec<u8> {
    let mut message = vec![1, 1, 6, 0];
    message.extend(rng.random::<[u8; 4]>());
    message.resize(28, 0);
    message.extend([2, 0, 0, 0xBA, 0xD0, rng.random()]);
    message.resize(236, 0);
    message.extend([99, 130, 83, 99, 53, 1, 1, 255]);
    message.resize(300, 0);
    if rng.random_bool(0.3) {
        bend(&mut message, rng);
    }
    udp(68, 67, &message)
}

/// Without a checksum, which IPv4 permits; [`ipv6`] puts one in.
fn udp(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap_or_default();
    let mut datagram = Vec::with_capacity(data.len() + 8);
    for field in [from, to, length, 0] {
        datagram.extend(field.to_be_bytes());
    }
    datagram.extend(data);
    datagram
}

fn summed(mut message: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum);
    message
}

/// Changes up to two bytes.
fn bend(bytes: &mut [u8], rng: &mut StdRng) {
    for _ in 0..rng.random_range(0..3) {
        if let Some(byte) = bytes.choose_mut(rng) {
            *byte = rng.random();
        }
    }
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, body: &[u8], rng: &mut StdRng) -> Vec<Vec<u8>> {
    let options: &[u8] = [
        &[][..],
        &[],
        &[],
        &[148, 4, 0, 0],
        &[1, 1, 1, 0],
        &[7, 7, 4, 0, 0, 0, 0, 0],
        &[0x83, 7, 4, 10, 9, 0, 66, 0],
    ]
    .choose(rng)
    .unwrap_or(&&[][..]);
    let identification: u16 = rng.random();
    pieces(body, rng)
        .into_iter()
        .map(|(offset, more, piece)| {
            let length = 20 + options.len() + piece.len();
            let words = u8::try_from(5 + options.len() / 4).unwrap_or(5);
            let field = u16::try_from(offset / 8).unwrap_or_default() | (u16::from(more) << 13);
            let mut header = vec![0x40 | words, 0];
            header.extend(u16::try_from(length).unwrap_or_default().to_be_bytes());
            header.extend(identification.to_be_bytes());
            header.extend(field.to_be_bytes());
            header.extend([64, protocol, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
            header.extend(options);
            if rng.random_bool(0.05) {
                bend(&mut header, rng);
                header[10..12].fill(0);
            }
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum);
            header.extend(piece);
            header
        })
        .collect()
}

fn ipv6(
    from: Ipv6Addr,
    to: Ipv6Addr,
    protocol: u8,
    mut body: Vec<u8>,
    rng: &mut StdRng,
) -> Vec<Vec<u8>> {
    let at = if protocol == UDP { 6..8 } else { 2..4 };
    if rng.random_bool(0.2) {
        bend(&mut body, rng);
    }
    body[at.clone()].fill(0);
    let sum = checksum_v6(from, to, protocol, &body);
    body[at].copy_from_slice(&sum);

    // Extension headers before and behind the cut.
    let (mut first, payload) = extended(protocol, body, rng);
    let (is_cut, parts) = match pieces(&payload, rng) {
        whole if whole.len() == 1 && rng.random_bool(0.7) => (false, whole),
        parts => (true, parts),
    };
    let identification: u32 = rng.random();
    let fragment_of = first;
    if is_cut {
        first = 44;
    }
    let around = is_cut && rng.random_bool(0.3);
    parts
        .into_iter()
        .map(|(offset, more, piece)| {
            let mut next = first;
            let mut content = Vec::new();
            if is_cut {
                content.extend([fragment_of, 0]);
                let field = u16::try_from(offset).unwrap_or_default() | u16::from(more);
                content.extend(field.to_be_bytes());
                content.extend(identification.to_be_bytes());
            }
            content.extend(piece);
            if around {
                content = [&[next, 0, 1, 4, 0, 0, 0, 0][..], &content].concat();
                next = 60;
            }
            let mut packet = vec![0x60, 0, 0, 0];
            let length = u16::try_from(content.len()).unwrap_or_default();
            packet.extend(length.to_be_bytes());
            packet.extend([next, if rng.random_bool(0.9) { 255 } else { 64 }]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            packet.extend(content);
            packet
        })
        .collect()
}

/// Puts up to four extension headers before `body`; returns the number of the
/// first header.
fn extended(protocol: u8, body: Vec<u8>, rng: &mut StdRng) -> (u8, Vec<u8>) {
    let mut next = protocol;
    let mut packet = body;
    let count = *[0, 0, 0, 1, 1, 2, 4].choose(rng).unwrap_or(&0);
    for _ in 0..count {
        let kind = *[0, 60, 60, 43, 44, 135, 51].choose(rng).unwrap_or(&60);
        let header: Vec<u8> = match kind {
            // An atomic fragment (RFC 6946).
            44 => vec![next, 0, 0, 0, 9, 9, 9, 9],
            // A routing header that is used up: hosts skip it.
            43 => vec![next, 2, 4, 0, 0, 0, 0, 0]
                .into_iter()
                .chain([0; 16])
                .collect(),
            51 => vec![next, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
            _ if rng.random_bool(0.3) => vec![next, 1, 1, 12].into_iter().chain([0; 12]).collect(),
            _ => vec![next, 0, 1, 4, 0, 0, 0, 0],
        };
        packet = [header, packet].concat();
        next = kind;
    }
    (next, packet)
}

/// A payload as one piece or as several of `(offset, more, bytes)`: cut inside
/// its headers, overlapping, in any order.
fn pieces(payload: &[u8], rng: &mut StdRng) -> Vec<(usize, bool, Vec<u8>)> {
    if rng.random_bool(0.6) || payload.len() < 16 {
        return vec![(0, false, payload.to_vec())];
    }
    let cut = 8 * rng.random_range(1..=(payload.len() / 8).min(6));
    let (head, tail) = payload.split_at(cut);
    let mut pieces = vec![(0, true, head.to_vec()), (cut, false, tail.to_vec())];
    match rng.random_range(0..6) {
        0 => {
            // A first fragment that lies, and its correction behind it.
            let mut lie = head.to_vec();
            bend(&mut lie, rng);
            pieces.insert(0, (0, true, lie));
        }
        1 => {
            // The second fragment begins inside the first (RFC 5722).
            let back = cut - 8;
            pieces.push((back, false, payload[back..].to_vec()));
        }
        2 => pieces.shuffle(rng),
        3 => pieces.insert(1, (8, true, vec![0; 8])),
        _ => {}
    }
    pieces
}

fn frame(cast: &Cast, ether_type: EtherType, packet: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let to = if rng.random_bool(0.5) {
        cast.victim
    } else if ether_type == EtherType::IPV6 {
        MacAddr([0x33, 0x33, 0, 0, 0, 1])
    } else {
        MacAddr::BROADCAST
    };
    let mut frame = [to.octets(), cast.attacker.octets()].concat();
    let tag = match rng.random_range(0..24) {
        0 | 1 => &[0x81, 0, 0xE0, 0][..],
        2 => &[0x81, 0, 0, 7],
        3 => &[0x88, 0xA8, 0, 0],
        4 => &[0x81, 0, 0, 0, 0x81, 0, 0, 0],
        5 => &[0x88, 0xA8, 0, 0, 0x81, 0, 0, 0],
        6 => &[0x91, 0, 0, 0],
        _ => &[],
    };
    frame.extend(tag);
    if rng.random_bool(0.05) {
        // SNAP (RFC 1042) behind a length.
        let length = u16::try_from(packet.len() + 8).unwrap_or_default();
        frame.extend(length.to_be_bytes());
        frame.extend([0xAA, 0xAA, 3, 0, 0, 0]);
    }
    frame.extend(ether_type.0.to_be_bytes());
    frame.extend(packet);
    if rng.random_bool(0.05) {
        let from = rng.random_range(12..frame.len());
        bend(&mut frame[from..], rng);
    }
    if rng.random_bool(0.03) {
        frame.truncate(rng.random_range(14..=frame.len()));
    } else {
        let padding = frame.len().max(60) + if rng.random_bool(0.1) { 17 } else { 0 };
        frame.resize(padding, 0xA5);
    }
    frame
}
