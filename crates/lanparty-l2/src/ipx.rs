//! Strict recognisers of IPX in its four Ethernet framings, for the games of
//! the nineties. A frame that is not exactly IPX is not let through here: an
//! 802.2 or SNAP header is also how RA and DHCP are hidden (VU#855201).

use lanparty_proto::ethernet::EtherType;

use crate::read;

/// Bytes of the IPX header (Novell, "IPX Router Specification").
const HEADER_LEN: usize = 30;
/// Routers discard IPX packets that passed this many of them.
const MAX_HOPS: u8 = 16;
/// Destination and source SAP of NetWare, unnumbered information.
const LLC_NETWARE: [u8; 3] = [0xE0, 0xE0, 0x03];
/// SNAP, no organisation, IPX's EtherType.
const SNAP_IPX: [u8; 8] = [0xAA, 0xAA, 0x03, 0x00, 0x00, 0x00, 0x81, 0x37];
/// IPX's checksum field where no checksum is used; raw 802.3 framing is known
/// by it.
const NO_CHECKSUM: u16 = 0xFFFF;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    EthernetII,
    Raw8023,
    Llc,
    Snap,
}

/// Recognises IPX behind an EtherType or an 802.3 length.
pub(crate) fn recognise(type_or_length: EtherType, payload: &[u8]) -> Option<Framing> {
    if type_or_length == EtherType::IPX {
        // Padding behind the packet is the NIC's.
        return (ipx_len(payload)? <= payload.len()).then_some(Framing::EthernetII);
    }
    if !type_or_length.is_length() {
        return None;
    }
    // Bytes behind the 802.3 length are padding; nobody reads them.
    let data = payload.get(..usize::from(type_or_length.0))?;
    let (framing, packet) = if let Some(packet) = data.strip_prefix(&LLC_NETWARE) {
        (Framing::Llc, packet)
    } else if let Some(packet) = data.strip_prefix(&SNAP_IPX) {
        (Framing::Snap, packet)
    } else if read::u16_at(data, 0) == Some(NO_CHECKSUM) {
        (Framing::Raw8023, data)
    } else {
        return None;
    };
    // Some drivers round the 802.3 length up to an even number.
    let spare = packet.len().checked_sub(ipx_len(packet)?)?;
    (spare <= 1).then_some(framing)
}

/// The packet's length by its own header, where that header is sane.
fn ipx_len(packet: &[u8]) -> Option<usize> {
    let header = packet.get(..HEADER_LEN)?;
    let len = usize::from(read::u16_at(header, 2)?);
    let hops = read::u8_at(header, 4)?;
    (len >= HEADER_LEN && hops <= MAX_HOPS).then_some(len)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An IPX packet of `data` behind a NetBIOS-like header.
    pub(crate) fn packet(data: &[u8]) -> Vec<u8> {
        let len = u16::try_from(HEADER_LEN + data.len()).unwrap();
        let mut packet = vec![0xFF, 0xFF];
        packet.extend(len.to_be_bytes());
        packet.extend([0, 4]);
        packet.extend([0, 0, 0, 0]);
        packet.extend([0xFF; 6]);
        packet.extend([0x45, 0x10]);
        packet.extend([0, 0, 0, 0]);
        packet.extend([2, 0, 0, 0, 0, 1]);
        packet.extend([0x45, 0x10]);
        packet.extend(data);
        packet
    }

    fn length(data: &[u8]) -> EtherType {
        EtherType(u16::try_from(data.len()).unwrap())
    }

    #[test]
    fn all_four_framings_are_recognised_with_padding_behind() {
        let ipx = packet(b"frag");
        let llc = [&LLC_NETWARE[..], &ipx].concat();
        let snap = [&SNAP_IPX[..], &ipx].concat();
        let pad = |data: &[u8]| {
            let mut padded = data.to_vec();
            padded.resize(data.len().max(46) + 4, 0xEE);
            padded
        };
        assert_eq!(
            recognise(EtherType::IPX, &pad(&ipx)),
            Some(Framing::EthernetII)
        );
        assert_eq!(recognise(length(&ipx), &pad(&ipx)), Some(Framing::Raw8023));
        assert_eq!(recognise(length(&llc), &pad(&llc)), Some(Framing::Llc));
        assert_eq!(recognise(length(&snap), &pad(&snap)), Some(Framing::Snap));
    }

    #[test]
    fn an_ipv6_packet_in_snap_or_llc_is_not_ipx() {
        let mut snap = SNAP_IPX.to_vec();
        snap[6] = 0x86;
        snap[7] = 0xDD;
        snap.extend(packet(b"x"));
        assert_eq!(recognise(length(&snap), &snap), None);
        let mut llc = vec![0x06, 0x06, 0x03];
        llc.extend(packet(b"x"));
        assert_eq!(recognise(length(&llc), &llc), None);
    }

    #[test]
    fn lengths_that_disagree_are_refused() {
        let ipx = packet(&[0; 20]);
        let cut = |len: u16| recognise(EtherType(len), &ipx);
        let len = u16::try_from(ipx.len()).unwrap();
        assert_eq!(cut(len), Some(Framing::Raw8023));
        assert_eq!(cut(len - 1), None);
        assert_eq!(cut(len + 1), None, "longer than the frame");
        let mut two_more = ipx.clone();
        two_more.extend([0, 0]);
        assert_eq!(
            recognise(EtherType(len + 1), &two_more),
            Some(Framing::Raw8023)
        );
        assert_eq!(recognise(EtherType(len + 2), &two_more), None);
        let mut short_claim = ipx.clone();
        short_claim[2..4].copy_from_slice(&29_u16.to_be_bytes());
        assert_eq!(recognise(EtherType::IPX, &short_claim), None);
        let mut too_many_hops = ipx;
        too_many_hops[4] = 17;
        assert_eq!(recognise(EtherType::IPX, &too_many_hops), None);
    }
}
