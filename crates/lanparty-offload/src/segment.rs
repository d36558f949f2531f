//! Frames out of what the kernel hands over: superframes cut into segments as
//! the kernel's own software segmentation would cut them, checksums finished.

use crate::bytes::{array_at, put, u8_at, u16_at, u32_at};
use crate::checksum::Sum;
use crate::layout::{IPV6_LEN, Ip, Layout, MAX_EXTENSIONS, Transport, field, wire_len};
use crate::vnet::{Checksum, Gso, GsoKind, OffloadError, VnetHdr};

/// Ethernet, two VLAN tags, IPv6 with extensions (longer than IPv4 with
/// options), TCP with options.
const MAX_HEADERS: usize = 14 + 8 + IPV6_LEN + MAX_EXTENSIONS + 60;

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// Makes ordinary frames with complete checksums out of one frame or
/// superframe and its header.
///
/// Works inside `frame`: an ordinary frame is passed through, and the headers
/// of each segment are written in front of its payload, over segments that
/// were already yielded. Nothing is allocated and no payload is moved.
///
/// # Errors
/// [`OffloadError`] where the header asks for something that the frame does
/// not bear out. The frame is to be dropped and counted.
pub fn segment<'a>(header: &VnetHdr, frame: &'a mut [u8]) -> Result<Frames<'a>, OffloadError> {
    let plan = match header.gso {
        Some(gso) => Plan::Cut(Template::new(gso, header.checksum, frame)?),
        None => {
            if let Checksum::Partial { start, offset } = header.checksum {
                complete_checksum(usize::from(start), usize::from(offset), frame)?;
            }
            Plan::Whole
        }
    };
    Ok(Frames { frame, plan })
}

/// The frames that [`segment`] makes, one at a time.
#[derive(Debug)]
pub struct Frames<'a> {
    frame: &'a mut [u8],
    plan: Plan,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack for one superframe; a box would be an allocation"
)]
enum Plan {
    Whole,
    Cut(Template),
    Done,
}

/// What all segments of a superframe have in common.
#[derive(Debug)]
struct Template {
    /// With zeros in the fields that differ from segment to segment.
    headers: [u8; MAX_HEADERS],
    /// Of the superframe, whose `end` is the end of all payload.
    layout: Layout,
    gso_size: usize,
    /// Of the IPv4 header as it stands in `headers`.
    network_sum: Sum,
    /// Of the pseudo-header without its length, and of the transport header as
    /// it stands in `headers`. Nothing for a UDP sender that uses no checksum.
    transport_sum: Option<Sum>,
    /// Of the superframe; zero for UDP.
    flags: u8,
    sequence: u32,
    ip_id: u16,
    /// Of the next segment: where its headers begin.
    at: usize,
}

impl Frames<'_> {
    /// The next frame, which the caller may change at will.
    pub fn next_frame(&mut self) -> Option<&mut [u8]> {
        match &mut self.plan {
            Plan::Whole => {
                self.plan = Plan::Done;
                Some(self.frame)
            }
            Plan::Cut(template) => template.write_next(self.frame),
            Plan::Done => None,
        }
    }
}

impl Template {
    fn new(gso: Gso, checksum: Checksum, frame: &[u8]) -> Result<Self, OffloadError> {
        if gso.size == 0 {
            return Err(OffloadError::ZeroGsoSize);
        }
        Self::read(gso, checksum, frame).ok_or(OffloadError::HeaderMismatch)
    }

    fn read(gso: Gso, checksum: Checksum, frame: &[u8]) -> Option<Self> {
        let layout = Layout::parse(frame)?;
        let kind = match (layout.transport, layout.ip) {
            (Transport::Tcp, Ip::V4) => GsoKind::TcpV4,
            (Transport::Tcp, Ip::V6) => GsoKind::TcpV6,
            (Transport::Udp, Ip::V4 | Ip::V6) => GsoKind::UdpL4,
        };
        let checksum_is_ours = match checksum {
            Checksum::Partial { start, offset } => {
                usize::from(start) == layout.l4 && usize::from(offset) == layout.checksum_offset()
            }
            Checksum::Complete | Checksum::Valid => true,
        };
        if kind != gso.kind || !checksum_is_ours {
            return None;
        }
        let is_partial = matches!(checksum, Checksum::Partial { .. });
        let checksum_field = layout.checksum_field(frame)?;
        let pseudo_header = if is_partial {
            Some(layout.unfinished_addresses_and_protocol(checksum_field))
        } else if layout.transport == Transport::Udp && checksum_field == [0, 0] {
            None
        } else {
            Some(layout.addresses_and_protocol(frame))
        };

        let mut headers = [0; MAX_HEADERS];
        headers
            .get_mut(..layout.payload)?
            .copy_from_slice(frame.get(..layout.payload)?);
        let l3 = |field: usize| layout.l3.saturating_add(field);
        let l4 = |field: usize| layout.l4.saturating_add(field);
        let mut ip_id = 0;
        match layout.ip {
            Ip::V4 => {
                ip_id = u16_at(frame, l3(field::IPV4_ID))?;
                for field in [field::IPV4_TOTAL_LEN, field::IPV4_ID, field::IPV4_CHECKSUM] {
                    put(&mut headers, l3(field), [0; 2]);
                }
            }
            Ip::V6 => put(&mut headers, l3(field::IPV6_PAYLOAD_LEN), [0; 2]),
        }
        let (mut flags, mut sequence) = (0, 0);
        match layout.transport {
            Transport::Tcp => {
                flags = u8_at(frame, l4(field::TCP_FLAGS))?;
                sequence = u32_at(frame, l4(field::TCP_SEQ))?;
                put(&mut headers, l4(field::TCP_FLAGS), [0]);
                put(&mut headers, l4(field::TCP_SEQ), [0; 4]);
            }
            Transport::Udp => put(&mut headers, l4(field::UDP_LEN), [0; 2]),
        }
        put(&mut headers, l4(layout.checksum_offset()), [0; 2]);
        let network = headers.get(layout.l3..layout.l4)?;
        let transport = headers.get(layout.l4..layout.payload)?;
        Some(Self {
            network_sum: Sum::default().bytes(network),
            transport_sum: pseudo_header.map(|sum| sum.bytes(transport)),
            headers,
            layout,
            gso_size: usize::from(gso.size),
            flags,
            sequence,
            ip_id,
            at: 0,
        })
    }

    fn write_next<'f>(&mut self, frame: &'f mut [u8]) -> Option<&'f mut [u8]> {
        let payload_at = self.at.checked_add(self.layout.payload)?;
        // A superframe without payload is still one frame.
        if payload_at >= self.layout.end && self.at > 0 {
            return None;
        }
        let end = payload_at
            .saturating_add(self.gso_size)
            .min(self.layout.end);
        let is_first = self.at == 0;
        let is_last = end == self.layout.end;
        let segment = frame.get_mut(self.at..end)?;
        let (headers, payload) = segment.split_at_mut_checked(self.layout.payload)?;
        headers.copy_from_slice(self.headers.get(..headers.len())?);
        self.write_network(headers, payload.len());
        self.write_transport(headers, payload, is_first, is_last);

        self.at = self.at.saturating_add(self.gso_size);
        self.ip_id = self.ip_id.wrapping_add(1);
        let step = u32::try_from(self.gso_size).ok()?;
        self.sequence = self.sequence.wrapping_add(step);
        Some(segment)
    }

    fn write_network(&self, headers: &mut [u8], payload: usize) {
        let l3 = |field: usize| self.layout.l3.saturating_add(field);
        let packet_len = headers
            .len()
            .saturating_sub(self.layout.l3)
            .saturating_add(payload);
        match self.layout.ip {
            Ip::V4 => {
                let len = wire_len(packet_len);
                let sum = self.network_sum.number(len).number(self.ip_id);
                put(headers, l3(field::IPV4_TOTAL_LEN), len.to_be_bytes());
                put(headers, l3(field::IPV4_ID), self.ip_id.to_be_bytes());
                put(headers, l3(field::IPV4_CHECKSUM), sum.finish());
            }
            Ip::V6 => {
                let len = wire_len(packet_len.saturating_sub(IPV6_LEN));
                put(headers, l3(field::IPV6_PAYLOAD_LEN), len.to_be_bytes());
            }
        }
    }

    fn write_transport(&self, headers: &mut [u8], payload: &[u8], is_first: bool, is_last: bool) {
        let l4 = |field: usize| self.layout.l4.saturating_add(field);
        let header_len = headers.len().saturating_sub(self.layout.l4);
        let len = wire_len(header_len.saturating_add(payload.len()));
        let sum = self.transport_sum.map(|sum| sum.number(len));
        let checksum = match self.layout.transport {
            Transport::Tcp => {
                let mut flags = self.flags;
                if !is_first {
                    flags &= !CWR;
                }
                if !is_last {
                    flags &= !(FIN | PSH);
                }
                let sequence = self.sequence.to_be_bytes();
                put(headers, l4(field::TCP_FLAGS), [flags]);
                put(headers, l4(field::TCP_SEQ), sequence);
                sum.map(|sum| {
                    let sum = sum.number(flags.into()).bytes(&sequence);
                    sum.bytes(payload).finish()
                })
            }
            Transport::Udp => {
                put(headers, l4(field::UDP_LEN), len.to_be_bytes());
                sum.map(|sum| sum.number(len).bytes(payload).finish_udp())
            }
        };
        if let Some(checksum) = checksum {
            put(headers, l4(self.layout.checksum_offset()), checksum);
        }
    }
}

/// Adds the sum of everything from `start` to the pseudo-header's sum that the
/// kernel left in the field.
fn complete_checksum(start: usize, offset: usize, frame: &mut [u8]) -> Result<(), OffloadError> {
    let range = OffloadError::ChecksumRange;
    let covered = frame.get(start..).ok_or(range)?;
    array_at::<2>(covered, offset).ok_or(range)?;
    let sum = Sum::default().bytes(covered);
    // Zero would mean "no checksum" in UDP; elsewhere the two are equal, but
    // some analysers call anything but zero a mistake (RFC 1624).
    let field = if offset == field::UDP_CHECKSUM {
        sum.finish_udp()
    } else {
        sum.finish()
    };
    put(frame, start.saturating_add(offset), field);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Packet, checksums_are_right, superframe_tcp, superframe_udp};
    use lanparty_proto::ethernet::{VlanTag, insert_tag};
    use proptest::prelude::*;

    fn cut(header: &VnetHdr, frame: &[u8]) -> Result<Vec<Vec<u8>>, OffloadError> {
        let mut frame = frame.to_vec();
        let mut frames = segment(header, &mut frame)?;
        let mut all = Vec::new();
        while let Some(frame) = frames.next_frame() {
            all.push(frame.to_vec());
        }
        Ok(all)
    }

    /// What a sender with this stream would have sent without offloads.
    fn stream(first: &Packet, count: usize, last_len: usize) -> Vec<Packet> {
        let mut packets = vec![first.clone()];
        while packets.len() < count {
            packets.push(packets.last().unwrap().next());
        }
        packets.last_mut().unwrap().payload.truncate(last_len);
        packets
    }

    fn frames(packets: &[Packet]) -> Vec<Vec<u8>> {
        packets.iter().map(Packet::frame).collect()
    }

    #[test]
    fn an_ordinary_frame_is_passed_through_where_it_lies() {
        let mut frame = Packet::tcp_v4().frame();
        let before = (frame.as_ptr(), frame.clone());
        let mut frames = segment(&VnetHdr::default(), &mut frame).unwrap();
        let only = frames.next_frame().unwrap();
        assert_eq!((only.as_ptr(), only.to_vec()), before);
        assert!(frames.next_frame().is_none());
    }

    #[test]
    fn flags_go_to_the_segments_where_they_belong() {
        let mut packets = stream(&Packet::tcp_v4(), 4, 50);
        packets[0].flags |= CWR;
        for packet in &mut packets {
            packet.flags |= 0x40;
        }
        packets[3].flags |= FIN | PSH;
        let (header, frame) = superframe_tcp(&packets);
        assert_eq!(cut(&header, &frame).unwrap(), frames(&packets));
    }

    #[test]
    fn a_superframe_of_one_segment_is_one_frame() {
        let packets = stream(&Packet::tcp_v6(), 1, 900);
        let (header, frame) = superframe_tcp(&packets);
        assert_eq!(cut(&header, &frame).unwrap(), frames(&packets));
    }

    #[test]
    fn a_tagged_superframe_gives_tagged_segments() {
        let tag = VlanTag::from_bits(0x2005);
        let with_tag = |frame: &[u8]| {
            let mut tagged = [&[0; 4][..], frame].concat();
            insert_tag(&mut tagged, tag).unwrap();
            tagged
        };
        let packets = stream(&Packet::tcp_v4(), 3, 100);
        let (header, frame) = superframe_tcp(&packets);
        let segments = cut(&header.with_vlan_tag(), &with_tag(&frame)).unwrap();
        let expected: Vec<_> = frames(&packets)
            .iter()
            .map(|frame| with_tag(frame))
            .collect();
        assert_eq!(segments, expected);
    }

    #[test]
    fn extension_headers_stand_in_every_segment() {
        for packet in [
            Packet::tcp_v6().with_options(),
            Packet::udp_v6().with_options(),
            Packet::tcp_v6().with_route(),
        ] {
            let packets = stream(&packet, 3, 100);
            let (header, frame) = if packet.udp {
                superframe_udp(&packets)
            } else {
                superframe_tcp(&packets)
            };
            assert_eq!(cut(&header, &frame).unwrap(), frames(&packets));
        }
    }

    #[test]
    fn extension_headers_without_end_are_refused() {
        let mut packet = Packet::tcp_v6();
        let header = [60, 0, 1, 4, 0, 0, 0, 0];
        packet.extensions = (
            60,
            [header.repeat(32), vec![6, 0, 1, 4, 0, 0, 0, 0]].concat(),
        );
        let (header, frame) = superframe_tcp(&stream(&packet, 2, 100));
        assert_eq!(cut(&header, &frame), Err(OffloadError::HeaderMismatch));
    }

    #[test]
    fn an_unfinished_checksum_is_finished() {
        for packet in [
            Packet::tcp_v4(),
            Packet::tcp_v6(),
            Packet::udp_v4(),
            Packet::udp_v6(),
        ] {
            let (header, frame) = packet.unfinished();
            assert!(!checksums_are_right(&frame));
            assert_eq!(cut(&header, &frame).unwrap(), [packet.frame()]);
        }
    }

    #[test]
    fn a_finished_udp_checksum_is_never_zero() {
        let mut packet = Packet::udp_v4();
        packet.payload = vec![0; 2];
        let sum = !u16::from_be_bytes(packet.checksum());
        // This payload makes the sum 0xFFFF and so its complement 0.
        packet.payload = (0xFFFF - sum).to_be_bytes().to_vec();
        let two = [packet.clone(), packet.next()];
        for (header, frame) in [packet.unfinished(), superframe_udp(&two)] {
            for finished in cut(&header, &frame).unwrap() {
                assert_eq!(finished[40..42], [0xFF, 0xFF]);
            }
        }
    }

    #[test]
    fn a_finished_tcp_checksum_may_be_zero() {
        let mut packet = Packet::tcp_v4();
        packet.payload = vec![0; 2];
        let sum = !u16::from_be_bytes(packet.checksum());
        packet.payload = (0xFFFF - sum).to_be_bytes().to_vec();
        let (header, frame) = packet.unfinished();
        assert_eq!(cut(&header, &frame).unwrap(), [packet.frame()]);
        assert_eq!(packet.checksum(), [0, 0]);
    }

    #[test]
    fn datagrams_sent_without_a_checksum_stay_without() {
        let packets = stream(&Packet::udp_v4(), 3, 40);
        let (mut header, mut frame) = superframe_udp(&packets);
        header.checksum = Checksum::Valid;
        frame[40..42].fill(0);
        for frame in cut(&header, &frame).unwrap() {
            assert_eq!(frame[40..42], [0, 0]);
        }
    }

    #[test]
    fn what_the_frame_does_not_bear_out_is_refused() {
        let packets = stream(&Packet::tcp_v4(), 3, 100);
        let (header, frame) = superframe_tcp(&packets);
        let with = |change: fn(&mut VnetHdr)| {
            let mut header = header;
            change(&mut header);
            cut(&header, &frame).unwrap_err()
        };
        assert_eq!(
            with(|header| header.gso.as_mut().unwrap().size = 0),
            OffloadError::ZeroGsoSize
        );
        for change in [
            (|header: &mut VnetHdr| header.gso.as_mut().unwrap().kind = GsoKind::TcpV6)
                as fn(&mut VnetHdr),
            |header| header.gso.as_mut().unwrap().kind = GsoKind::UdpL4,
            |header| {
                header.checksum = Checksum::Partial {
                    start: 84,
                    offset: 16,
                }
            },
            |header| {
                header.checksum = Checksum::Partial {
                    start: 34,
                    offset: 6,
                }
            },
        ] {
            assert_eq!(with(change), OffloadError::HeaderMismatch);
        }
        let mut fragment = frame.clone();
        fragment[20] |= 0x20;
        for frame in [&frame[..frame.len() - 1], &fragment] {
            assert_eq!(cut(&header, frame), Err(OffloadError::HeaderMismatch));
        }
    }

    #[test]
    fn a_checksum_field_outside_the_frame_is_refused() {
        let frame = Packet::udp_v4().frame();
        let at = |start, offset| {
            let header = VnetHdr {
                checksum: Checksum::Partial { start, offset },
                ..VnetHdr::default()
            };
            cut(&header, &frame).map(|frames| frames.len())
        };
        let len = u16::try_from(frame.len()).unwrap();
        assert_eq!(at(len - 2, 0), Ok(1));
        for (start, offset) in [(len - 1, 0), (len - 2, 1), (len + 1, 0), (0, u16::MAX)] {
            assert_eq!(at(start, offset), Err(OffloadError::ChecksumRange));
        }
    }

    proptest! {
        #[test]
        fn segments_are_what_the_sender_would_have_sent_itself(
            kind in 0_usize..4, mss in 1_usize..1_460, count in 1_usize..40,
            last in 1_usize..1_460, sequence: u32, id: u16, tos: u8, payload: u8,
        ) {
            let kinds = [Packet::tcp_v4(), Packet::tcp_v6(), Packet::udp_v4(), Packet::udp_v6()];
            let first = Packet {
                sequence,
                id,
                tos,
                payload: (0..mss).map(|at| (at as u8).wrapping_mul(payload)).collect(),
                ..kinds[kind].clone()
            };
            let packets = stream(&first, count, last);
            let (header, frame) = if first.udp { superframe_udp(&packets) } else { superframe_tcp(&packets) };
            let segments = cut(&header, &frame).unwrap();
            for segment in &segments {
                prop_assert!(checksums_are_right(segment));
            }
            prop_assert_eq!(segments, frames(&packets));
        }

        #[test]
        fn mutated_superframes_never_panic_nor_grow(
            kind in 0_usize..4, count in 1_usize..5, gso_size in 0_u16..2_000,
            start in 0_u16..100, offset in 0_u16..40, gso in 0_usize..4, partial: bool,
            changes in prop::collection::vec((0_usize..80, any::<u8>()), 0..5),
            cut_at in any::<prop::sample::Index>(),
        ) {
            let kinds = [Packet::tcp_v4(), Packet::tcp_v6(), Packet::udp_v4(), Packet::udp_v6()];
            let packets = stream(&kinds[kind], count, 1_000);
            let (mut header, mut frame) = if kinds[kind].udp {
                superframe_udp(&packets)
            } else {
                superframe_tcp(&packets)
            };
            if partial {
                header.checksum = Checksum::Partial { start, offset };
            }
            if let Some(kind) = [GsoKind::TcpV4, GsoKind::TcpV6, GsoKind::UdpL4].get(gso) {
                header.gso = Some(Gso { kind: *kind, ecn: false, size: gso_size });
            }
            for (at, value) in changes {
                frame[at] = value;
            }
            frame.truncate(cut_at.index(frame.len() + 1));
            if let Ok(frames) = cut(&header, &frame) {
                prop_assert!(!frames.is_empty());
                for segment in frames {
                    prop_assert!(segment.len() <= frame.len());
                }
            }
        }
    }
}
