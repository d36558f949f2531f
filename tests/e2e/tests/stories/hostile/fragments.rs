//! The overlay's own fragments, in every shape that an honest member never
//! sends. What the relay can see stops there; the rest stops at each receiver.
//!
//! After every attack a harmless frame in honest fragments must arrive at
//! everybody, so the way is open and no reassembly is stuck.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::forged;
use lanparty_lab::packet::{RawSocket, ipx_ethernet_ii};
use lanparty_lab::party::TAP;
use lanparty_lab::{RawMember, sandbox};
use lanparty_proto::MacAddr;
use lanparty_proto::ethernet::{EtherType, EthernetHeader, HEADER_LEN};
use lanparty_proto::fragment::FragmentHeader;
use lanparty_proto::overlay::{FrameCount, Header, Hint, Kind};

use crate::mallory::{ADDRESS, At, MAC, Stage};

/// The gateway's reminders to the switch carry mallory's address too.
const REFRESH: EtherType = EtherType(0x88B6);
const UNIT: usize = 8;
/// Above what a raw member gives to its honest frames.
const FIRST_ID: u16 = 1_000;
/// Payload of the harmless frames: more than one datagram of a raw member.
const TWO_DATAGRAMS: usize = 1_200;

struct Attack {
    name: &'static str,
    datagrams: Vec<Vec<u8>>,
    counted: &'static [At],
    reason: &'static str,
}

/// Cuts frames into pieces of mallory's choosing.
struct Knife<'a> {
    mallory: &'a RawMember,
    frame: Vec<u8>,
    frame_id: u16,
}

impl<'a> Knife<'a> {
    fn new(mallory: &'a RawMember, frame_id: u16) -> Self {
        let frame = ipx_ethernet_ii(MAC, 900);
        Self {
            mallory,
            frame,
            frame_id: FIRST_ID + frame_id,
        }
    }

    fn of(self, frame: Vec<u8>) -> Self {
        Self { frame, ..self }
    }

    /// Bytes `range` of what follows the Ethernet header.
    fn piece(&self, range: Range<usize>, more: bool) -> Result<Vec<u8>> {
        self.piece_with(range, more, |_| {})
    }

    /// The same with other words in its headers: `spoil` gets the fragment
    /// header and everything behind it.
    fn piece_with(
        &self,
        range: Range<usize>,
        more: bool,
        spoil: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Vec<u8>> {
        let fragment = FragmentHeader {
            frame_id: self.frame_id,
            offset: u16::try_from(range.start / UNIT)?,
            more,
            relay_id_space: false,
        };
        let payload = HEADER_LEN + range.start..HEADER_LEN + range.end;
        let mut rest = fragment.encode().to_vec();
        rest.extend(&self.frame[..HEADER_LEN]);
        rest.extend(self.frame.get(payload).context("beyond the frame")?);
        spoil(&mut rest);
        let base = Header {
            kind: Kind::Fragment,
            hint: Hint::Normal,
            source: self.mallory.peer_id()?,
            flow_tag: 1,
            frames: FrameCount::ONE,
        };
        Ok([&base.encode()[..], &rest].concat())
    }

    /// Two honest halves.
    fn halves(&self) -> Result<Vec<Vec<u8>>> {
        let end = self.frame.len() - HEADER_LEN;
        let middle = end / 2 / UNIT * UNIT;
        Ok(vec![
            self.piece(0..middle, true)?,
            self.piece(middle..end, false)?,
        ])
    }
}

/// Something of mallory's that is not `harmless`.
fn is_forbidden(seen: &[u8], harmless: &[u8]) -> bool {
    let header = EthernetHeader::parse(seen).map(|(header, _)| header);
    header.is_ok_and(|header| header.source == MAC && header.ether_type != REFRESH)
        && seen != harmless
}

fn play(stage: &Stage, mallory: &RawMember, number: usize, attack: &Attack) -> Result<()> {
    let before: Vec<u64> = attack
        .counted
        .iter()
        .map(|&at| stage.drops(at, attack.reason))
        .collect::<Result<_>>()?;
    for datagram in &attack.datagrams {
        mallory.send_datagram(datagram);
    }
    let harmless = ipx_ethernet_ii(MAC, TWO_DATAGRAMS + number);
    mallory.send_frame(&harmless)?;
    for (name, ear) in [("host1", &stage.host), ("bob", &stage.bob)] {
        let mut forbidden = None;
        let heard = ear.receive(Duration::from_secs(3), |seen| {
            if is_forbidden(seen, &harmless) {
                forbidden.get_or_insert(seen.to_vec());
            }
            seen == harmless
        });
        ensure!(forbidden.is_none(), "{name} got {forbidden:02x?}");
        ensure!(heard.is_some(), "{name} missed the harmless frame");
    }
    for (&at, before) in attack.counted.iter().zip(before) {
        stage.wait_for_drop(at, attack.reason, before)?;
    }
    for (name, ear) in [("host1", &stage.host), ("bob", &stage.bob)] {
        let late = ear.collect(Duration::from_millis(50), |seen| {
            is_forbidden(seen, &harmless)
        });
        ensure!(late.is_empty(), "{name} got {late:02x?} in the end");
    }
    Ok(())
}

fn play_all(stage: &Stage, mallory: &RawMember, attacks: &[Attack]) -> Result<()> {
    let failed: Vec<String> = attacks
        .iter()
        .enumerate()
        .filter_map(|(number, attack)| {
            let outcome = play(stage, mallory, number, attack).err()?;
            Some(format!("{}: {outcome:#}", attack.name))
        })
        .collect();
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    ensure!(mallory.closed().is_none(), "{:?}", mallory.closed());
    stage.bob_is_undisturbed()
}

#[test]
fn fragments_that_show_their_fault_stop_at_the_relay() {
    sandbox::test(|| {
        let stage = Stage::set(&[])?;
        let mallory = stage.mallory()?;
        let knife = Knife::new(&mallory, 1);
        let to = |destination: [u8; 6]| {
            knife.piece_with(0..64, true, |rest| {
                rest[4..10].copy_from_slice(&destination);
            })
        };
        let from = |source: [u8; 6]| {
            knife.piece_with(0..64, true, |rest| rest[10..16].copy_from_slice(&source))
        };
        let of_type = |ether_type: [u8; 2]| {
            knife.piece_with(0..64, true, |rest| {
                rest[16..18].copy_from_slice(&ether_type);
            })
        };
        let bob = stage.bob().node.mac(TAP)?;
        let attack = |name, datagram, reason| Attack {
            name,
            datagrams: vec![datagram],
            counted: &[At::Relay],
            reason,
        };
        let sealed = |kind: u8| -> Result<Vec<u8>> {
            let mut datagram = knife.piece(0..64, true)?;
            datagram[0] = datagram[0] & 0xF0 | kind;
            Ok(datagram)
        };
        let behind_the_end = knife.piece_with(0..64, false, |rest| {
            rest[2..4].copy_from_slice(&[0xFF, 0xE0]);
        })?;
        let attacks = [
            attack(
                "half a fragment header",
                knife.piece_with(0..64, true, |rest| rest.truncate(3))?,
                "fragment_header",
            ),
            attack(
                "half an Ethernet header",
                knife.piece_with(0..64, true, |rest| rest.truncate(4 + 13))?,
                "fragment_header",
            ),
            attack(
                "a reserved bit",
                knife.piece_with(0..64, true, |rest| rest[3] |= 1)?,
                "fragment_header",
            ),
            attack("no payload", knife.piece(0..0, false)?, "fragment_header"),
            attack(
                "a middle piece of 63 bytes",
                knife.piece(0..63, true)?,
                "fragment_header",
            ),
            attack(
                "an id of the relay's",
                knife.piece_with(0..64, true, |rest| rest[3] |= 0x08)?,
                "fragment_header",
            ),
            attack("a piece of a giant", behind_the_end, "oversize"),
            attack(
                "a piece of spanning tree",
                to([1, 0x80, 0xC2, 0, 0, 0])?,
                "link_control",
            ),
            attack("a piece of LLDP", of_type([0x88, 0xCC])?, "link_control"),
            attack("a piece of bob's", from(bob.octets())?, "source_mac"),
            attack("a piece from a group", from([1; 6])?, "source_mac"),
            attack("a tagged piece", of_type([0x81, 0])?, "vlan_tagged"),
            attack(
                "a twice tagged piece",
                of_type([0x88, 0xA8])?,
                "vlan_tagged",
            ),
            attack(
                "a piece of an unlisted type",
                of_type([0x88, 0xB5])?,
                "ether_type",
            ),
            attack("a sealed frame", sealed(3)?, "sealed_in_clear_room"),
            attack("a sealed piece", sealed(4)?, "sealed_in_clear_room"),
        ];
        play_all(&stage, &mallory, &attacks)
    });
}

#[test]
fn fragments_that_contradict_each_other_make_no_frame() {
    const RECEIVERS: &[At] = &[At::Gateway, At::Bob];
    sandbox::test(|| {
        let stage = Stage::set(&[])?;
        let mallory = stage.mallory()?;
        let cut = |frame_id| Knife::new(&mallory, frame_id);
        // The last byte of what follows the Ethernet header.
        let end = cut(0).frame.len() - HEADER_LEN;
        let attack = |name, datagrams, reason| Attack {
            name,
            datagrams,
            counted: RECEIVERS,
            reason,
        };
        let conflict = |name, datagrams| attack(name, datagrams, "fragment_conflict");
        let swap_header = |rest: &mut Vec<u8>| rest[4..10].copy_from_slice(&[3, 0, 0, 0, 0, 1]);
        let bob = stage.bob().node.mac(TAP)?;
        let mut stolen = forged::arp_reply(MacAddr([2, 0, 0x5E, 0x10, 0, 0x99]), ADDRESS);
        stolen[6..12].copy_from_slice(&MAC.octets());
        let attacks = [
            conflict(
                "pieces that overlap",
                vec![
                    cut(1).piece(0..512, true)?,
                    cut(1).piece(504..600, true)?,
                    cut(1).piece(512..end, false)?,
                ],
            ),
            conflict(
                "a piece that comes twice",
                vec![
                    cut(2).piece(0..512, true)?,
                    cut(2).piece(0..512, true)?,
                    cut(2).piece(512..end, false)?,
                ],
            ),
            conflict(
                "two ends",
                vec![
                    cut(3).piece(512..end, false)?,
                    cut(3).piece(512..end - 8, false)?,
                    cut(3).piece(0..512, true)?,
                ],
            ),
            conflict(
                "a piece behind the end",
                vec![
                    cut(4).piece(256..512, false)?,
                    cut(4).piece(512..520, true)?,
                    cut(4).piece(0..256, true)?,
                ],
            ),
            conflict(
                "an end before another piece",
                vec![
                    cut(5).piece(512..520, true)?,
                    cut(5).piece(256..512, false)?,
                    cut(5).piece(0..256, true)?,
                ],
            ),
            conflict(
                "another destination half-way",
                vec![
                    cut(6).piece(0..512, true)?,
                    cut(6).piece_with(512..end, false, swap_header)?,
                ],
            ),
            attack(
                "a frame that never ends",
                vec![cut(7).piece(0..512, true)?],
                "fragment_timeout",
            ),
            attack(
                "a frame that never begins",
                vec![cut(8).piece(512..end, false)?],
                "fragment_timeout",
            ),
            attack(
                "a DHCP answer in two pieces",
                cut(9)
                    .of(forged::dhcp_acknowledgement(MAC, ADDRESS, bob))
                    .halves()?,
                "dhcp_server",
            ),
            attack(
                "ARP for another's hardware address in two pieces",
                cut(10).of(stolen).halves()?,
                "arp_spoof",
            ),
            attack(
                "a router advertisement in two pieces",
                cut(11)
                    .of(forged::router_advertisement(
                        MAC,
                        forged::link_local(MAC),
                        None,
                        64,
                    ))
                    .halves()?,
                "router_advertisement",
            ),
            attack(
                "an ICMP redirect in two pieces",
                cut(12)
                    .of(forged::icmp_redirect(
                        MAC,
                        ADDRESS,
                        stage.bob_address,
                        lanparty_lab::party::HOST1,
                    ))
                    .halves()?,
                "redirect",
            ),
        ];
        play_all(&stage, &mallory, &attacks)
    });
}

#[test]
fn beginnings_without_end_cost_nobody_else_a_frame() {
    const BEGINNINGS: u16 = 300;
    sandbox::test(|| {
        let stage = Stage::set(&[])?;
        let mallory = stage.mallory()?;
        let before = [At::Gateway, At::Bob].map(|at| stage.drops(at, "fragment_limit"));
        for frame_id in 0..BEGINNINGS {
            mallory.send_datagram(&Knife::new(&mallory, frame_id).piece(0..64, true)?);
        }
        // Too long for one datagram, so the gateway cuts it and bob joins it.
        let from_lan = full_size(stage.party.host1.mac("eth0")?);
        stage.host.send(&from_lan)?;
        hears(&stage.bob, &from_lan).context("bob, of host1")?;
        let harmless = ipx_ethernet_ii(MAC, TWO_DATAGRAMS);
        mallory.send_frame(&harmless)?;
        for ear in [&stage.host, &stage.bob] {
            hears(ear, &harmless).context("of mallory")?;
        }
        for (at, before) in [At::Gateway, At::Bob].into_iter().zip(before) {
            stage.wait_for_drop(at, "fragment_limit", before?)?;
        }
        stage.bob_is_undisturbed()
    });
}

/// A broadcast of 1,514 bytes.
fn full_size(source: MacAddr) -> Vec<u8> {
    ipx_ethernet_ii(source, 1_514 - HEADER_LEN - 30)
}

fn hears(ear: &RawSocket, frame: &[u8]) -> Result<()> {
    ear.receive(Duration::from_secs(3), |seen| seen == frame)
        .map(drop)
        .context("the frame did not arrive")
}
