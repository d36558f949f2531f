//! Superframes out of the frames of one batch, by the rules of Linux GRO.
//!
//! Segments of a TCP flow are joined where cutting the superframe again gives
//! the same segments back: consecutive sequence numbers, equal headers but for
//! sequence number, checksum, IPv4 id and PSH/FIN, full segments but for the
//! last. A segment with PSH or FIN ends a superframe and one with CWR begins
//! one. A change of acknowledgement, window, TTL, ECN field or options ends it
//! too. Pure acknowledgements, SYN, RST, URG, IPv4 options, IPv6 extension
//! headers, fragments, VLAN tags and padded frames are never joined.
//!
//! IPv4 ids must count up by one or, only with DF set, stay the same. In the
//! latter case cutting the superframe invents ids, which no receiver may look
//! at (RFC 6864 section 4.1).
//!
//! A superframe hides the checksums of its segments from the receiver, so
//! each of them is verified before it is joined; a wrong one stays alone and
//! keeps its wrong checksum. A frame that nothing joins is not verified here.
//!
//! Outputs are in the order in which their first frames came. A frame that
//! cannot be joined also ends the superframe of its flow, so that the order
//! within a flow is always kept; fragments and other protocols end those of
//! all flows between their two addresses.

use lanparty_proto::ethernet::{self, EtherType};

use crate::bytes::{array_at, put, u8_at, u16_at, u32_at};
use crate::layout::{self, IPV4_MIN_LEN, IPV6_LEN, Ip, Layout, Transport, field};
use crate::vnet::{Checksum, Gso, GsoKind, VnetHdr};

/// The longest superframe: an IPv4 total length has 16 bits, and the Ethernet
/// header is left as a margin.
pub const MAX_SUPERFRAME_LEN: usize = 65_535;
/// Outputs that a batch can hold, and so the bound of its memory: 4 MiB.
pub const MAX_OUTPUTS: usize = 64;
/// The smallest segment that is joined. Chosen because several network cards
/// cannot cut smaller ones (i40e stops at 64), and they carry next to nothing.
pub const MIN_SEGMENT_LEN: usize = 64;
/// The most datagrams in one UDP superframe: `UDP_MAX_SEGMENTS` before
/// Linux 6.9, beyond which the kernel refuses the frame.
pub const MAX_UDP_SEGMENTS: u16 = 64;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;
const CWR: u8 = 0x80;
const DONT_FRAGMENT: u16 = 0x4000;

/// What is joined at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Join {
    /// Every frame stays as it is.
    #[default]
    Nothing,
    Tcp,
    /// UDP superframes too, which the kernel takes from Linux 6.2 on.
    TcpAndUdp,
}

/// Joins the frames of a batch; its buffers are kept from batch to batch.
#[derive(Debug, Default)]
pub struct Coalescer {
    join: Join,
    /// The first `used` are of this batch, the rest are spare buffers.
    outputs: Vec<Output>,
    used: usize,
}

/// The batch holds [`MAX_OUTPUTS`] outputs and the frame began another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch is full; write its outputs first")]
pub struct BatchFull;

#[derive(Debug, Default)]
struct Output {
    header: VnetHdr,
    frame: Vec<u8>,
    order: Order,
    /// Present as long as frames may still be joined.
    open: Option<Superframe>,
}

/// Which frames must not overtake this one. Equal values may be a chance
/// collision, which costs a join and never the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    /// None: not an IP packet.
    #[default]
    Free,
    /// Those of the same ports between the same addresses.
    Flow { pair: u64, flow: u64 },
    /// All between the same addresses.
    Pair(u64),
}

/// A frame that could begin or continue a superframe.
#[derive(Clone, Copy, Debug)]
struct Segment {
    layout: Layout,
    payload_len: usize,
    /// TCP flags; zero for UDP.
    flags: u8,
    sequence: u32,
    ip_id: u16,
    dont_fragment: bool,
}

#[derive(Clone, Copy, Debug)]
struct Superframe {
    /// Of the first frame, with `end` moved to the end of all payload.
    layout: Layout,
    gso_size: usize,
    segments: u16,
    next_sequence: u32,
    last_id: u16,
    id_step: Option<u16>,
    /// PSH and FIN of the last segment.
    ending: u8,
    ecn: bool,
}

impl Coalescer {
    #[must_use]
    pub fn new(join: Join) -> Self {
        Self {
            join,
            ..Self::default()
        }
    }

    /// Takes a whole frame with complete checksums into the batch.
    ///
    /// # Errors
    /// [`BatchFull`], with the frame not taken: write the outputs, call
    /// [`Self::clear`] and push it again.
    pub fn push(&mut self, frame: &[u8]) -> Result<(), BatchFull> {
        if self.join == Join::Nothing {
            return self.begin(frame, Order::Free, None);
        }
        let layout = Layout::parse(frame);
        let order = Order::of(frame, layout.as_ref());
        let segment = layout.and_then(|layout| Segment::read(frame, layout, self.join));
        if let Some(earlier) = self.newest_that_must_not_be_overtaken(order)
            && let Some(segment) = &segment
            && earlier.order == order
            && earlier.join(segment, frame)
        {
            return Ok(());
        }
        self.begin(frame, order, segment)
    }

    /// The outputs of the batch in order, each to be written with its header.
    pub fn outputs(&mut self) -> impl ExactSizeIterator<Item = (&VnetHdr, &[u8])> {
        let batch = self.outputs.get_mut(..self.used).unwrap_or_default();
        for output in &mut *batch {
            output.finish();
        }
        batch
            .iter()
            .map(|output| (&output.header, output.frame.as_slice()))
    }

    /// Begins a new batch.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.used == 0
    }

    fn newest_that_must_not_be_overtaken(&mut self, order: Order) -> Option<&mut Output> {
        self.outputs
            .get_mut(..self.used)?
            .iter_mut()
            .rev()
            .find(|output| output.order.binds(order))
    }

    fn begin(
        &mut self,
        frame: &[u8],
        order: Order,
        segment: Option<Segment>,
    ) -> Result<(), BatchFull> {
        if self.used >= MAX_OUTPUTS {
            return Err(BatchFull);
        }
        if self.used == self.outputs.len() {
            self.outputs.push(Output::default());
        }
        if let Some(output) = self.outputs.get_mut(self.used) {
            output.header = VnetHdr::default();
            output.frame.clear();
            output.frame.extend_from_slice(frame);
            output.order = order;
            output.open = segment.and_then(|segment| segment.begin());
            self.used = self.used.saturating_add(1);
        }
        Ok(())
    }
}

impl Output {
    /// Appends the segment's payload; false, with nothing changed, where the
    /// two do not belong together. The segment then begins an output of its
    /// own, behind which nothing looks for this one.
    fn join(&mut self, segment: &Segment, frame: &[u8]) -> bool {
        let Some(open) = &mut self.open else {
            return false;
        };
        let Some(id_step) = open.accepts(segment, &self.frame, frame) else {
            return false;
        };
        let first_is_unverified = open.segments == 1;
        if first_is_unverified && !open.layout.checksums_are_valid(&self.frame)
            || !segment.layout.checksums_are_valid(frame)
        {
            return false;
        }
        let payload = frame
            .get(segment.layout.payload..segment.layout.end)
            .unwrap_or_default();
        self.frame.extend_from_slice(payload);
        open.layout.end = self.frame.len();
        open.segments = open.segments.saturating_add(1);
        open.next_sequence = segment.next_sequence();
        open.last_id = segment.ip_id;
        open.id_step = Some(id_step);
        open.ending = segment.flags & (FIN | PSH);
        if open.ending != 0 || segment.payload_len < open.gso_size {
            self.finish();
        }
        true
    }

    /// Writes the headers of a superframe, after which nothing joins it.
    fn finish(&mut self) {
        if let Some(open) = self.open.take()
            && open.segments > 1
        {
            self.header = open.write_headers(&mut self.frame);
        }
    }
}

impl Order {
    fn of(frame: &[u8], layout: Option<&Layout>) -> Self {
        let Some((ether_type, l3)) = layout::network_layer(frame) else {
            return Self::Free;
        };
        let addresses = match ether_type {
            EtherType::IPV4 => layout::addresses(Ip::V4, l3, frame),
            EtherType::IPV6 => layout::addresses(Ip::V6, l3, frame),
            _ => return Self::Free,
        };
        let (words, _) = addresses.as_chunks::<4>();
        let pair = words.iter().fold(0, |hash, word| mix(hash, *word));
        let flow = layout
            .and_then(|layout| array_at(frame, layout.l4))
            .map(|ports| mix(pair, ports));
        match flow {
            Some(flow) => Self::Flow { pair, flow },
            None => Self::Pair(pair),
        }
    }

    /// True where a frame of order `later` must not be joined to anything
    /// before this one.
    fn binds(self, later: Self) -> bool {
        match (self, later) {
            (Self::Free, _) | (_, Self::Free) => false,
            (Self::Flow { flow, .. }, Self::Flow { flow: later, .. }) => flow == later,
            (Self::Pair(pair) | Self::Flow { pair, .. }, Self::Pair(later))
            | (Self::Pair(pair), Self::Flow { pair: later, .. }) => pair == later,
        }
    }
}

/// A cheap spread of 32 more bits; nobody gains by a collision.
fn mix(hash: u64, word: [u8; 4]) -> u64 {
    // The 64-bit golden ratio, as in Knuth, TAOCP volume 3, section 6.4.
    (hash.rotate_left(5) ^ u64::from(u32::from_ne_bytes(word))).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Segment {
    fn read(frame: &[u8], layout: Layout, join: Join) -> Option<Self> {
        let payload_len = layout.payload_len();
        if layout.l3 != ethernet::HEADER_LEN || layout.end != frame.len() || payload_len == 0 {
            return None;
        }
        let (ip_id, dont_fragment) = match layout.ip {
            Ip::V4 => {
                if layout.l4.checked_sub(layout.l3)? != IPV4_MIN_LEN {
                    return None;
                }
                let fragment = u16_at(frame, layout.l3.checked_add(field::IPV4_FRAGMENT)?)?;
                let id = u16_at(frame, layout.l3.checked_add(field::IPV4_ID)?)?;
                // The reserved bit is nobody's to carry into a superframe.
                if fragment & !DONT_FRAGMENT != 0 {
                    return None;
                }
                (id, fragment & DONT_FRAGMENT != 0)
            }
            Ip::V6 if layout.l4.checked_sub(layout.l3)? != IPV6_LEN => return None,
            Ip::V6 => (0, true),
        };
        let (flags, sequence) = match layout.transport {
            Transport::Tcp => {
                let flags = u8_at(frame, layout.l4.checked_add(field::TCP_FLAGS)?)?;
                if flags & ACK == 0 || flags & (SYN | RST | URG) != 0 {
                    return None;
                }
                let sequence = u32_at(frame, layout.l4.checked_add(field::TCP_SEQ)?)?;
                (flags, sequence)
            }
            Transport::Udp => {
                let len = u16_at(frame, layout.l4.checked_add(field::UDP_LEN)?)?;
                if join != Join::TcpAndUdp
                    || usize::from(len) != layout.segment_len()
                    || layout.checksum_field(frame)? == [0, 0]
                {
                    return None;
                }
                (0, 0)
            }
        };
        Some(Self {
            layout,
            payload_len,
            flags,
            sequence,
            ip_id,
            dont_fragment,
        })
    }

    fn next_sequence(&self) -> u32 {
        match self.layout.transport {
            Transport::Tcp => u32::try_from(self.payload_len)
                .map_or(self.sequence, |len| self.sequence.wrapping_add(len)),
            Transport::Udp => 0,
        }
    }

    /// A superframe of this segment alone, if others may follow it.
    fn begin(&self) -> Option<Superframe> {
        if self.flags & (FIN | PSH) != 0 || self.payload_len < MIN_SEGMENT_LEN {
            return None;
        }
        Some(Superframe {
            layout: self.layout,
            gso_size: self.payload_len,
            segments: 1,
            next_sequence: self.next_sequence(),
            last_id: self.ip_id,
            id_step: None,
            ending: 0,
            ecn: self.flags & CWR != 0,
        })
    }
}

impl Superframe {
    /// Whether the segment continues this superframe, whose bytes are `ours`;
    /// if so, by how much IPv4 ids advance from segment to segment.
    fn accepts(&self, segment: &Segment, ours: &[u8], theirs: &[u8]) -> Option<u16> {
        let total_len = ours.len().checked_add(segment.payload_len)?;
        let max_segments = match self.layout.transport {
            Transport::Tcp => u16::MAX,
            Transport::Udp => MAX_UDP_SEGMENTS,
        };
        let id_step = segment.ip_id.wrapping_sub(self.last_id);
        let id_continues = match self.id_step {
            Some(step) => id_step == step,
            None => id_step == 1 || (id_step == 0 && segment.dont_fragment),
        };
        let continues = id_continues
            && segment.sequence == self.next_sequence
            && segment.payload_len <= self.gso_size
            && self.segments < max_segments
            && total_len <= MAX_SUPERFRAME_LEN
            && segment.flags & CWR == 0
            && self.headers_match(segment, ours, theirs)?;
        continues.then_some(id_step)
    }

    /// Compares everything that must be equal in all segments of a superframe.
    fn headers_match(&self, segment: &Segment, ours: &[u8], theirs: &[u8]) -> Option<bool> {
        let layout = &self.layout;
        let same_shape = layout.ip == segment.layout.ip
            && layout.transport == segment.layout.transport
            && layout.payload == segment.layout.payload;
        if !same_shape {
            return Some(false);
        }
        let ours = ours.get(..layout.payload)?;
        let theirs = theirs.get(..layout.payload)?;
        let same = |from: usize, to: usize| ours.get(from..to) == theirs.get(from..to);
        let l3 = |at: usize| layout.l3.saturating_add(at);
        let l4 = |at: usize| layout.l4.saturating_add(at);
        let network = match layout.ip {
            // Addresses, EtherType, version, header length and TOS; all from
            // the fragment field on but the header checksum.
            Ip::V4 => same(0, l3(2)) && same(l3(6), l3(10)) && same(l3(12), l3(20)),
            Ip::V6 => same(0, l3(4)) && same(l3(6), l3(40)),
        };
        let transport = match layout.transport {
            // Ports; acknowledgement, header length; window; urgent pointer, options.
            Transport::Tcp => {
                let flags = l4(field::TCP_FLAGS);
                let difference = u8_at(ours, flags)? ^ u8_at(theirs, flags)?;
                same(l4(0), l4(4))
                    && same(l4(8), l4(13))
                    && difference & !(CWR | FIN | PSH) == 0
                    && same(l4(14), l4(16))
                    && same(l4(18), layout.payload)
            }
            Transport::Udp => same(l4(0), l4(4)),
        };
        Some(network && transport)
    }

    /// Turns the headers of the first segment into those of the superframe.
    fn write_headers(&self, frame: &mut [u8]) -> VnetHdr {
        let layout = &self.layout;
        if layout.transport == Transport::Tcp {
            let at = layout.l4.saturating_add(field::TCP_FLAGS);
            let flags = u8_at(frame, at).unwrap_or_default();
            put(frame, at, [flags | self.ending]);
        }
        layout.write_lengths(frame);
        layout.write_partial_checksum(frame);
        let kind = match (layout.transport, layout.ip) {
            (Transport::Tcp, Ip::V4) => GsoKind::TcpV4,
            (Transport::Tcp, Ip::V6) => GsoKind::TcpV6,
            (Transport::Udp, Ip::V4 | Ip::V6) => GsoKind::UdpL4,
        };
        // All of these are below 65,536, because the superframe is.
        let narrow = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
        VnetHdr {
            checksum: Checksum::Partial {
                start: narrow(layout.l4),
                offset: narrow(layout.checksum_offset()),
            },
            gso: Some(Gso {
                kind,
                ecn: self.ecn,
                size: narrow(self.gso_size),
            }),
            hdr_len: narrow(layout.payload),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Packet, checksums_are_right, flow_of, superframe_tcp};
    use crate::segment::segment;
    use proptest::prelude::*;

    fn coalesce(frames: &[Vec<u8>]) -> Vec<(VnetHdr, Vec<u8>)> {
        let mut coalescer = Coalescer::new(Join::TcpAndUdp);
        let mut all = Vec::new();
        let mut drain = |coalescer: &mut Coalescer| {
            for (header, frame) in coalescer.outputs() {
                all.push((*header, frame.to_vec()));
            }
            coalescer.clear();
        };
        for frame in frames {
            if coalescer.push(frame).is_err() {
                drain(&mut coalescer);
                coalescer.push(frame).unwrap();
            }
        }
        drain(&mut coalescer);
        all
    }

    fn cut(outputs: &[(VnetHdr, Vec<u8>)]) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        for (header, frame) in outputs {
            let mut frame = frame.clone();
            let mut segments = segment(header, &mut frame).unwrap();
            while let Some(frame) = segments.next_frame() {
                frames.push(frame.to_vec());
            }
        }
        frames
    }

    fn stream(first: &Packet, count: usize) -> Vec<Packet> {
        let mut packets = vec![first.clone()];
        while packets.len() < count {
            packets.push(packets.last().unwrap().next());
        }
        packets
    }

    fn frames(packets: &[Packet]) -> Vec<Vec<u8>> {
        packets.iter().map(Packet::frame).collect()
    }

    fn lengths(outputs: &[(VnetHdr, Vec<u8>)]) -> Vec<usize> {
        cut_each(outputs).iter().map(Vec::len).collect()
    }

    fn cut_each(outputs: &[(VnetHdr, Vec<u8>)]) -> Vec<Vec<Vec<u8>>> {
        outputs
            .iter()
            .map(|output| cut(std::slice::from_ref(output)))
            .collect()
    }

    #[test]
    fn a_stream_becomes_one_superframe_that_the_kernel_understands() {
        for packet in [Packet::tcp_v4(), Packet::tcp_v6()] {
            let packets = stream(&packet, 5);
            let outputs = coalesce(&frames(&packets));
            let [(header, frame)] = outputs.as_slice() else {
                panic!("{} outputs", outputs.len());
            };
            let expected = superframe_tcp(&packets);
            assert_eq!(*header, expected.0);
            assert_eq!(*frame, expected.1);
        }
    }

    #[test]
    fn a_short_segment_ends_the_superframe() {
        let mut packets = stream(&Packet::tcp_v4(), 4);
        packets[1].payload.truncate(70);
        packets[2] = packets[1].next();
        packets[2].payload = vec![9; packets[0].payload.len()];
        packets[3] = packets[2].next();
        assert_eq!(lengths(&coalesce(&frames(&packets))), [2, 2]);
    }

    #[test]
    fn a_longer_segment_begins_another_superframe() {
        let mut packets = stream(&Packet::tcp_v4(), 3);
        packets[1].payload.push(1);
        packets[2] = packets[1].next();
        assert_eq!(lengths(&coalesce(&frames(&packets))), [1, 2]);
    }

    #[test]
    fn push_and_fin_end_a_superframe_and_survive_on_its_last_segment() {
        for flag in [PSH, FIN] {
            let mut packets = stream(&Packet::tcp_v4(), 4);
            packets[1].flags |= flag;
            let outputs = coalesce(&frames(&packets));
            assert_eq!(lengths(&outputs), [2, 2]);
            assert_eq!(cut(&outputs), frames(&packets));
        }
    }

    #[test]
    fn congestion_window_reduced_begins_a_superframe_and_marks_it() {
        let mut packets = stream(&Packet::tcp_v4(), 5);
        packets[2].flags |= CWR;
        let outputs = coalesce(&frames(&packets));
        assert_eq!(lengths(&outputs), [2, 3]);
        assert_eq!(outputs[0].0.gso.map(|gso| gso.ecn), Some(false));
        assert_eq!(outputs[1].0.gso.map(|gso| gso.ecn), Some(true));
        assert_eq!(cut(&outputs), frames(&packets));
    }

    #[test]
    fn segments_with_any_other_difference_stay_apart() {
        type Change = fn(&mut Packet);
        let changes: [(&str, Change); 12] = [
            ("a gap in the sequence", |packet| packet.sequence += 1),
            ("acknowledgement", |packet| packet.ack += 1),
            ("window", |packet| packet.window += 1),
            ("ECN field", |packet| packet.tos ^= 0b11),
            ("TTL", |packet| packet.ttl -= 1),
            ("DF", |packet| packet.dont_fragment = !packet.dont_fragment),
            ("id", |packet| packet.id ^= 0x10),
            ("timestamp", |packet| packet.options[11] ^= 1),
            ("option length", |packet| packet.options.extend([1; 4])),
            ("ECN echo", |packet| packet.flags ^= 0x40),
            ("port", |packet| packet.ports.0 ^= 1),
            ("source MAC", |packet| packet.macs[11] ^= 1),
        ];
        for (name, change) in changes {
            let mut packets = stream(&Packet::tcp_v4(), 2);
            change(&mut packets[1]);
            let outputs = coalesce(&frames(&packets));
            assert_eq!(lengths(&outputs), [1, 1], "{name}");
            assert_eq!(cut(&outputs), frames(&packets), "{name}");
        }
    }

    #[test]
    fn equal_ports_between_other_addresses_are_another_flow_even_if_they_collide() {
        for packet in [Packet::tcp_v4(), Packet::tcp_v6()] {
            let read = |packet: &Packet| {
                let frame = packet.frame();
                let layout = Layout::parse(&frame).unwrap();
                (Segment::read(&frame, layout, Join::Tcp).unwrap(), frame)
            };
            let (first, ours) = read(&packet);
            let superframe = first.begin().unwrap();
            let (second, theirs) = read(&packet.next());
            assert!(superframe.accepts(&second, &ours, &theirs).is_some());
            for hosts in [(1, 3), (3, 2)] {
                let (second, theirs) = read(&Packet {
                    hosts,
                    ..packet.next()
                });
                assert_eq!(superframe.accepts(&second, &ours, &theirs), None);
            }
        }
    }

    #[test]
    fn a_constant_id_is_joined_only_where_nobody_may_read_it() {
        let mut packets = stream(&Packet::tcp_v4(), 3);
        for packet in &mut packets {
            packet.id = 0;
        }
        assert_eq!(lengths(&coalesce(&frames(&packets))), [3]);
        for packet in &mut packets {
            packet.dont_fragment = false;
        }
        assert_eq!(lengths(&coalesce(&frames(&packets))), [1, 1, 1]);
    }

    #[test]
    fn ids_that_begin_to_count_or_to_stand_still_end_a_superframe() {
        let mut packets = stream(&Packet::tcp_v4(), 4);
        for (packet, id) in packets.iter_mut().zip([7, 8, 8, 8]) {
            packet.id = id;
        }
        assert_eq!(lengths(&coalesce(&frames(&packets))), [2, 2]);
    }

    #[test]
    fn a_damaged_segment_stays_alone_and_stays_damaged() {
        for damaged in 0..4 {
            let mut frames = frames(&stream(&Packet::tcp_v4(), 4));
            *frames[damaged].last_mut().unwrap() ^= 1;
            let outputs = coalesce(&frames);
            assert!(
                outputs
                    .iter()
                    .any(|(header, frame)| *header == VnetHdr::default()
                        && *frame == frames[damaged])
            );
            assert_eq!(cut(&outputs), frames);
        }
    }

    #[test]
    fn a_damaged_ipv4_header_is_not_repaired() {
        let mut frames = frames(&stream(&Packet::tcp_v4(), 3));
        frames[1][ethernet::HEADER_LEN + field::IPV4_CHECKSUM] ^= 1;
        assert_eq!(cut(&coalesce(&frames)), frames);
    }

    #[test]
    fn padding_tags_fragments_and_options_are_left_alone() {
        let plain = Packet::tcp_v4();
        let mut padded = frames(&stream(&plain, 2));
        padded[1].extend([0; 4]);
        let mut tagged = frames(&stream(&plain, 2));
        for frame in &mut tagged {
            frame.splice(12..12, [0x81, 0, 0, 7]);
        }
        let mut fragments = frames(&stream(&plain, 2));
        for frame in &mut fragments {
            frame[20] = 0x20;
        }
        for frames in [padded, tagged, fragments] {
            let outputs = coalesce(&frames);
            assert_eq!(outputs.len(), 2);
            let same: Vec<_> = outputs.into_iter().map(|(_, frame)| frame).collect();
            assert_eq!(same, frames);
        }
    }

    #[test]
    fn segments_with_extension_headers_are_left_alone() {
        let packets = stream(&Packet::tcp_v6().with_options(), 3);
        assert_eq!(lengths(&coalesce(&frames(&packets))), [1, 1, 1]);
    }

    #[test]
    fn a_fragment_is_not_overtaken_by_later_segments_between_its_addresses() {
        let packets = stream(&Packet::tcp_v4(), 2);
        let mut fragment = Packet::udp_v4();
        fragment.ports = (27_015, 27_005);
        let mut fragment = fragment.frame();
        fragment[20] = 0x20;
        let frames = vec![packets[0].frame(), fragment, packets[1].frame()];
        assert_eq!(cut(&coalesce(&frames)), frames);
    }

    #[test]
    fn interleaved_flows_are_joined_each_with_its_own() {
        let one = stream(&Packet::tcp_v4(), 3);
        let mut other = Packet::tcp_v4();
        other.ports.1 += 1;
        let other = stream(&other, 3);
        let mixed: Vec<_> = one
            .iter()
            .zip(&other)
            .flat_map(|(a, b)| [a.frame(), b.frame()])
            .collect();
        let outputs = coalesce(&mixed);
        assert_eq!(lengths(&outputs), [3, 3]);
        let apart = [frames(&one), frames(&other)].concat();
        assert_eq!(cut(&outputs), apart);
    }

    #[test]
    fn equal_datagrams_are_joined_up_to_the_kernels_limit_and_only_if_asked() {
        for packet in [Packet::udp_v4(), Packet::udp_v6()] {
            let mut packets = stream(&packet, 70);
            packets[69].payload.truncate(10);
            let frames = frames(&packets);
            let outputs = coalesce(&frames);
            assert_eq!(lengths(&outputs), [64, 6]);
            assert_eq!(outputs[0].0.gso.map(|gso| gso.kind), Some(GsoKind::UdpL4));
            assert_eq!(cut(&outputs), frames);

            let mut coalescer = Coalescer::new(Join::Tcp);
            for frame in &frames[..10] {
                coalescer.push(frame).unwrap();
            }
            assert_eq!(coalescer.outputs().len(), 10);
        }
    }

    #[test]
    fn nothing_is_joined_where_nothing_is_to_be() {
        let frames = frames(&stream(&Packet::tcp_v4(), 5));
        let mut coalescer = Coalescer::new(Join::Nothing);
        for frame in &frames {
            coalescer.push(frame).unwrap();
        }
        let outputs = coalescer.outputs();
        let whole: Vec<_> = outputs
            .map(|(header, frame)| (*header, frame.to_vec()))
            .collect();
        let expected: Vec<_> = frames
            .into_iter()
            .map(|frame| (VnetHdr::default(), frame))
            .collect();
        assert_eq!(whole, expected);
    }

    #[test]
    fn a_superframe_never_outgrows_an_ip_packet() {
        let mut first = Packet::tcp_v4();
        first.payload = vec![7; 1_448];
        let packets = stream(&first, 100);
        let outputs = coalesce(&frames(&packets));
        assert_eq!(lengths(&outputs), [45, 45, 10]);
        assert!(
            outputs
                .iter()
                .all(|(_, frame)| frame.len() <= MAX_SUPERFRAME_LEN)
        );
        assert_eq!(cut(&outputs), frames(&packets));
    }

    #[test]
    fn a_full_batch_still_joins_but_takes_no_new_flow() {
        let mut coalescer = Coalescer::new(Join::Tcp);
        let mut packet = Packet::tcp_v4();
        for port in 0..MAX_OUTPUTS {
            packet.ports.0 = port as u16;
            coalescer.push(&packet.frame()).unwrap();
        }
        coalescer.push(&packet.next().frame()).unwrap();
        packet.ports.0 = 9_999;
        assert_eq!(coalescer.push(&packet.frame()), Err(BatchFull));
        assert_eq!(coalescer.outputs().len(), MAX_OUTPUTS);
        coalescer.clear();
        assert!(coalescer.is_empty());
        assert_eq!(coalescer.push(&packet.frame()), Ok(()));
    }

    /// What happens between one packet of a flow and its next.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Plain,
        Flags(u8),
        PureAck,
        Loss,
        Shorten(usize),
        Damage,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => Just(Step::Plain),
            1 => prop::sample::select(vec![PSH, FIN, CWR, SYN, URG, RST, 0x40]).prop_map(Step::Flags),
            1 => Just(Step::PureAck),
            1 => Just(Step::Loss),
            1 => (1_usize..200).prop_map(Step::Shorten),
            1 => Just(Step::Damage),
        ]
    }

    fn traffic(steps: &[(usize, Step)]) -> Vec<Vec<u8>> {
        let mut flows = [
            Packet::tcp_v4(),
            Packet::tcp_v6(),
            Packet::udp_v4(),
            Packet::udp_v6(),
        ];
        steps
            .iter()
            .map(|&(flow, step)| {
                let mut packet = flows[flow].clone();
                let mut damage = 0;
                match step {
                    Step::Plain => {}
                    Step::Flags(flags) => packet.flags |= flags,
                    Step::PureAck => packet.payload.clear(),
                    Step::Loss => packet = packet.next(),
                    Step::Shorten(len) => packet.payload.truncate(len),
                    Step::Damage => damage = 1,
                }
                let mut frame = packet.frame();
                *frame.last_mut().unwrap() ^= damage;
                flows[flow] = Packet {
                    payload: flows[flow].payload.clone(),
                    flags: flows[flow].flags,
                    ..packet.next()
                };
                frame
            })
            .collect()
    }

    proptest! {
        #[test]
        fn cutting_what_was_joined_gives_the_same_frames_in_the_order_of_each_flow(
            steps in prop::collection::vec((0_usize..4, step()), 1..120),
        ) {
            let frames = traffic(&steps);
            let outputs = coalesce(&frames);
            let again = cut(&outputs);
            prop_assert_eq!(again.len(), frames.len());
            for flow in frames.iter().map(|frame| flow_of(frame)) {
                let of_flow = |frames: &[Vec<u8>]| -> Vec<Vec<u8>> {
                    frames.iter().filter(|frame| flow_of(frame) == flow).cloned().collect()
                };
                prop_assert_eq!(of_flow(&again), of_flow(&frames));
            }
        }

        #[test]
        fn an_undisturbed_stream_is_joined_as_far_as_an_ip_packet_reaches(
            len in MIN_SEGMENT_LEN..1_449, count in 1_usize..60, sequence: u32, id: u16,
        ) {
            for mut packet in [Packet::tcp_v4(), Packet::tcp_v6()] {
                packet.payload = vec![3; len];
                packet.sequence = sequence;
                packet.id = id;
                let packets = stream(&packet, count);
                let outputs = coalesce(&frames(&packets));
                let headers = packet.frame().len() - len;
                let most = (MAX_SUPERFRAME_LEN - headers) / len;
                prop_assert_eq!(outputs.len(), count.div_ceil(most));
                prop_assert_eq!(cut(&outputs), frames(&packets));
            }
        }

        #[test]
        fn the_kernel_can_finish_the_checksum_of_every_superframe(
            steps in prop::collection::vec((0_usize..4, Just(Step::Plain)), 1..60),
        ) {
            for (mut header, mut frame) in coalesce(&traffic(&steps)) {
                header.gso = None;
                let mut whole = segment(&header, &mut frame).unwrap();
                prop_assert!(checksums_are_right(whole.next_frame().unwrap()));
            }
        }

        #[test]
        fn mutated_frames_never_panic_and_none_is_lost(
            steps in prop::collection::vec((0_usize..4, step()), 1..40),
            changes in prop::collection::vec(
                (any::<prop::sample::Index>(), 0_usize..90, any::<u8>()), 0..20),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..90), 0..4),
        ) {
            let mut frames = traffic(&steps);
            for (frame, at, value) in changes {
                let at_most = frame.index(frames.len());
                if let Some(byte) = frames[at_most].get_mut(at) {
                    *byte = value;
                }
            }
            for (frame, len) in cuts {
                let at = frame.index(frames.len());
                frames[at].truncate(len);
            }
            prop_assert_eq!(cut(&coalesce(&frames)).len(), frames.len());
        }
    }
}
