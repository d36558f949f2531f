//! What must not cross, sent by a member that does not filter itself and by
//! the LAN. After every forbidden frame a harmless one must arrive, so silence
//! is never a dead line.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lanparty_lab::network::BRIDGE;
use lanparty_lab::packet::{RawSocket, ipx_ethernet_ii};
use lanparty_lab::party::{GATEWAY_PC, HOST1, HOST2, LAN, TAP};
use lanparty_lab::{RawMember, sandbox, wait};
use lanparty_proto::MacAddr;

use crate::mallory::{ADDRESS, At, MAC, Stage};
use lanparty_lab::forged::{
    self, DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, arp_reply, ethernet, link_local,
    neighbour_advertisement, router_advertisement, udp4,
};

const FORGED: MacAddr = MacAddr([0x02, 0x00, 0x5E, 0x10, 0x00, 0x99]);
const STP: MacAddr = MacAddr([0x01, 0x80, 0xC2, 0, 0, 0]);
const LLDP: MacAddr = MacAddr([0x01, 0x80, 0xC2, 0, 0, 0x0E]);
const CDP: MacAddr = MacAddr([0x01, 0x00, 0x0C, 0xCC, 0xCC, 0xCC]);
/// An IEEE 802.3 length field and the LLC header of spanning tree.
const BPDU: (u16, &[u8]) = (
    38,
    &[
        0x42, 0x42, 0x03, 0, 0, 0, 0, 0, 0x80, 0, 2, 0, 0x5E, 0x10, 0, 0x66,
    ],
);

/// IPv6 addresses are usable a second or two after their interface.
const PATIENCE: Duration = Duration::from_secs(8);

struct Case {
    name: &'static str,
    frame: Vec<u8>,
    at: At,
    reason: &'static str,
}

const fn case(name: &'static str, frame: Vec<u8>, at: At, reason: &'static str) -> Case {
    Case {
        name,
        frame,
        at,
        reason,
    }
}

/// True where `seen` is `frame`, whole or with its tag taken off by a NIC.
fn shows(seen: &[u8], frame: &[u8]) -> bool {
    let behind_tag = frame.get(16..).unwrap_or(frame);
    seen == frame || (frame.len() > 32 && seen.ends_with(behind_tag))
}

/// Plays one case: the forbidden frame, then a harmless one that must arrive
/// where the forbidden one must not.
fn play(
    stage: &Stage,
    number: usize,
    case: &Case,
    send: impl Fn(&[u8]) -> Result<()>,
    harmless: &[u8],
    ears: &[(&str, &RawSocket)],
) -> Result<()> {
    let before = stage.drops(case.at, case.reason)?;
    send(&case.frame)?;
    for attempt in 0..3 {
        send(harmless)?;
        let mut missed = false;
        for (name, ear) in ears {
            let mut forbidden = false;
            let heard = ear.receive(Duration::from_secs(1), |seen| {
                forbidden |= shows(seen, &case.frame);
                seen == harmless
            });
            ensure!(!forbidden, "it reached {name}");
            missed |= heard.is_none();
        }
        if !missed {
            break;
        }
        ensure!(attempt < 2, "case {number}: the harmless frame is lost");
    }
    // Whatever took longer: a reassembly, a probe for a claimed address.
    for (name, ear) in ears {
        let late = ear.collect(Duration::from_millis(60), |seen| shows(seen, &case.frame));
        ensure!(late.is_empty(), "it reached {name} late");
    }
    stage.wait_for_drop(case.at, case.reason, before)
}

fn from_mallory(stage: &Stage, mallory: &RawMember, cases: &[Case]) -> Result<()> {
    let mut failed = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let ears = [("host1", &stage.host), ("bob", &stage.bob)];
        let send = |frame: &[u8]| mallory.send_frame(frame);
        let outcome = play(stage, number, case, send, &stage.harmless(number), &ears);
        if let Err(error) = outcome {
            failed.push(format!("{}: {error:#}", case.name));
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    ensure!(
        mallory.closed().is_none(),
        "forbidden frames are no protocol error: {:?}",
        mallory.closed()
    );
    stage.bob_is_undisturbed()
}

#[test]
fn link_layer_forgeries_stay_with_their_sender() {
    sandbox::test(|| {
        let stage = Stage::set(&[])?;
        let mallory = stage.mallory()?;
        let all = MacAddr::BROADCAST;
        let with_source = |source: [u8; 6]| {
            let mut frame = ipx_ethernet_ii(MAC, 300);
            frame[6..12].copy_from_slice(&source);
            frame
        };
        let host = stage.party.host1.mac(LAN)?;
        let bob = stage.bob().node.mac(TAP)?;
        let group = |last| MacAddr([0x01, 0x80, 0xC2, 0, 0, last]);
        let tagged = |tag: &[u8]| {
            let mut frame = ipx_ethernet_ii(MAC, 310);
            frame.splice(12..12, tag.iter().copied());
            frame
        };
        let relay = At::Relay;
        from_mallory(
            &stage,
            &mallory,
            &[
                case(
                    "a forged source MAC",
                    with_source(FORGED.octets()),
                    relay,
                    "source_mac",
                ),
                case(
                    "host1's source MAC",
                    with_source(host.octets()),
                    relay,
                    "source_mac",
                ),
                case(
                    "bob's source MAC",
                    with_source(bob.octets()),
                    relay,
                    "source_mac",
                ),
                case(
                    "a multicast source MAC",
                    with_source([1, 0, 0x5E, 0, 0, 1]),
                    relay,
                    "source_mac",
                ),
                case("no source MAC", with_source([0; 6]), relay, "source_mac"),
                case(
                    "spanning tree",
                    ethernet(STP, MAC, BPDU.0, BPDU.1),
                    relay,
                    "link_control",
                ),
                case(
                    "pause",
                    ethernet(group(1), MAC, 0x8808, &[0, 1, 0xFF, 0xFF]),
                    relay,
                    "link_control",
                ),
                case(
                    "link aggregation",
                    ethernet(group(2), MAC, 0x8809, &[1, 1]),
                    relay,
                    "link_control",
                ),
                case(
                    "port authentication",
                    ethernet(group(3), MAC, 0x888E, &[2, 1, 0, 0]),
                    relay,
                    "link_control",
                ),
                case(
                    "LLDP",
                    ethernet(LLDP, MAC, 0x88CC, &[2, 7, 4]),
                    relay,
                    "link_control",
                ),
                case(
                    "Cisco discovery",
                    ethernet(CDP, MAC, 40, &[0xAA, 0xAA, 3, 0, 0, 0x0C, 0x20, 0]),
                    relay,
                    "link_control",
                ),
                case(
                    "port authentication to all",
                    ethernet(all, MAC, 0x888E, &[2, 1, 0, 1]),
                    relay,
                    "link_control",
                ),
                case(
                    "LLDP to all",
                    ethernet(all, MAC, 0x88CC, &[2, 7, 5]),
                    relay,
                    "link_control",
                ),
                case(
                    "pause to all",
                    ethernet(all, MAC, 0x8808, &[0, 1, 0xFF, 0xFE]),
                    relay,
                    "link_control",
                ),
                case(
                    "a jumbo frame",
                    ipx_ethernet_ii(MAC, 1_490),
                    relay,
                    "oversize",
                ),
                case(
                    "a jumbo frame of 9,000 bytes",
                    ipx_ethernet_ii(MAC, 8_956),
                    relay,
                    "oversize",
                ),
                case(
                    "a runt",
                    with_source(MAC.octets())[..13].to_vec(),
                    relay,
                    "runt",
                ),
                case("a VLAN tag", tagged(&[0x81, 0, 0, 7]), relay, "vlan_tagged"),
                case(
                    "two VLAN tags",
                    tagged(&[0x88, 0xA8, 0, 7, 0x81, 0, 0, 8]),
                    relay,
                    "vlan_tagged",
                ),
                case(
                    "two customer tags",
                    tagged(&[0x81, 0, 0, 0, 0x81, 0, 0, 8]),
                    relay,
                    "vlan_tagged",
                ),
                case(
                    "an unlisted EtherType",
                    ethernet(all, MAC, 0x88B5, b"softlan"),
                    relay,
                    "ether_type",
                ),
            ],
        )
    });
}

#[test]
fn false_servers_and_routers_stay_with_their_sender() {
    sandbox::test(|| {
        let stage = Stage::set(&[])?;
        let mallory = stage.mallory()?;
        let bob_mac = stage.bob().node.mac(TAP)?;
        let own = link_local(MAC);
        let relay = At::Relay;
        from_mallory(
            &stage,
            &mallory,
            &[
                case(
                    "a DHCP answer",
                    forged::dhcp_acknowledgement(MAC, ADDRESS, bob_mac),
                    relay,
                    "dhcp_server",
                ),
                case(
                    "a DHCPv6 answer",
                    forged::dhcpv6_reply(MAC, own),
                    relay,
                    "dhcp_server",
                ),
                case(
                    "a router advertisement",
                    router_advertisement(MAC, own, None, 0),
                    relay,
                    "router_advertisement",
                ),
                case(
                    "one behind hop-by-hop options",
                    router_advertisement(MAC, own, Some(HOP_BY_HOP), 0),
                    relay,
                    "router_advertisement",
                ),
                case(
                    "one behind destination options",
                    router_advertisement(MAC, own, Some(DESTINATION_OPTIONS), 0),
                    relay,
                    "router_advertisement",
                ),
                // RFC 6980: neighbour discovery is never fragmented, so nobody reads it.
                case(
                    "one in an IPv6 fragment",
                    router_advertisement(MAC, own, Some(FRAGMENT), 0),
                    relay,
                    "malformed_ipv6",
                ),
                case(
                    "one too long for one datagram",
                    router_advertisement(MAC, own, None, 1_200),
                    At::Gateway,
                    "router_advertisement",
                ),
                case(
                    "the same at bob",
                    router_advertisement(MAC, own, None, 1_208),
                    At::Bob,
                    "router_advertisement",
                ),
                case(
                    "a multicast querier",
                    forged::igmp_query(MAC, ADDRESS),
                    relay,
                    "multicast_querier",
                ),
                case(
                    "a virtual router",
                    forged::vrrp(MAC, ADDRESS, HOST1),
                    relay,
                    "routing_protocol",
                ),
                case(
                    "a route to everywhere",
                    udp4(
                        MAC,
                        (ADDRESS, 520),
                        (Ipv4Addr::BROADCAST, 520),
                        &[
                            2, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
                        ],
                    ),
                    relay,
                    "routing_protocol",
                ),
                case(
                    "an ICMP redirect",
                    forged::icmp_redirect(MAC, ADDRESS, HOST1, HOST2),
                    relay,
                    "redirect",
                ),
                case(
                    "an ICMPv6 redirect",
                    forged::icmpv6_redirect(MAC, own),
                    relay,
                    "redirect",
                ),
            ],
        )
    });
}

#[test]
fn b7_other_peoples_addresses_stay_theirs() {
    sandbox::test(|| {
        let stage = Stage::set(&[])?;
        let mallory = stage.mallory()?;
        // A player knows whose an address is once it has heard from its owner,
        // and the ping of the stage was IPv4.
        let host_v6 = wait::until("host1 to have an IPv6 address", PATIENCE, || {
            stage.party.host1.ipv6_link_local(LAN).ok().flatten()
        })?;
        wait::until("bob to reach host1 by IPv6", PATIENCE, || {
            let ping = format!("ping -n -q -c 1 -W 1 {host_v6}%{TAP}");
            stage.bob().node.sh(&ping).ok()
        })?;
        let shout = |from, port| udp4(MAC, (from, port), (HOST2, 5_000), b"who said that");
        let gateway = At::Gateway;
        from_mallory(
            &stage,
            &mallory,
            &[
                case("ARP for host1", arp_reply(MAC, HOST1), gateway, "arp_spoof"),
                case(
                    "ARP for bob",
                    arp_reply(MAC, stage.bob_address),
                    gateway,
                    "arp_spoof",
                ),
                case(
                    "ARP with another's hardware address",
                    arp_with_hardware(FORGED),
                    At::Relay,
                    "arp_spoof",
                ),
                case(
                    "a neighbour advertisement for host1",
                    neighbour_advertisement(MAC, host_v6),
                    gateway,
                    "neighbour_spoof",
                ),
                case("IPv4 from host1", shout(HOST1, 1), gateway, "source_ip"),
                case(
                    "IPv4 from bob",
                    shout(stage.bob_address, 3),
                    gateway,
                    "source_ip",
                ),
            ],
        )
    });
}

#[test]
fn the_gateway_pcs_address_is_nobodys_to_take() {
    sandbox::test(|| {
        let stage = Stage::set(&[])?;
        let mallory = stage.mallory()?;
        from_mallory(
            &stage,
            &mallory,
            &[
                case(
                    "ARP for the gateway PC",
                    arp_reply(MAC, GATEWAY_PC),
                    At::Gateway,
                    "arp_spoof",
                ),
                case(
                    "IPv4 from the gateway PC",
                    udp4(MAC, (GATEWAY_PC, 2), (HOST2, 5_000), b"who said that"),
                    At::Gateway,
                    "source_ip",
                ),
            ],
        )
    });
}

/// An ARP answer whose packet names another hardware address than its frame.
fn arp_with_hardware(sender: MacAddr) -> Vec<u8> {
    let mut frame = arp_reply(sender, ADDRESS);
    frame[6..12].copy_from_slice(&MAC.octets());
    frame
}

#[test]
fn what_belongs_to_the_lan_stays_on_the_lan() {
    sandbox::test(|| {
        let stage = Stage::set(&[])?;
        // A bridge keeps LLDP to itself; the cheapest switches do not.
        stage.party.switch.switch().sh(&format!(
            "ip link set {BRIDGE} type bridge group_fwd_mask 0x4000"
        ))?;
        let host = stage.party.host1.mac(LAN)?;
        let bob = stage.bob().node.mac(TAP)?;
        let own = link_local(host);
        let mut with_bobs_mac = ipx_ethernet_ii(host, 320);
        with_bobs_mac[6..12].copy_from_slice(&bob.octets());
        let mut tagged = ipx_ethernet_ii(host, 330);
        tagged.splice(12..12, [0x81, 0, 0, 7]);
        let gateway = At::Gateway;
        let cases = [
            case(
                "spanning tree",
                ethernet(STP, host, BPDU.0, BPDU.1),
                gateway,
                "link_control",
            ),
            case(
                "LLDP",
                ethernet(LLDP, host, 0x88CC, &[2, 7, 4]),
                gateway,
                "link_control",
            ),
            case("a VLAN tag", tagged, gateway, "vlan_tagged"),
            case(
                "a router advertisement",
                router_advertisement(host, own, None, 0),
                gateway,
                "router_advertisement",
            ),
            case(
                "a DHCPv6 answer",
                forged::dhcpv6_reply(host, own),
                gateway,
                "dhcpv6",
            ),
            case(
                "an ICMP redirect",
                forged::icmp_redirect(host, HOST1, stage.bob_address, HOST2),
                gateway,
                "redirect",
            ),
            case(
                "bob's source MAC",
                with_bobs_mac,
                gateway,
                "member_mac_from_lan",
            ),
            case(
                "an unlisted EtherType",
                ethernet(MacAddr::BROADCAST, host, 0x88B5, b"softlan"),
                gateway,
                "ether_type",
            ),
        ];
        let mut failed = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            let harmless = ipx_ethernet_ii(host, 40 + number);
            let send = |frame: &[u8]| stage.host.send(frame);
            let outcome = play(
                &stage,
                number,
                case,
                send,
                &harmless,
                &[("bob", &stage.bob)],
            );
            if let Err(error) = outcome.context(case.name) {
                failed.push(format!("{error:#}"));
            }
        }
        ensure!(failed.is_empty(), "{}", failed.join("\n"));
        stage.bob_is_undisturbed()
    });
}
